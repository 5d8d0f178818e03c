"""Journal → store: idempotent, resumable, and one filter through which every byte passes.

Only ingest commits. It may be killed at any moment and run by several processes: a lock per
journal lets one in at a time, rows are upserts, blobs are named by their digest.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from .blobs.local import LocalBlobs
from .errors import CodeSaveError, NotFoundError
from .journal import events
from .journal.erase import erase
from .journal.notebook import Fold, FoldedRun, Output, dump_notebook, dump_outputs
from .journal.reader import read, session_event
from .journal.tail import read_tail
from .model.artifact import SESSION_NOTEBOOK, Version
from .model.digest import digest_of
from .model.manifest import FILE, Entry, Manifest
from .model.reference import PathReference, RecentReference, RunReference, parse_reference
from .model.run import EndedBy, Run, State
from .settings import read_control
from .store import JournalState, Store

SKIPPED = "codesave-skip"
_SMALL = 64 << 10  # outputs below this stay in memory while a session lives


@dataclass(frozen=True)
class Change:
    """Something that a step did to a run, as the server's events tell it."""

    run: Run
    action: Literal["started", "updated", "finished"]


@dataclass(frozen=True)
class Code:
    """What a reference stands for: a tree of files to list, read and compare."""

    ref: str
    kind: Literal["run", "version", "path"]
    title: str
    files: Mapping[str, Entry]
    read: Callable[[str], bytes]
    run: Mapping[str, Any] | None = None


def keep(data: bytes) -> bytes:
    """Give what may be kept of `data`: the one place where redaction would happen."""
    return data


class Ingest:
    """Brings journals into a store; one for a process, which keeps the folds of live journals."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.journals = store.folder / "journal"
        self.spool = LocalBlobs(store.folder / "spool")
        self._live: dict[Path, _Journal] = {}

    def waiting(self) -> list[Path]:
        """Name the journals that hold what the store does not have, or that a dead writer left."""
        found = []
        for path in sorted(self.journals.glob("*" + events.SUFFIX)):
            state = self.store.journal_state(path.stem)
            with contextlib.suppress(FileNotFoundError):
                grown = state is None or state.offset < path.stat().st_size
                if grown or not _alive(path):
                    found.append(path)
        return found

    def all(
        self,
        progress: Callable[[Iterable[Path]], Iterable[Path]] = iter,
        on_error: Callable[[Path, CodeSaveError], None] | None = None,
    ) -> list[Change]:
        """Ingest every journal that waits; one that cannot be read keeps nothing else from it."""
        changes = []
        for path in progress(self.waiting()):
            try:
                changes += self.step(path)
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
            off = fold.capture.get("capture") == "off"
            found.append(
                {
                    "session": path.stem,
                    "notebook": notebook,
                    "kernel_id": fold.session.get("kernel_id"),
                    "state": "off" if off else "recording",
                    "by": fold.session.get("by", "kernel"),
                    "reason": fold.capture.get("decided_by"),
                }
            )
        return found

    def step(self, path: Path, *, commit: bool = False) -> list[Change]:
        """Ingest one journal up to its present end; `commit` makes versions of running runs.

        Raises UnavailableError for a journal of a newer version and DamagedError for a file that
        is no journal; both stay where they are.
        """
        with _locked(path):
            if not path.exists():
                self._live.pop(path, None)
                return []
            journal = self._live.get(path)
            if journal is None:
                journal = self._live[path] = _Journal(path, self.store, self.spool)
            changes = journal.step(commit)
            if journal.over and journal.seal():
                del self._live[path]
        return changes

    def session_notebook(self, run: Run) -> bytes:
        """Give the run's session notebook: its present state while the run is running."""
        if (live := self._journal_of(run)) is not None and run.id in live.fold.runs:
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
            contents = (read_path or _read_disk)(parsed.path)
            return _in_memory(reference, "path", parsed.path, contents)
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
        return {
            **run.details(),
            "files": [
                {"path": path, "digest": entry.digest, "size": entry.size} for path, entry in files
            ],
            "versions": [
                {"artifact": version.artifact, **version.summary()} for version in versions
            ],
            "session_runs": self.store.session_runs(run.session),
        }

    def _run_code(self, reference: str, run: Run) -> Code:
        live = self._journal_of(run) if run.state == "running" else None
        if live is not None and run.id in live.fold.runs:
            return _in_memory(reference, "run", run_title(run), live.tree(run.id), run.details())
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

    def _journal_of(self, run: Run) -> _Journal | None:
        path = self.journals / (run.session + events.SUFFIX)
        if path not in self._live and path.exists():
            with contextlib.suppress(CodeSaveError):
                self.step(path)
        return self._live.get(path)


