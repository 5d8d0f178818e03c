"""`status`, `on`, `off`, `setup`."""

from __future__ import annotations

import argparse
import contextlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..control import changed_control
from ..errors import CodeSaveError, UnavailableError, UsageError
from ..journal.events import SUFFIX
from ..settings import data_dir, decision, resolve
from .output import add_json, bytes_text, number, opened, print_facts, print_json

STARTUP = "50-jupyter_codesave.py"


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    command = commands.add_parser("status", help="what is recorded, why, and where it lies")
    add_json(command)
    command.set_defaults(command=status)

    command = commands.add_parser("on", help="record again after `off`")
    command.set_defaults(command=on)

    command = commands.add_parser("off", help="record nothing, in running kernels too")
    command.set_defaults(command=off)

    command = commands.add_parser(
        "setup",
        help="load jupyter_codesave where that does not happen by itself",
        description="Writes the startup file into your IPython profile: for `pip install --user`, "
        "`--target` or environments that see the system's packages. With --kernel, says how to "
        "record in that kernel itself.",
    )
    command.add_argument("--kernel", metavar="NAME", help="the kernel that should record itself")
    command.add_argument("--undo", action="store_true", help="remove the startup file")
    command.set_defaults(command=setup)


def status(arguments: argparse.Namespace) -> None:
    """Show the recording state, and each setting with its source."""
    settings = resolve()
    capture, automatic = settings["capture"], settings["automatic"]
    with opened() as ingest:
        for path in ingest.journals.glob("*" + SUFFIX):  # a server may have them all in already
            with contextlib.suppress(CodeSaveError):
                ingest.step(path)
        found = {
            "capture": capture.value,
            "automatic": automatic.value,
            "decided_by": decision(settings)[1],
            "dir": str(data_dir()),
            "size": ingest.store.size(),
            "budget": ingest.store.budget(),
            "retention_days": settings["retention_days"].value,
            "shared": ingest.store.is_team,
            "notes": ingest.store.explain(),
            "waiting": len(ingest.waiting()),
            "recording": ingest.sessions(),
            "settings": {
                name: {"value": setting.value, "source": setting.source, "locked": setting.locked}
                for name, setting in settings.items()
            },
        }
    if arguments.json:
        print_json(found)
        return
    print_facts(
        [
            ("capture", f"{capture.value} ({capture.source})"),
            ("automatic", f"{'on' if automatic.value else 'off'} ({automatic.source})"),
            ("folder", found["dir"]),
            ("size", _size(found["size"], found["budget"])),
            ("retention", _retention(found["retention_days"])),
            ("waiting", number(found["waiting"], "journals")),
        ]
    )
    for note in found["notes"]:
        print(f"  note: {note}")
    for session in found["recording"]:
        by = "recorded in the kernel"
        if session["by"] == "server":
            by = "observed by the server"
            if session["kernel"]:
                by += f"; `jupyter codesave setup --kernel {session['kernel']}` tells how to "
                by += "record in the kernel itself"
        why = "" if session["state"] == "recording" else f": {session['reason']}"
        print(f"  {session['state']}: {session['notebook'] or session['session']} ({by}){why}")
    zero = {
        "budget": "no limit" if found["shared"] else "a tenth of the disk, at most 10 GB",
        "retention_days": _retention(0),
    }
    for name, setting in found["settings"].items():
        locked = ", locked" if setting["locked"] else ""
        meaning = f": {zero[name]}" if name in zero and not setting["value"] else ""
        print(f"  {name} = {json.dumps(setting['value'])}{meaning}  ({setting['source']}{locked})")


def _size(size: int, budget: int | None) -> str:
    if budget is None:
        return f"{bytes_text(size)}, no limit"
    return f"{bytes_text(size)} of {bytes_text(budget)}, then the oldest outputs go"


def _retention(days: int) -> str:
    return f"outputs go after {days} days, sources stay" if days else "nothing goes by age"


def on(_: argparse.Namespace) -> None:
    """Undo `off`; another level may still say off, and is named."""
    _switch(None)
    settings = resolve()
    for name in ("capture", "automatic"):
        if settings[name].value in ("off", False):
            print(f"still off: {settings[name].source} says {name} = {settings[name].value}")
            return
    print("recording is on")


def off(_: argparse.Namespace) -> None:
    """Record nothing from now on, in running kernels too."""
    _switch("off")
    print("recording is off; `jupyter codesave on` undoes it")


def _switch(capture: str | None) -> None:
    folder = data_dir()
    try:
        with changed_control(folder) as control:
            user = {**(control.get("user") or {}), "capture": capture}
            control["user"] = {key: value for key, value in user.items() if value is not None}
    except OSError as error:
        way_out = "; `CODESAVE=off` in the environment is off without it" if capture else ""
        raise UnavailableError(
            f"{folder} cannot be written ({error.strerror}), and the switch stands there: make it "
            f"writable for you{way_out}"
        ) from error


def setup(arguments: argparse.Namespace) -> None:
    """Write or remove the startup file in the user's IPython profile."""
    if arguments.kernel:
        _setup_kernel(arguments.kernel)
        return
    from IPython.paths import get_ipython_dir

    target = Path(get_ipython_dir()) / "profile_default" / "startup" / STARTUP
    if arguments.undo:
        try:
            target.unlink()
        except FileNotFoundError:
            print(f"there is no {target}: nothing to remove")
        else:
            print(f"{target} removed")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(files("jupyter_codesave").joinpath("etc").joinpath(STARTUP).read_bytes())
    print(
        f"{target} written; new kernels and terminals record from now on; "
        "`jupyter codesave setup --undo` removes it"
    )


def _setup_kernel(name: str) -> None:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel:
        raise UsageError(
            f"there is no kernel {name!r}; `jupyter kernelspec list` names them"
        ) from None
    if "ipykernel" not in " ".join(spec.argv):
        print(f"{name} is no IPython kernel: the server observes it, nothing has to be set up")
        return
    print(f"{spec.argv[0]} -m pip install jupyter_codesave")
