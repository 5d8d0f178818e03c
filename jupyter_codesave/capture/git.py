"""The git state of a run: commit, branch, remote, and a patch that gives the tree back.

`git apply --binary diff.patch` on a clean checkout of the commit gives the tree as it was: tracked
changes, binary ones too, and untracked files that are not ignored.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from .session import without_password

PATCH_LIMIT = 10 << 20
_TIMEOUT = 60.0  # s
_LARGE = 2 << 20  # bytes of one untracked file that is not taken into the patch


def record(run: Any) -> None:
    """Tell the journal where the run's code stands in git; nothing outside of a repository."""
    recorder = run.recorder
    where = run.notebook or run.program
    folder = os.path.dirname(where) if where else recorder.cwd if recorder else None
    if recorder is None or not folder or not _has_repository(folder):
        return
    limit = recorder.switch.value("max_patch_size") or PATCH_LIMIT
    what, _ = recorder.switch.now(run.explicit)
    patches = what != "off" and recorder.switch.value("save_code") is not False
    data = Path(os.path.realpath(recorder.switch.folder))
    state, patch = look(Path(folder), limit if patches else 0, data)
    if state is None:
        return
    if patch:
        state["patch"] = recorder.spool.put(patch)
        state["patch_size"] = len(patch)
    recorder.event("git", run=run.id, **state)


def look(
    folder: Path, limit: int = PATCH_LIMIT, without: Path | None = None
) -> tuple[dict[str, Any] | None, bytes]:
    """Give the fields of the `git` event and the patch; (None, b"") where git knows nothing.

    What lies below `without`, the data folder, is never in the patch.
    """
    try:
        root = Path(os.fsdecode(_git(folder, "rev-parse", "--show-toplevel").strip()))
    except (OSError, subprocess.SubprocessError):
        return None, b""
    state: dict[str, Any] = {
        "root": str(root),
        "commit": _word(root, "rev-parse", "--verify", "-q", "HEAD"),
        "branch": _word(root, "symbolic-ref", "--short", "-q", "HEAD"),
        "remote": _remote(root),
        "dirty": False,
        "patch": None,
        "note": None,
    }
    if submodules := _submodules(root):
        state["submodules"] = submodules
    try:
        changes = _git(root, "status", "--porcelain=v2", "-z").split(b"\0")
        state["dirty"] = any(changes)
        if not state["dirty"] or limit <= 0:
            return state, b""
        patch, notes = _patch(root, state["commit"], limit, without)
        notes += [
            f"{os.fsdecode(words[8])} is a submodule with changes of its own: not in the patch"
            for words in (line.split(b" ", 8) for line in changes)
            if len(words) == 9 and words[2][:1] == b"S" and words[2][2:] != b".."
        ]
    except (OSError, subprocess.SubprocessError) as error:
        state["note"] = f"git could not tell the changes: {error}"
        return state, b""
    if len(patch) > limit:
        notes.append(
            f"the patch of {len(patch):,} bytes is over the limit of {limit:,} and was not kept: "
            "raise max_patch_size, or commit"
        )
        patch = b""
    state["note"] = "; ".join(notes) or None
    return state, patch


def _patch(
    root: Path, commit: str | None, limit: int, without: Path | None
) -> tuple[bytes, list[str]]:
    """Make the patch from the commit to the working tree, with an index of our own."""
    notes = []
    with tempfile.TemporaryDirectory(prefix="codesave-") as scratch:
        index = Path(scratch, "index")
        own = Path(os.fsdecode(_git(root, "rev-parse", "--git-path", "index").strip()))
        own = own if own.is_absolute() else root / own
        with suppress(OSError):
            # With its time: what was changed in the same tick as the index is told by it.
            shutil.copy2(own, index)
        environment = {"GIT_INDEX_FILE": str(index)}
        names = [
            n for n in _git(root, "ls-files", "-o", "--exclude-standard", "-z").split(b"\0") if n
        ]
        added = []
        for name in names:
            path = os.path.join(os.fsencode(root), name)
            if without is not None and path.startswith(os.fsencode(without) + b"/"):
                continue
            with suppress(OSError):
                if os.lstat(path).st_size > min(_LARGE, limit):
                    notes.append(f"{os.fsdecode(name)} is large and untracked: not in the patch")
                elif name.endswith(b"/"):
                    notes.append(
                        f"{os.fsdecode(name)} is a repository of its own: not in the patch"
                    )
                elif name:
                    added.append(name)
        if added:
            listed = b"\0".join(added)
            _git(
                root,
                *("update-index", "--add", "-z", "--stdin"),
                environment={**environment, **_scratch_objects(root, scratch)},
                given=listed,
            )
        base = commit or _word(root, "hash-object", "-t", "tree", os.devnull) or ""  # no commit yet
        patch = _git(
            root,
            *("-c", "core.quotePath=true", "diff", "--binary", "--full-index", "--no-color"),
            *("--no-ext-diff", "--no-textconv", "--no-renames", "--src-prefix=a/"),
            *("--dst-prefix=b/", "--ignore-submodules=dirty", base, "--"),
            environment={**environment, **_scratch_objects(root, scratch)},
        )
    return patch, notes


def _scratch_objects(root: Path, scratch: str) -> dict[str, str]:
    """Have git write objects of untracked files outside of the user's repository."""
    own = Path(os.fsdecode(_git(root, "rev-parse", "--git-path", "objects").strip()))
    own = own if own.is_absolute() else root / own
    objects = os.path.join(scratch, "objects")
    os.makedirs(objects, exist_ok=True)
    return {"GIT_OBJECT_DIRECTORY": objects, "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(own)}


def _remote(root: Path) -> str | None:
    name = _word(root, "config", "--get", "remote.pushDefault") or "origin"
    url = _word(root, "config", "--get", f"remote.{name}.url")
    return without_password(url) if url else None


def _submodules(root: Path) -> dict[str, str]:
    """Give the commit of each submodule that is checked out."""
    if not (root / ".gitmodules").exists():
        return {}
    with suppress(OSError, subprocess.SubprocessError):
        lines = os.fsdecode(_git(root, "submodule", "status", "--recursive")).splitlines()
        return {line[1:].split()[1]: line[1:].split()[0] for line in lines if line.strip()}
    return {}


def _word(root: Path, *arguments: str) -> str | None:
    try:
        return os.fsdecode(_git(root, *arguments)).strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def _git(
    folder: Path,
    *arguments: str,
    environment: dict[str, str] | None = None,
    given: bytes | None = None,
) -> bytes:
    """Run git quietly; it neither asks, nor locks, nor runs the repository's own helpers."""
    return subprocess.run(
        ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments],
        cwd=folder,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
            **(environment or {}),
        },
        **({"stdin": subprocess.DEVNULL} if given is None else {"input": given}),  # type: ignore
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_TIMEOUT,
        check=True,
    ).stdout


def _has_repository(folder: str) -> bool:
    """Tell without starting git whether one may be there."""
    while True:
        if os.path.exists(os.path.join(folder, ".git")):
            return True
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above
