"""Files that two trees have under different names: the same bytes, or nearly the same lines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice, product
from pathlib import PurePosixPath
from typing import Protocol

from ..model.manifest import Entry
from .text import decoded

RENAMED = 0.5  # likeness of two texts from which one is the other under a new name
MOST_COMPARED = 400  # pairs of files compared in search of renames
LARGEST_COMPARED = 1_000_000  # bytes of a file compared in search of renames


class Tree(Protocol):
    """Files of one side, by relative path; bytes are read only where they differ."""

    @property
    def files(self) -> Mapping[str, Entry]: ...

    def read(self, path: str) -> bytes: ...


def find_renames(
    base: Tree, head: Tree, gone: Sequence[str], come: Sequence[str]
) -> dict[str, str]:
    """For files only in head, by path: which of those only in base each one was."""
    renamed: dict[str, str] = {}
    by_digest: dict[str, list[str]] = defaultdict(list)
    for path in gone:
        by_digest[base.files[path].digest].append(path)
    for path in come:
        same = by_digest[head.files[path].digest]
        if same and head.files[path].size:
            name = PurePosixPath(path).name
            renamed[path] = min(same, key=lambda p: (PurePosixPath(p).name != name, p))
            same.remove(renamed[path])
    was = set(renamed.values())
    old_lines = _Lines(base)
    new_lines = _Lines(head)
    candidates = (
        (new, old)
        for new, old in product(come, gone)
        if new not in renamed and old not in was and _may_be(base.files[old], head.files[new])
        if PurePosixPath(old).suffix == PurePosixPath(new).suffix
    )
    scored = sorted(
        (-_likeness(old_lines.of(old), new_lines.of(new)), new, old)
        for new, old in islice(candidates, MOST_COMPARED)
    )
    for score, new, old in scored:
        if -score >= RENAMED and old not in was and new not in renamed:
            was.add(old)
            renamed[new] = old
    return renamed


def _may_be(old: Entry, new: Entry) -> bool:
    smaller, larger = sorted((old.size, new.size))
    return larger <= LARGEST_COMPARED and 2 * smaller >= RENAMED * (smaller + larger) > 0


class _Lines:
    """The lines of a tree's files, each file read once."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.known: dict[str, Counter[str]] = {}

    def of(self, path: str) -> Counter[str]:
        if path not in self.known:
            self.known[path] = Counter((decoded(self.tree.read(path)) or "").splitlines())
        return self.known[path]


def _likeness(old: Counter[str], new: Counter[str]) -> float:
    total = old.total() + new.total()
    return 2 * (old & new).total() / total if total else 0.0
