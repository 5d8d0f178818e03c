"""The desk: where a kernel's small records lie until they are appended to its journal.

A write to a file costs a cell 9 µs, since all that the system needs for it has left the caches
meanwhile; a copy into memory costs 1 µs. The memory is mapped from the tail's file, so it survives
kill -9 as the file does. A fifth of a second later at most the writer appends what lies here, in
one write.

Records lie here as in the journal, whole, one behind the other from `_START` on; behind the last
one is what was appended long ago. So whoever finds the writer dead takes those that go on where the
journal ends (`append_left`).
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from . import events
from .tail import MAGIC, SUFFIX, Tail

_START = 4096  # behind the tail's header, on a page of its own
_END = 64 << 10  # where the tail's first chunk begins
LARGEST = 8 << 10  # bytes of records that are worth a second copy


class Desk:
    """The writing side; its writer knows how many bytes lie here."""

    def __init__(self, tail: Tail) -> None:
        self._memory = mmap.mmap(tail.handle, _END)

    def lay(self, place: int, data: bytes) -> bool:
        """Put records behind the `place` bytes that lie here; False if there is no room."""
        begin = _START + place
        end = begin + len(data)
        if end > _END:
            return False
        self._memory[begin:end] = data
        return True

    def taken(self, length: int) -> bytes:
        """Give the `length` bytes that lie here, to be appended."""
        return self._memory[_START : _START + length]

    def wipe(self) -> None:
        """Leave nothing here."""
        self._memory[_START:_END] = bytes(_END - _START)


def append_left(journal: Path, offset: int, sequence: int | None) -> None:
    """Append to a journal what its dead writer left on the desk.

    `offset` is the end of the journal's last whole record, `sequence` its number. Raises OSError
    when it cannot be written; nothing is lost then.
    """
    if sequence is None:
        return
    found = b""
    for number, record in _records(_left(journal.with_suffix(SUFFIX))):
        if number == sequence + 1:
            found += record
            sequence = number
        elif number > sequence:
            break
    if found:
        with journal.open("r+b") as file:
            file.truncate(offset)
            file.seek(offset)
            file.write(found)
            file.flush()
            os.fsync(file.fileno())


def _left(tail: Path) -> bytes:
    try:
        with tail.open("rb") as file:
            data = file.read(_END)
    except OSError:
        return b""
    return data[_START:] if data.startswith(MAGIC) else b""


def _records(data: bytes) -> list[tuple[int, bytes]]:
    """Give the whole records that follow one another, with their numbers."""
    found, at = [], 0
    while at + events.HEADER.size <= len(data):
        header = data[at : at + events.HEADER.size]
        mark, _, number, _, length = events.HEADER.unpack(header)
        end = at + events.HEADER.size + length
        if mark != events.SYNC or end > len(data):
            break
        if not events.check(header, data[at + events.HEADER.size : end]):
            break
        found.append((number, data[at:end]))
        at = end
    return found
