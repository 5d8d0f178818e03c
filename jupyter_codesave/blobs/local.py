"""Blobs as files of a folder: atomic, durable, private; the spool of kernels and the store's own.

Imports nothing outside the standard library and `model`: kernels import it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..disk import sync_folder
from ..errors import NotFoundError, UnavailableError
from ..model.digest import digest_of, is_digest
from .base import Kept

_CHUNK = 1 << 20
_INCOMING = "incoming"
_READING = os.O_RDONLY
for _name in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"):  # the last two: links and pipes are not ours
    _READING |= getattr(os, _name, 0)


class LocalBlobs:
    """A folder of blobs: `ab/cdef…` holds the bytes that SHA-256 names `abcdef…`.

    A blob is written to a file of its own below `incoming`, synced, renamed into place, and its
    folder synced; so a name is never seen with anything but all of its bytes, power cuts included.
    Folders are 0700 and files 0600. `durable=False` leaves out the syncs.
    """

    def __init__(self, folder: str | os.PathLike[str], *, durable: bool = True) -> None:
        self.folder = Path(folder)
        self._durable = durable
        self._made: set[Path] = set()

    def put(self, data: bytes, key: str | None = None) -> str:
        """Keep `data` under `key` (its own digest when None) and give the key."""
        key = key or digest_of(data)
        if not self.touch(key):
            self.replace(data, key)
        return key

    def replace(self, data: bytes, key: str) -> None:
        """Put even though something is there already: what is there is damaged."""
        target = self._path(key)
        with _Incoming(self) as incoming:
            incoming.write(data)
            incoming.settle(target)

    def put_file(self, path: str | os.PathLike[str], key: str | None = None) -> tuple[str, int]:
        """Keep a copy of a file's bytes as they are now; give the key and their number.

        The bytes are hashed while they are copied: a file that changes meanwhile is kept as what
        was read, under the digest of what was read. Raises OSError when `path` cannot be read.
        """
        with open(path, "rb", buffering=0) as source, _Incoming(self) as incoming:
            digest, size = incoming.copy(source)
            key = key or digest
            if not self.touch(key):
                incoming.settle(self._path(key))
        return key, size

    def move(self, source: Path, key: str) -> None:
        """Take over a file of ours that is whole and synced already: the spool's into the store.

        Copies when `source` lies on another file system; `source` is gone afterwards.
        """
        target = self._path(key)
        if not target.exists():
            self._make(target.parent)
            try:
                os.rename(source, target)
            except OSError:
                self.put_file(source, key)
            else:
                self._sync_folder(target.parent)
        source.unlink(missing_ok=True)

    def get(self, key: str) -> bytes:
        """Give all bytes under `key`; NotFoundError when there are none."""
        with self.open(key) as file:
            return file.read()

    def part(self, key: str, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset` on; fewer when there are no more."""
        handle = self._handle(key)
        try:
            os.lseek(handle, offset, os.SEEK_SET)
            found = os.read(handle, length)
            while len(found) < length and (more := os.read(handle, length - len(found))):
                found += more
            return found
        finally:
            os.close(handle)

    def open(self, key: str) -> BinaryIO:
        """Open the bytes under `key` for reading."""
        return open(self._handle(key), "rb")

    def path(self, key: str) -> Path:
        """Give the file that holds, or would hold, the bytes under `key`."""
        return self._path(key)

    def has(self, key: str) -> bool:
        """Tell whether there are bytes under `key`."""
        return self._path(key).exists()

    def touch(self, key: str) -> bool:
        """Make `key` young again for garbage collectors on other hosts; False: it is not there."""
        try:
            os.utime(self._path(key))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def delete(self, key: str) -> None:
        """Remove what is under `key`; nothing happens when nothing is there."""
        self._path(key).unlink(missing_ok=True)

    def listing(self) -> Iterator[Kept]:
        """List every blob, in no order, without reading one."""
        for folder in _entries(self.folder):
            if len(folder.name) != 2:
                continue
            for entry in _entries(folder.path):
                key = f"sha256:{folder.name}{entry.name}"
                if is_digest(key):
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if stat.S_ISREG(status.st_mode):
                        yield Kept(key, status.st_size, status.st_mtime)

    def area(self, name: str) -> LocalBlobs:
        """Give a neighbouring place with keys of its own: a folder within this one."""
        return LocalBlobs(self.folder / name, durable=self._durable)

    def sweep(self, older_than: float, lives: Callable[[int], bool] = lambda _: True) -> int:
        """Remove what killed writers left in `incoming` before `older_than` (epoch, s).

        What was written by a process that does not live goes however young it is.
        """
        gone = 0
        for entry in _entries(self.folder / _INCOMING):
            pid = entry.name.partition("-")[0]
            try:
                is_old = entry.stat(follow_symlinks=False).st_mtime < older_than
                if is_old or not (pid.isdigit() and lives(int(pid))):
                    os.unlink(entry.path)
                    gone += 1
            except FileNotFoundError:
                pass
        return gone

    def _path(self, key: str) -> Path:
        self._check(key)
        return self.folder / key[7:9] / key[9:]

    def _handle(self, key: str) -> int:
        self._check(key)
        try:
            return os.open(f"{self.folder}/{key[7:9]}/{key[9:]}", _READING)
        except (FileNotFoundError, NotADirectoryError):
            raise _missing(key, self.folder) from None
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link: none of ours
                raise _missing(key, self.folder) from None
            raise

    def _check(self, key: str) -> None:
        if not is_digest(key):
            raise NotFoundError(f"{key!r} is no digest; a digest is sha256: and 64 hex digits")

    def _make(self, folder: Path) -> None:
        if folder in self._made and folder.exists():
            return
        missing = [folder]
        while not missing[-1].parent.exists():
            missing.append(missing[-1].parent)
        for each in reversed(missing):
            each.mkdir(mode=0o700, exist_ok=True)
            self._sync_folder(each.parent)
        self._made.add(folder)

    def _sync_folder(self, folder: Path) -> None:
        if self._durable:
            sync_folder(folder)


