"""The notebook file that a program executes: `jupyter execute`, nbconvert and papermill name none.

Their command line does, and what its cells' tags say comes from the file: no tag is sent along.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..model.skip import SKIP_TAG, is_skipped

_PROGRAMS = ("jupyter-execute", "jupyter-nbconvert", "papermill")
_MARKS = (SKIP_TAG.encode(), b'"codesave"')


def executed_notebook() -> str | None:
    """Give the notebook that the process which started this one executes, None if none is known.

    Of papermill's two it is the first: the one that people write.
    """
    try:
        words, folder = _parent()
    except Exception:  # it has ended, it is another user's, or there is no way to ask
        return None
    programs = [name for name in map(os.path.basename, words[:4]) if name.startswith(_PROGRAMS)]
    named = [os.path.join(folder, word) for word in words if word.endswith(".ipynb")]
    there = [os.path.abspath(path) for path in named if os.path.isfile(path)]
    if not programs or not there:
        return None
    return there[0] if len(there) == 1 or programs[0].startswith("papermill") else None


def _parent() -> tuple[list[str], str]:
    """Give the parent's command line and working directory."""
    pid = os.getppid()
    if os.path.isdir("/proc/self"):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
        return [os.fsdecode(word) for word in words], os.readlink(f"/proc/{pid}/cwd")
    import psutil

    parent = psutil.Process(pid)
    return parent.cmdline(), parent.cwd()


def tagged_sources(notebook: str) -> frozenset[str]:
    """Give the sources of those cells of a file that say that they are not to be recorded."""
    try:
        data = Path(notebook).read_bytes()
        if not any(mark in data for mark in _MARKS):
            return frozenset()
        cells = json.loads(data)["cells"]
        return frozenset(
            "".join(cell["source"]) for cell in cells if is_skipped("", cell.get("metadata") or {})
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return frozenset()
