"""A batch of small files on its way into a spool: packs instead of thousands of files."""

from __future__ import annotations

from ..model.digest import digest_of
from . import envelope, packs
from .local import LocalBlobs

_WAITING = packs.LARGEST


class Batch:
    """Gathers blobs and puts them into the spool's packs; the store adopts whole packs.

    What was put is durable when the batch closes. Leaving it by an exception keeps nothing of the
    last pack.
    """

    def __init__(self, spool: LocalBlobs) -> None:
        self._packs = spool.area("packs")
        self._members: dict[str, tuple[bytes, int]] = {}
        self._waiting = 0

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()

    def put(self, data: bytes) -> str:
        """Gather `data` and give its digest."""
        digest = digest_of(data)
        if digest not in self._members:
            laid_out = envelope.compressed(data)
            self._members[digest] = laid_out, len(data)
            self._waiting += len(laid_out)
            if self._waiting > _WAITING:
                self.close()
        return digest

    def close(self) -> None:
        """Write what was gathered."""
        members = [(digest, laid_out, size) for digest, (laid_out, size) in self._members.items()]
        for data, _ in packs.pack(members):
            self._packs.put(data)
        self._members.clear()
        self._waiting = 0
