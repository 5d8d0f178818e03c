"""A part: an archive while it is written. Broken off, it goes on from its last mark.

Whoever writes a part holds a lock on it. Beside it lies its mark, made when the last run in it was
whole: CRC-32 of what follows (4 bytes, big-endian), digest of what was asked for (32 bytes), where
the zip's directory began (8 bytes), and that directory. What was written later is cut off again.
A part of anything else than what is asked for now is dropped: a run may be purged by now.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import secrets
import struct
import sys
import time
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from ..disk import sync_folder

_EVERY = 10.0  # s between marks
_SHARE = 20  # a mark may take this part of the time
_LEFT = 3600.0  # s after which what nobody can go on with is cleared away
_HEAD = struct.Struct(">I32sQ")


class Part:
    """The part of an archive; `zip` takes entries. Left without an error, it is the archive."""

    def __init__(self, archive: Path, runs: Iterable[str]) -> None:
        self._archive = archive
        self._asked = _asked(archive, runs)
        self._is_marked = False
        self._path, self._lock = self._adopt() or self._create()
        self.zip = zipfile.ZipFile(self._path, "a")
        self._next_mark = time.monotonic() + _EVERY

    def __enter__(self) -> Part:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with contextlib.suppress(*((OSError, ValueError) if error else ())):
                self.zip.close()
            if error is None:
                _sync(self._path)
                os.replace(self._path, self._archive)
                sync_folder(self._archive.parent)
                _mark_of(self._path).unlink(missing_ok=True)
        except OSError as fault:
            error = fault
            raise
        finally:
            # A full disk needs the room more.
            if error is not None and (isinstance(error, OSError) or not self._is_marked):
                _drop(self._path)
            os.close(self._lock)

    def mark(self) -> None:
        """What is in it is whole; now and then that is noted, so that nobody need copy it again."""
        now = time.monotonic()
        if now < self._next_mark:
            return
        self.zip.close()
        begin = self.zip.start_dir
        _sync(self._path)
        with self._path.open("rb") as file:
            file.seek(begin)
            directory = file.read()
        told = _HEAD.pack(0, self._asked, begin)[4:] + directory
        new = self._path.with_suffix(".new")
        new.write_bytes(zlib.crc32(told).to_bytes(4, "big") + told)
        _sync(new)
        os.replace(new, _mark_of(self._path))
        self._is_marked = True
        self.zip = zipfile.ZipFile(self._path, "a")
        done = time.monotonic()
        self._next_mark = done + max(_EVERY, _SHARE * (done - now))

    def _create(self) -> tuple[Path, int]:
        path = self._archive.with_name(f".{self._archive.name}.{secrets.token_hex(6)}.part")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        _lock(handle)
        return path, handle

    def _adopt(self) -> tuple[Path, int] | None:
        """Go on with a part that was broken off when the same was asked for."""
        for path in _parts(self._archive):
            if not _mark_of(path).exists() or (handle := _claimed(path)) is None:
                continue
            try:
                if not _cut(path, self._asked):
                    _drop(path)
                else:
                    self._is_marked = True
                    return path, handle
            except Exception:  # whatever is wrong with it: it is begun anew
                _drop(path)
            os.close(handle)
        return None


def clear_parts(archive: Path) -> None:
    """Remove what killed processes left of an archive and nobody will go on with."""
    for part in _parts(archive):
        with contextlib.suppress(FileNotFoundError):
            is_old = part.stat().st_mtime < time.time() - _LEFT
            if is_old and not _mark_of(part).exists() and (handle := _claimed(part)) is not None:
                _drop(part)
                os.close(handle)
    for suffix in ("mark", "new"):
        for file in archive.parent.glob(f".{glob.escape(archive.name)}.*.{suffix}"):
            if not file.with_suffix(".part").exists():
                file.unlink(missing_ok=True)


def _asked(archive: Path, runs: Iterable[str]) -> bytes:
    """Give the digest of what is asked for: which runs, beside what is there already."""
    try:
        status = archive.stat()
        there = f"{status.st_mtime_ns} {status.st_size}"
    except FileNotFoundError:
        there = ""
    return hashlib.sha256("\n".join([there, *sorted(runs)]).encode()).digest()


def _cut(path: Path, asked: bytes) -> bool:
    """Cut off what came after the mark; tell whether this is a part of what is asked for."""
    mark = _mark_of(path).read_bytes()
    crc, for_what, begin = _HEAD.unpack_from(mark)
    if zlib.crc32(mark[4:]) != crc or for_what != asked or path.stat().st_size < begin:
        return False
    with path.open("r+b") as file:
        file.truncate(begin)
        file.seek(begin)
        file.write(mark[_HEAD.size :])
    zipfile.ZipFile(path).close()
    return True


def _claimed(path: Path) -> int | None:
    """Lock a part that nobody writes; None when somebody does, or it is gone."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        if _lock(handle) and os.stat(path).st_ino == os.fstat(handle).st_ino:
            return handle
    os.close(handle)
    return None


def _lock(handle: int) -> bool:
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _parts(archive: Path) -> list[Path]:
    return sorted(archive.parent.glob(f".{glob.escape(archive.name)}.*.part"))


def _mark_of(part: Path) -> Path:
    return part.with_suffix(".mark")


def _drop(part: Path) -> None:
    for path in (part, _mark_of(part), part.with_suffix(".new")):
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