class _Journal:
    """One journal on its way: its fold, what of it is written, and which runs have ended."""

    def __init__(self, path: Path, store: Store, spool: LocalBlobs) -> None:
        self.path, self.store, self.spool = path, store, spool
        # unlinked at once: nothing of it is left, however this process ends
        self._away = tempfile.TemporaryFile(dir=store.folder)  # noqa: SIM115
        self.fold = Fold(self._load)
        self.over = False
        self._done: set[str] = set()  # runs whose last version is made
        self._counts: dict[str, int] = {}  # executions in the newest version of a run
        self._versioned: dict[str, float] = {}
        self._marks: dict[str, tuple[int, int]] = {}

    def step(self, commit: bool) -> list[Change]:
        fold = self.fold
        before = fold.offset
        known = set(fold.runs)
        alive = _alive(self.path)
        for item in read(self.path, fold.offset, fold.sequence):
            fold.feed(item)
        if not alive:
            fold.feed_tail(read_tail(self.path.with_suffix(".tail")))
        self.over = fold.session_end is not None or not alive
        if fold.forgotten:
            erase(self.path, fold.forgotten)
        if fold.offset == before and not self.over and not commit:
            return []
        touched = {cell.run for key in fold.changed if (cell := fold.executions.get(key))}
        touched |= {run for run, _ in fold.forgotten.values()}
        touched |= {
            run.id for run in fold.runs.values() if self._mark(run) != self._marks.get(run.id)
        }
        for run_id, number in fold.forgotten.values():
            self.store.forget(run_id, [number])
        fold.forgotten.clear()
        changes = []
        for folded in fold.runs.values():
            settled = folded.id in self._done or (folded.id not in touched and not self.over)
            empty = not folded.keys and not folded.fields.get("explicit")
            if not folded.dropped and not settled and not empty:
                changes.append(self._write(folded, commit, folded.id not in known))
        if not changes:
            self.store.write(journal=self._state())
        fold.changed.clear()
        return changes

    def seal(self) -> bool:
        """Keep the finished journal as a blob and remove the file; False while it must wait."""
        if self.fold.offset < self.path.stat().st_size and _alive(self.path):
            return False
        digest = self.store.seal(self.path.stem, self.path)
        self.store.write(journal=self._state(digest))
        for path in (self.path, self.path.with_suffix(".tail")):
            path.unlink(missing_ok=True)
        self._away.close()
        return True

    def tree(self, run_id: str) -> dict[str, bytes]:
        """Give the files of a run as they are now, its session notebook built from the fold."""
        folded = self.fold.runs[run_id]
        files = {SESSION_NOTEBOOK: keep(dump_notebook(self.fold.notebook(run_id)))}
        if (copy := self._notebook_copy(folded)) is not None:
            files.setdefault(*copy)
        for path, entry in self._entries(folded).items():
            with contextlib.suppress(CodeSaveError):
                files.setdefault(path, self.store.get(entry.digest))
        if (requirements := _requirements(folded.environment)) is not None:
            files.setdefault("requirements.txt", requirements)
        return files

    # -- writing --------------------------------------------------------------------------------

    def _write(self, folded: FoldedRun, commit: bool, is_new: bool) -> Change:
        run = self._run(folded)
        ended = run.state != "running"
        rows = [
            self.fold.execution(cell.key)
            for cell in self.fold.listed(folded.id)
            if cell.key in self.fold.changed
        ]
        lost = self._adopt(folded)
        manifests: dict[str, Manifest] = {}
        if ended or commit or self._due(folded):
            if manifest := self._manifest(folded, lost):
                relative = run.notebook or run.program or run.name
                manifests[self.store.artifact_for(run.project, relative)] = manifest
            self._versioned[folded.id] = datetime.now(timezone.utc).timestamp()
            self._counts[folded.id] = len(folded.keys)
        for name, artifact in folded.artifacts.items():
            if not artifact.get("own") and artifact.get("type") == "code":
                entries = _manifest_entries(artifact.get("files", ()), lost)
                if entries:
                    manifests[name] = Manifest(entries)
        self.store.write(
            run=run,
            executions=rows,
            files=_manifest_entries(folded.files.values(), lost),
            missing=[*folded.missing.items(), *((path, "not stored") for path in lost)],
            journal=self._state(),
            commit=manifests,
        )
        for cell in self.fold.listed(folded.id):
            if cell.key in self.fold.changed and cell.ended and cell.stored is None:
                self._put_away(cell.key)
        self._marks[folded.id] = self._mark(folded)
        if ended:
            self._done.add(folded.id)
        return Change(run, "finished" if ended else "started" if is_new else "updated")

    def _run(self, folded: FoldedRun) -> Run:
        fields, session = folded.fields, self.fold.session
        state, ended_by, ended, error = self._ending(folded)
        notebook, program = fields.get("notebook"), fields.get("program")
        where = notebook or program
        return Run(
            id=folded.id,
            name=fields.get("name") or (Path(where).name if where else session.get("kind", "run")),
            project=fields.get("project") or _project(where or fields.get("cwd")),
            kind=session.get("kind", "kernel"),
            session=session.get("session") or self.path.stem,
            started=folded.started,
            state=state,
            ended=ended,
            ended_by=ended_by,
            notebook=notebook,
            program=program,
            kernel_id=session.get("kernel_id"),
            executions=len(self.fold.listed(folded.id)),
            tags=tuple(fields.get("tags") or ()),
            notes=fields.get("notes"),
            error=error,
            config=fields.get("config") or {},
            argv=tuple(fields.get("argv") or session.get("argv") or ()),
            cwd=fields.get("cwd") or session.get("cwd"),
            host=session.get("host"),
            user=session.get("user"),
            by=session.get("by", "kernel"),
            git=folded.git,
            environment={"python": session.get("python"), **folded.environment},
        )

    def _ending(self, folded: FoldedRun) -> tuple[State, EndedBy | None, str | None, str | None]:
        end, time = folded.end, folded.ended
        if end is None:
            if not self.over:
                return "running", None, None, None
            end = self.fold.session_end
            time = end["time"] if end else _last(self.fold.last_ns)
        if end is None:
            return "crashed", "killed", time, "the process ended without a word"
        ended_by: EndedBy = end.get("ended_by") or "unknown"
        crashed = ended_by in ("error", "killed") or bool(end.get("exit_code"))
        return "crashed" if crashed else "finished", ended_by, time, end.get("error")

    def _due(self, folded: FoldedRun) -> bool:
        settings = self.store.settings
        if self._counts.get(folded.id, 0) >= len(folded.keys):
            return False
        since = self._versioned.setdefault(folded.id, _timestamp(folded.started))
        now = datetime.now(timezone.utc).timestamp()
        return now - since >= settings["version_interval"].value

    def _manifest(self, folded: FoldedRun, lost: set[str]) -> Manifest | None:
        entries = {path: e for path, e in self._entries(folded).items() if path not in lost}
        made: dict[str, bytes] = {}
        if folded.keys:
            made[SESSION_NOTEBOOK] = keep(dump_notebook(self.fold.notebook(folded.id)))
        if (copy := self._notebook_copy(folded)) is not None:
            made[copy[0]] = copy[1]
        if (requirements := _requirements(folded.environment)) is not None:
            made["requirements.txt"] = requirements
        for path, data in made.items():
            if path not in entries or path == SESSION_NOTEBOOK:
                entries[path] = Entry(self.store.put(data), len(data), FILE)
        return Manifest(entries) if entries else None

    def _entries(self, folded: FoldedRun) -> dict[str, Entry]:
        """Give the files of the code artifact that the kernel put into the spool."""
        entries = _manifest_entries(folded.code.values(), ())
        for artifact in folded.artifacts.values():
            if artifact.get("own"):
                entries |= _manifest_entries(artifact.get("files", ()), ())
        if patch := folded.git.get("patch"):
            entries["diff.patch"] = Entry(patch, int(folded.git.get("patch_size", 0)), FILE)
        return entries

    def _adopt(self, folded: FoldedRun) -> set[str]:
        """Bring what the run's records name from the spool into the store; name what is missing."""
        wanted: dict[str, list[str]] = {}
        named = {**self._entries(folded), **_manifest_entries(folded.files.values(), ())}
        for artifact in folded.artifacts.values():
            named |= _manifest_entries(artifact.get("files", ()), ())
        for path, entry in named.items():
            wanted.setdefault(entry.digest, []).append(path)
        if not wanted:
            return set()
        missing = self.store.adopt(self.spool, wanted)
        for digest in list(missing):
            for source in (f.get("source") for f in folded.files.values() if f["digest"] == digest):
                if source and _reread(self.store, source, digest):
                    missing.remove(digest)
                    break
        return {path for digest in missing for path in wanted[digest]}

    def _notebook_copy(self, folded: FoldedRun) -> tuple[str, bytes] | None:
        notebook = folded.fields.get("notebook")
        if not notebook or not os.path.isabs(notebook):
            return None
        try:
            data = Path(notebook).read_bytes()
        except OSError:
            return None
        capture = folded.fields.get("capture", "all")
        copy = blank_skipped(
            data,
            self.fold.skipped_ids,
            self.fold.skipped_sources,
            outputs=capture == "all",
        )
        return None if copy is None else (os.path.basename(notebook), keep(copy))

    def _state(self, sealed: str | None = None) -> JournalState:
        return JournalState(
            session=self.path.stem,
            offset=self.fold.offset,
            sequence=self.fold.sequence if self.fold.sequence is not None else -1,
            size=self.path.stat().st_size,
            sealed=sealed is not None,
            digest=sealed,
            version=events.VERSION,
        )

    def _mark(self, folded: FoldedRun) -> tuple[int, int]:
        """Tell whether anything but executions changed since the run was written."""
        facts = (folded.fields, folded.end, folded.git, folded.environment, folded.missing)
        sizes = (len(folded.files), len(folded.code), len(folded.artifacts), len(folded.keys))
        return hash(json.dumps(facts, default=repr, sort_keys=True)), hash(sizes)

    # -- outputs that are put away --------------------------------------------------------------

    def _put_away(self, key: str) -> None:
        outputs = self.fold.executions[key].outputs
        size = sum(_weight(output) for output in outputs)
        if size < _SMALL or self.fold.executions[key].clear_waits:
            return
        data = dump_outputs(self.fold.outputs_of(key))
        place = self._away.seek(0, os.SEEK_END)
        self._away.write(data)
        self.fold.put_away(key, f"{place}:{len(data)}")

    def _load(self, place: str) -> list[Output]:
        start, length = (int(number) for number in place.split(":"))
        self._away.seek(start)
        outputs: list[Output] = json.loads(self._away.read(length))
        return outputs


