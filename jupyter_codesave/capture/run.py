"""The current run: init(), finish(), and the object that users hold."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.run import new_id
from .recorder import Recorder, current, make_current
from .session import mask, working_folder

if TYPE_CHECKING:
    from .code import Artifact

_SETTINGS = ("code_dir", "save_code", "capture", "project", "durability", "input_answers")
_RANKS = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")
_warned: set[str] = set()


class Settings:
    """What one run does otherwise: `code_dir`, `save_code`, `capture` (all, sources, off), …"""

    def __init__(self, **settings: Any) -> None:
        self.values = {
            name: str(value) if name == "code_dir" else value
            for name, value in settings.items()
            if name in _SETTINGS and value is not None
        }
        _warn_unknown("Settings", [name for name in settings if name not in _SETTINGS])

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.values.items())
        return f"Settings({inside})"


class Config(dict[str, Any]):
    """A run's config: a dict, by attribute too; each change goes to the journal."""

    def __init__(self, values: Mapping[str, Any], changed: Callable[[], None]) -> None:
        super().__init__(values)
        object.__setattr__(self, "_changed", changed)

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._changed()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._changed()

    def update(self, *values: Any, **more: Any) -> None:
        """Take over a mapping, a Namespace or keywords; `allow_val_change` is W&B's, ignored."""
        more.pop("allow_val_change", None)
        for given in values:
            super().update(_mapping(given))
        super().update(more)
        self._changed()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the config has no {name!r}; it has {sorted(self)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class Run:
    """One tracked period of this session.

    `state` is running, finished or crashed, or off: nothing is recorded, and `reason` says why.
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
        self.reason = reason
        self.state = "off" if reason else "running"
        self.notebook = recorder.notebook() if recorder else None
        self.program = program_path() if recorder and recorder.kind == "script" else None
        self.project = project or self._default_project()
        where = self.notebook or self.program
        self.name = name or (Path(where).name if where else recorder.kind if recorder else "run")
        self.notes = notes
        self.tags = [tags] if isinstance(tags, str) else list(tags or ())
        self.config = Config(_mapping(config), self._config_changed)
        self.keys: list[str] = []  # its executions
        self.saver: Any = None
        self.modules: Any = None
        self._error: str | None = None
        self._ending: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"<run {self.id}: {self.name} in {self.project}, {self.state}>"

    @property
    def dir(self) -> str:
        """The run's folder; `files/` in it holds links to what was saved."""
        from ..settings import data_dir

        folder = self._recorder.switch.folder if self._recorder else data_dir()
        return str(folder / "runs" / self.id)

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
        if self.state != "running":
            return
        code = int(exit_code or 0)
        self._close({"ended_by": "error" if code else "finish", "exit_code": code})

    def log(self, *_: Any, **__: Any) -> None:
        """Do nothing: this package saves code. Warns once."""
        log()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None:
            import traceback

            self._error = "".join(traceback.format_exception(kind, error, trace))
        self.finish(0 if kind is None else 1)

    # -- within the package ---------------------------------------------------------------------

    @property
    def recorder(self) -> Recorder | None:
        """Where it is recorded; None for a run that is off."""
        return self._recorder if self.state != "off" else None

    def begin(self, adopts: str | None = None) -> None:
        """Tell the journal, and have git, packages and modules looked at."""
        recorder = self._recorder
        assert recorder is not None
        recorder.event(
            "run",
            run=self.id,
            project=self.project,
            name=self.name,
            config=dict(self.config),
            notes=self.notes,
            tags=self.tags,
            explicit=self.explicit,
            notebook=self.notebook,
            program=self.program,
            cwd=working_folder(),
            argv=mask(sys.argv),
            capture=recorder.switch.capture,
            adopts=adopts,
        )
        if adopts:
            self.keys.append(adopts)
        recorder.guarded(self._look_around)

    def _look_around(self) -> None:
        from .code import Modules
        from .environment import record as record_environment
        from .git import record as record_git

        recorder = self._recorder
        assert recorder is not None
        recorder.background.submit(f"environment {self.id}", lambda: record_environment(self))
        recorder.background.submit(f"git {self.id}", lambda: record_git(self))
        if recorder.switch.value("save_code") is not False:
            self.modules = Modules(self)
            self.modules.look()
        if code_dir := recorder.switch.value("code_dir"):
            recorder.background.submit(f"code {self.id}", lambda: self._log_code_dir(code_dir))

    def _log_code_dir(self, folder: str) -> None:
        from .code import log_code

        log_code(self, folder, None, None, None, False)

    def _close(
        self,
        end: dict[str, Any],
        *,
        soon: bool = False,
        dropped: bool = False,
        wait: bool = True,
    ) -> None:
        """End once: what is saved is settled first, then the journal is told."""
        recorder = self._recorder
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
            recorder.event("run-update", run=self.id, config=dict(self.config))

    def _default_project(self) -> str:
        recorder = self._recorder
        configured = recorder.switch.value("project") if recorder else None
        return str(configured) if configured else project_of(self.notebook or self.program)


def project_of(path: str | None) -> str:
    """Name the project of a notebook or program: its git repository's folder, else its folder."""
    folder = os.path.dirname(os.path.abspath(path)) if path else working_folder() or "/"
    return os.path.basename(project_root(folder)) or "default"


def project_root(folder: str) -> str:
    """Give the root of the git repository that `folder` lies in, else `folder` itself."""
    home = os.path.expanduser("~")
    above = folder
    while True:
        if os.path.exists(os.path.join(above, ".git")):
            return above
        parent = os.path.dirname(above)
        if parent == above or above == home:
            return folder
        above = parent


def program_path() -> str | None:
    """Give the absolute path of the program that this process runs; None if it has no file."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    return os.path.abspath(file) if isinstance(file, str) and os.path.isfile(file) else None


def begin_automatic(recorder: Recorder) -> Run:
    """Begin the run that nobody asked for."""
    run = Run(recorder, explicit=False)
    recorder.run = run
    run.begin()
    return run


def init(
    project: str | None = None,
    name: str | None = None,
    config: Any = None,
    notes: str | None = None,
    tags: Iterable[str] | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
    **unknown: Any,
) -> Run:
    """Begin a run; the one that was running ends. In a notebook the calling cell belongs to it.

    W&B's other arguments are accepted and warned of once. Raises SettingsError for a bad setting.
    """
    _warn_unknown("init", list(unknown))
    given = {"project": project, "name": name, "config": config, "notes": notes, "tags": tags}
    if (rank := worker()) is not None:
        return Run(None, explicit=True, reason=rank, **given)
    recorder = _recorder()
    said = Settings(**settings) if isinstance(settings, Mapping) else settings
    recorder.switch.explicit = dict(said.values) if said is not None else {}
    recorder.switch.look(recorder.notebook())
    if recorder.switch.error:
        from ..errors import SettingsError

        raise SettingsError(recorder.switch.error)
    what, decided_by = recorder.switch.now(True)
    if what == "off":
        return Run(None, explicit=True, reason=f"off, decided by {decided_by}", **given)
    if not recorder.ready():
        failure = recorder.session.journal.failure or "there is no journal"
        warnings.warn(f"codesave records nothing: {failure}", stacklevel=2)
        return Run(None, explicit=True, reason=failure, **given)
    recorder.settle_idle()
    previous, (key, fresh) = recorder.run, recorder.adopt_calling()
    run = Run(recorder, explicit=True, **given)
    recorder.run = run
    run.begin(adopts=None if fresh else key)
    if key is not None and fresh:
        recorder.opened(key, **fresh)
        recorder.reconsider()
    if previous is not None:
        if key in previous.keys:
            previous.keys.remove(key)
        dropped = not previous.explicit and not previous.keys and previous.saver is None
        end = {"ended_by": "finish", "exit_code": 0}
        previous._close(end, dropped=dropped, wait=dropped)
    recorder.began(run)
    return run


def finish(exit_code: int | None = 0, quiet: Any = None) -> None:
    """End the current run, if there is one."""
    if (run := current_run()) is not None:
        run.finish(exit_code)


def current_run() -> Run | None:
    """Give the current run, automatic ones included; None when there is none."""
    recorder = current()
    return recorder.run if recorder is not None else None


def needed_run() -> Run:
    """Give the current run, or begin an automatic one: save() needs no init()."""
    if (rank := worker()) is not None:
        return Run(None, explicit=False, reason=rank)
    recorder = _recorder()
    if recorder.run is not None:
        found: Run = recorder.run
        return found
    recorder.switch.look(recorder.notebook())
    what, decided_by = recorder.switch.now(True)
    if recorder.switch.error or what == "off":
        reason = recorder.switch.error or f"off, decided by {decided_by}"
        return Run(None, explicit=False, reason=reason)
    if not recorder.ready():
        return Run(None, explicit=False, reason=recorder.session.journal.failure)
    return begin_automatic(recorder)


def worker() -> str | None:
    """Say why this process makes no run: it works for one that does; None when it may."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        return "this process was made by multiprocessing; its parent has the run"
    for name in _RANKS:
        rank = os.environ.get(name, "0")
        if rank.isdigit() and int(rank) > 0:
            return f"{name} is {rank}; rank 0 has the run"
    return None


def log(*_: Any, **__: Any) -> None:
    """Do nothing: this package saves code. Warns once."""
    if "log" not in _warned:
        _warned.add("log")
        warnings.warn("codesave saves code and outputs; log() does nothing", stacklevel=2)


def _recorder() -> Recorder:
    from .extension import loaded

    recorder = loaded()
    if recorder is None:
        from .script import connect

        recorder = connect()
        make_current(recorder)
    return recorder


def _mapping(config: Any) -> dict[str, Any]:
    """Take a mapping, a Namespace or any object with attributes for a config."""
    if config is None:
        return {}
    if isinstance(config, Mapping):
        return {str(key): value for key, value in config.items()}
    return {str(key): value for key, value in vars(config).items() if not key.startswith("_")}


def _warn_unknown(where: str, names: list[str]) -> None:
    new = [name for name in names if f"{where} {name}" not in _warned]
    if new:
        _warned.update(f"{where} {name}" for name in new)
        listed = ", ".join(sorted(new))
        warnings.warn(f"codesave's {where} does not know {listed}: ignored", stacklevel=3)


def current_config() -> Config:
    """Give the current run's config; one that nobody keeps when there is no run."""
    found = current_run()
    return found.config if found is not None else Config({}, lambda: None)
