"""What git ignores: the rules that hold in a checkout, read without git walking through it."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any

from .repository import Repository


class Rules:
    """The patterns of one file of rules, for what lies below `folder`."""

    def __init__(self, folder: str, lines: list[str]) -> None:
        self.folder = folder
        self.lines = lines
        self._spec = _spec(lines)
        # Thousands of files match nothing, which one expression tells: patterns of a name alone
        # look at the name, as whatever a folder's own pattern excludes is not walked into.
        names = [_at_top(line) for line in lines if not _has_folder(line)]
        self._name = _any_of(_spec(names))
        self._path = _any_of(_spec(list(filter(_has_folder, lines))))

    def says(self, path: str, name: str) -> bool | None:
        """Tell whether `path` is ignored; None when no pattern speaks of it. Folders end with /."""
        relative = path[len(self.folder) :].lstrip("/")
        if not self._name(name) and not self._path(relative):
            return None
        said: bool | None = self._spec.check_file(relative).include
        return said

    def without(self, named: str, ignored: bool) -> Rules:
        """Give the rules that are left when somebody names the folder `named` nevertheless."""
        relative = named[len(self.folder) :].strip("/")
        if not relative:
            return self

        def excludes(line: str) -> bool:
            if line.startswith("!") or not (ignored or _has_folder(line)):
                return False
            spec = _spec([line])
            within = _has_folder(line) and spec.match_file(f"{relative}/any")
            return within or (ignored and spec.match_file(f"{relative}/"))

        left = [line for line in self.lines if not excludes(line)]
        return self if left == self.lines else Rules(self.folder, left)


class Checkout:
    """A repository's checkout at `root`, walked from `start`, which lies in it."""

    def __init__(self, root: str, start: str, above: Checkout | None = None) -> None:
        self._root = root
        self._start = start
        self._excludes: str | None = above._excludes if above is not None else self._own_excludes()
        own = rules_of(root, _exclude_file(root))
        self.rules = [*rules_of(root, self._excludes), *own] if self._excludes else own
        if start != root:
            inner = start[len(root) :].strip("/").split("/")
            folders = ["/".join([root.rstrip("/"), *inner[:n]]) for n in range(len(inner) + 1)]
            for folder in folders[:-1]:
                self.rules += rules_of(folder, os.path.join(folder, ".gitignore"))
            ignored = any(is_ignored(f"{folder}/", self.rules) for folder in folders[1:])
            self.rules = [rules.without(start, ignored) for rules in self.rules]

    @cached_property
    def _repository(self) -> Repository | None:
        try:
            return Repository(Path(self._root))
        except (OSError, subprocess.SubprocessError):
            return None

    def _own_excludes(self) -> str | None:
        """Find the user's own rules, `core.excludesFile`."""
        file = self._repository.config.get("core.excludesfile") if self._repository else None
        if file is None:
            home = os.environ.get("XDG_CONFIG_HOME") or os.path.join("~", ".config")
            file = os.path.join(home, "git", "ignore")
        return os.path.join(self._root, os.path.expanduser(file)) if file else None

    @cached_property
    def tracked(self) -> frozenset[str]:
        """The files that rules ignore and git has all the same, and the folders they are in."""
        if self._repository is None:
            return frozenset()
        try:
            listed = self._repository.git(
                *("ls-files", "-c", "-i", "--exclude-standard", "-z"), within=Path(self._start)
            )
        except (OSError, subprocess.SubprocessError):
            return frozenset()
        found = set()
        for path in os.fsdecode(listed).split("\0")[:-1]:
            while path and path not in found:
                found.add(path)
                path = path.rpartition("/")[0]
        return frozenset(f"{self._start.rstrip('/')}/{path}" for path in found)


def is_ignored(path: str, rules: list[Rules]) -> bool:
    """Tell what the innermost rule that speaks of `path` says; folders end with /."""
    name = path[path.rfind("/", 0, -1) + 1 :]
    for each in reversed(rules):
        said = each.says(path, name)
        if said is not None:
            return said
    return False


def rules_of(folder: str, file: str) -> list[Rules]:
    """Read the rules that `file` has for what lies below `folder`."""
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as source:
            lines = source.read().splitlines()
    except OSError:
        return []
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    # pathspec has `a/**` match the folder `a/`, too; git only what is in it.
    lines = [f"{line}/*" if line.endswith("/**") else line for line in lines]
    return [Rules(folder, lines)] if lines else []


def _exclude_file(root: str) -> str:
    """Find the repository's rules that are not part of the tree, for worktrees and submodules too.

    There `.git` is a file that says where git's folder is, and that one may name another.
    """
    place = os.path.join(root, ".git")
    for file, before in ((place, "gitdir: "), (None, "")):
        try:
            with open(file or os.path.join(place, "commondir"), encoding="utf-8") as source:
                said = source.read().strip().removeprefix(before)
        except (OSError, ValueError):
            continue
        place = os.path.join(place if file is None else root, said)
    return os.path.join(place, "info", "exclude")


def _has_folder(line: str) -> bool:
    """Tell whether a pattern speaks of a path, not of a name at any depth."""
    return "/" in line.strip().rstrip("/") or "**" in line


def _at_top(line: str) -> str:
    return f"!/{line[1:]}" if line.startswith("!") else f"/{line}"


def _spec(lines: list[str]) -> Any:
    """Compile patterns; one that is no pattern matches nothing, as with git."""
    import warnings

    from pathspec import GitIgnoreSpec

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return GitIgnoreSpec.from_lines(lines)
        except Exception:  # ValueError, or what `re` says of it
            if len(lines) == 1:
                return GitIgnoreSpec.from_lines([])
            return GitIgnoreSpec.from_lines([each for each in lines if _spec([each]).patterns])


def _any_of(spec: Any) -> Any:
    """Make one expression of all patterns; it tells that some pattern may speak of a path."""
    found = {each.regex.pattern for each in spec.patterns if each.include is not None}
    if any(not each.startswith("^") for each in found):
        return lambda path: True
    joined = "|".join(re.sub(r"\(\?P<\w+>", "(?:", each) for each in sorted(found))
    return re.compile(joined or r"(?!)").match