class _Incoming:
    """A file being written that becomes a blob by `settle`, or vanishes."""

    def __init__(self, blobs: LocalBlobs) -> None:
        self._blobs = blobs
        folder = blobs.folder / _INCOMING
        name = f"{os.getpid()}-{threading.get_ident()}-{secrets.token_hex(8)}"
        self.path = folder / name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            blobs._make(folder)
            self._handle = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise unwritable(blobs.folder, error) from error
        self._settled = False

    def __enter__(self) -> _Incoming:
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        if not self._settled:
            self.path.unlink(missing_ok=True)

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._handle, view) :]
        except OSError as error:
            raise unwritable(self._blobs.folder, error) from error

    def copy(self, source: BinaryIO) -> tuple[str, int]:
        """Copy a file, and hash it meanwhile; a second thread writes where that is worth it."""
        sha, size = hashlib.sha256(), 0
        buffer = bytearray(_CHUNK)
        view = memoryview(buffer)
        read: Any = source  # every file has readinto, but the type does not say so
        while count := read.readinto(buffer):
            sha.update(view[:count])
            self.write(view[:count])
            size += count
        return "sha256:" + sha.hexdigest(), size

    def settle(self, target: Path) -> None:
        try:
            if self._blobs._durable:
                os.fsync(self._handle)
            os.close(self._handle)
            self._handle = -1
            self._blobs._make(target.parent)
            _rename(self.path, target)
            self._settled = True
            self._blobs._sync_folder(target.parent)
        except OSError as error:
            raise unwritable(self._blobs.folder, error) from error


def _rename(source: Path, target: Path) -> None:
    for attempt in range(5):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            # Windows: somebody has the target open, so its bytes are there already.
            if os.name != "nt" or attempt == 4:
                raise
            time.sleep(0.05)


def _entries(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _missing(key: str, folder: Path) -> NotFoundError:
    return NotFoundError(
        f"the blob {key} is not in {folder}; `jupyter codesave verify` tells what is missing"
    )


def unwritable(folder: Path, error: OSError) -> UnavailableError:
    """Say why nothing can be written, and the way out."""
    return UnavailableError(
        f"{folder} cannot be written: {error.strerror or error}; make room or mend its permissions"
    )
