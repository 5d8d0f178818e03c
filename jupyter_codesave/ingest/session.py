"""One journal on its way into the store: its fold, and what of it is written."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from ..blobs.local import LocalBlobs
from ..errors import CodeSaveError
from ..journal import events
from ..journal.erase import erase
from ..journal.notebook import Fold, FoldedRun, Output, dump_notebook, dump_outputs
from ..journal.reader import read
from ..journal.tail import read_tail
from ..model.artifact import SESSION_NOTEBOOK
from ..model.manifest import FILE, Entry, Manifest
from ..model.run import EndedBy, Run, State
from ..settings import read_control, renamed
from ..store import JournalState, Store
from .filter import blank_skipped, keep
from .liveness import is_alive

_LATE = 60.0  # seconds after its end in which a run's notebook file is saved (`jupyter execute`)
_SMALL = 64 << 10  # characters; outputs below this stay in memory while a session lives


@dataclass(frozen=True)
class Change:
    """Something that a step did to a run, as the server's events tell it."""

    run: Run
    action: Literal["started", "updated", "finished"]


class SessionIngest:
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
        alive = is_alive(self.path)
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
            if folded.dropped and folded.id in self._marks:
                self.store.delete(folded.id)  # it was written before init() took its only cell
                del self._marks[folded.id]
            fresh = folded.id in touched or self.over or commit
            empty = not folded.keys and not folded.fields.get("explicit")
            if fresh and folded.id not in self._done and not folded.dropped and not empty:
                changes.append(self._write(folded, commit, folded.id not in known))
        if not changes:
            self.store.write(journal=self._state())
        fold.changed.clear()
        return changes

    def seal(self) -> bool:
        """Keep the finished journal as a blob and remove the file; False while it must wait."""
        if self.fold.offset < self.path.stat().st_size and is_alive(self.path):
            return False
        digest = self.store.seal(self.path.stem, self.path)
        self.store.write(journal=self._state(digest))
        for path in (self.path, self.path.with_suffix(".tail")):
            path.unlink(missing_ok=True)
        self._away.close()
        return True

    def unfinished(self) -> list[str]:
        """Name the runs whose end was not written here."""
        return [
            run.id
            for run in self.fold.runs.values()
            if run.id not in self._done and not run.dropped and run.id in self._marks
        ]

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
        if ended:
            self._take_watched(folded)
        lost = self._adopt(folded)
        manifests: dict[str, Manifest] = {}
        if ended or commit or self._due(folded):
            if manifest := self._manifest(folded, lost):
                path = run.notebook or run.program
                series = series_path(self.store.folder, path) if path else run.name
                manifests[self.store.artifact_for(run.project, series)] = manifest
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
        notebook, program = self._notebook(folded), fields.get("program")
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

    def _notebook(self, folded: FoldedRun) -> str | None:
        """Give the notebook's path by its present name: a kernel knows only its first one."""
        notebook = folded.fields.get("notebook")
        if not notebook:
            return None
        return renamed(self.store.folder, notebook, _timestamp(folded.started))

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
        return bool(now - since >= settings["version_interval"].value)

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

    def _take_watched(self, folded: FoldedRun) -> None:
        """Take files that nobody was left to take, unless they were changed after the session."""
        for path, watch in folded.watched.items():
            under = path + "/"
            known = any(file == path or file.startswith(under) for file in folded.files)
            if known or path in folded.missing or self.fold.session_end is not None:
                continue
            source = Path(str(watch.get("source")))
            targets = sorted(source.rglob("*")) if source.is_dir() else [source]
            for target in targets:
                name = path if target == source else under + target.relative_to(source).as_posix()
                try:
                    if target.is_dir() or not self._is_in_its_place(target):
                        continue
                    if target.stat().st_mtime_ns > self.fold.last_ns:
                        folded.missing[name] = "changed after the run"
                        continue
                    digest, size = self.store.put_file(target)
                except OSError as error:
                    folded.missing[name] = error.strerror or str(error)
                    continue
                folded.files[name] = {"path": name, "digest": digest, "size": size}

    def _is_in_its_place(self, target: Path) -> bool:
        """Tell a file of this host from what stands at its path on another one."""
        return self.fold.session.get("host") == socket.gethostname() and target.is_file()

    def _notebook_copy(self, folded: FoldedRun) -> tuple[str, bytes] | None:
        notebook = self._notebook(folded)
        if not notebook or not os.path.isabs(notebook):
            return None
        _, _, ended, _ = self._ending(folded)
        try:
            saved_at = os.stat(notebook).st_mtime
            data = Path(notebook).read_bytes()
        except OSError:
            return None
        if ended is not None and saved_at > _timestamp(ended) + _LATE:
            folded.missing[os.path.basename(notebook)] = "changed after the run"
            return None
        copy = blank_skipped(
            data,
            self.fold.skipped_ids,
            self.fold.skipped_sources,
            outputs=not self.fold.sources_only,
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


def _reread(store: Store, source: str, digest: str) -> bool:
    """Store a file again whose spooled bytes are gone; only if it is still what it was."""
    try:
        found, _ = store.put_file(Path(source))
    except OSError:
        return False
    return found == digest


def _project(path: str | None) -> str:
    """Name the project: the git repository's folder, else the folder."""
    if path is None:
        return "default"
    return os.path.basename(_git_root(path) or os.path.dirname(path)) or "default"


def series_path(folder: Path, path: str) -> str:
    """Give a notebook's or program's path relative to its git root or a server's root."""
    if not os.path.isabs(path):
        return path
    for root in (_git_root(path), *server_roots(folder)):
        if root and not (relative := os.path.relpath(path, root)).startswith(os.pardir):
            return relative.replace(os.sep, "/")
    return os.path.basename(path)


def _git_root(path: str) -> str | None:
    for folder in Path(path).parents:
        if (folder / ".git").exists():
            return str(folder)
    return None


def server_roots(folder: Path) -> list[str]:
    """Give the root folders of the servers that used this data folder, the deepest first."""
    roots = read_control(folder).get("roots")
    known = roots if isinstance(roots, list) else []
    return sorted((root for root in known if isinstance(root, str)), key=len, reverse=True)


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