def newest(versions: Iterable[Version]) -> Version:
    """Give the version that was made last."""
    return max(versions, key=lambda version: (version.created, version.number))


def run_title(run: Run) -> str:
    """Title a run so that a person knows it: `analysis.ipynb · Tue 14:02 · 37 cells`."""
    moment = datetime.fromisoformat(run.started.replace("Z", "+00:00")).astimezone()
    cells = f"{run.executions} cell" + ("" if run.executions == 1 else "s")
    return f"{run.name} · {moment:%a %H:%M} · {cells}"


def blank_skipped(
    data: bytes, ids: set[str], sources: set[str], *, outputs: bool = True
) -> bytes | None:
    """Give a notebook file with the cells blanked and marked that the user asked not to keep.

    The very bytes come back when there is nothing to blank. None when nothing of the notebook may
    be kept, or when something would have to be blanked in a file that is no notebook.
    """
    suspicious = b"codesave" in data
    if not suspicious and not ids and not sources and outputs:
        return data
    try:
        notebook = json.loads(data)
        said = (notebook["metadata"].get("codesave") or {}).get("capture", "all")
        if said == "off":
            return None
        outputs = outputs and said == "all"
        changed = False
        for cell in notebook["cells"]:
            if _is_skipped(cell, ids, sources):
                changed = True
                cell["source"] = []
                cell["metadata"] = {"codesave": {"skipped": True}}
                if cell["cell_type"] == "code":
                    cell["outputs"] = []
                cell.pop("attachments", None)
            elif not outputs and cell.get("outputs"):
                changed = True
                cell["outputs"] = []
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not changed:
        return data
    return dump_notebook(notebook)


