"""Where a git checkout begins, told without starting git."""

from __future__ import annotations

import os


def checkout_of(folder: str, top: str | None = None) -> str | None:
    """Give the folder, this or one above it up to `top`, that is a checkout's root; else None."""
    while not os.path.exists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder or folder == top:
            return None
        folder = above
    return folder
