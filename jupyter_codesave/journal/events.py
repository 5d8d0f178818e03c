"""The record format of journals, versioned; shared by who writes and who reads.

A journal is `MAGIC`, then records. A record is a header (`HEADER`: sync mark, CRC-32, sequence
number, wall clock in ns, length of the payload) and its payload; the CRC covers the header behind
itself and the payload. A payload is one byte of kind and

- `MESSAGE`: an iopub message as it went out: the number of frames (u32), the length of each (u64),
  then the frames (topic, `<IDS|MSG>`, signature, header, parent header, metadata, content,
  buffers); content may hold any bytes;
- `EVENT`: one JSON object in UTF-8 with the key `event`, one of `EVENTS`;
- `ERASED`: zeros, where a record was that the user asked not to keep.

Sequence numbers count from 0 without holes; a hole, or a `gap` event, is something lost.
An unknown version (of MAGIC or of the `session` event) waits for a newer reader.
"""

from __future__ import annotations

import functools
import json
import struct
from collections.abc import Sequence
from typing import Any

from .crc import crc32
from .interrupts import is_interrupt

VERSION = 1
MAGIC = b"CSJRNL01"
SYNC = b"\xc5\xa9CS"
HEADER = struct.Struct("<4sIQQQ")
_mark = struct.Struct("<4sI").pack  # the header's beginning, and what its CRC covers
_checked = struct.Struct("<QQQ").pack
_dump = json.JSONEncoder(default=repr, separators=(",", ":")).encode  # made once: 2 µs an event
_quote = json.encoder.encode_basestring_ascii
_PLAIN = 7  # frames of a message without buffers
_plain_head = struct.Struct(f"<QQQcI{_PLAIN}Q").pack
_TABLE = struct.calcsize("<cI")  # how the table of a message's frames begins
LARGE = 256 << 10  # bytes from which a record is written in parts
MESSAGE, EVENT, ERASED = b"M", b"E", b"X"
SUFFIX = ".journal"

# Of an event, or the frames of a message: in a list where they are `LARGE`.
Payload = bytes | tuple[bytes | memoryview, ...] | list[bytes | memoryview]

EVENTS = {
    "session": "first record: version, session, kind, by, host, boot, pid, process_started, "
    "python, package, cwd, argv, user, notebook, kernel_id",
    "session-end": "ended_by, exit_code",
    "run": "run, project, name, config, notes, tags, explicit, notebook, program, cwd, argv; "
    "adopts: the key of the calling execution, which moves over to this run",
    "run-end": "run, ended_by, exit_code, error (a traceback as text); dropped: true when the "
    "run turned out empty",
    "run-update": "run, and any of name, config, notes, tags; ending: restart or shutdown, when "
    "somebody asked for it: if no end follows, it was that and not a crash",
    "execution": "key, run, cell_id, notebook, store_history; terminals and scripts add source "
    "and execution_count (kernels: the execute_input message has them)",
    "execution-end": "key, status; kernels: only of one that failed, or shows an error",
    "output": "key, output (an nbformat output; terminals, scripts, where no iopub is); past: true "
    "for what a child printed, past Python",
    "clear-output": "key, wait (terminals)",
    "stdin": "key, prompt, answer (null unless a setting asks for it)",
    "file": "run, path, digest, size, mode, policy, source, mtime_ns; the bytes are in the spool",
    "watch": "run, path, source, policy: a live or end save began; without a `file` event the "
    "source itself is taken at the end, if it was not changed after the last record",
    "file-missing": "run, path, reason (a broken link, changed after the run, unreadable)",
    "artifact": "run, name, type, files: [{path, digest, size, mode}]: log_code, code_dir",
    "code": "run, files: [{path, digest, size, mode}]: program and the user's own modules",
    "git": "run, commit, branch, remote, dirty, patch: digest or null, note",
    "environment": "run, python, platform, packages: {name: version}, editable, gpu",
    "capture": "capture, decided_by: the recording state changed; error: why it failed",
    "forget": "key: the execution must not be kept",
    "skip": "cell_id, source: digest; a cell ran without being recorded, so that copies of the "
    "notebook file have it blanked",
    "gap": "reason, lost: how many records, or null",
}


