"""Two saved codes compared: manifest against manifest, file by file, and the facts of two runs."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from ..errors import NotFoundError, UsageError
from ..model.digest import digest_of
from ..model.manifest import Entry
from .facts import run_facts
from .normalize import Json, normalize
from .notebooks import Options, diff_notebooks, select
from .renames import Tree, find_renames
from .sequences import Work
from .text import decoded, diff_texts
from .touched import touched

SESSION = "_session_history.ipynb"


__all__ = ["SESSION", "Entry", "Files", "Side", "Tree", "compare", "run_facts"]


class Files:
    """A tree of bytes in memory: notebooks sent to be compared, a file on disk."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = dict(contents)
        self.files: Mapping[str, Entry] = {
            path: Entry(digest_of(content), len(content))
            for path, content in self._contents.items()
        }

    def read(self, path: str) -> bytes:
        return self._contents[path]


@dataclass(frozen=True)
class Side:
    """One side of a comparison: what the user wrote, its files, and the run behind it if any.

    `kind` is run, version or path; `run` has the shape of `show`.
    """

    ref: str
    tree: Tree
    kind: str = "run"
    title: str = ""
    run: Mapping[str, Any] | None = None

    def described(self) -> Json:
        """The side as an answer names it."""
        run = dict(self.run) if self.run is not None else None
        return {"ref": self.ref, "title": self.title or self.ref, "kind": self.kind, "run": run}


class _Pair(NamedTuple):
    base: str | None
    head: str | None


def compare(
    base: Side,
    head: Side,
    *,
    options: Options | None = None,
    path: str | None = None,
    notebooks: str = "none",
    texts: bool = False,
) -> Json:
    """All that differs between two sides, as JSON: sides, files, facts.

    `path` picks one file by its name on either side. `notebooks`: `none`, `touched` (what a
    browser needs at first) or `full` adds the normal forms; `texts` adds both texts of a text
    file. `changed` is true if a person sees a change: noise is none. Raises `NotFoundError` if
    neither side has `path`.
    """
    if notebooks not in ("none", "touched", "full"):
        raise UsageError(f"notebooks={notebooks!r} is not known; use none, touched or full.")
    comparison = _Comparison(
        base.tree,
        head.tree,
        options or Options(),
        notebooks=notebooks,
        texts=texts,
        on_disk="path" in (base.kind, head.kind),
        picked=path is not None,
    )
    pairs = comparison.pairs()
    if path is not None:
        pairs = [pair for pair in pairs if path in pair]
        if not pairs:
            raise NotFoundError(
                f"No file {path!r} in {base.ref} or {head.ref}. "
                "Leave the path out to see all files."
            )
    files = [comparison.file(pair) for pair in pairs]
    facts = run_facts(base.run, head.run)
    return {
        "base": base.described(),
        "head": head.described(),
        "files": files,
        "facts": facts,
        "changed": any(file["changed"] for file in files),
        "truncated": any(file["truncated"] for file in files),
    }


