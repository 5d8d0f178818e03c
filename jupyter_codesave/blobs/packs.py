"""Packs: many small blobs in one immutable blob that describes itself.

A pack is `MAGIC`, the members' envelopes end to end, an index (32 bytes SHA-256, u64 offset, u32
length, u64 size of the decoded bytes, each member), and a footer: u64 offset of the index, u32
members, u32 CRC-32 of the index, `MAGIC` again. Its key is its own digest.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..errors import DamagedError
from .base import Blobs

MAGIC = b"CSPACK01"
LARGEST = 16 << 20  # bytes of a pack
_ROW = struct.Struct("<32sQIQ")
_FOOTER = struct.Struct("<QII8s")


class Member(NamedTuple):
    """A blob within a pack: where its envelope lies, and the size of its decoded bytes."""

    digest: str
    offset: int
    length: int
    size: int


def pack(members: Iterable[tuple[str, bytes, int]]) -> Iterator[tuple[bytes, list[Member]]]:
    """Lay out `(digest, envelope, size)`s as packs of at most LARGEST, sorted by digest.

    A member that is larger than that gets a pack of its own.
    """
    pieces = [MAGIC]
    index: list[Member] = []
    offset = len(MAGIC)
    for digest, envelope, size in sorted(members):
        room = LARGEST - _FOOTER.size - (len(index) + 1) * _ROW.size
        if index and offset + len(envelope) > room:
            yield _finish(pieces, index), index
            pieces, index, offset = [MAGIC], [], len(MAGIC)
        pieces.append(envelope)
        index.append(Member(digest, offset, len(envelope), size))
        offset += len(envelope)
    if index:
        yield _finish(pieces, index), index


def overhead(count: int) -> int:
    """Give the bytes that a pack of `count` members takes beside them."""
    return len(MAGIC) + _FOOTER.size + count * _ROW.size


def members(data: bytes) -> list[Member]:
    """Read the index of a whole pack; DamagedError when it is none."""
    return _members(data, data[-_FOOTER.size :], 0, len(data))


def read_members(blobs: Blobs, key: str, size: int) -> list[Member]:
    """Read the index of a pack of `size` bytes without reading its members."""
    tail = min(size, 64 << 10)
    data = blobs.part(key, size - tail, tail)
    footer = data[-_FOOTER.size :]
    if len(footer) == _FOOTER.size and _FOOTER.unpack(footer)[0] < size - tail:
        data, tail = blobs.get(key), size
    return _members(data, footer, size - tail, size)


def _finish(pieces: list[bytes], index: list[Member]) -> bytes:
    rows = b"".join(
        _ROW.pack(bytes.fromhex(each.digest[7:]), each.offset, each.length, each.size)
        for each in index
    )
    offset = index[-1].offset + index[-1].length
    return b"".join([*pieces, rows, _FOOTER.pack(offset, len(index), zlib.crc32(rows), MAGIC)])


def _members(data: bytes, footer: bytes, start: int, size: int) -> list[Member]:
    def damaged(reason: str) -> DamagedError:
        return DamagedError(
            f"a pack cannot be read: {reason}; `jupyter codesave verify` tells what is damaged"
        )

    if len(footer) != _FOOTER.size:
        raise damaged("it is too short")
    offset, count, crc, magic = _FOOTER.unpack(footer)
    end = offset + count * _ROW.size
    if magic != MAGIC or end + _FOOTER.size != size or offset < start:
        raise damaged("its footer is not one")
    rows = data[offset - start : end - start]
    if zlib.crc32(rows) != crc:
        raise damaged("its index is not what was written")
    found = [
        Member("sha256:" + sha.hex(), at, length, whole)
        for sha, at, length, whole in _ROW.iter_unpack(rows)
    ]
    if any(each.offset < len(MAGIC) or each.offset + each.length > offset for each in found):
        raise damaged("a member lies outside")
    return found
