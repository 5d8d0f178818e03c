"""Where a notebook or program belongs: its project, its root, its file."""

from __future__ import annotations

import os
import sys
from functools import cache

from ..disk import checkout_of
from .session import working_folder

LARGEST = 16 << 20  # bytes of a program or module that is kept


def project_of(path: str | None) -> str:
    """Name the project of a notebook or program: its git repository's folder, else its folder."""
    folder = os.path.dirname(os.path.abspath(path)) if path else working_folder() or "/"
    return os.path.basename(project_root(folder)) or "default"


def project_root(folder: str) -> str:
    """Give the root of the git repository that `folder` lies in, else `folder` itself."""
    return checkout_of(folder, os.path.expanduser("~")) or folder


def program_path() -> str | None:
    """Give the absolute path of the program that this process runs; None if it has no file.

    Of `python -m cProfile train.py`, and of all that the standard library runs, it is train.py.
    """
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if not isinstance(file, str) or not os.path.isfile(file):
        return None
    library = os.path.dirname(os.__file__) + os.sep
    path = os.path.abspath(file)
    if path.startswith(library) and "-packages" not in path and os.path.isfile(sys.argv[0]):
        path = os.path.abspath(sys.argv[0])
    return path


def why_no_program() -> str:
    """Say why the program cannot be kept, where `program_path` has none."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if isinstance(file, str):
        return f"it runs from {file}, which is no file of its own"
    return "it has no file: it was given with -c, or on the standard input"


@cache
def program_bytes(path: str) -> bytes:
    """Give the program as it was when it was first asked for: who edits it edits a later run's."""
    try:
        with open(path, "rb") as file:
            return file.read(LARGEST)
    except OSError:
        return b""
