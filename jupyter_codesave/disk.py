"""What several layers ask of the disk: names that outlast a power cut, where a checkout begins."""

from __future__ import annotations

import os


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Have the disk keep the names in a folder; Windows does that by itself. OSError if not."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def checkout_of(folder: str, top: str | None = None) -> str | None:
    """Give the folder, this or one above it up to `top`, that is a checkout's root; else None.

    Git is not started for it.
    """
    while not os.path.exists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder or folder == top:
            return None
        folder = above
    return folder
