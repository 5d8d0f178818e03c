"""%codesave: one magic with sub-commands."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from typing import Any

from ..errors import UsageError
from .current import current_run, init, needed_run
from .extension import recorded_key
from .recorder import Recorder, current
from .summary import Summary
from .switch import MAGIC
from .usage import COMMANDS, HELP, POLICIES, WIDTH

_OF_CLI = ("runs", "diff")
_COLUMNS = 100  # of a table in a notebook


def codesave(shell: Any, line: str, cell: str | None = None) -> Any:
    """Do what `%codesave LINE` asks; what the user got wrong is raised as UsageError."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"%codesave {line}: {error}; quote names as a shell would") from None
    name, arguments = (words[0], words[1:]) if words else ("status", [])
    if cell is not None:
        if name != "skip":
            raise UsageError("%%codesave knows only `skip`; other commands are line magics")
        return _skip(shell, cell)
    if name == "help" or (not {"-h", "--help"}.isdisjoint(words) and name not in _OF_CLI):
        return print(HELP, end="")
    recorder = current()
    if recorder is None:
        raise UsageError("this session is not recorded: it is a forked or a worker process")
    commands = {
        "status": _status,
        "on": _on,
        "off": _off,
        "save": _save,
        "log_code": _log_code,
        "init": _init,
        "finish": _finish,
        "forget": _forget,
    }
    if name in _OF_CLI:
        return _subprocess(recorder, words)
    if name not in commands:
        raise UsageError(f"%codesave does not know {name!r}.\n\n{HELP}")
    return commands[name](recorder, arguments)


# -- the state ----------------------------------------------------------------------------------


def _status(recorder: Recorder, _: list[str]) -> None:
    state, reason = recorder.state()
    if state == "failed":
        print(f"Not recording: {reason}")
    elif state == "off":
        print(f"Not recording (off), {_why(reason)}; {_way(recorder, reason)} to record again.")
    else:
        print(f"Recording, {_why(reason)}; %codesave off to stop.")
    if state == "recording" and recorder.switch.capture == "sources":
        print("Sources only; outputs are not kept.")
    run = recorder.run
    if run is not None:
        kind = "run" if run.explicit else "automatic run"
        print(f"{kind} {run.id} ({run.name}, project {run.project}), {len(run.keys)} cells")
    print(f"Kept in {recorder.switch.folder}; %codesave? tells more.")


def _why(source: str) -> str:
    return "as by default" if source == "default" else f"decided by {source}"


def _way(recorder: Recorder, decided_by: str) -> str:
    if decided_by == MAGIC:
        return "%codesave on"
    if recorder.switch.unread:
        return "have it readable"
    if decided_by == "user settings" and recorder.switch.capture == "off":
        return "`jupyter codesave on`"
    return "change it there"


def _on(recorder: Recorder, _: list[str]) -> None:
    recorder.switch.by_magic = False
    recorder.switch.look(recorder.notebook())
    recorder.reconsider()
    state, reason = recorder.state()
    if state == "off":
        setting = "automatic" if recorder.switch.capture != "off" else "capture"
        print(f"Still off: {setting} is decided by {reason}; change it there.")
    else:
        _status(recorder, [])


def _off(recorder: Recorder, _: list[str]) -> None:
    recorder.switch.by_magic = True
    recorder.reconsider()
    print("Not recording from here on; %codesave on records again.")


# -- saving -------------------------------------------------------------------------------------


def _save(_: Recorder, arguments: list[str]) -> Any:
    options, names = _options(arguments, {"--base-path": str, "--policy": str})
    if not names:
        raise UsageError("%codesave save needs a file or glob: %codesave save results/*.csv")
    run = needed_run()
    rows = []
    for name in names:
        policy = options.get("--policy", "live")
        for link in run.save(name, options.get("--base-path"), policy):
            rows.append(_row(run, link))
    return Summary(f"{len(rows)} saved with run {run.id}", rows)


