"""Streams: hashed while they are read, decoded and verified while they are read back."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO

from ..blobs import envelope
from ..errors import DamagedError
from ..model.digest import digest_of

_SAMPLE = 256 << 10


def incoming() -> str:
    """Give how names of half-written files begin: the collector sees whether we live."""
    return f".incoming-{os.getpid()}-"


class Hashing:
    """A stream that is hashed while it is read."""

    def __init__(self, source: BinaryIO) -> None:
        self._source, self._sha, self.size = source, hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        """Read and hash."""
        data = self._source.read(size)
        self._sha.update(data)
        self.size += len(data)
        return data

    def digest(self) -> str:
        """Name what has been read so far."""
        return "sha256:" + self._sha.hexdigest()


class Verified(io.RawIOBase):
    """A stored blob as a file; its last read raises DamagedError when the bytes are not right."""

    def __init__(self, digest: str, source: BinaryIO, fetch: Callable[[str], bytes]) -> None:
        self._digest, self._source = digest, source
        self._pieces = envelope.decode_stream(source, fetch)
        self._left = memoryview(b"")
        self._sha = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                if "sha256:" + self._sha.hexdigest() != self._digest:
                    raise damaged(self._digest)
                return 0
            self._sha.update(piece)
            self._left = memoryview(piece)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()


def is_text(source: BinaryIO, size: int) -> bool:
    """Tell whether a large file is worth cutting and compressing: JSON, or shrinks by half."""
    source.seek(0)
    head = source.read(_SAMPLE)
    shrunk = len(head)
    total = len(head)
    if not head.lstrip().startswith(b"{"):
        shrunk = len(envelope.compressed(head))
        source.seek(size // 2)
        middle = source.read(_SAMPLE)
        shrunk += len(envelope.compressed(middle))
        total += len(middle)
    source.seek(0)
    return head.lstrip().startswith(b"{") or head.startswith(envelope.MAGIC) or shrunk * 2 < total


def verified(digest: str, data: bytes) -> bytes:
    """Give `data` back when it is what `digest` names; DamagedError otherwise."""
    if digest_of(data) != digest:
        raise damaged(digest)
    return data


def damaged(digest: str) -> DamagedError:
    """Say that a blob is not what was stored."""
    return DamagedError(
        f"the blob {digest} is not what was stored; `jupyter codesave verify` repairs it where "
        "another copy is there"
    )
