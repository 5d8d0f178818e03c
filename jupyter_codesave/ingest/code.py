"""Codes: what references stand for, as files to list, read, compare and download."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import NotFoundError, UsageError
from ..model.artifact import Version
from ..model.digest import digest_of
from ..model.manifest import EXECUTABLE, SYMLINK, Entry, check_path, collisions
from ..model.moment import parsed
from ..model.run import Run


@dataclass(frozen=True)
class Code:
    """What a reference stands for: a tree of files to list, read and compare."""

    ref: str
    kind: Literal["run", "version", "path"]
    title: str
    files: Mapping[str, Entry]
    read: Callable[[str], bytes]
    run: Mapping[str, Any] | None = None


def newest(versions: Iterable[Version]) -> Version:
    """Give the version that was made last."""
    return max(versions, key=lambda version: (version.created, version.number))


def run_title(run: Run) -> str:
    """Title a run so that a person knows it: `analysis.ipynb · Tue 14:02 · 37 cells`."""
    moment = parsed(run.started).astimezone()
    file = Path(run.notebook or run.program or run.name)
    name = [] if run.name in (file.name, file.stem) else [run.name]
    cells = f"{run.executions} cell" + ("" if run.executions == 1 else "s")
    return " · ".join([file.name, *name, f"{moment:%a %H:%M}", cells])


def in_memory(
    ref: str,
    kind: Literal["run", "path"],
    title: str,
    contents: Mapping[str, bytes],
    run: Mapping[str, Any] | None = None,
) -> Code:
    def read_memory(path: str) -> bytes:
        try:
            return contents[path]
        except KeyError:
            raise NotFoundError(f"{ref} holds no file {path!r}") from None

    entries = {path: Entry(digest_of(data), len(data)) for path, data in contents.items()}
    return Code(ref, kind, title, entries, read_memory, run)


def read_disk(path: str) -> dict[str, bytes]:
    target = Path(path)
    try:
        if target.is_dir():
            return {
                child.relative_to(target).as_posix(): child.read_bytes()
                for child in sorted(target.rglob("*"))
                if child.is_file() and not child.is_symlink() and ".git" not in child.parts
            }
        return {target.name: target.read_bytes()}
    except OSError as error:
        raise NotFoundError(
            f"{path} cannot be read: {error.strerror}; give a path that exists"
        ) from None


def download(code: Code, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write a code's files below `folder` and give their paths.

    Never writes outside `folder`, and never over another file unless `overwrite`: UsageError
    names the first one that is there with other bytes. Two paths that a file system would fold
    into one are refused before anything is written.
    """
    if clashes := collisions(code.files):
        raise UsageError(
            f"{code.ref} holds both {clashes[0][0]!r} and {clashes[0][1]!r}, which are one file "
            "where case or Unicode forms do not count; fetch them with `cat` instead"
        )
    folder = folder.resolve()
    wanted = [(path, entry, _inside(folder, path)) for path, entry in sorted(code.files.items())]
    for path, entry, target in wanted:
        if target.is_symlink() or (target.exists() and not overwrite):
            same = target.is_file() and not target.is_symlink()
            if not same or digest_of(target.read_bytes()) != entry.digest:
                raise UsageError(
                    f"{target} is there with other content than {path} of {code.ref}; "
                    "choose an empty folder, or say --overwrite"
                )
    for path, entry, target in wanted:
        target.parent.mkdir(parents=True, exist_ok=True)
        data = code.read(path)
        if entry.mode == SYMLINK:
            goal = os.fsdecode(data)
            if _stays(goal) and (target.parent / goal).resolve().is_relative_to(folder):
                target.unlink(missing_ok=True)
                target.symlink_to(goal)
                continue
            data = f"symbolic link to {goal}, which is outside\n".encode("utf-8", "replace")
        draft = target.with_name(f".{target.name[:200]}.{os.urandom(4).hex()}")
        draft.write_bytes(data)
        draft.chmod(0o755 if entry.mode == EXECUTABLE else 0o644)
        draft.replace(target)
    return [target for _, _, target in wanted]


def _stays(goal: str) -> bool:
    """Refuse `link/../x`: what it means changes with the links that are written after it."""
    parts = goal.split("/")
    up = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
    return ".." not in parts[up:]


def _inside(folder: Path, path: str) -> Path:
    """Give the place of `path` below `folder`; UsageError when a link there leads out of it."""
    target = folder.joinpath(*check_path(path).split("/"))
    for parent in target.parents:
        if parent == folder:
            return target
        if parent.is_symlink():
            raise UsageError(f"{parent} is a link; nothing is written through it: remove it first")
    raise UsageError(f"{path!r} would be written outside {folder}")
