"""The git state of a run: commit, branch, remote, and a patch that gives the tree back."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..disk import checkout_of
from .masking import without_password
from .patch import changes
from .repository import Repository

PATCH_LIMIT = 10 << 20


def record(run: Any) -> None:
    """Tell the journal where the run's code stands in git; nothing outside of a repository."""
    recorder = run.recorder
    where = run.notebook or run.program
    folder = os.path.dirname(where) if where else recorder.cwd if recorder else None
    if recorder is None or not folder or checkout_of(folder) is None:
        return
    limit = recorder.switch.value("max_patch_size") or PATCH_LIMIT
    what, _ = recorder.switch.now(run.explicit)
    patches = what != "off" and recorder.switch.value("save_code") is not False
    data = Path(os.path.realpath(recorder.switch.folder))
    own = Path(run.notebook) if run.notebook else None
    state, patch = look(Path(folder), limit if patches else 0, data, own)
    if state is None:
        return
    if patch:
        state["patch"] = recorder.spool.put(patch)
        state["patch_size"] = len(patch)
    recorder.event("git", run=run.id, **state)


def look(
    folder: Path,
    limit: int = PATCH_LIMIT,
    without: Path | None = None,
    notebook: Path | None = None,
) -> tuple[dict[str, Any] | None, bytes]:
    """Give the fields of the `git` event and the patch; (None, b"") where git knows nothing.

    What lies below `without`, the data folder, is never in the patch, and neither is `notebook`:
    the artifact has the run's own as it is saved, without cells that are forgotten. Nothing of the
    repository is run, neither hooks nor filters: `note` names files that would go through one.
    """
    try:
        repository = Repository(folder)
    except (OSError, subprocess.SubprocessError):
        return None, b""
    state: dict[str, Any] = {
        "root": str(repository.root),
        "commit": repository.word("rev-parse", "--verify", "-q", "HEAD"),
        "branch": repository.word("symbolic-ref", "--short", "-q", "HEAD"),
        "remote": _remote(repository.config),
        "dirty": False,
        "patch": None,
        "note": None,
    }
    submodules = _submodules(repository)
    if submodules:
        state["submodules"] = submodules
    try:
        found = changes(repository, state["commit"], limit, submodules, without, notebook)
    except (OSError, subprocess.SubprocessError) as error:
        state["note"] = f"git could not tell the changes: {error}"
        return state, b""
    patch = found.within(limit)
    state["dirty"], state["note"] = found.dirty, found.note
    return state, patch


def _remote(config: dict[str, str]) -> str | None:
    name = config.get("remote.pushdefault") or "origin"
    url = config.get(f"remote.{name}.url")
    return without_password(url) if url else None


def _submodules(repository: Repository) -> dict[str, str]:
    """Give the commit of each submodule, also of those in submodules."""
    if not (repository.root / ".gitmodules").exists():
        return {}
    with suppress(OSError, subprocess.SubprocessError):
        lines = os.fsdecode(repository.git("submodule", "status", "--recursive")).splitlines()
        told = (re.fullmatch(r".([0-9a-f]+) (.*?)(?: \([^()]*\))?", line) for line in lines)
        return {found[2]: found[1] for found in told if found}
    return {}
