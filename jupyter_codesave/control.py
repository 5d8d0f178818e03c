"""control.json: what the server and the command line tell kernels, and each other.

`user` holds the user's settings, `notebooks` maps absolute notebook paths to what their metadata
says (`{"capture": "off"}`), `roots` names the roots of servers, the latest first, `renames` what
notebooks are called now, and `purged` runs that are gone while their kernels may go on.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .disk import sync_folder

CONTROL_FILE = "control.json"
_RENAMES = _PURGED = 200
# Of any other error it may be that there is a file, and that it says off.
NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_PATIENCE = 2.0  # s that a change waits for another one


def read_control(folder: Path) -> dict[str, Any]:
    """Read control.json; {} when there is none. A damaged one may have said off: it does.

    One that cannot be read may say so, too: `unread` is all that there is then, and says why.
    """
    try:
        return _read(folder)
    except OSError as error:
        return {"unread": why_unread(folder / CONTROL_FILE, error)}


def _read(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / CONTROL_FILE).read_bytes())
    except NO_FILE:
        return {}
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"user": {"capture": "off"}}


def why_unread(file: str | os.PathLike[str], error: OSError) -> str:
    """Name what decides that nothing is recorded when `file` is there and cannot be read."""
    return f"{os.fspath(file)}, which may say off until it can be read ({error.strerror or error})"


@contextmanager
def changed_control(folder: Path) -> Iterator[dict[str, Any]]:
    """Give control.json to be changed, and replace it in one step; keys that are empty go.

    Nobody else changes it meanwhile. OSError when it cannot be read or written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        control = _read(folder)  # what cannot be read now must not be written over
        yield control
        kept = {key: value for key, value in control.items() if value}
        draft = folder / f"{CONTROL_FILE}.{os.getpid()}.{os.urandom(4).hex()}"
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(json.dumps(kept, indent=1, sort_keys=True))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(folder / CONTROL_FILE)
            sync_folder(folder)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock the folder itself; where there are no locks, or one is never given back, go without."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                break
        yield
    finally:
        with suppress(OSError):
            os.close(handle)


def note_rename(folder: Path, old: str, new: str) -> None:
    """Note that a notebook (absolute path) has a new name; sessions keep the old one."""
    with changed_control(folder) as control:
        renames = [*(control.get("renames") or []), {"old": old, "new": new, "at": time.time()}]
        control["renames"] = renames[-_RENAMES:]


def note_purged(folder: Path, runs: Iterable[str]) -> None:
    """Note that runs are purged: whoever is still recording one begins another session."""
    with changed_control(folder) as control:
        control["purged"] = [*(control.get("purged") or []), *sorted(runs)][-_PURGED:]


def purged(control: Mapping[str, Any]) -> frozenset[str]:
    """Give the runs that are purged while they may still be recorded."""
    return frozenset(map(str, control.get("purged") or ()))


def renamed(control: Mapping[str, Any], path: str, since: float) -> str:
    """Give what `path` is called now, if it was renamed after `since` (seconds of the epoch)."""
    for rename in control.get("renames") or []:
        if isinstance(rename, dict) and rename.get("at", 0) >= since and "new" in rename:
            old = str(rename.get("old"))
            if path == old:
                path = str(rename["new"])
            elif path.startswith(old + os.sep):  # a folder above it
                path = str(rename["new"]) + path[len(old) :]
    return path
