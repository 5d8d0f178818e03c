"""One journal on its way into the store: its fold, and what of it is written."""

from __future__ import annotations

import contextlib
import marshal
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..blobs.local import LocalBlobs
from ..control import read_control, renamed
from ..errors import CodeSaveError, NotFoundError
from ..journal import events
from ..journal.erase import erase
from ..journal.notebook import (
    Fold,
    FoldedExecution,
    FoldedRun,
    Output,
    dump_notebook,
)
from ..journal.reader import read
from ..journal.tail import read_tail
from ..model.artifact import CODE, SESSION_NOTEBOOK, is_name
from ..model.manifest import FILE, Entry, Manifest
from ..model.moment import seconds, spelled_ns
from ..model.run import EndedBy, Run, State
from ..store import JournalState, Store
from ..store.streams import incoming
from .files import (
    code_of,
    entries_of,
    missing_of,
    notebook_copy,
    requirements_of,
    reread,
    take_watched,
)
from .filter import keep
from .liveness import is_alive
from .series import project_of, series_path

_LONGEST = 500  # characters of a project: databases index it
_FED = 16 << 20  # bytes of journal after which outputs are put away
_SMALL = 64 << 10  # characters; outputs below this stay in memory while a session lives


@dataclass(frozen=True)
class Change:
    """Something that a step did to a run, as the server's events tell it."""

    run: Run
    action: Literal["started", "updated", "finished"]


@dataclass
class Standing:
    """What of a run is in the store already."""

    is_new: bool  # nothing of it
    done: bool = False  # its end: only what its executions say later is still to come
    counted: int = 0  # executions in its newest version
    versioned: float = 0  # when that was made (epoch, s)
    logged: int = 0  # offset up to which its artifacts are versions
    held: set[str] = field(default_factory=set)  # digests of saved files that were taken
    lost: set[str] = field(default_factory=set)  # digests of files that nobody has


