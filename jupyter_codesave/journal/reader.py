"""Reading a journal: resumes at an offset, tolerates a torn end, steps over what is garbled."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import DamagedError, UnavailableError
from . import events

_SEARCH = 1 << 20


@dataclass(frozen=True)
class Record:
    """One whole record; `end` is the offset where the next one begins."""

    sequence: int
    time_ns: int
    payload: bytes
    end: int

    @property
    def is_event(self) -> bool:
        """Tell an event from an iopub message."""
        return self.payload[:1] == events.EVENT

    @property
    def is_message(self) -> bool:
        """Tell an iopub message from an event."""
        return self.payload[:1] == events.MESSAGE


@dataclass(frozen=True)
class Lost:
    """Something between two whole records cannot be read: garbled bytes or missing numbers."""

    reason: str
    end: int


def read(path: Path, offset: int = 0, sequence: int | None = None) -> Iterator[Record | Lost]:
    """Yield the whole records of `path` from `offset` on, and `Lost` where something is missing.

    Stops at a torn end: what is there of an unfinished record is read next time, from the last
    `end`. `sequence` is the number of the last record read before `offset`. Raises
    UnavailableError for a journal that a newer version wrote, DamagedError for a file that is no
    journal, OSError when it cannot be read.
    """
    with path.open("rb", buffering=1 << 20) as file:
        size = os.fstat(file.fileno()).st_size
        if offset == 0:
            magic = file.read(len(events.MAGIC))
            if len(magic) < len(events.MAGIC):
                return
            if magic != events.MAGIC:
                _refuse(path, magic)
            offset = len(events.MAGIC)
        while True:
            record = _record(file, offset, size)
            if record is None:
                found = _resync(file, offset + 1, size, sequence)
                if found is None:
                    return
                yield Lost(f"{found - offset} bytes at offset {offset} are garbled", found)
                offset = found
                continue
            if sequence is not None and record.sequence <= sequence:
                offset = record.end  # written twice after a retry: the first one counts
                continue
            if record.sequence == 0:
                _know(path, record)
            expected = 0 if sequence is None else sequence + 1
            if record.sequence != expected:
                yield Lost(f"{record.sequence - expected} records are missing", offset)
            yield record
            sequence, offset = record.sequence, record.end


def decode_event(record: Record) -> dict[str, Any]:
    """Give an event's fields; {} for what is no JSON object, or nested too deep to be read."""
    import json

    try:
        fields = json.loads(record.payload[1:].decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def session_event(path: Path) -> dict[str, Any]:
    """Give the `session` event that opens the journal; {} when it is not there (yet)."""
    for record in read(path):
        if isinstance(record, Record) and record.is_event:
            fields = decode_event(record)
            return fields if fields.get("event") == "session" else {}
        return {}
    return {}


def _know(path: Path, first: Record) -> None:
    fields = decode_event(first) if first.is_event else {}
    version = fields.get("version")
    if isinstance(version, int) and version > events.VERSION:
        raise _newer(path, str(version))


def _newer(path: Path, form: str) -> UnavailableError:
    return UnavailableError(
        f"the journal {path} has the format {form!r}, which this version does not know; "
        "it waits, unharmed: update jupyter_codesave to read it"
    )


def _refuse(path: Path, magic: bytes) -> None:
    if magic.startswith(events.MAGIC[:6]):
        raise _newer(path, magic[6:].decode("latin-1"))
    raise DamagedError(
        f"{path} is not a journal: it does not start with {events.MAGIC!r}; "
        "move it out of the journal folder"
    )


def _record(file: BinaryIO, offset: int, size: int) -> Record | None:
    file.seek(offset)
    header = file.read(events.HEADER.size)
    if len(header) < events.HEADER.size:
        return None
    mark, _, sequence, time_ns, length = events.HEADER.unpack(header)
    if mark != events.SYNC or length > size - offset - events.HEADER.size:
        return None
    payload = file.read(length)
    if not events.check(header, payload):
        return None
    return Record(sequence, time_ns, payload, offset + events.HEADER.size + length)


def _resync(file: BinaryIO, offset: int, size: int, sequence: int | None) -> int | None:
    """Find the next whole record at or behind `offset`; None when only a torn end is left."""
    while offset < size:
        file.seek(offset)
        block = file.read(_SEARCH + len(events.SYNC) - 1)
        found = block.find(events.SYNC)
        if found < 0:
            offset += _SEARCH
            continue
        offset += found
        record = _record(file, offset, size)
        if record is not None and (sequence is None or record.sequence > sequence):
            return offset
        offset += 1
    return None
