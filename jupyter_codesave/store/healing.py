"""Other copies of what is damaged: in packs, in the spool, and in sealed journals."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..blobs import envelope, packs
from ..blobs.local import LocalBlobs
from ..catalog import runs
from ..errors import CodeSaveError
from ..model.artifact import SESSION_NOTEBOOK
from ..model.digest import digest_of

if TYPE_CHECKING:
    from .store import Store


class Healing:
    """Looks for other copies of blobs; what it gives has the digest that was asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._members: dict[str, list[tuple[str, int, int]]] | None = None

    def copy(self, digest: str) -> bytes | None:
        """Find the same bytes elsewhere: by themselves, in any pack, in the spool."""
        contents = self._store.contents
        spool = LocalBlobs(self._store.folder / "spool")
        candidates: list[Callable[[], bytes]] = [
            partial(contents.loose.get, digest),
            *(partial(contents.packs.part, *place) for place in self._packed().get(digest, ())),
            lambda: envelope.raw(spool.get(digest)),
        ]
        for read in candidates:
            try:
                data = envelope.decode(read(), contents.get)
            except CodeSaveError:
                continue
            if digest_of(data) == digest:
                return data
        return None

    def derive(self, digest: str) -> bytes | None:
        """Fold a session notebook again from its sealed journal."""
        store = self._store
        for artifact in store.artifacts():
            for version in artifact.versions:
                if version.run is None:
                    continue
                try:
                    entry = store.manifest(version.digest).entries.get(SESSION_NOTEBOOK)
                    if entry is not None and entry.digest == digest:
                        return self._fold(version.run, digest)
                except CodeSaveError:
                    continue
        return None

    def _fold(self, run_id: str, digest: str) -> bytes | None:
        from ..journal.notebook import Fold, dump_notebook
        from ..journal.reader import read

        store = self._store
        with store.catalog.read() as tx:
            row = runs.columns(tx, run_id)
        state = store.journal_state(row["session"]) if row else None
        if state is None or not state.digest:
            return None
        with tempfile.TemporaryDirectory(dir=store.folder, prefix=".incoming-") as folder:
            path = Path(folder) / "session.journal"
            path.write_bytes(store.get(state.digest))
            fold = Fold()
            for item in read(path):
                fold.feed(item)
            if run_id not in fold.runs:
                return None
            data = dump_notebook(fold.notebook(run_id))
        return data if digest_of(data) == digest else None

    def _packed(self) -> dict[str, list[tuple[str, int, int]]]:
        if self._members is None:
            self._members = {}
            area = self._store.contents.packs
            for kept in area.listing():
                try:
                    index = packs.read_members(area, kept.key, kept.size)
                except CodeSaveError:
                    continue
                for each in index:
                    place = kept.key, each.offset, each.length
                    self._members.setdefault(each.digest, []).append(place)
        return self._members
