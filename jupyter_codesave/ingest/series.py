"""What a notebook's or program's series is named after: its project, and its path in there."""

from __future__ import annotations

import os
from pathlib import Path

from ..control import read_control
from ..disk import checkout_of


def project_of(path: str | None) -> str:
    """Name the project: the git repository's folder, else the folder."""
    if path is None:
        return "default"
    folder = os.path.dirname(path)
    return os.path.basename(checkout_of(folder) or folder) or "default"


def series_path(folder: Path, path: str) -> str:
    """Give a notebook's or program's path relative to its git root or a server's root."""
    if not os.path.isabs(path):
        return path
    for root in (checkout_of(os.path.dirname(path)), *_server_roots(folder)):
        if root and not (relative := os.path.relpath(path, root)).startswith(os.pardir):
            return relative.replace(os.sep, "/")
    return os.path.basename(path)


def _server_roots(folder: Path) -> list[str]:
    """Give the root folders of the servers that used this data folder, the deepest first."""
    roots = read_control(folder).get("roots")
    known = roots if isinstance(roots, list) else []
    return sorted((root for root in known if isinstance(root, str)), key=len, reverse=True)