def _is_skipped(cell: dict[str, Any], ids: set[str], sources: set[str]) -> bool:
    source = cell.get("source", "")
    text = source if isinstance(source, str) else "".join(source)
    return (
        SKIPPED in (cell.get("metadata", {}).get("tags") or ())
        or cell.get("id") in ids
        or (cell.get("cell_type") == "code" and text.lstrip().startswith("%%codesave skip"))
        or digest_of(text.encode("utf-8", "replace")) in sources
    )


def _manifest_entries(files: Iterable[Mapping[str, Any]], lost: Iterable[str]) -> dict[str, Entry]:
    left_out = set(lost)
    return {
        file["path"]: Entry(file["digest"], int(file["size"]), file.get("mode") or FILE)
        for file in files
        if file["path"] not in left_out
    }


def _requirements(environment: Mapping[str, Any]) -> bytes | None:
    packages = environment.get("packages")
    if not packages:
        return None
    editable = environment.get("editable") or {}
    lines = [
        editable.get(name) or f"{name}=={version}" for name, version in sorted(packages.items())
    ]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _in_memory(
    ref: str,
    kind: Literal["run", "path"],
    title: str,
    contents: Mapping[str, bytes],
    run: Mapping[str, Any] | None = None,
) -> Code:
    def read_memory(path: str) -> bytes:
        try:
            return contents[path]
        except KeyError:
            raise NotFoundError(f"{ref} holds no file {path!r}") from None

    entries = {path: Entry(digest_of(data), len(data)) for path, data in contents.items()}
    return Code(ref, kind, title, entries, read_memory, run)


