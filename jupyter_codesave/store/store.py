"""The store: blobs first, one transaction of rows last; every name the layers above may call."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

from .. import settings as settings_
from ..blobs.base import Blobs
from ..blobs.local import LocalBlobs
from ..catalog import journals, runs, search, versions, whereabouts
from ..catalog.catalog import Catalog, Transaction
from ..catalog.rows import Artifact, Hit, JournalState, Page
from ..errors import DamagedError, NotFoundError, UnavailableError
from ..model.artifact import Version
from ..model.digest import digest_stream
from ..model.execution import Execution
from ..model.manifest import Entry, Manifest
from ..model.run import Run
from ..settings import Setting
from . import records
from . import spool as spool_
from .contents import Contents
from .writing import write

Progress = Callable[[Iterable[Any]], Iterable[Any]]
CATALOG_FILE = "catalog.sqlite"
_HITS = 500  # executions in which a filter of runs looks for text
_TEN_GIGABYTES = 10 * settings_.GIGABYTE


class Store:
    """Blobs and catalog of one data folder, or of a team.

    Safe for several processes at once, and for several threads of one; a process that forks opens
    its own. What `write` was given is on stable storage when it returns.
    """

    def __init__(
        self, folder: Path, blobs: Blobs, catalog: Catalog, settings: Mapping[str, Setting]
    ) -> None:
        self.folder = folder
        self.blobs = blobs
        self.catalog = catalog
        self.settings = settings
        self.contents = Contents(blobs, catalog, folder)
        self.running: dict[str, Run] = {}  # as they were written last, but for their executions
        self._writing = threading.Lock()

    @classmethod
    def open(
        cls, folder: Path | None = None, settings: Mapping[str, Setting] | None = None
    ) -> Store:
        """Open the store of a data folder; create and migrate it when need be.

        `folder` is settings.data_dir() and `settings` settings.resolve() unless given. Raises
        UnavailableError when it is newer than this package, locked, or cannot be written.
        """
        folder = Path(folder if folder is not None else settings_.data_dir()).absolute()
        settings = settings if settings is not None else settings_.resolve()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(
                f"the data folder {folder} cannot be made ({error.strerror}); mend the "
                "permissions above it or set CODESAVE_DIR"
            ) from error
        from .places import blobs_at, catalog_at
        from .rebuild import begin, find_blobs

        database, artifacts = _value(settings, "database_url"), _value(settings, "artifact_url")
        blobs = blobs_at(artifacts, folder)
        catalog, elsewhere = catalog_at(database, folder)
        store = cls(folder, blobs, catalog, settings)
        if elsewhere or (artifacts and not database):
            store.contents.find_again = lambda: find_blobs(store)
        begin(store)
        return store

    @property
    def shared(self) -> bool:
        """Tell a store over whose blobs other hosts keep catalogs of their own."""
        return self.contents.find_again is not None

    @property
    def is_team(self) -> bool:
        """Tell a team's store, whose catalog or blobs are on a server, from a user's own."""
        return not (isinstance(self.blobs, LocalBlobs) and isinstance(self.catalog.place, Path))

    def close(self) -> None:
        """Write what waits and close the catalog."""
        try:
            self.contents.flush()
        finally:
            self.catalog.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- bytes ----------------------------------------------------------------------------------

    def put(self, data: bytes) -> str:
        """Keep `data` and give its digest; durable after the next `write`, `flush` or `close`."""
        return self.contents.put(data)

    def put_file(self, path: str | Path) -> tuple[str, int]:
        """Keep a file's bytes in bounded memory; give their digest and number."""
        return self.contents.put_file(path)

    def flush(self) -> None:
        """Make durable what was put."""
        self.contents.flush()

    def get(self, digest: str) -> bytes:
        """Give the bytes, verified. Raises NotFoundError, or DamagedError."""
        return self.contents.get(digest)

    def open_blob(self, digest: str, *, checked: bool = True) -> BinaryIO:
        """Open the bytes for reading, whatever their size; they are verified first.

        Not `checked`, DamagedError comes with the last read: for those who hash them anyway.
        """
        return self.contents.open(digest, checked=checked)

    def has(self, digest: str) -> bool:
        """Tell whether the bytes are there."""
        return self.contents.has(digest)

    def adopt(self, spool: LocalBlobs, digests: Iterable[str]) -> list[str]:
        """Take what a spool holds of `digests`; name those that are neither there nor here."""
        return spool_.adopt(self.contents, spool, digests)

    def get_spooled(self, spool: LocalBlobs, digest: str) -> bytes:
        """Give bytes that a spool holds, or the store; NotFoundError when neither does."""
        return spool_.get(self.contents, spool, digest)

    def forsake(self, journal: Path) -> None:
        """Remove what a journal that is not kept brought into this folder's spool."""
        with journal.open("rb") as file:
            doomed = spool_.named_in(file)
        spool_.clear(self.folder, doomed, leaving=journal)

    # -- writing --------------------------------------------------------------------------------

    def write(
        self,
        *,
        run: Run | None = None,
        executions: Sequence[Execution] = (),
        files: Mapping[str, Entry] | None = None,
        missing: Sequence[tuple[str, str]] = (),
        journal: JournalState | None = None,
        commit: Mapping[str, Manifest] | None = None,
        aliases: Sequence[str] = ("latest",),
    ) -> list[Version]:
        """Write a run, its executions, saved files, journal position and versions, or nothing.

        Rows are updated where they are there already. `files` is the whole set of the run's saved
        files, None leaves it. `commit` maps artifact names to manifests: each becomes a new
        version unless the newest one is the same, and `aliases` move to it. All blobs that are
        named must be in: DamagedError names those that are not, and nothing is written. A purged
        run stays purged.
        """
        return write(
            self,
            run=run,
            executions=executions,
            files=files,
            missing=missing,
            journal=journal,
            commit=commit or {},
            aliases=aliases,
        )

    def forget(self, run_id: str, numbers: Sequence[int], known: Sequence[str] = ()) -> None:
        """Remove executions of a run: their rows, and their cells in the run's versions.

        `known` are sources of theirs that may be in copies of the notebook file only.
        """
        from .forgetting import forget

        forget(self, run_id, numbers, known)

    def seal(self, session: str, journal_path: Path) -> str:
        """Keep a finished journal as a blob, cut and compressed, and give its digest.

        It is read back before this returns; the caller notes the digest with `write` and then
        removes the file. A journal with purged runs is not kept: the digest is empty.
        """
        with self.catalog.read() as tx:
            if any(gone == session for _, gone in journals.purged(tx)):
                return ""
        digest, size = self.contents.put_compressed(journal_path)
        with self.open_blob(digest, checked=False) as stored:
            found, length = digest_stream(stored)
        if (found, length) != (digest, size):
            raise DamagedError(
                f"the journal {journal_path} came back as {found}; it stays where it is: check "
                "the disk and run `jupyter codesave verify`"
            )
        return digest

    def update_run(
        self,
        run_id: str,
        *,
        name: str | None = None,
        tags: Sequence[str] | None = None,
        notes: str | None = None,
    ) -> Run:
        """Set a run's name, tags or notes by hand; what its journal says later gives way."""
        changes: dict[str, Any] = {"name": name, "notes": notes}
        changes["tags"] = None if tags is None else list(tags)
        self._change(run_id, lambda tx: runs.edit(tx, run_id, _given(changes)))
        return self.run(run_id)

    def delete(self, run_id: str) -> None:
        """Hide a run from every listing and from search; `restore` brings it back."""
        self._change(run_id, lambda tx: runs.set_columns(tx, run_id, deleted=records.now()))

    def restore(self, run_id: str) -> None:
        """Bring a deleted run back."""
        self._change(run_id, lambda tx: runs.set_columns(tx, run_id, deleted=None))

    def take_back(self, run_id: str) -> None:
        """Drop a run as if it had never been written; one that has versions is only deleted."""
        with self.catalog.write() as tx:
            row = runs.columns(tx, run_id)
            is_bare = not versions.of_run(tx, run_id)
            if row is not None and is_bare:
                runs.drop(tx, run_id)
        if row is not None and is_bare:
            self.contents.drop_records([row["record"]])
        elif row is not None and row["deleted"] is None:
            self.delete(run_id)

    def is_purged(self, run_id: str) -> bool:
        """Tell whether a run was purged: nothing of it is taken any more."""
        with self.catalog.read() as tx:
            return journals.is_purged(tx, run_id)

    def has_outputs(self, run_id: str) -> bool:
        """Tell whether a run is there with its outputs: neither purged nor thinned for space."""
        with self.catalog.read() as tx:
            row = runs.columns(tx, run_id)
        return row is not None and not row["thinned"]

    def drop_executions(self, moved: Iterable[tuple[str, int]]) -> None:
        """Drop the rows of executions (run, number) that went over to another run."""
        with self.catalog.write() as tx:
            for run_id, number in sorted(moved):
                runs.drop_executions(tx, run_id, [number])

    def artifact_for(self, project: str, path: str) -> str:
        """Name the series of a project's notebook or program; the same one each time."""
        with self.catalog.read() as tx:
            if known := versions.series_of(tx, project, path):
                return known
        with self.catalog.write() as tx:
            tx.keep_blobs()
            name = versions.name_for(tx, project, path)
            dropped = records.keep_ledger(tx, self.contents)
        self.contents.drop_records([dropped])
        return name

    def rename_series(self, old_path: str, new_path: str) -> None:
        """Let a renamed notebook or program go on with its series."""
        dropped = None
        with self.catalog.write() as tx:
            tx.keep_blobs()
            if versions.rename(tx, old_path, new_path):
                dropped = records.keep_ledger(tx, self.contents)
        self.contents.drop_records([dropped])

    # -- reading --------------------------------------------------------------------------------

    def journal_state(self, session: str) -> JournalState | None:
        """Tell how far a session's journal is ingested; None: not at all."""
        with self.catalog.read() as tx:
            return journals.get(tx, session)

    def runs(
        self,
        *,
        project: str | None = None,
        notebook: str | None = None,
        state: str | None = None,
        q: str | None = None,
        deleted: bool = False,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Run]:
        """List runs, newest first; with `deleted` those that `delete` hid, and only those.

        `notebook` is an absolute path or the end of one; `q` is looked for in id, name, project,
        notebook, program, state, tags and notes, and in the code of the newest runs that hold it.
        """
        with self.catalog.read() as tx:
            hits = search.search(tx, q, limit=_HITS, cursor=None).items if q else ()
            return runs.page(
                tx,
                holding={hit.run for hit in hits},
                project=project,
                notebook=notebook,
                state=state,
                q=q,
                deleted=deleted,
                limit=max(limit, 1),
                cursor=cursor,
            )

    def run(self, reference: str) -> Run:
        """Give a run by its id, deleted or not, or by a prefix that only one run has."""
        with self.catalog.read() as tx:
            return runs.find(tx, reference)

    def nth_run(self, n: int, notebook: str | None = None) -> Run:
        """Give the n-th newest run (from 1); of one notebook, by absolute path or the end of it."""
        with self.catalog.read() as tx:
            return runs.nth(tx, n, notebook)

    def executions(self, run_id: str) -> list[Execution]:
        """Give a run's executions in their order."""
        with self.catalog.read() as tx:
            return runs.executions(tx, run_id)

    def files(self, run_id: str) -> Manifest:
        """Give the files that were saved with a run."""
        with self.catalog.read() as tx:
            row = runs.columns(tx, run_id)
        return self.manifest(row["files"]) if row and row["files"] else Manifest()

    def missing_files(self, run_id: str) -> list[tuple[str, str]]:
        """Give path and reason of what could not be saved with a run."""
        with self.catalog.read() as tx:
            row = runs.columns(tx, run_id)
        return [(path, reason) for path, reason in (row and row["missing"]) or ()]

    def session_runs(self, session: str) -> list[str]:
        """Name the runs of a session, oldest first."""
        with self.catalog.read() as tx:
            return runs.of_session(tx, session)

    def artifacts(self) -> list[Artifact]:
        """Give every artifact by name, its versions oldest first."""
        with self.catalog.read() as tx:
            return versions.artifacts(tx)

    def version(self, name: str, selector: str) -> Version:
        """Give the version that `vN` or an alias names."""
        with self.catalog.read() as tx:
            return versions.resolve(tx, name, selector)

    def versions_of(self, run_id: str) -> list[Version]:
        """Give a run's versions, newest first; also the one it shares because nothing changed."""
        with self.catalog.read() as tx:
            found = versions.of_run(tx, run_id)
            row = runs.columns(tx, run_id)
            if row and row["artifact"]:
                shared = versions.named(tx, row["artifact"])
                if shared is not None and shared not in found:
                    found.append(shared)
        return sorted(found, key=lambda version: (version.created, version.number), reverse=True)

    def manifest(self, digest: str) -> Manifest:
        """Read a manifest."""
        return Manifest.load(self.get(digest))

    def search(self, text: str, *, limit: int = 50, cursor: str | None = None) -> Page[Hit]:
        """Find executions whose source or printed output holds `text`, a page, newest first.

        A page looks at so much only that it is quick: it may hold few hits and a `next`.
        """
        with self.catalog.read() as tx:
            return search.search(tx, text, limit=max(limit, 1), cursor=cursor)

    def newest_hits(self, text: str, limit: int) -> list[Hit]:
        """Find the newest executions that hold `text`, however far back they are."""
        page = self.search(text, limit=limit)
        hits = list(page.items)
        while page.next and len(hits) < limit:
            page = self.search(text, limit=limit - len(hits), cursor=page.next)
            hits += page.items
        return hits

    # -- care -----------------------------------------------------------------------------------

    def verify(
        self, progress: Progress = iter, heal: Callable[[str], bytes | None] | None = None
    ) -> dict[str, Any]:
        """Read and hash everything; see `verify.verify`; `reading` gives a `heal`."""
        from .verify import verify

        return verify(self, progress, heal)

    def rebuild(self, progress: Progress = iter) -> dict[str, int]:
        """Make the catalog anew from blobs alone; see `rebuild.rebuild`."""
        from .rebuild import rebuild

        return rebuild(self, progress)

    def gc(self, *, grace: float | None = None) -> dict[str, int]:
        """Remove what nothing names; keep within budget and retention; see `garbage.collect`."""
        from .garbage import collect

        return collect(self, grace)

    def needs_gc(self) -> bool:
        """Tell whether nobody collected garbage for a day; never of a store of several hosts."""
        from .garbage import is_due

        return is_due(self)

    def purge(
        self,
        *,
        runs: Iterable[str] = (),
        notebook: str | None = None,
        project: str | None = None,
        all: bool = False,  # noqa: A002 - the command's own word
    ) -> dict[str, int]:
        """Remove runs for good; see `purge.purge`."""
        from .purge import purge

        return purge(self, runs=runs, notebook=notebook, project=project, everything=all)

    def copy_to(
        self, place: str, runs: Sequence[str] = (), progress: Progress = iter
    ) -> dict[str, int]:
        """Copy runs (all when none is named) to a folder, a .zip or a team's store."""
        from .copy import copy_to

        return copy_to(self, place, runs, progress)

    def copy_from(
        self, place: str, runs: Sequence[str] = (), progress: Progress = iter
    ) -> dict[str, int]:
        """Copy runs (all when none is named) from a folder, a .zip or a team's store."""
        from .copy import copy_from

        return copy_from(self, place, runs, progress)

    def reading(self, place: str) -> AbstractContextManager[Callable[[str], bytes | None]]:
        """Open another place to read blobs from, for `verify` to repair with."""
        from .copy import reading

        return reading(self, place)

    def size(self) -> int:
        """Give the bytes that all blobs take."""
        with self.catalog.read() as tx:
            return whereabouts.stored_size(tx)

    def budget(self) -> int | None:
        """Give the bytes that all blobs may take: as set, or 10 GB or a tenth of the disk.

        None: as many as there are; a team's store has no limit unless one is set.
        """
        given = int(_value(self.settings, "budget") or 0)
        if self.is_team and not given:
            return None
        return given or min(_TEN_GIGABYTES, shutil.disk_usage(self.folder).total // 10)

    def explain(self) -> list[str]:
        """Say what a user should know of where this store lies; for `status`."""
        from .places import explain

        return explain(self)

    # -- within -----------------------------------------------------------------------------------

    def _change(self, run_id: str, change: Callable[[Transaction], None]) -> None:
        dropped = None
        with self.catalog.write() as tx:
            tx.keep_blobs()
            row = runs.columns(tx, run_id)
            if row is None:
                raise NotFoundError(
                    f"there is no run {run_id!r}; `jupyter codesave runs` lists those there are"
                )
            change(tx)
            dropped = records.keep_run(tx, self.contents, run_id)
        self.contents.drop_records([dropped])


def _value(settings: Mapping[str, Setting], name: str) -> Any:
    return settings[name].value if name in settings else None


def _given(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if value is not None}
