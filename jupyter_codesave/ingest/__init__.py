"""Journal → store: idempotent, resumable, and one filter through which every byte passes.

Only ingest commits. It may be killed at any moment and run by several processes: a lock per
journal lets one in at a time, rows are upserts, blobs are named by their digest.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from ..blobs.local import LocalBlobs
from ..errors import CodeSaveError, DamagedError, NotFoundError, UnavailableError
from ..journal import events
from ..journal.notebook import ODD, dump_notebook
from ..model.artifact import SESSION_NOTEBOOK
from ..model.manifest import Entry, Manifest
from ..model.reference import PathReference, RecentReference, RunReference, parse_reference
from ..model.run import Run
from ..store import Store
from .code import Code, in_memory, newest, read_disk, run_title
from .liveness import is_alive, locked
from .session import Change, SessionIngest

__all__ = ["Change", "Code", "Ingest"]


class Ingest:
    """Brings journals into a store; one for a process, which keeps the folds of live journals."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.journals = store.folder / "journal"
        self.spool = LocalBlobs(store.folder / "spool")
        self._live: dict[Path, SessionIngest] = {}
        self._tending: threading.Thread | None = None

    def waiting(self) -> list[Path]:
        """Name the journals that hold what the store does not have, or that a dead writer left.

        Those that others took meanwhile come first: what is known of them here is to go. Those
        last written to come last: numbers of versions follow the order in which runs ended.
        """
        found = [(0, path) for path in self._live if not path.exists()]
        for path in self.journals.glob("*" + events.SUFFIX):
            state = self.store.journal_state(path.stem)
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                grown = state is None or state.offset < status.st_size
                if grown or not is_alive(path):
                    found.append((status.st_mtime_ns, path))
        return [path for _, path in sorted(found)]

    def all(
        self,
        progress: Callable[[Iterable[Path]], Iterable[Path]] = iter,
        on_error: Callable[[Path, CodeSaveError], None] | None = None,
    ) -> list[Change]:
        """Ingest every journal that waits; one that cannot be read keeps nothing else from it."""
        changes = []
        for path in progress(self.waiting()):
            try:
                changes += self._take(path, commit=False)
            except CodeSaveError as error:
                if on_error is not None:
                    on_error(path, error)
        return changes

    def sessions(self) -> list[dict[str, Any]]:
        """Tell what the live sessions that this process follows are recording."""
        found = []
        for path, journal in self._live.items():
            fold = journal.fold
            notebook = next((r.fields.get("notebook") for r in reversed(fold.runs.values())), None)
            state = "off" if fold.capture.get("capture") == "off" else "recording"
            found.append(
                {
                    "session": path.stem,
                    "notebook": notebook,
                    "kernel_id": fold.session.get("kernel_id"),
                    "state": "failed" if fold.capture.get("error") else state,
                    "kernel": (fold.session.get("kernelspec") or {}).get("name"),
                    "by": "server" if fold.session.get("by") == "server" else "kernel",
                    "reason": fold.capture.get("decided_by"),
                }
            )
        return found

    def step(self, path: Path, *, commit: bool = False) -> list[Change]:
        """Ingest one journal up to its present end; `commit` makes versions of running runs.

        Raises UnavailableError for a journal of a newer version, or when it cannot be read or
        written from, and DamagedError for a file that is no journal; they stay where they are.
        When a session is over, garbage is collected in the background (`tend`).
        """
        changes = self._take(path, commit)
        if not path.exists():
            self.tend()
        return changes

    def tend(self) -> threading.Thread | None:
        """Collect garbage in the background, once a day; for processes that live on."""
        if (self._tending is None or not self._tending.is_alive()) and self.store.needs_gc():
            self._tending = threading.Thread(target=self._collect, name="codesave-gc", daemon=True)
            self._tending.start()
        return self._tending

    def session_notebook(self, run: Run) -> bytes:
        """Give the run's session notebook: its present state while the run is running."""
        if (live := self._session_of(run)) is not None and run.id in live.fold.runs:
            return dump_notebook(live.fold.notebook(run.id))
        for version in self.store.versions_of(run.id):
            entry = self.store.manifest(version.digest).entries.get(SESSION_NOTEBOOK)
            if entry is not None:
                return self.store.get(entry.digest)
        raise NotFoundError(
            f"the run {run.id} has no session notebook: it recorded no executed cell"
        )

    def code(
        self,
        reference: str,
        exists: Callable[[str], bool] = os.path.exists,
        read_path: Callable[[str], Mapping[str, bytes]] | None = None,
    ) -> Code:
        """Give the files that a reference stands for.

        `exists` and `read_path` tell how paths are looked up: on disk by default, through the
        ContentsManager in a server.
        """
        parsed = parse_reference(reference, exists)
        if isinstance(parsed, PathReference):
            contents = (read_path or read_disk)(parsed.path)
            return in_memory(reference, "path", parsed.path, contents)
        if isinstance(parsed, RunReference):
            return self._run_code(reference, self.store.run(parsed.prefix))
        if isinstance(parsed, RecentReference):
            return self._run_code(reference, self.store.nth_run(parsed.n, parsed.notebook))
        version = self.store.version(parsed.name, parsed.selector)
        run = None
        if version.run is not None:
            with contextlib.suppress(NotFoundError):
                run = self.store.run(version.run).details()
        manifest = self.store.manifest(version.digest)
        return self._stored(reference, "version", version.reference, manifest, run)

    def details(self, run: Run) -> dict[str, Any]:
        """Give the shape that `show --json` prints."""
        versions = self.store.versions_of(run.id)
        files = self.store.files(run.id)
        code = self.store.manifest(newest(versions).digest) if versions else Manifest()
        return {
            **run.details(),
            "files": [
                {"path": path, "digest": entry.digest, "size": entry.size} for path, entry in files
            ],
            "missing": [
                {"path": path, "reason": reason}
                for path, reason in self.store.missing_files(run.id)
            ],
            "code": [
                {"path": path, "digest": entry.digest, "size": entry.size} for path, entry in code
            ],
            "versions": [
                {"artifact": version.artifact, **version.summary()} for version in versions
            ],
            "session_runs": self.store.session_runs(run.session),
        }

    def _run_code(self, reference: str, run: Run) -> Code:
        live = self._session_of(run) if run.state == "running" else None
        if live is not None and run.id in live.fold.runs:
            return in_memory(reference, "run", run_title(run), live.tree(run.id), run.details())
        run = self.store.run(run.id)  # it may have ended meanwhile
        files: dict[str, Entry] = {
            f"files/{path}": entry for path, entry in self.store.files(run.id).entries.items()
        }
        if versions := self.store.versions_of(run.id):
            files |= self.store.manifest(newest(versions).digest).entries
        return self._stored(reference, "run", run_title(run), Manifest(files), run.details())

    def _stored(
        self,
        reference: str,
        kind: Literal["run", "version"],
        title: str,
        manifest: Manifest,
        run: Mapping[str, Any] | None,
    ) -> Code:
        def read_stored(path: str) -> bytes:
            try:
                entry = manifest.entries[path]
            except KeyError:
                raise NotFoundError(
                    f"{reference} holds no file {path!r}; `jupyter codesave files {reference}` "
                    "lists what it holds"
                ) from None
            return self.store.get(entry.digest)

        return Code(reference, kind, title, manifest.entries, read_stored, run)

    def _take(self, path: Path, commit: bool) -> list[Change]:
        if not path.exists():
            return self._sealed_elsewhere(path)
        try:
            with locked(path):
                if not path.exists():
                    return self._sealed_elsewhere(path)
                return self._step(path, commit)
        except OSError as error:
            raise UnavailableError(
                f"the journal {path} cannot be brought in ({error.strerror or error}); it stays "
                "there: make room, or mend the permissions of the data folder"
            ) from error

    def _step(self, path: Path, commit: bool) -> list[Change]:
        journal = self._live.get(path)
        if journal is None:
            journal = self._live[path] = SessionIngest(path, self.store, self.spool)
        try:
            changes = journal.step(commit)
        except Exception as error:
            fault = getattr(error, "orig", error)  # what a statement of SQL failed of
            if not isinstance(fault, ODD):
                raise
            del self._live[path]
            raise DamagedError(
                f"the journal {path} says what cannot be taken in ({fault!r}); it stays there: "
                "move it away to be asked no more, or report it with the file"
            ) from error
        if journal.over and journal.seal():
            del self._live[path]
        return changes

    def _collect(self) -> None:
        # A store of its own: writers and readers of this process go on meanwhile.
        try:
            with Store.open(self.store.folder, self.store.settings) as store:
                store.gc()
        except (CodeSaveError, OSError):
            pass  # tomorrow, then; `jupyter codesave gc` tells what is wrong

    def _sealed_elsewhere(self, path: Path) -> list[Change]:
        """Another process brought the end of a journal in: tell it here, too."""
        journal = self._live.pop(path, None)
        changes = []
        for run in journal.unfinished() if journal is not None else ():
            with contextlib.suppress(NotFoundError):
                changes.append(Change(self.store.run(run), "finished"))
        return changes

    def _session_of(self, run: Run) -> SessionIngest | None:
        """Give the live session of a run, brought up to its present end; None if it has none."""
        path = self.journals / (run.session + events.SUFFIX)
        with contextlib.suppress(CodeSaveError):
            if path in self._live or path.exists():
                self._take(path, commit=False)
        return self._live.get(path)
