"""What every place that keeps blobs promises."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol


class Kept(NamedTuple):
    """One blob of a listing: its key, the bytes it takes, and when it was written (epoch, s)."""

    key: str
    size: int
    modified: float


class Blobs(Protocol):
    """Bytes under digests; whole or not at all, on stable storage before a call returns.

    The key of what is kept as it is, is its own digest, and that is the default. The store keeps
    encoded blobs (compressed, cut, packed): it gives the key itself, the digest of what comes out
    of decoding. `get` and `open` raise NotFoundError for a key that is not there; nothing here
    decodes or verifies. Putting twice is putting once.
    """

    def put(self, data: bytes, key: str | None = None) -> str:
        """Keep `data` under `key` (its own digest when None) and give the key."""

    def put_file(self, path: str | os.PathLike[str], key: str | None = None) -> tuple[str, int]:
        """Keep a copy of a file's bytes, streaming; give the key and the number of bytes."""

    def get(self, key: str) -> bytes:
        """Give all bytes under `key`."""

    def part(self, key: str, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset` on; fewer when there are no more."""

    def open(self, key: str) -> BinaryIO:
        """Open the bytes under `key` for reading, in bounded memory."""

    def has(self, key: str) -> bool:
        """Tell whether there are bytes under `key`."""

    def delete(self, key: str) -> None:
        """Remove what is under `key`; nothing happens when nothing is there."""

    def replace(self, data: bytes, key: str) -> None:
        """Put even though something is there already: what is there is damaged."""

    def listing(self) -> Iterator[Kept]:
        """List every blob, in no order, without reading one."""

    def area(self, name: str) -> Blobs:
        """Give a neighbouring place with keys of its own."""
