"""Walking a folder of source: without what is installed, generated or ignored."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any

from ..errors import UsageError
from ..model.manifest import check_path
from .files import Found

PRUNED = frozenset(
    {
        *(".git", ".hg", ".svn", ".ipynb_checkpoints", "__pycache__", "node_modules"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox", ".eggs", ".cache"),
        *(".hypothesis", ".idea", ".vscode", "__pypackages__", "bower_components"),
    }
)


def walk(root: str, without: str | None = None) -> Iterator[Found | tuple[str, str]]:
    """Yield the files below `root` in order; (path, reason) for what cannot be kept.

    Left out: virtual environments (by `pyvenv.cfg`), node_modules, caches, version control, what
    .gitignore files exclude, those above `root` in the same repository included. Links to folders
    are not followed; `without`, the data folder, is left out.
    """
    if os.path.isdir(root):
        yield from _walk(root, "", _rules_above(root), without)


def _walk(
    folder: str, prefix: str, rules: list[tuple[str, Any]], without: str | None
) -> Iterator[Found | tuple[str, str]]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        yield prefix.rstrip("/") or ".", error.strerror or "unreadable"
        return
    if prefix and any(entry.name == "pyvenv.cfg" for entry in entries):
        return
    if any(entry.name == ".gitignore" for entry in entries):
        rules = [*rules, *_rules_of(folder, ".gitignore")]
    for entry in entries:
        path = prefix + entry.name
        try:
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder and (entry.name in PRUNED or entry.path == without):
                continue
            if rules and _ignored(entry.path, is_folder, rules):
                continue
            if is_folder:
                yield from _walk(entry.path, path + "/", rules, without)
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


def _rules_above(root: str) -> list[tuple[str, Any]]:
    """Collect the rules of the repository that `root` lies in, outermost first."""
    folders = []
    above = root
    while True:
        folders.append(above)
        if os.path.exists(os.path.join(above, ".git")):
            break
        parent = os.path.dirname(above)
        if parent == above:
            return []
        above = parent
    rules = _rules_of(above, os.path.join(".git", "info", "exclude"))
    for folder in reversed(folders[1:]):
        rules += _rules_of(folder, ".gitignore")
    return rules


def _rules_of(folder: str, name: str) -> list[tuple[str, Any]]:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    if not any(line.strip() and not line.startswith("#") for line in lines):
        return []
    from pathspec import GitIgnoreSpec

    return [(folder, GitIgnoreSpec.from_lines(lines))]


def _ignored(path: str, is_folder: bool, rules: list[tuple[str, Any]]) -> bool:
    """Tell what the innermost rule that speaks of `path` says."""
    for folder, spec in reversed(rules):
        relative = os.path.relpath(path, folder).replace(os.sep, "/") + ("/" if is_folder else "")
        said = spec.check_file(relative).include
        if said is not None:
            return bool(said)
    return False
