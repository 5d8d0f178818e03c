"""Other copies of what is damaged: in packs, in the spool, and in sealed journals."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..blobs import envelope, packs
from ..blobs.local import LocalBlobs
from ..catalog import runs
from ..errors import CodeSaveError
from ..journal.notebook import Fold, dump_notebook
from ..journal.reader import Lost, Record, read
from ..model.artifact import SESSION_NOTEBOOK
from ..model.digest import digest_of
from ..model.moment import seconds
from .streams import incoming

if TYPE_CHECKING:
    from .store import Store

_TRIED = 100  # records


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
        for fetch in candidates:
            try:
                data = envelope.decode(fetch(), contents.get)
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
                try:
                    entry = store.manifest(version.digest).entries.get(SESSION_NOTEBOOK)
                    if entry is None or entry.digest != digest or version.run is None:
                        continue
                    if data := self._fold(version.run, version.created, digest):
                        return data
                except CodeSaveError:
                    continue
        return None

    def _fold(self, run_id: str, created: str, digest: str) -> bytes | None:
        """Fold a run as it was at its end, else as it was when a version was created."""
        store = self._store
        with store.catalog.read() as tx:
            row = runs.columns(tx, run_id)
        state = store.journal_state(row["session"]) if row else None
        if state is None or not state.digest:
            return None
        with tempfile.TemporaryDirectory(dir=store.folder, prefix=incoming()) as folder:
            path = Path(folder) / "session.journal"
            with store.open_blob(state.digest) as sealed, path.open("wb") as file:
                shutil.copyfileobj(sealed, file)
            return _folded(path, run_id, digest, None) or _folded(path, run_id, digest, created)

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


def _folded(path: Path, run_id: str, digest: str, created: str | None) -> bytes | None:
    """Fold a journal up to its end, or to a record shortly before `created`."""
    until = None
    if created is not None:
        until = int(seconds(created) * 1e9)
    found = [each for each in read(path) if until is None or _time_of(each) <= until]
    # Which record was the last one read then, nobody wrote down: the newest ones are tried.
    certain = len(found) if until is None else max(len(found) - _TRIED, 0)
    fold = Fold()
    for at, item in enumerate(found, 1):
        fold.feed(item)
        if at >= certain and run_id in fold.runs:
            data = dump_notebook(fold.notebook(run_id))
            if digest_of(data) == digest:
                return data
    return None


def _time_of(item: Record | Lost) -> int:
    """Give when something was recorded; what is lost was, long ago."""
    return item.time_ns if isinstance(item, Record) else 0
