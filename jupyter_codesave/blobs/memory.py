"""Blobs in memory: for tests and for a store that nobody keeps."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import NotFoundError
from ..model.digest import digest_of, is_digest
from .base import Kept


class MemoryBlobs:
    """A dictionary that keeps the promises of `Blobs` for as long as the process lives."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, float]] = {}
        self._areas: dict[str, MemoryBlobs] = {}
        self._lock = threading.Lock()

    def put(self, data: bytes, key: str | None = None) -> str:
        """Keep `data` under `key` (its own digest when None) and give the key."""
        key = key or digest_of(data)
        if key not in self._kept:
            self.replace(data, key)
        return key

    def replace(self, data: bytes, key: str) -> None:
        """Put even though something is there already: what is there is damaged."""
        if not is_digest(key):
            raise NotFoundError(f"{key!r} is no digest; a digest is sha256: and 64 hex digits")
        self._kept[key] = (bytes(data), time.time())

    def put_file(self, path: str | os.PathLike[str], key: str | None = None) -> tuple[str, int]:
        """Keep a copy of a file's bytes; give the key and the number of bytes."""
        data = Path(path).read_bytes()
        return self.put(data, key), len(data)

    def get(self, key: str) -> bytes:
        """Give all bytes under `key`; NotFoundError when there are none."""
        if key not in self._kept:
            raise NotFoundError(f"the blob {key} is not in memory; put it first")
        return self._kept[key][0]

    def part(self, key: str, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset` on; fewer when there are no more."""
        return self.get(key)[offset : offset + length]

    def open(self, key: str) -> BinaryIO:
        """Open the bytes under `key` for reading."""
        return io.BytesIO(self.get(key))

    def has(self, key: str) -> bool:
        """Tell whether there are bytes under `key`."""
        return key in self._kept

    def delete(self, key: str) -> None:
        """Remove what is under `key`; nothing happens when nothing is there."""
        self._kept.pop(key, None)

    def listing(self) -> Iterator[Kept]:
        """List every blob, in no order."""
        for key, (data, modified) in list(self._kept.items()):
            yield Kept(key, len(data), modified)

    def area(self, name: str) -> MemoryBlobs:
        """Give a neighbouring place with keys of its own; the same one for the same name."""
        with self._lock:
            return self._areas.setdefault(name, MemoryBlobs())
