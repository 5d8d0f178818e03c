"""A batch of small files on its way into a spool: packs instead of thousands of files."""

from __future__ import annotations

from typing import NamedTuple

from ..model.digest import digest_of
from . import envelope, packs
from .local import LocalBlobs

_WAITING = packs.LARGEST


class LaidOut(NamedTuple):
    """A blob as it will lie in a pack: its digest, the number of its bytes, and its envelope."""

    digest: str
    size: int
    envelope: bytes


def lay_out(data: bytes) -> LaidOut:
    """Hash and compress a blob; threads may do that side by side."""
    return LaidOut(digest_of(data), len(data), envelope.compressed(data))


class Batch:
    """Gathers blobs and puts them into the spool's packs; the store adopts whole packs.

    What was put is durable when the batch closes. Leaving it by an exception keeps nothing of the
    last pack.
    """

    def __init__(self, spool: LocalBlobs) -> None:
        self._packs = spool.area("packs")
        self._members: dict[str, LaidOut] = {}
        self._waiting = 0

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()

    def put(self, data: bytes) -> str:
        """Gather `data` and give its digest."""
        return self.add(lay_out(data))

    def add(self, blob: LaidOut) -> str:
        """Gather a blob that was laid out and give its digest."""
        if blob.digest not in self._members:
            self._members[blob.digest] = blob
            self._waiting += len(blob.envelope)
            if self._waiting > _WAITING:
                self.close()
        return blob.digest

    def close(self) -> None:
        """Write what was gathered."""
        members = [(blob.digest, blob.envelope, blob.size) for blob in self._members.values()]
        for data, _ in packs.pack(members):
            self._packs.put(data)
        self._members.clear()
        self._waiting = 0
