"""The notebook file that a program executes: `jupyter execute`, nbconvert and papermill name none.

Their command line does.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROGRAMS = ("jupyter-execute", "jupyter-nbconvert", "papermill")


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
