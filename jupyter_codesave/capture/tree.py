"""Walking a folder of source: without what is installed, generated or ignored."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from ..disk import checkout_of
from ..errors import UsageError
from ..model.manifest import check_path
from .files import Found
from .ignored import Checkout, Rules, is_ignored, rules_of

PRUNED = frozenset(
    {
        *(".git", ".hg", ".svn", ".ipynb_checkpoints", "__pycache__", "node_modules"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox", ".eggs", ".cache"),
        *(".hypothesis", ".idea", ".vscode", "__pypackages__", "bower_components"),
    }
)


def walk(root: str, without: str | None = None) -> Iterator[Found | tuple[str, str]]:
    """Yield the files below `root` in order; (path, reason) for what cannot be kept.

    Left out: virtual environments (by `pyvenv.cfg`), node_modules, caches, version control, and
    what git ignores: by .gitignore, those above `root` in the same repository included, by
    `info/exclude` and by `core.excludesFile`. What git tracks it does not ignore, and `root` is
    walked even if it does. Links to folders are not followed; `without`, the data folder, is left
    out.
    """
    if os.path.isdir(root):
        above = checkout_of(root)
        checkout = Checkout(above, root) if above is not None else None
        rules = checkout.rules if checkout is not None else []
        yield from _walk(root, "", checkout, rules, without)


def _walk(
    folder: str,
    prefix: str,
    checkout: Checkout | None,
    rules: list[Rules] | None,
    without: str | None,
) -> Iterator[Found | tuple[str, str]]:
    """Walk one folder; `rules` are None where all is ignored that git does not track."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        yield prefix.rstrip("/") or ".", error.strerror or "unreadable"
        return
    names = {entry.name for entry in entries}
    if prefix and "pyvenv.cfg" in names:
        return
    if prefix and ".git" in names:
        checkout = Checkout(folder, folder, checkout)
        rules = checkout.rules
    if rules is not None and ".gitignore" in names:
        rules = [*rules, *rules_of(folder, os.path.join(folder, ".gitignore"))]
    for entry in entries:
        path = prefix + entry.name
        try:
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder and (entry.name in PRUNED or entry.path == without):
                continue
            whole = entry.path + "/" if is_folder else entry.path
            inner = None if rules is None or is_ignored(whole, rules) else rules
            if inner is None and (checkout is None or entry.path not in checkout.tracked):
                continue
            if is_folder:
                yield from _walk(entry.path, path + "/", checkout, inner, without)
                continue
            status = entry.stat()
        except OSError as error:
            broken = entry.is_symlink()
            yield path, "a broken link" if broken else error.strerror or "unreadable"
            continue
        if not stat.S_ISREG(status.st_mode):
            continue
        try:
            check_path(path)
        except UsageError as error:
            yield path, str(error)
            continue
        yield Found(entry.path, path, status)
