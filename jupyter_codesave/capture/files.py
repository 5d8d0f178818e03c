"""Globs → paths: which files a call of save() names, and under which names they are kept."""

from __future__ import annotations

import glob as globbing
import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import UsageError
from ..model.manifest import EXECUTABLE, FILE, check_path

BUCKETS = ("s3://", "gs://")
URLS = (*BUCKETS, "http://", "https://", "az://")
_SPECIAL = "neither a file nor a folder"
OWN = "codesave's own folder"
_KERNEL = ("/proc", "/sys")  # what lies below is made up when it is read, and may never end


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

    @property
    def is_made_up(self) -> bool:
        """Tell whether the system makes the bytes up when they are read, as below /proc."""
        return _is_below(os.path.realpath(self.source), *_KERNEL)


def expand(
    pattern: str | bytes | os.PathLike[str],
    base: str | os.PathLike[str] | None,
    *,
    glob: bool = True,
) -> list[Named]:
    """Give what `pattern` names, sorted by path; [] when nothing matches.

    `**` matches any number of folders, links to folders left out. Raises TypeError for what is no
    path, ValueError when the pattern is the base or lies outside, or starts with `*` below it,
    FileNotFoundError when it is relative and the working directory was deleted.
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
        matches = _matches(root, below.split(os.sep))
    else:
        matches = iter([whole] if os.path.lexists(whole) else [])
    named = {os.path.relpath(match, root): os.path.abspath(match) for match in matches}
    named.pop(os.curdir, None)
    return [Named(source, _posix(path)) for path, source in sorted(named.items())]


def base_of(named: Named) -> str:
    """Give the base folder that a named file was found below."""
    base = named.source
    for _ in named.path.split("/"):
        base = os.path.dirname(base)
    return base


def refusal(named: Named, own: str | None = None) -> str | None:
    """Say why `named` cannot be saved at all, whatever becomes of it; None when it may be.

    `own` is the real path of the data folder: saving it would feed itself. Only what lies in its
    `runs` is a user's. Nothing is opened: a FIFO would wait for its writer.
    """
    try:
        mode = os.stat(named.source).st_mode
    except OSError as error:
        return _unreadable(named.source, error)
    real = os.path.realpath(named.source)
    if stat.S_ISDIR(mode):
        return _not_walked(real, own)
    if not stat.S_ISREG(mode):
        return _SPECIAL
    return OWN if _is_own(real, own) else None


def files_of(
    named: Named, *, follow: bool = False, own: str | None = None
) -> Iterator[Found | tuple[str, str]]:
    """Yield the regular files that `named` stands for: itself, or all below it, at any depth.

    What cannot be kept comes as (path, reason): broken links, links that lead out of the base
    folder (unless `follow`), devices and sockets, names that could not be restored elsewhere, the
    data folder `own`. Each folder is walked once, and by its own name if it has one below `named`.
    """
    if (reason := refusal(named, own)) is not None:
        yield named.path, reason
        return
    base = os.path.realpath(base_of(named))
    seen: dict[tuple[int, int], str] = {}
    # Links come last: what has a name of its own below `named` is kept under that one.
    own_names, links = deque[tuple[Named, str]](), deque([named])
    while own_names or links:
        at, real = own_names.popleft() if own_names else (links.popleft(), None)
        try:
            status = os.stat(at.source)
        except OSError as error:
            yield at.path, _unreadable(at.source, error)
            continue
        if real is None:
            real = os.path.realpath(at.source)
            if not follow and os.path.islink(at.source) and not _is_below(real, base):
                yield at.path, f"a link out of {base}; give follow_links=True to follow it"
                continue
        if stat.S_ISREG(status.st_mode):
            try:
                check_path(at.path)
            except UsageError as error:
                yield at.path, str(error)
                continue
            yield Found(at.source, at.path, status)
        elif stat.S_ISDIR(status.st_mode):
            known = seen.setdefault((status.st_dev, status.st_ino), at.path)
            reason = _not_walked(real, own) if known == at.path else f"the same folder as {known}"
            try:
                names = [] if reason else sorted(os.scandir(at.source), key=lambda e: e.name)
            except OSError as error:
                reason = error.strerror or "unreadable"
            if reason is not None:
                yield at.path, reason
                continue
            for each in names:
                below = Named(os.path.join(at.source, each.name), f"{at.path}/{each.name}")
                if each.is_symlink():
                    links.append(below)
                else:
                    own_names.append((below, os.path.join(real, each.name)))
        else:
            yield at.path, _SPECIAL


def _unreadable(source: str, error: OSError) -> str:
    return "a broken link" if os.path.islink(source) else error.strerror or "unreadable"


def _is_below(path: str, *folders: str) -> bool:
    return any(
        path == folder or path.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders
    )


def _is_own(real: str, own: str | None) -> bool:
    return own is not None and _is_below(real, own) and not _is_below(real, f"{own}{os.sep}runs")


def _not_walked(real: str, own: str | None) -> str | None:
    """Say why a folder, by its real path, is not looked into."""
    if _is_own(real, own):
        return OWN
    return "a folder of the system's, not of a disk" if _is_below(real, *_KERNEL) else None


def _matches(folder: str, parts: list[str]) -> Iterator[str]:
    """Yield what a pattern names below `folder`; links to folders are followed but by `**`."""
    before = parts[: parts.index("**")] if "**" in parts else parts
    heads = globbing.glob(os.path.join(globbing.escape(folder), *before)) if before else [folder]
    if before == parts:
        yield from heads
        return
    rest = parts[len(before) + 1 :]
    while rest[:1] == ["**"]:
        rest = rest[1:]
    waiting = deque(heads)
    while waiting:
        above = waiting.popleft()
        try:
            with os.scandir(above) as found:
                entries = [entry for entry in found if not entry.name.startswith(".")]
        except OSError:
            continue
        folders = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        waiting.extend(folders)
        if rest:
            yield from _matches(above, rest)
        else:
            yield above
            yield from {entry.path for entry in entries}.difference(folders)


def _posix(path: str) -> str:
    return path.replace(os.sep, "/") if os.sep != "/" else path