@dataclass
class _Comparison:
    base: Tree
    head: Tree
    options: Options
    notebooks: str
    texts: bool
    on_disk: bool
    picked: bool

    def pairs(self) -> list[_Pair]:
        """Which file answers which, by the names of head, those only in base at their place."""
        old, new = self.base.files, self.head.files
        if self.on_disk and (single := _single(old, new)):
            return [single]
        pairs = [_Pair(path, path) for path in old.keys() & new.keys()]
        gone, come = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
        renamed = find_renames(self.base, self.head, gone, come)
        pairs += [_Pair(was, now) for now, was in renamed.items()]
        left = set(renamed.values())
        pairs += [_Pair(path, None) for path in gone if path not in left]
        pairs += [_Pair(None, path) for path in come if path not in renamed]
        return sorted(pairs, key=lambda pair: (pair.head or pair.base or "", pair.base or ""))

    def file(self, pair: _Pair) -> Json:
        """One entry of `files`."""
        path = pair.head or pair.base or ""
        base = self.base.files[pair.base] if pair.base is not None else None
        head = self.head.files[pair.head] if pair.head is not None else None
        if base is None:
            status = "added"
        elif head is None:
            status = "removed"
        else:
            status = "modified" if base.digest != head.digest else "unchanged"
        file: Json = {
            "path": path,
            "status": status,
            "kind": "binary",
            "diff": None,
            "cells": None,
            "counts": {"added": 0, "removed": 0, "modified": 0, "moved": 0},
            "base": {"digest": base.digest, "size": base.size} if base else None,
            "head": {"digest": head.digest, "size": head.size} if head else None,
            "mime": mimetypes.guess_type(path)[0],
            "metadata": False,
            "session": False,
            "changed": status != "unchanged",
            "truncated": False,
        }
        if pair.base is not None and pair.head is not None and pair.base != pair.head:
            file["base_path"] = pair.base
        if status == "unchanged" and not self.picked:
            file["kind"] = "notebook" if path.endswith(".ipynb") else _kind_by_name(path)
            file["diff"] = _nothing(file["kind"])
            file["cells"] = [] if file["kind"] == "notebook" else None
        else:
            self._contents(file, pair)
        if "base_path" in file and not self.on_disk:
            file["status"] = "renamed"
            file["changed"] = True
        return file

    def _contents(self, file: Json, pair: _Pair) -> None:
        base = self.base.read(pair.base) if pair.base is not None else None
        head = self.head.read(pair.head) if pair.head is not None else None
        if file["path"].endswith(".ipynb"):
            try:
                self._notebook(file, base, head)
            except UsageError:
                pass  # not a notebook in spite of its name: shown as the text it is
            else:
                return
        old, new = decoded(base or b""), decoded(head or b"")
        if old is None or new is None:
            return
        file["kind"] = "text"
        text = diff_texts(old, new, Work(self.options.work), *_names(pair))
        file["diff"] = text.diff
        file["counts"].update(added=text.added, removed=text.removed)
        file["truncated"] = text.truncated
        if self.texts:
            file["texts"] = {
                "base": old if base is not None else None,
                "head": new if head is not None else None,
            }

    def _notebook(self, file: Json, base: bytes | None, head: bytes | None) -> None:
        old = normalize(base) if base is not None else _empty()
        new = normalize(head) if head is not None else _empty()
        found = diff_notebooks(old, new, self.options)
        file["kind"] = "notebook"
        file["diff"], file["cells"] = found.diff, found.cells
        file["counts"] = found.counts
        file["metadata"], file["session"] = found.metadata, found.session
        file["truncated"] = found.truncated
        if base is not None and head is not None:
            file["changed"] = found.changed
            file["status"] = "modified" if found.changed else "unchanged"
        if self.notebooks != "none":
            old, new = select(old, self.options), select(new, self.options)
        if self.notebooks == "touched":
            file["notebooks"], file["diff"] = touched(old, new, found.cells, found.diff)
        elif self.notebooks == "full":
            file["notebooks"] = {"base": old, "head": new}


def _single(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> _Pair | None:
    """The one pair if a side is a single file: what ran is compared with what the file says."""
    if len(old) == 1 == len(new):
        return _Pair(next(iter(old)), next(iter(new)))
    if len(old) == 1 and (match := _answer(next(iter(old)), new)):
        return _Pair(next(iter(old)), match)
    if len(new) == 1 and (match := _answer(next(iter(new)), old)):
        return _Pair(match, next(iter(new)))
    return None


def _answer(path: str, files: Mapping[str, Entry]) -> str | None:
    name = PurePosixPath(path).name
    if name.endswith(".ipynb") and SESSION in files:
        return SESSION
    named = sorted(other for other in files if PurePosixPath(other).name == name)
    return named[0] if named else None


def _names(pair: _Pair) -> tuple[str, str]:
    return (
        f"a/{pair.base}" if pair.base is not None else "/dev/null",
        f"b/{pair.head}" if pair.head is not None else "/dev/null",
    )


def _kind_by_name(path: str) -> str:
    mime = mimetypes.guess_type(path)[0]
    if mime is None or mime.startswith("text/") or mime.endswith(("json", "xml", "javascript")):
        return "text"
    return "binary"


def _nothing(kind: str) -> Any:
    return {"notebook": [], "text": "", "binary": None}[kind]


def _empty() -> Json:
    return {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
