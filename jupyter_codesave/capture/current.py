"""What users call without holding a run: init(), finish(), save() … on the current one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .config import Config, Settings
from .recorder import Recorder, current, make_current
from .run import DISABLED, Run, begin_automatic, does_nothing
from .warning import warn, warn_unknown

if TYPE_CHECKING:
    from .code import Artifact

_unrecorded: Run | None = None  # what init() gave last, when nothing of it is kept
_RANKS = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")


def init(
    project: str | None = None,
    name: str | None = None,
    config: Any = None,
    notes: str | None = None,
    tags: Iterable[str] | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
    mode: str | None = None,
    save_code: bool | None = None,
    **unknown: Any,
) -> Run:
    """Begin a run; the one that was running ends. In a notebook the calling cell belongs to it.

    `mode="disabled"` (or WANDB_MODE) keeps nothing and says nothing, as in W&B; its other modes
    make no difference.
    `save_code` is the setting of that name.
    W&B's other arguments are accepted and warned of once. Raises SettingsError for a bad setting,
    TypeError for an argument of another type.
    """
    disabled = "disabled" in (mode, mode is None and os.environ.get("WANDB_MODE"))
    if not disabled:
        warn_unknown("init", list(unknown))
    for argument, value in (("project", project), ("name", name), ("notes", notes)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"init(): {argument} must be a string, not {type(value).__name__}")
    tags = [tags] if isinstance(tags, str) else list(tags or ())
    if wrong := [tag for tag in tags if not isinstance(tag, str)]:
        raise TypeError(f"init(): tags must be strings, not {type(wrong[0]).__name__}")
    given = {"project": project, "name": name, "config": config, "notes": notes, "tags": tags}
    if (rank := worker()) is not None:
        return _not_recorded(DISABLED if disabled else rank, given)
    said = settings if isinstance(settings, Settings) else Settings(**settings or {})
    if save_code is not None:
        said = Settings(**said.values | {"save_code": save_code})
    if disabled:
        said = Settings(**said.values | {"capture": "off"})
    recorder = _recorder()
    before = recorder.switch.explicit
    recorder.switch.explicit = dict(said.values)
    recorder.switch.look(recorder.notebook())
    if recorder.switch.error:
        from ..errors import SettingsError

        error = SettingsError(recorder.switch.error)
        recorder.switch.explicit = before
        recorder.switch.look(recorder.notebook())
        raise error
    what, decided_by = recorder.switch.now(True)
    if what == "off":
        if recorder.run is not None:
            recorder.run._close({"ended_by": "finish", "exit_code": 0})
        recorder.reconsider()
        if recorder.switch.complaint and not disabled:
            warn(f"codesave records nothing: {recorder.switch.complaint}")
        return _not_recorded(DISABLED if disabled else f"off, decided by {decided_by}", given)
    if not recorder.ready():
        failure = _no_journal(recorder)
        warn(f"codesave records nothing: {failure}")
        return _not_recorded(failure, given)
    recorder.publish()
    recorder.settle_idle()
    previous, (key, fresh) = recorder.run, recorder.adopt_calling()
    run = Run(recorder, explicit=True, **given)
    global _unrecorded
    recorder.run, _unrecorded = run, None
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


def _no_journal(recorder: Recorder) -> str:
    return recorder.session.journal.failure or "there is no journal"


def _not_recorded(reason: str, given: dict[str, Any]) -> Run:
    """Give a run of which nothing is kept: the program goes on as with any other."""
    global _unrecorded
    _unrecorded = Run(None, explicit=True, reason=reason, **given)
    return _unrecorded


def finish(exit_code: int | None = 0, quiet: Any = None) -> None:
    """End the current run, if there is one."""
    if (run := current_run()) is not None:
        run.finish(exit_code)


def current_run() -> Run | None:
    """Give the current run, automatic ones included; None when there is none."""
    recorder = current()
    if recorder is not None and recorder.run is not None:
        found: Run = recorder.run
        return found
    return None if _unrecorded is None or _unrecorded.over else _unrecorded


def needed_run() -> Run:
    """Give the current run, or begin an automatic one: save() needs no init()."""
    if (rank := worker()) is not None:
        return _kept_nowhere(rank)
    recorder = _recorder()
    if recorder.run is not None:
        found: Run = recorder.run
        return found
    recorder.switch.look(recorder.notebook())
    what, decided_by = recorder.switch.now(True)
    if recorder.switch.error or what == "off":
        return _kept_nowhere(recorder.switch.error or f"off, decided by {decided_by}")
    if not recorder.ready():
        return _kept_nowhere(_no_journal(recorder))
    run = begin_automatic(recorder)
    recorder.began(run)
    return run


def _kept_nowhere(reason: str) -> Run:
    run = current_run()
    return run if run is not None and run.disabled else Run(None, explicit=False, reason=reason)


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
    does_nothing("log", current_run())


def login(*_: Any, **__: Any) -> bool:
    """Do nothing, and say that it is done: there is no account."""
    return True


def watch(*_: Any, **__: Any) -> None:
    """Do nothing: this package saves code. Warns once."""
    does_nothing("watch", current_run())


def save(
    glob_str: str | bytes | os.PathLike[str],
    base_path: str | os.PathLike[str] | None = None,
    policy: str = "live",
    glob: bool = True,
    **options: Any,
) -> list[str]:
    """Save files with the current run; one begins by itself if there is none. See Run.save."""
    return needed_run().save(glob_str, base_path, policy, glob, **options)


def log_code(
    root: str | os.PathLike[str] = ".",
    name: str | None = None,
    include_fn: Callable[..., bool] | None = None,
    exclude_fn: Callable[..., bool] | None = None,
    dry_run: bool = False,
) -> Artifact | None:
    """Save all source below `root` with the current run. See Run.log_code."""
    return needed_run().log_code(root, name, include_fn, exclude_fn, dry_run)


def _recorder() -> Recorder:
    from .extension import loaded

    recorder = loaded()
    if recorder is None:
        from .script import connect

        recorder = connect()
        make_current(recorder)
    return recorder


def current_config() -> Config:
    """Give the current run's config; one that nobody keeps when there is no run."""
    found = current_run()
    return found.config if found is not None else Config({}, lambda: None)
