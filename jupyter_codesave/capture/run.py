"""A run: what users hold, and what begins and ends with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.run import new_id
from .config import Config, mapping, plain
from .masking import mask
from .project import program_path, project_of
from .recorder import Recorder
from .session import working_folder
from .warning import warn_once

if TYPE_CHECKING:
    from .code import Artifact


DISABLED = 'off, decided by mode="disabled"'


class Run:
    """One tracked period of this session.

    `state` is running, finished or crashed, or off: nothing is recorded. `reason` says why.
    """

    def __init__(
        self,
        recorder: Recorder | None,
        *,
        explicit: bool,
        project: str | None = None,
        name: str | None = None,
        config: Any = None,
        notes: str | None = None,
        tags: Iterable[str] | None = None,
        reason: str | None = None,
    ) -> None:
        self._recorder = recorder
        self.id = new_id()
        self.explicit = explicit
        self._reason = reason
        self.state = "off" if reason else "running"
        self.over = False
        self.notebook = recorder.notebook() if recorder else None
        self.program = program_path() if recorder and recorder.kind == "script" else None
        self.project = project or self._default_project()
        where = self.notebook or self.program
        self.name = name or (Path(where).name if where else recorder.kind if recorder else "run")
        self.notes = notes
        self.tags = list(tags or ())
        self.config = Config(mapping(config), self._config_changed)
        self.keys: list[str] = []  # its executions
        self.saver: Any = None
        self.modules: Any = None
        self._error: str | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in ("name", "notes", "tags") and "config" in self.__dict__:  # not while it is made
            recorder = self.recorder
            if recorder is not None and self.state == "running":
                recorder.event("run-update", run=self.id, **{name: plain(value)})

    def __repr__(self) -> str:
        return f"<run {self.id}: {self.name} in {self.project}, {self.state}>"

    @property
    def dir(self) -> str:
        """The run's folder; `files/` in it holds links to what was saved."""
        from ..settings import data_dir

        folder = self._recorder.switch.folder if self._recorder else data_dir()
        return str(folder / "runs" / self.id)

    @property
    def reason(self) -> str | None:
        """Why nothing is recorded with this run, or not any more; None while it is."""
        if self._recorder is not None and not self._recorder.is_here:
            return "this is a forked child; its parent has the run"
        return self._reason or (None if self.state == "running" else f"the run is {self.state}")

    @property
    def disabled(self) -> bool:
        """Whether the program asked to keep nothing, and to hear nothing of it."""
        return self._reason == DISABLED

    def save(
        self,
        glob_str: str | bytes | os.PathLike[str],
        base_path: str | os.PathLike[str] | None = None,
        policy: str = "live",
        glob: bool = True,
        **options: Any,
    ) -> list[str]:
        """Save the files that `glob_str` names, and give the links to them, sorted.

        `policy`: `now` keeps a snapshot, `live` each state that settles, `end` the last one. Files
        keep their path relative to `base_path` (default: the working directory, or for absolute
        paths the folder two levels up). `glob=False` takes the path as it is written.
        """
        from .saver import save

        return save(self, glob_str, base_path, policy, glob, **options)

    def log_code(
        self,
        root: str | os.PathLike[str] = ".",
        name: str | None = None,
        include_fn: Callable[..., bool] | None = None,
        exclude_fn: Callable[..., bool] | None = None,
        dry_run: bool = False,
    ) -> Artifact | None:
        """Save all source below `root` as a code artifact; None when nothing is there.

        See capture.code.log_code. UsageError when the run has ended.
        """
        from ..errors import UsageError
        from .code import log_code

        if self.state in ("finished", "crashed"):
            raise UsageError(f"the run {self.id} is {self.state}: log_code() before finish()")

        return log_code(self, root, name, include_fn, exclude_fn, dry_run)

    def finish(self, exit_code: int | None = 0, quiet: Any = None) -> None:
        """End the run: finished, or crashed when `exit_code` is not 0."""
        self.over = True
        if self.state != "running":
            return
        code = int(exit_code or 0)
        if self._recorder is not None and self._recorder.is_here:
            self._recorder.publish()
        self._close({"ended_by": "error" if code else "finish", "exit_code": code})

    def log(self, *_: Any, **__: Any) -> None:
        """Do nothing: this package saves code. Warns once."""
        does_nothing("log", self)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None:
            self._error = told_of(kind, error, trace, self.recorder)
        self.finish(0 if kind is None else 1)

    # -- within the package ---------------------------------------------------------------------

    @property
    def recorder(self) -> Recorder | None:
        """Where it is recorded; None for a run that is off, and in a forked child."""
        if self.state == "off" or self._recorder is None or not self._recorder.is_here:
            return None
        return self._recorder

    def begin(self, adopts: str | None = None) -> None:
        """Tell the journal, and have git, packages and modules looked at."""
        recorder = self._recorder
        assert recorder is not None
        recorder.event(
            "run",
            run=self.id,
            project=self.project,
            name=self.name,
            config=plain(dict(self.config)),
            notes=self.notes,
            tags=self.tags,
            explicit=self.explicit,
            notebook=self.notebook,
            program=self.program,
            cwd=working_folder(),
            argv=mask(getattr(sys, "argv", ())),
            capture=recorder.switch.capture,
            adopts=adopts,
        )
        if adopts:
            self.keys.append(adopts)
        code_dir, save_code = recorder.switch.value("code_dir"), recorder.switch.value("save_code")
        recorder.background.submit(
            f"around {self.id}", lambda: self._look_around(code_dir, save_code is not False)
        )

    def _look_around(self, code_dir: str | None, save_code: bool) -> None:
        """In the background: what is installed, where git stands, which code is the user's own."""
        from .code import log_code
        from .environment import record as record_environment
        from .git import record as record_git
        from .modules import Modules

        recorder = self._recorder
        assert recorder is not None
        work: list[Callable[[], object]] = [lambda: record_environment(self)]
        work.append(lambda: record_git(self))
        if save_code:
            self.modules = modules = Modules(self)
            work.append(modules.look_now)
        if code_dir:
            work.append(lambda: log_code(self, code_dir))
        for each in work:
            try:
                each()
            except Exception as error:
                recorder.complain(repr(error))

    def _close(
        self,
        end: dict[str, Any],
        *,
        soon: bool = False,
        dropped: bool = False,
        wait: bool = True,
    ) -> None:
        """End once: what is saved is settled first, then the journal is told."""
        recorder = self.recorder
        if self.state != "running" or recorder is None:
            return
        crashed = bool(end.get("exit_code")) or end.get("ended_by") in ("error", "killed")
        self.state = "crashed" if crashed else "finished"
        recorder.guarded(recorder.ending, self, "error" if crashed else "ok")
        if self.modules is not None and not dropped:
            recorder.guarded(self.modules.look)
        if self.modules is not None:
            recorder.guarded(self.modules.stop)
        fields = {"run": self.id, "error": self._error, **end}
        if dropped:
            fields["dropped"] = True
        if recorder.run is self:
            recorder.run = None
        if not wait:
            recorder.background.submit(f"end {self.id}", lambda: self._settle_and_tell(fields))
            return
        if not dropped:
            recorder.background.drain(2.0 if soon else 20.0)
        if self.saver is not None:
            self._settle(soon)
        own_cell = next((key for key in self.keys if key in recorder.running), None)
        if own_cell is not None and not soon and recorder.kind != "script":
            # The calling cell belongs to this run, and so does what it prints from here on.
            recorder.when_idle(own_cell, lambda: recorder.event("run-end", **fields))
        else:
            recorder.event("run-end", **fields)

    def _settle_and_tell(self, fields: dict[str, Any]) -> None:
        recorder = self._recorder
        if self.saver is not None:
            self._settle(False)
        if recorder is not None:
            recorder.event("run-end", **fields)

    def _settle(self, exiting: bool) -> None:
        recorder = self._recorder
        assert recorder is not None
        recorder.guarded(lambda: self.saver.settle(2.0 if exiting else 60.0, exiting=exiting))

    def _end_with_session(self, end: dict[str, Any]) -> None:
        self._close({"ended_by": "exit", "exit_code": 0, **end}, soon=True)

    def _config_changed(self) -> None:
        recorder = self.recorder
        if recorder is not None and self.state == "running":
            recorder.event("run-update", run=self.id, config=plain(dict(self.config)))

    def _default_project(self) -> str:
        recorder = self._recorder
        configured = recorder.switch.value("project") if recorder else None
        return str(configured) if configured else project_of(self.notebook or self.program)


def does_nothing(name: str, run: Run | None) -> None:
    """Say once that a function of W&B's does nothing here; not to who disabled everything."""
    if run is None or not run.disabled:
        warn_once(name, f"codesave saves code and outputs; {name}() does nothing")


def told_of(kind: Any, error: Any, trace: Any, recorder: Recorder | None) -> str:
    """Give the traceback; its name alone where outputs are not to be kept."""
    if recorder is not None and recorder.switch.now(True)[0] != "all":
        return f"{kind.__name__} (sources only: its message is not kept)"
    import traceback

    return "".join(traceback.format_exception(kind, error, trace))


def begin_automatic(recorder: Recorder) -> Run:
    """Begin the run that nobody asked for."""
    run = Run(recorder, explicit=False)
    recorder.run = run
    run.begin()
    return run