def encode(sequence: int, time_ns: int, payload: Payload) -> bytes:
    """Give a record."""
    if isinstance(payload, bytes):
        checked = _checked(sequence, time_ns, len(payload)) + payload
    else:
        frames = b"".join(payload)
        checked = _head(sequence, time_ns, len(frames), payload) + frames
    return _mark(SYNC, crc32(checked)) + checked


def encode_parts(sequence: int, time_ns: int, payload: Payload) -> list[bytes | memoryview]:
    """Give a record in parts, without copying what is large in it."""
    parts: list[bytes | memoryview] = (
        [_checked(sequence, time_ns, len(payload)), payload]
        if isinstance(payload, bytes)
        else [_head(sequence, time_ns, sum(map(len, payload)), payload), *payload]
    )
    crc = 0
    for part in parts:
        crc = crc32(part, crc)
    return [_mark(SYNC, crc), *parts]


def _head(sequence: int, time_ns: int, size: int, frames: Sequence[bytes | memoryview]) -> bytes:
    """Give all of a message's record that the CRC covers, up to its frames of `size` bytes."""
    count = len(frames)
    size += _TABLE + 8 * count
    if count == _PLAIN:
        return _plain_head(sequence, time_ns, size, MESSAGE, _PLAIN, *map(len, frames))
    form = f"<QQQcI{count}Q"
    return struct.pack(form, sequence, time_ns, size, MESSAGE, count, *map(len, frames))


def message_payload(frames: Sequence[bytes | memoryview]) -> Payload:
    """Give an iopub message as a payload: its frames, as they lie in memory."""
    if len(frames) == _PLAIN and type(frames[-1]) is bytes:  # no buffers: all of them are
        is_large = len(frames[-1]) >= LARGE
    else:
        frames = [*map(_as_sent, frames)]
        is_large = sum(map(len, frames)) >= LARGE
    return [*frames] if is_large else tuple(frames)


def _as_sent(frame: bytes | memoryview) -> bytes | memoryview:
    """Give a frame's bytes as they lie in memory, which is what goes out, whatever its shape."""
    if isinstance(frame, bytes):
        return frame
    view = memoryview(frame)
    return view.cast("B") if view.c_contiguous and view.nbytes else view.tobytes("A")


def event_payload(event: str, fields: dict[str, Any]) -> bytes:
    """Lay out an event as a payload; what JSON cannot hold becomes its repr.

    A field that cannot be laid out at all (a cycle, a key of another type) becomes null.
    """
    try:
        text = _dump({"event": event, **fields})
    except Exception as error:
        if is_interrupt(error):
            raise
        text = _dump({"event": event, **{name: _whole(value) for name, value in fields.items()}})
    return EVENT + text.encode("utf-8", "replace")


def execution_payload(
    key: str, cell_id: str | None, run: str, notebook: str | None, store_history: bool
) -> bytes:
    """Lay out an `execution` event whose source is in a message, for a fifth of the usual cost."""
    cell = "null" if cell_id is None else _quote(cell_id)
    text = f'{_execution(run, notebook, store_history)},"cell_id":{cell},"key":{_quote(key)}}}'
    return EVENT + text.encode()


@functools.lru_cache(maxsize=8)
def _execution(run: str, notebook: str | None, store_history: bool) -> str:
    fields = {"run": run, "notebook": notebook, "store_history": store_history}
    return _dump({"event": "execution", **fields})[:-1]


def _whole(value: Any) -> Any:
    try:
        _dump(value)
    except Exception as error:
        if is_interrupt(error):
            raise
        return None
    return value


def message_frames(payload: bytes | memoryview) -> list[memoryview]:
    """Give the frames of a MESSAGE payload; ValueError when the lengths do not add up."""
    view = memoryview(payload)
    (count,) = struct.unpack_from("<I", view, 1)
    offset = 5 + 8 * count
    if offset > len(view):
        raise ValueError("a message record is shorter than its own table of frames")
    lengths = struct.unpack_from(f"<{count}Q", view, 5)
    frames = []
    for length in lengths:
        frames.append(view[offset : offset + length])
        offset += length
    if offset != len(view):
        raise ValueError("a message record and its table of frames disagree")
    return frames


def check(header: bytes | memoryview, payload: bytes | memoryview) -> bool:
    """Tell whether header and payload belong together and are undamaged."""
    _, crc, sequence, time_ns, length = HEADER.unpack(header)
    found = crc32(payload, crc32(_checked(sequence, time_ns, length)))
    return bool(found == crc and length == len(payload))
