"""Globs → paths: which files a call of save() names, and under which names they are kept."""

from __future__ import annotations

import glob as globbing
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import UsageError
from ..model.manifest import EXECUTABLE, FILE, check_path

BUCKETS = ("s3://", "gs://")
URLS = (*BUCKETS, "http://", "https://", "az://")


@dataclass(frozen=True)
class Named:
    """A file or folder that was named: where it is, and its POSIX path below the base."""

    source: str
    path: str


@dataclass(frozen=True)
class Found:
    """A regular file below what was named."""

    source: str
    path: str
    status: os.stat_result

    @property
    def mode(self) -> str:
        """Give git's word for the file's mode."""
        return EXECUTABLE if self.status.st_mode & 0o111 else FILE


def expand(
    pattern: str | bytes | os.PathLike[str],
    base: str | os.PathLike[str] | None,
    *,
    glob: bool = True,
) -> list[Named]:
    """Give what `pattern` names, sorted by path; [] when nothing matches.

    `**` matches any number of folders. Raises TypeError for what is no path, ValueError when the
    pattern is the base or lies outside, or starts with `*` below it.
    """
    text = os.fsdecode(pattern)
    if base is not None and not isinstance(base, str | os.PathLike):
        raise TypeError(f"base_path must be a str or a path, not {type(base).__name__}")
    whole = os.path.abspath(text)
    if base is not None:
        root = os.path.abspath(os.fspath(base))
    elif os.path.isabs(text):
        root = os.path.dirname(os.path.dirname(whole))
    else:
        root = os.path.abspath(".")
    if whole == root:
        raise ValueError(f"{text!r} is the base folder {root} itself: name something below it")
    below = os.path.relpath(whole, root)
    if below == os.pardir or below.startswith(os.pardir + os.sep) or os.path.isabs(below):
        raise ValueError(f"{text!r} lies outside of the base folder {root}: give its base_path")
    if below.split(os.sep)[0] == "*":
        raise ValueError(
            f"{text!r} starts with '*' below the base folder {root}: begin with a name, such as "
            "'*.csv' or 'results/*', or give a base_path further up"
        )
    if glob:
        matches = globbing.glob(os.path.join(globbing.escape(root), below), recursive=True)
    else:
        matches = [whole] if os.path.lexists(whole) else []
    named = {os.path.relpath(match, root): os.path.abspath(match) for match in matches}
    named.pop(os.curdir, None)
    return [Named(source, _posix(path)) for path, source in sorted(named.items())]


def base_of(named: Named) -> str:
    """Give the base folder that a named file was found below."""
    base = named.source
    for _ in named.path.split("/"):
        base = os.path.dirname(base)
    return base


def files_of(named: Named, *, follow: bool = False) -> Iterator[Found | tuple[str, str]]:
    """Yield the regular files that `named` stands for: itself, or all below it, at any depth.

    What cannot be kept comes as (path, reason): broken links, links that lead out of the base
    folder (unless `follow`), devices and sockets, names that could not be restored elsewhere.
    """
    base = os.path.realpath(base_of(named))
    yield from _below(named.source, named.path, base, follow, set())


def _below(
    source: str, path: str, base: str, follow: bool, seen: set[tuple[int, int]]
) -> Iterator[Found | tuple[str, str]]:
    try:
        status = os.stat(source)
    except OSError as error:
        broken = os.path.islink(source)
        yield path, "a broken link" if broken else error.strerror or "unreadable"
        return
    if os.path.islink(source) and not follow:
        target = os.path.realpath(source)
        if os.path.commonpath([target, base]) != base:
            yield path, f"a link out of {base}; give follow_links=True to follow it"
            return
    if stat.S_ISREG(status.st_mode):
        try:
            check_path(path)
        except UsageError as error:
            yield path, str(error)
            return
        yield Found(source, path, status)
    elif stat.S_ISDIR(status.st_mode):
        mark = (status.st_dev, status.st_ino)
        if mark in seen:
            yield path, "a link to a folder that holds it"
            return
        try:
            names = sorted(os.listdir(source))
        except OSError as error:
            yield path, error.strerror or "unreadable"
            return
        for name in names:
            yield from _below(
                os.path.join(source, name), f"{path}/{name}", base, follow, seen | {mark}
            )
    else:
        yield path, "neither a file nor a folder"


def _posix(path: str) -> str:
    return path.replace(os.sep, "/") if os.sep != "/" else path