def _read_disk(path: str) -> dict[str, bytes]:
    target = Path(path)
    try:
        if target.is_dir():
            return {
                child.relative_to(target).as_posix(): child.read_bytes()
                for child in sorted(target.rglob("*"))
                if child.is_file() and not child.is_symlink() and ".git" not in child.parts
            }
        return {target.name: target.read_bytes()}
    except OSError as error:
        raise NotFoundError(
            f"{path} cannot be read: {error.strerror}; give a path that exists"
        ) from None


def _reread(store: Store, source: str, digest: str) -> bool:
    """Store a file again whose spooled bytes are gone; only if it is still what it was."""
    try:
        found, _ = store.put_file(Path(source))
    except OSError:
        return False
    return found == digest


def _project(path: str | None) -> str:
    """Name the project: the git repository's folder, else the folder."""
    folder = Path(path).parent if path else Path.cwd()
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate.name
    return folder.name or "default"


def _weight(output: Output) -> int:
    text = output.get("text")
    if text is not None:
        return sum(map(len, text)) if isinstance(text, list) else len(text)
    data = output.get("data") or {}
    return 200 + sum(len(value) if isinstance(value, str) else 2000 for value in data.values())


def _timestamp(iso: str) -> float:
    return datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()


def _last(time_ns: int) -> str:
    moment = datetime.fromtimestamp(time_ns / 1e9, timezone.utc)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _alive(path: Path) -> bool:
    """Tell whether a journal's writer may still append; only its own host can know it is dead."""
    session = session_event(path)
    if session.get("host") not in (None, socket.gethostname()):
        return True
    if _is_locked(path):
        return True
    pid = session.get("pid")
    if not session or not isinstance(pid, int):
        return False
    import psutil

    try:
        process = psutil.Process(pid)
        started = session.get("process_started")
        same = started is None or abs(process.create_time() - float(started)) < 2
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.NoSuchProcess, ValueError, TypeError):
        return False
    except psutil.Error:
        return True


def _is_locked(path: Path) -> bool:
    try:
        import fcntl
    except ImportError:
        return False
    try:
        with path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except PermissionError:
        return False
    except OSError:
        return True
    return False


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time ingest a journal."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    lock = path.with_suffix(".ingest")
    with lock.open("a+b") as file:
        os.chmod(lock, 0o600)
        fcntl.lockf(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if not path.exists():
                lock.unlink(missing_ok=True)


def control_roots(folder: Path) -> list[str]:
    """Give the root folders of the servers that used this data folder."""
    roots = read_control(folder).get("roots")
    return [root for root in roots if isinstance(root, str)] if isinstance(roots, list) else []
