"""Where a notebook or program belongs: its project, its root, its file."""

from __future__ import annotations

import os
import sys

from .session import working_folder


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