class SessionIngest:
    """One journal on its way. A step costs what changed since the last one, not what was before.

    What a run's code holds stays in the spool until a version names it: nothing in the store would
    keep it from being collected.
    """

    def __init__(self, path: Path, store: Store, spool: LocalBlobs) -> None:
        self.path, self.store, self.spool = path, store, spool
        # unlinked at once: nothing of it is left, however this process ends
        self._away = tempfile.TemporaryFile(dir=store.folder)  # noqa: SIM115 - lives as long as we
        self.fold = Fold(self._load)
        self.over = False
        self._places: dict[str, tuple[int, int]] = {}  # execution → where its outputs have room
        self._tailed = False
        self._standings: dict[str, Standing] = {}
        self._dropped: set[str] = set()

    def step(self, commit: bool) -> list[Change]:
        fold = self.fold
        before = fold.offset
        alive = is_alive(self.path)
        put_away_at = fold.offset + _FED
        for item in read(self.path, fold.offset, fold.sequence):
            fold.feed(item)
            if item.end > put_away_at:
                self._put_away_ended()
                put_away_at = item.end + _FED
        if not alive and not self._tailed:
            fold.feed_tail(read_tail(self.path.with_suffix(".tail")))
            self._tailed = True
        self.over = fold.session_end is not None or not alive
        if fold.forgotten:
            erase(self.path, fold.forgotten)
        waits = fold.changed or fold.touched or fold.forgotten
        if fold.offset == before and not waits and not self.over and not commit:
            return []
        for run_id, number, source in fold.forgotten.values():
            # Its source may never have come into the store, but for a copy of the notebook file.
            self.store.forget(run_id, [number], [source])
            fold.touched.add(run_id)
        fold.forgotten.clear()
        self._leave_moved()
        changed = self._changed()
        moved = changed.keys() | fold.touched
        wanted = [run for run in fold.runs.values() if self.over or commit or run.id in moved]
        changes: list[Change | None] = [None]
        for at, folded in enumerate(wanted, 1):
            # Only the last write says how far the journal is in: it is in with all its runs.
            state = self._state() if at == len(wanted) else None
            changes.append(self._bring(folded, changed.get(folded.id, []), commit, state))
        if changes[-1] is None:
            self.store.write(journal=self._state())
        fold.changed.clear()
        fold.touched.clear()
        return [change for change in changes if change is not None]

    def seal(self) -> bool:
        """Keep the finished journal as a blob and remove the file; False while it must wait."""
        size = self.path.stat().st_size
        if self.fold.offset < size and (is_alive(self.path) or self._goes_on()):
            return False
        digest = self.store.seal(self.path.stem, self.path)
        self.store.write(journal=self._state(digest))
        if not digest:
            self.store.forsake(self.path)
        for path in (self.path, self.path.with_suffix(".tail")):
            path.unlink(missing_ok=True)
        self._away.close()
        return True

    def unfinished(self) -> list[str]:
        """Name the runs whose end was not written here."""
        return [
            run_id
            for run_id, standing in self._standings.items()
            if not standing.done and run_id not in self._dropped
        ]

    def tree(self, run_id: str) -> dict[str, bytes]:
        """Give the files of a run as they are now, its session notebook built from the fold."""
        folded = self.fold.runs[run_id]
        files = {SESSION_NOTEBOOK: keep(dump_notebook(self.fold.notebook(run_id)))}
        _, _, ended, _ = self._ending(folded)
        if copy := notebook_copy(self.fold, folded, self._notebook(folded), ended):
            files.setdefault(*copy)
        for path, entry in code_of(folded).items():
            with contextlib.suppress(CodeSaveError):
                files.setdefault(path, self.store.get_spooled(self.spool, entry.digest))
        if (requirements := requirements_of(folded.environment)) is not None:
            files.setdefault("requirements.txt", requirements)
        return files

    # -- writing --------------------------------------------------------------------------------

    def _changed(self) -> dict[str, list[FoldedExecution]]:
        """Group the executions that changed by their runs."""
        found: dict[str, list[FoldedExecution]] = {}
        for key in self.fold.changed:
            cell = self.fold.executions.get(key)
            if cell is not None and cell.run is not None and cell.recorded:
                found.setdefault(cell.run, []).append(cell)
        for cells in found.values():
            cells.sort(key=lambda cell: cell.number)
        return found

    def _bring(
        self,
        folded: FoldedRun,
        cells: list[FoldedExecution],
        commit: bool,
        journal: JournalState | None,
    ) -> Change | None:
        """Bring a run up to date in the store; None when nothing of it is to be written."""
        if folded.dropped:
            self._take_back(folded.id)
            return None
        saved = folded.files or folded.watched or folded.artifacts
        if not (folded.keys or saved or folded.fields.get("explicit")):
            return None
        standing = self._standings.get(folded.id)
        if standing is None:
            standing = self._standings[folded.id] = self._standing(folded)
        if standing.done:
            return self._bring_late(folded, cells, commit, journal, standing)
        run = self._run(folded)
        ended = run.state != "running"
        logged = self._logged(folded, standing)
        own = any(artifact.get("own") for artifact in logged)
        due = ended or commit or own or self._due(folded, standing)
        facts = due or standing.is_new or folded.id in self.fold.touched
        if facts and self.store.is_purged(run.id):
            return None
        if ended:
            take_watched(self.store, self.fold, folded)
        if facts:
            self._adopt_saved(folded, standing)
        manifests = self._logged_manifests(logged, standing)
        if due and (manifest := self._manifest(folded, run, standing)):
            path = run.notebook or run.program
            series = series_path(self.store.folder, path) if path else run.name
            manifests[self.store.artifact_for(run.project, series)] = manifest
        self.store.write(
            run=run,
            executions=[self.fold.execution(cell.key) for cell in cells],
            files=_without(entries_of(folded.files.values()), standing.lost) if facts else None,
            missing=missing_of(folded, standing.lost) if facts else (),
            commit=manifests,
            journal=journal,
        )
        for cell in cells:
            if cell.ended and cell.stored is None:
                self._put_away(cell)
        folded.late = folded.late and not ended
        action: Literal["started", "updated", "finished"] = (
            "finished" if ended else "started" if standing.is_new else "updated"
        )
        standing.is_new, standing.done, standing.logged = False, ended, self.fold.offset
        if due:
            standing.counted = len(folded.keys)
            standing.versioned = time.time()
        return Change(run, action)

    def _bring_late(
        self,
        folded: FoldedRun,
        cells: list[FoldedExecution],
        commit: bool,
        journal: JournalState | None,
        standing: Standing,
    ) -> Change | None:
        """Bring in what executions of a run said after its end; None when nothing is new.

        Nothing but its session notebook changes: the rest of its version was taken at its end.
        """
        for cell in cells:
            if cell.ended and cell.stored is None:
                self._put_away(cell)
        late = folded.late or (cells and folded.end is None)
        if not late or not (self.over or commit or self._is_time(standing)):
            return None
        change = self._write_late(folded, journal)
        folded.late, standing.versioned = False, time.time()
        return change

    def _write_late(self, folded: FoldedRun, journal: JournalState | None) -> Change | None:
        if not self.store.has_outputs(folded.id):
            return None
        notebook = self._put_session_notebook(folded.id)
        for version in self.store.versions_of(folded.id):
            entries = self.store.manifest(version.digest).entries
            if SESSION_NOTEBOOK in entries:
                break
        else:
            return None
        if entries[SESSION_NOTEBOOK].digest == notebook.digest:
            return None
        run = self._run(folded)
        self.store.write(
            run=run,
            executions=[self.fold.execution(cell.key) for cell in self.fold.listed(run.id)],
            commit={version.artifact: Manifest({**entries, SESSION_NOTEBOOK: notebook})},
            journal=journal,
            # Where a later run has made a version meanwhile, that one stays the latest.
            aliases=["latest"] if "latest" in version.aliases else [],
        )
        return Change(run, "updated")

    def _leave_moved(self) -> None:
        """Take executions out of the runs that they were written in before they moved on."""
        if self.fold.moved:
            self.store.drop_executions(self.fold.moved)
        self.fold.moved.clear()

    def _standing(self, folded: FoldedRun) -> Standing:
        """Ask the store what another process, or an earlier one, wrote of a run."""
        standing = Standing(True, versioned=seconds(folded.started))
        state = self.store.journal_state(self.path.stem)
        with contextlib.suppress(NotFoundError):
            run = self.store.run(folded.id)
            standing.is_new = False
            # Its last version was made then: what is on the disk today is not the run's any more.
            seen = state is not None and (folded.end_at or self.fold.offset) <= state.offset
            standing.done = run.state != "running" and seen
        return standing

    def _logged(self, folded: FoldedRun, standing: Standing) -> list[dict[str, Any]]:
        """Give the artifacts that were logged since the last step, whoever did that."""
        fresh = [each for each in folded.artifacts.values() if each["at"] > standing.logged]
        if fresh:
            state = self.store.journal_state(self.path.stem)
            fresh = [each for each in fresh if state is None or each["at"] > state.offset]
        return fresh

    def _logged_manifests(
        self, logged: list[dict[str, Any]], standing: Standing
    ) -> dict[str, Manifest]:
        manifests = {}
        for artifact in logged:
            name = artifact["name"]
            if artifact.get("own") or artifact.get("type") != CODE or not is_name(name):
                continue
            entries = entries_of(artifact.get("files", ()))
            self._adopt({entry.digest for entry in entries.values()}, standing)
            if entries := _without(entries, standing.lost):
                manifests[name] = Manifest(entries)
        return manifests

    def _adopt_saved(self, folded: FoldedRun, standing: Standing) -> None:
        """Take the saved files that are new, from the spool or where they were saved from."""
        saved = entries_of(folded.files.values())
        fresh = {entry.digest for entry in saved.values()} - standing.held
        self._adopt(fresh, standing)
        for file in folded.files.values():
            source, digest = str(file.get("source") or ""), str(file.get("digest"))
            if digest in standing.lost and source and reread(self.store, source, digest):
                standing.lost.discard(digest)
        standing.held = {entry.digest for entry in saved.values()} - standing.lost

    def _adopt(self, digests: set[str], standing: Standing) -> None:
        if digests:
            standing.lost.difference_update(digests)
            standing.lost.update(self.store.adopt(self.spool, digests))

    def _take_back(self, run_id: str) -> None:
        """Take back a run that was written before init() took its only cell."""
        if run_id not in self._dropped:
            self.store.take_back(run_id)
            self._dropped.add(run_id)

    def _manifest(self, folded: FoldedRun, run: Run, standing: Standing) -> Manifest | None:
        entries = code_of(folded)
        self._adopt({entry.digest for entry in entries.values()}, standing)
        entries = _without(entries, standing.lost)
        made: dict[str, bytes] = {}
        if copy := notebook_copy(self.fold, folded, run.notebook, run.ended):
            made.setdefault(*copy)
        if (requirements := requirements_of(folded.environment)) is not None:
            made.setdefault("requirements.txt", requirements)
        for path, data in made.items():
            if path not in entries:
                entries[path] = Entry(self.store.put(data), len(data), FILE)
        if folded.keys:
            entries[SESSION_NOTEBOOK] = self._put_session_notebook(folded.id)
        return Manifest(entries) if entries else None

    def _put_session_notebook(self, run_id: str) -> Entry:
        """Keep the session notebook, whatever its size: it is laid out in a file first."""
        # Under this name the collector removes what a killed process leaves.
        with tempfile.NamedTemporaryFile(dir=self.store.folder, prefix=incoming()) as file:
            for part in self.fold.dump(run_id):
                file.write(keep(part))
            file.flush()
            digest, size = self.store.put_file(file.name)
        return Entry(digest, size, FILE)

    def _run(self, folded: FoldedRun) -> Run:
        fields, session = folded.fields, self.fold.session
        state, ended_by, ended, error = self._ending(folded)
        notebook, program = self._notebook(folded), fields.get("program")
        where = notebook or program
        return Run(
            id=folded.id,
            name=fields.get("name") or (Path(where).name if where else session.get("kind", "run")),
            project=(fields.get("project") or project_of(where or fields.get("cwd")))[:_LONGEST],
            kind=session.get("kind", "kernel"),
            session=session.get("session") or self.path.stem,
            started=folded.started,
            state=state,
            ended=ended,
            ended_by=ended_by,
            notebook=notebook,
            program=program,
            kernel_id=session.get("kernel_id"),
            executions=folded.recorded,
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
        return renamed(read_control(self.store.folder), notebook, seconds(folded.started))

    def _ending(self, folded: FoldedRun) -> tuple[State, EndedBy | None, str | None, str | None]:
        end, ended = folded.end, folded.ended
        if end is None:
            if not self.over:
                return "running", None, None, None
            end = self.fold.session_end
            ended = end["time"] if end else spelled_ns(self.fold.last_ns)
        if end is None and (asked := folded.fields.get("ending")):
            return "finished", asked, ended, None  # killed, because it was busy
        if end is None:
            return "crashed", "killed", ended, "the process ended without a word"
        ended_by: EndedBy = end.get("ended_by") or "unknown"
        crashed = ended_by in ("error", "killed") or bool(end.get("exit_code"))
        return "crashed" if crashed else "finished", ended_by, ended, end.get("error")

    def _due(self, folded: FoldedRun, standing: Standing) -> bool:
        """Tell whether a running run has gone on long enough for another version."""
        if standing.counted >= len(folded.keys):
            return False
        return self._is_time(standing)

    def _is_time(self, standing: Standing) -> bool:
        interval: float = self.store.settings["version_interval"].value
        return time.time() - standing.versioned >= interval

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

    def _goes_on(self) -> bool:
        """Tell whether records came that were not read yet; a torn end is none."""
        return next(read(self.path, self.fold.offset, self.fold.sequence), None) is not None

    # -- outputs that are put away --------------------------------------------------------------

    def _put_away_ended(self) -> None:
        for key in self.fold.changed:
            cell = self.fold.executions.get(key)
            if cell is not None and cell.ended and cell.stored is None:
                self._put_away(cell)

    def _put_away(self, cell: FoldedExecution) -> None:
        if sum(map(_weight, cell.outputs)) < _SMALL or cell.clear_waits:
            return
        # The file is this process's alone, and gone with it: the quickest form will do.
        try:
            data = marshal.dumps(self.fold.outputs_of(cell.key))
        except ValueError:  # nested too deep for it
            return
        place, room = self._places.get(cell.key, (0, 0))
        if len(data) > room:  # what came late (from a thread) will come again: twice the room
            place, room = self._away.seek(0, os.SEEK_END), len(data) * (2 if room else 1)
            self._away.truncate(place + room)
            self._places[cell.key] = place, room
        self._away.seek(place)
        self._away.write(data)
        self.fold.put_away(cell.key, f"{place}:{len(data)}")

    def _load(self, place: str) -> list[Output]:
        start, length = (int(number) for number in place.split(":"))
        self._away.seek(start)
        outputs: list[Output] = marshal.loads(self._away.read(length))
        return outputs


def _without(entries: dict[str, Entry], lost: set[str]) -> dict[str, Entry]:
    return {path: entry for path, entry in entries.items() if entry.digest not in lost}


def _weight(output: Output) -> int:
    text = output.get("text")
    if text is not None:
        return sum(map(len, text)) if isinstance(text, list) else len(text)
    data: Mapping[str, Any] = output.get("data") or {}
    return 200 + sum(len(value) if isinstance(value, str) else 2000 for value in data.values())
