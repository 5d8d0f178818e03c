"""A part: an archive while it is written. Broken off, it goes on from its last mark.

A mark lies beside the part: where the zip's directory began when the last run in it was whole (8
bytes, big-endian), and that directory. What was written later is cut off again. A part's name tells
the host and the process that write it, so that nobody else takes it for broken off.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import secrets
import socket
import time
import zipfile
from pathlib import Path
from types import TracebackType

import psutil

from ..disk import sync_folder

_EVERY = 10.0  # s between marks
_SHARE = 20  # a mark may take this part of the time
_KEPT = 7 * 24 * 3600.0  # s that a part with a mark waits for somebody to go on with it
_YOUNG = 3600.0  # s in which a part without one may yet be written
_NOBODY = 0


class Part:
    """The part of an archive; `zip` takes entries. Left well, it has become the archive."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._path = _named(archive, os.getpid())
        self._is_marked = self._adopt()
        if not self._is_marked:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
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
        with contextlib.suppress(OSError, ValueError) if error else contextlib.nullcontext():
            self.zip.close()
        is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        if error is None:
            _sync(self._path)
            os.replace(self._path, self._archive)
            sync_folder(self._archive.parent)
        elif self._is_marked and not is_full:
            left = _named(self._archive, _NOBODY)
            os.replace(_mark_of(self._path), _mark_of(left))
            os.replace(self._path, left)
        else:
            self._path.unlink(missing_ok=True)
        _mark_of(self._path).unlink(missing_ok=True)

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
        note = _mark_of(self._path)
        temporary = note.with_suffix(".new")
        temporary.write_bytes(begin.to_bytes(8, "big") + directory)
        _sync(temporary)
        os.replace(temporary, note)
        self._is_marked = True
        self.zip = zipfile.ZipFile(self._path, "a")
        done = time.monotonic()
        self._next_mark = done + max(_EVERY, _SHARE * (done - now))

    def _adopt(self) -> bool:
        """Go on with a part of this archive that was broken off on this host."""
        for left in _parts(self._archive):
            pid = _writer(left)
            if pid is None or (pid != _NOBODY and psutil.pid_exists(pid)):
                continue
            try:
                os.replace(_mark_of(left), _mark_of(self._path))
                os.replace(left, self._path)
                _cut(self._path, _mark_of(self._path).read_bytes())
                return True
            except (OSError, zipfile.BadZipFile):  # there is no mark, or somebody was quicker
                self._path.unlink(missing_ok=True)
                _mark_of(self._path).unlink(missing_ok=True)
        return False


def clear_parts(archive: Path) -> None:
    """Remove what killed processes left of an archive and nobody will go on with."""
    for part in _parts(archive):
        note = _mark_of(part)
        with contextlib.suppress(FileNotFoundError):
            if part.stat().st_mtime < time.time() - (_KEPT if note.exists() else _YOUNG):
                part.unlink()
                note.unlink(missing_ok=True)


def _cut(path: Path, mark: bytes) -> None:
    """Cut off what came after the mark."""
    begin = int.from_bytes(mark[:8], "big")
    with path.open("r+b") as file:
        if file.seek(0, os.SEEK_END) < begin:
            raise zipfile.BadZipFile(f"{path} ends before its mark")
        file.truncate(begin)
        file.seek(begin)
        file.write(mark[8:])
    zipfile.ZipFile(path).close()


def _named(archive: Path, pid: int) -> Path:
    host = re.sub("[^A-Za-z0-9]", "", socket.gethostname())
    return archive.with_name(f".{archive.name}.{host}-{pid}-{secrets.token_hex(4)}.part")


def _parts(archive: Path) -> list[Path]:
    return sorted(archive.parent.glob(f".{glob.escape(archive.name)}.*.part"))


def _writer(part: Path) -> int | None:
    """Tell which process of this host writes a part; None: one of another host."""
    host, _, rest = part.name.rsplit(".", 2)[-2].partition("-")
    pid = rest.partition("-")[0]
    is_ours = host == re.sub("[^A-Za-z0-9]", "", socket.gethostname())
    return int(pid) if is_ours and pid.isdecimal() and len(pid) < 10 else None


def _mark_of(part: Path) -> Path:
    return part.with_suffix(".mark")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
