"""The patch from a commit to the working tree, made beside the repository.

`git apply --binary` of it on a clean checkout gives the tree back: tracked changes, binary ones
too, and untracked files that are not ignored. What it does not hold is told in notes: a notebook
that is not to be recorded whole, for one.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import CodeSaveError
from ..settings import resolve
from .repository import Repository
from .switch import heeded, said_in

_LARGE = 2 << 20  # bytes of one file that is not taken into the patch
_MOST_NOTES = 20
_FAILED = (OSError, subprocess.SubprocessError)


@dataclass
class Changes:
    """What differs from the commit; `tracked` and `untracked` are two patches, to be joined."""

    dirty: bool = False
    tracked: bytes = b""
    untracked: bytes = b""
    notes: list[str] = field(default_factory=list)

    def within(self, limit: int) -> bytes:
        """Give the patch, without what would bring it over `limit` bytes, and say so."""
        if len(self.tracked) > limit:
            self.notes.append(
                f"the patch of {len(self.tracked) + len(self.untracked):,} bytes is over the limit "
                f"of {limit:,} and was not kept: raise max_patch_size, or commit"
            )
            return b""
        if len(self.tracked) + len(self.untracked) > limit:
            self.notes.append(
                f"the patch of {len(self.tracked) + len(self.untracked):,} bytes is over the limit "
                f"of {limit:,}: untracked files are not in it; raise max_patch_size, or commit"
            )
            return self.tracked
        return self.tracked + self.untracked

    @property
    def note(self) -> str | None:
        """All notes as one text."""
        more = len(self.notes) - _MOST_NOTES
        told = self.notes[:_MOST_NOTES] + ([f"and {more} more"] if more > 0 else [])
        return "; ".join(told) or None


def changes(
    repository: Repository,
    commit: str | None,
    limit: int,
    submodules: Iterable[str],
    without: Path | None,
    notebook: Path | None,
) -> Changes:
    """Look for changes since `commit`, and make the patch unless `limit` is 0.

    Neither what lies below the folder `without` nor the file `notebook` comes into it.

    OSError or subprocess.SubprocessError when git cannot tell.
    """
    with tempfile.TemporaryDirectory(prefix="codesave-") as scratch:
        look = _Look(repository, commit, limit, without, notebook, Path(scratch))
        return look.look(submodules)


class _Look:
    """One look at a working tree, with an index and objects of our own in `scratch`."""

    def __init__(
        self,
        repository: Repository,
        commit: str | None,
        limit: int,
        without: Path | None,
        notebook: Path | None,
        scratch: Path,
    ) -> None:
        self._repository = repository
        self._commit = commit
        self._limit = limit
        self._without = None if without is None else os.fsencode(without) + b"/"
        self._own = None if notebook is None else os.fsencode(os.path.realpath(notebook))
        self._scratch = scratch
        self._index = {"GIT_INDEX_FILE": str(scratch / "index")}
        self._drivers = set(repository.filters)
        self._found = Changes()

    def look(self, submodules: Iterable[str]) -> Changes:
        repository, found = self._repository, self._found
        with suppress(FileNotFoundError):
            # With its time: what was changed in the same tick as the index is told by it.
            shutil.copy2(repository.path("index"), self._scratch / "index")
        listed = b"\0" + repository.git("ls-files", "-s", "-v", "-z", environment=self._index)
        links = [os.fsdecode(path) for path in re.findall(rb"\0. 160000 [^\t]*\t([^\0]*)", listed)]
        repository.spare_submodules({*submodules, *links})
        self._look_again(listed)
        told = repository.git(
            *("status", "--porcelain=v2", "-z", "--untracked-files=normal"),
            "--ignore-submodules=none",
            environment=self._index,
        )
        entries = [line for line in told.split(b"\0") if line]
        found.dirty = bool(entries)
        if not found.dirty or self._limit <= 0:
            return found
        # 1 XY sub mH mI mW hH hI path, or u XY sub m1 m2 m3 mW h1 h2 h3 path
        tracked = [
            line.split(b" ", 8 if line[:1] == b"1" else 10)
            for line in entries
            if line[:1] in (b"1", b"u")
        ]
        untracked = self._list_untracked() if any(e[:1] == b"?" for e in entries) else []
        filtered = self._filtered([words[-1] for words in tracked] + untracked)
        files = [words[-1] for words in tracked if words[2][:1] == b"N"]
        self._mark("--assume-unchanged", [n for n in files if self._hidden(n, filtered)])
        found.tracked = self._diff(self._index, self._commit or self._no_tree())
        chosen = [name for name in untracked if not self._hidden(name, filtered)]
        try:
            found.untracked = self._added(chosen)
        except _FAILED as error:
            found.notes.append(f"untracked files are not in the patch: {error}")
        found.notes += [
            f"{os.fsdecode(words[-1])} is a submodule with changes of its own: not in the patch"
            for words in tracked
            if words[2][:1] == b"S" and words[2][2:] != b".."
        ]
        return found

    def _look_again(self, listed: bytes) -> None:
        """Have git compare files, too, that it was told not to look at."""
        marked = re.findall(rb"\0([a-zS]) [^\t]*\t([^\0]*)", listed)
        assumed = [path for mark, path in marked if mark.islower()]
        # What a sparse checkout leaves out is absent, and not a change.
        sparse = self._repository.config.get("core.sparsecheckout") in ("true", "1", "yes", "on")
        skipped = [
            path
            for mark, path in marked
            if mark in b"sS" and not (sparse and not os.path.lexists(self._where(path)))
        ]
        self._mark("--no-assume-unchanged", assumed)
        self._mark("--no-skip-worktree", skipped)

    def _mark(self, how: str, names: list[bytes]) -> None:
        if names:
            self._repository.git(
                *("update-index", "-z", how, "--stdin"),
                given=b"\0".join(names) + b"\0",
                environment=self._index,
            )

    def _list_untracked(self) -> list[bytes]:
        """List untracked files that may come into the patch."""
        names, size = [], 0
        listed = self._repository.git(
            # without the copies that Jupyter keeps of what is there
            *("ls-files", "-o", "--exclude-standard", "-x", ".ipynb_checkpoints", "-z"),
            environment=self._index,
        )
        for name in listed.split(b"\0"):
            path = self._where(name)
            if not name or (self._without is not None and path.startswith(self._without)):
                continue
            shown = os.fsdecode(name)
            if name.endswith(b"/"):
                self._found.notes.append(f"{shown} is a repository of its own: not in the patch")
                continue
            try:
                status = os.lstat(path)
            except OSError:
                continue  # it was there a moment ago
            if status.st_size > min(_LARGE, self._limit):
                self._found.notes.append(f"{shown} is large and untracked: not in the patch")
                continue
            names.append(name)
            size += status.st_size
        if size > 8 * self._limit:  # compressed it might fit; not to be read for nothing
            self._found.notes.append(
                f"{len(names):,} untracked files of {size:,} bytes are not in the patch: "
                "raise max_patch_size, or commit"
            )
            return []
        return names

    def _filtered(self, names: list[bytes]) -> dict[bytes, str]:
        """Give the filter of each file that goes through one that is set up."""
        if not names or not self._drivers:
            return {}
        said = self._repository.git(
            "check-attr", "-z", "--stdin", "filter", given=b"\0".join(names) + b"\0"
        ).split(b"\0")
        pairs = zip(said[::3], map(os.fsdecode, said[2::3]), strict=False)
        return {name: driver for name, driver in pairs if driver in self._drivers}

    def _hidden(self, name: bytes, filtered: dict[bytes, str]) -> bool:
        """Tell whether a file has to stay out of the patch, and say why."""
        shown, path, notes = os.fsdecode(name), self._where(name), self._found.notes
        try:
            status = os.lstat(path)
        except OSError:
            return False
        if not stat.S_ISLNK(status.st_mode) and not os.access(path, os.R_OK):
            notes.append(f"{shown} cannot be read: not in the patch")
            return True
        if self._own is not None and os.path.realpath(path) == self._own:
            notes.append(f"{shown} is kept beside, as it was saved: not in the patch")
            return True
        if name.endswith(b".ipynb") and stat.S_ISREG(status.st_mode) and _is_private(path):
            notes.append(f"{shown}, or a cell of it, is not to be recorded: not in the patch")
            return True
        if (driver := filtered.get(name)) is None:
            return False
        told = f"{shown} goes through the filter {driver}"
        if "crypt" in driver:
            notes.append(f"{told}, which encrypts: not in the patch")
        elif status.st_size > min(_LARGE, self._limit):
            notes.append(f"{told}, which was not run, and is large: not in the patch")
        else:
            notes.append(f"{told}, which was not run: the patch has it as it is in the folder")
            return False
        return True

    def _added(self, names: list[bytes]) -> bytes:
        """Make the patch that adds files with the very bytes that they have."""
        objects = self._scratch / "objects"
        objects.mkdir()
        environment = {
            "GIT_INDEX_FILE": str(self._scratch / "added"),
            "GIT_OBJECT_DIRECTORY": str(objects),
        }
        modes: list[tuple[bytes, bytes, bytes]] = []  # mode, name, what to read
        for number, name in enumerate(names):
            path = self._where(name)
            with suppress(OSError):
                mode = os.lstat(path).st_mode
                if stat.S_ISLNK(mode):
                    copy = self._scratch / f"link{number}"
                    copy.write_bytes(os.fsencode(os.readlink(path)))
                    modes.append((b"120000", name, os.fsencode(copy)))
                else:
                    modes.append((b"100755" if mode & 0o100 else b"100644", name, name))
        lines = []
        while modes:
            digests = self._digests([source for _, _, source in modes], environment)
            lines += [
                b"%s %s\t%s\0" % (mode, digest, name)
                for (mode, name, _), digest in zip(modes, digests, strict=False)
            ]
            if len(digests) < len(modes):
                shown = os.fsdecode(modes[len(digests)][1])
                self._found.notes.append(f"{shown} cannot be read: not in the patch")
            modes = modes[len(digests) + 1 :]
        if not lines:
            return b""
        git = self._repository.git
        git("update-index", "-z", "--index-info", given=b"".join(lines), environment=environment)
        return self._diff(environment, "--cached", self._no_tree())

    def _digests(self, paths: list[bytes], environment: dict[str, str]) -> list[bytes]:
        """Have git keep files, up to the first that cannot be read, and give what it names them."""
        given = b"".join(_quoted(path) + b"\n" for path in paths)
        arguments = ("hash-object", "-w", "--no-filters", "--stdin-paths")
        try:
            said = self._repository.git(*arguments, given=given, environment=environment)
        except subprocess.CalledProcessError as error:
            said = error.stdout
        return said.split()

    def _diff(self, environment: dict[str, str], *arguments: str) -> bytes:
        return self._repository.git(
            *("diff", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv"),
            *("--no-renames", "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short", "-U3"),
            *("--ignore-submodules=dirty", *arguments, "--"),
            environment=environment,
        )

    def _no_tree(self) -> str:
        return self._repository.word("hash-object", "-t", "tree", os.devnull) or ""

    def _where(self, name: bytes) -> bytes:
        return os.path.join(os.fsencode(self._repository.root), name)


def _is_private(path: bytes) -> bool:
    """Tell whether anything of a notebook is not to be kept, its outputs for instance.

    One that cannot be read may say so.
    """
    notebook = os.fsdecode(path)
    if (heard := said_in(notebook)) is None:
        return True
    try:
        settings = resolve(cwd=os.path.dirname(notebook), notebook=notebook)
    except CodeSaveError:
        return True
    said, skipped = heard
    what, _ = heeded(settings["capture"].value, "", said, notebook)
    return what != "all" or bool(skipped)


def _quoted(path: bytes) -> bytes:
    """Write a path so that git reads it from one line."""
    if not path.startswith(b'"') and b"\n" not in path:
        return path
    return b'"' + path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