def _row(run: Any, link: str) -> tuple[str, int, str]:
    from ..model.digest import digest_stream

    path = os.path.relpath(link, os.path.join(run.dir, "files")).replace(os.sep, "/")
    try:
        if os.path.isdir(link):
            return path + "/", 0, "a folder"
        with open(link, "rb") as file:
            digest, size = digest_stream(file)
        return path, size, digest
    except OSError as error:
        return path, 0, error.strerror or "unreadable"


def _log_code(_: Recorder, arguments: list[str]) -> Any:
    options, names = _options(arguments, {"--name": str, "--dry-run": None})
    artifact = needed_run().log_code(
        names[0] if names else ".",
        name=options.get("--name"),
        dry_run="--dry-run" in options,
    )
    if artifact is None:
        return None
    rows = [(path, entry.size, entry.digest) for path, entry in sorted(artifact.files.items())]
    return Summary(repr(artifact)[1:-1], rows)


# -- runs ---------------------------------------------------------------------------------------


def _init(_: Recorder, arguments: list[str]) -> None:
    options, rest = _options(arguments, {"--project": str, "--name": str})
    if rest:
        raise UsageError(f"%codesave init does not know {rest[0]!r}: use --project and --name")
    run = init(project=options.get("--project"), name=options.get("--name"))
    print(f"run {run.id}" if run.state != "off" else f"No run: {run.reason}")


def _finish(_: Recorder, __: list[str]) -> None:
    run = current_run()
    if run is None:
        print("There is no run to finish.")
        return
    run.finish()
    print(f"run {run.id} finished")


def _forget(recorder: Recorder, arguments: list[str]) -> None:
    which = arguments[0] if arguments else "last"
    keys = recorder.keys_of(which)
    if not keys:
        raise UsageError(
            f"no recorded execution is known as {which!r}: give `last`, or the id of a cell that "
            "ran in this session"
        )
    for key in keys:
        recorder.forget(key)
    print(f"{len(keys)} execution{'s' if len(keys) > 1 else ''} will not be kept.")


def _subprocess(recorder: Recorder, words: list[str]) -> None:
    recorder.session.journal.sync()
    columns = shutil.get_terminal_size().columns if recorder.kind == "terminal" else _COLUMNS
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_codesave", *words],
        # The cells of this session may have changed what says where its folder is.
        env={**os.environ, "CODESAVE_DIR": str(recorder.switch.folder), WIDTH: str(columns)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)


# -- cells that are not recorded ----------------------------------------------------------------


def _skip(shell: Any, cell: str) -> None:
    """Reached within a cell that is recorded: elsewhere the line is taken away before."""
    recorder = current()
    if recorder is not None and (key := recorded_key(recorder)) is not None:
        recorder.forget(key)
    shell.run_cell(cell)


# -- completion ---------------------------------------------------------------------------------


def complete(shell: Any, event: Any) -> list[str]:
    """Complete sub-commands, their options and files."""
    words = event.line[: event.text_until_cursor.__len__()].split(" ")[1:]
    if len(words) <= 1:
        return list(COMMANDS)
    if words[-2] == "--policy":
        return list(POLICIES)
    offered = [word for word in COMMANDS.get(words[0], ()) if word not in words]
    if words[0] in ("save", "log_code") and not words[-1].startswith("-"):
        import glob

        offered += [
            path + os.sep if os.path.isdir(path) else path for path in glob.glob(words[-1] + "*")
        ]
    return offered


def _options(
    arguments: list[str], known: dict[str, type | None]
) -> tuple[dict[str, str], list[str]]:
    """Separate `--name value` and `--name=value` from the rest."""
    options: dict[str, str] = {}
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("--"):
            rest.append(word)
        elif name not in known:
            raise UsageError(f"there is no option {name}; there are {', '.join(known)}")
        elif known[name] is None:
            options[name] = ""
        elif equals:
            options[name] = value
        elif waiting:
            options[name] = waiting.pop(0)
        else:
            raise UsageError(f"{name} needs a value")
    return options, rest
