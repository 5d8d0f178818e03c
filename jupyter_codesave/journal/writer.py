"""Appending to a journal: never raises into the caller, never leaves a half record behind.

A record is written at once by the thread that brings it (3 µs). Large ones go through a writer
thread; while something is queued, all that follow queue behind it, bounded at 32 MB, then the
bringing thread waits. Another thread syncs to the disk, at most a second after a write, however
much is queued.

The writer holds a lock on the journal as long as it is open. It belongs to the open file, not to
the process: readers in the same process cannot lose it, and a process that inherits the
descriptor keeps it.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from os import write  # at once: `os.write` may be mocked for a while
from pathlib import Path
from threading import Thread
from time import monotonic, time_ns
from typing import Any

from ..disk import sync_folder
from . import events
from .condition import Condition
from .events import LARGE, Payload
from .handle import identity, lifted
from .interrupts import is_interrupt

QUEUE_LIMIT = 32 << 20
_SYNC_EVERY = 0.7  # s
_RETRY_EVERY = 1.0  # s
_OF_THE_DISK = ("ENOSPC", "EDQUOT", "EROFS", "EIO", "EACCES", "EPERM")
_PATIENCE = 20.0  # s that somebody waits for room in the queue
_MOST_PARTS = 64  # that are written one by one
_SLICE = 512 << 10  # bytes of one write: Linux takes a fifth of the time of 20 MB at once
_FLOCK = struct.Struct("hhqqi4x")  # Linux's struct flock


class Writer:
    """The one writer of a journal.

    `failure` is None while records reach the file, else the reason why they do not; what was
    lost meanwhile is told by a `gap` event as soon as there is room again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure: str | None = None
        self._handle = -1
        self._identity: tuple[int, int] | None = None
        self._booked = (0, 0)  # the next sequence number, and the end of the last good record
        self._pending = self._booked  # the same when the write that has begun is done
        self._lost = 0
        self._retry_at = 0.0
        self._writing = False
        self._dirty = False
        self._named = False  # on the disk, too
        self._closing = False
        self._hangs = False
        self._queue: deque[tuple[Sequence[Payload], int, bool]] = deque()
        self._queued = 0
        self._taken = self._done = 0  # how many were ever queued, and of them written
        self.lock = threading.RLock()
        self._changed = Condition(self.lock)
        self._threads: dict[str, Thread] = {}

    # -- opening and closing --------------------------------------------------------------------

    def open(self) -> bool:
        """Create the journal, 0600, in a folder that is 0700; False (and `failure`) if it fails."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
            flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
            self._handle = lifted(os.open(self.path, flags, 0o600))
            self._take(0, 0)
            self._write_all([events.MAGIC])
            self._book(0, len(events.MAGIC))
        except OSError as error:
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1
                with suppress(OSError):
                    self.path.unlink()
            self._fail(error)
            return False
        self.failure = None
        return True

    def adopt(self, handle: int) -> None:
        """Go on with a journal whose writer died, through a descriptor inherited from it."""
        self._handle = handle
        sequence, offset = _end(handle)
        os.ftruncate(handle, offset)
        self._take(sequence, offset)

    def _take(self, sequence: int, offset: int) -> None:
        _lock(self._handle)
        self._identity = identity(self._handle)
        self._book(sequence, offset)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave)

    def _book(self, sequence: int, offset: int) -> None:
        self._pending = self._booked = (sequence, offset)

    @property
    def is_open(self) -> bool:
        """Tell whether there is a journal to write to."""
        return self._handle >= 0

    @property
    def is_behind(self) -> bool:
        """Tell whether something is queued: whoever appends may have to wait."""
        return bool(self._queue)

    @property
    def brought(self) -> tuple[int, int]:
        """What changes with each append: whether an interrupted one was done after all.

        To be asked with the `lock` held since before that append.
        """
        if self._queue:
            return self._taken, -1
        if self._pending is not self._booked:
            self._reconcile()
        return self._taken, self._booked[0]

    @property
    def handle(self) -> int:
        """The descriptor, for a child that shall be able to go on writing."""
        return self._handle

    def is_in_place(self) -> bool:
        """Tell whether the file still lies where it was created; a purge takes it away."""
        try:
            status = os.stat(self.path)
            return (status.st_dev, status.st_ino) == self._identity
        except FileNotFoundError:
            return False
        except OSError:  # whoever cannot look does not know
            return True

    def close(self, timeout: float = 30.0) -> None:
        """Write what is queued, sync, and let go of the journal."""
        if self._handle < 0:
            return
        with suppress(Exception):
            self.sync(timeout)
        with self.lock:
            self._closing = True
            self._changed.notify_all()
            self._leave()

    def _leave(self) -> None:
        """Let go; in a forked child, too, since the lock must end with its parent."""
        handle, self._handle = self._handle, -1
        if identity(handle) == self._identity:
            with suppress(OSError):
                os.close(handle)

    # -- appending ------------------------------------------------------------------------------

    def message(self, frames: Sequence[bytes | memoryview]) -> None:
        """Append an iopub message as it goes out."""
        self.append(events.message_payload(frames))

    def event(self, name: str, /, **fields: Any) -> None:
        """Append an event."""
        self.append(events.event_payload(name, fields))

    def append(self, *payloads: Payload) -> None:
        """Append records that belong together, in one write."""
        if self._handle < 0:  # closed, or a forked child: before taking any lock
            return
        is_large = False
        for payload in payloads:
            if len(payload) >= LARGE or isinstance(payload, list):
                is_large = True
        with self.lock:
            if self._writing or self._queue or is_large:
                # `_writing` here: a signal handler of this very thread came in between.
                self._enqueue(payloads, is_large, wait=not self._writing)
                return
            if not self._dirty:  # first: what fails here is brought again, so it must not be there
                self._mark_dirty()
            self._writing = True
            try:
                self._write(payloads, is_large)
            finally:
                self._writing = False

    def _enqueue(self, payloads: Sequence[Payload], is_large: bool, *, wait: bool) -> None:
        size = sum(len(p) if isinstance(p, bytes) else sum(map(len, p)) for p in payloads)
        deadline = monotonic() + (0 if self._hangs else _PATIENCE)
        while wait and self._queue and self._queued + size > QUEUE_LIMIT:
            left = deadline - monotonic()
            if left <= 0:  # a disk that hangs must not hang the user's cell
                self._hangs = True
                self._lost += len(payloads)
                self.failure = f"{self.path.parent} does not answer: recording waits for it"
                return
            self._changed.wait(left)
        kept = [*map(_kept, payloads)]
        self._queued += size
        self._taken += 1
        self._queue.append((kept, size, is_large))  # at last: an interrupt comes after a call
        self._drain()

    def _drain(self) -> None:
        """Have the queue written, right here if there is no thread to do it."""
        if self._wake("write", self._write_queued) or self._writing:
            return
        self._writing = True
        try:
            while self._queue:
                self._write_next()
        finally:
            self._writing = False

    def _wake(self, name: str, work: Callable[[], None]) -> bool:
        if name not in self._threads:
            thread = Thread(
                target=self._serve, args=(name, work), name=f"codesave-journal-{name}", daemon=True
            )
            try:
                # Before it starts: a signal handler that comes in between must not start another.
                self._threads[name] = thread
                thread.start()
            except BaseException as error:
                self._threads.pop(name, None)
                # An interrupt: if the thread runs all the same, it sees that it must not. Python's
                # own code may have replaced it by an error of its lock.
                context = error.__context__
                if isinstance(context, KeyboardInterrupt) or (context and is_interrupt(context)):
                    raise context from None
                if isinstance(error, RuntimeError):  # there are too many, or the interpreter ends
                    return False
                raise
        self._changed.notify_all()
        return True

    def _serve(self, name: str, work: Callable[[], None]) -> None:
        with self.lock:  # not before the thread that starts this one has done so
            if self._threads.get(name) is not threading.current_thread():
                return
        try:
            work()
        except BaseException:  # somebody had it raised in this thread: another one goes on
            with self.lock:
                self._threads.pop(name, None)
                self._dirty = False
            raise

    def _mark_dirty(self) -> None:
        woken = False
        try:
            woken = self._wake("sync", self._keep_synced)
        finally:
            self._dirty = woken

    def settle(self) -> None:
        """Return when all that was appended before is in the file, or when the disk hangs."""
        if not self._queue or self._handle < 0:
            return
        with self.lock:
            self._drain()
            taken = self._taken
            deadline = monotonic() + (0 if self._hangs else _PATIENCE)
            while self._done < taken and self._handle >= 0:
                if (left := deadline - monotonic()) <= 0:
                    return
                self._changed.wait(left)

    def sync(self, timeout: float = 30.0) -> None:
        """Return when all that was appended is on the disk, or after `timeout` seconds."""
        if self._handle < 0:
            return
        deadline = monotonic() + timeout
        with self.lock:
            if self._queue:
                self._drain()
            while self._queue and (left := deadline - monotonic()) > 0:
                self._changed.wait(left)
            self._dirty = False
        self._flush()

    # -- its threads ----------------------------------------------------------------------------

    def _write_queued(self) -> None:
        while True:
            with self.lock:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
            self._write_next()

    def _write_next(self) -> None:
        payloads, size, is_large = self._queue[0]
        # Nobody else writes while something is queued, so this needs no lock.
        self._write(payloads, is_large)
        with self.lock:
            self._queue.popleft()
            self._queued -= size
            self._done += 1
            self._hangs = False
            if not self._dirty:
                self._mark_dirty()
            self._changed.notify_all()

    def _keep_synced(self) -> None:
        while True:
            with self.lock:
                self._changed.wait_for(lambda: self._dirty or self._closing)
                if self._closing or self._changed.wait_for(lambda: self._closing, _SYNC_EVERY):
                    return
                self._dirty = False
            self._flush()

    def _flush(self) -> None:
        """Have the disk keep what is written, and at first the name of the file as well."""
        with suppress(OSError):
            _flush(self._handle)
        if not self._named:
            self._named = True
            for folder in list(self.path.parents)[:3]:  # journal/, the data folder, its parent
                with suppress(OSError):
                    sync_folder(folder)

    # -- writing --------------------------------------------------------------------------------

    def _write(self, payloads: Sequence[Payload], is_large: bool) -> None:
        if self._pending is not self._booked:
            self._reconcile()
        for is_last in (False, True):
            try:
                if self.failure is not None and not self._resume():
                    break
                self._record(payloads, is_large)
                return
            except RecursionError:  # the user's own: whoever brought this brings it again
                raise
            except Exception as error:
                if is_interrupt(error):
                    raise
                self._fail(error, waits=is_last)
                if self._retry_at:
                    break
        self._lost += len(payloads)

    def _record(self, payloads: Sequence[Payload], is_large: bool) -> None:
        now = time_ns()
        number, offset = self._booked
        if is_large:
            parts: list[bytes | memoryview] = []
            for payload in payloads:
                parts += events.encode_parts(number, now, payload)
                number += 1
            length = sum(map(len, parts))
            self._pending = after = number, offset + length
            _reserve(self._handle, offset, length)
            self._write_all(parts if len(parts) <= _MOST_PARTS else [b"".join(parts)])
        else:
            data = b""
            for payload in payloads:
                data += events.encode(number, now, payload)
                number += 1
            length = len(data)
            self._pending = after = number, offset + length
            if (written := write(self._handle, data)) < length:
                self._write_all([memoryview(data)[written:]])
        self._booked = after

    def _write_all(self, parts: Sequence[bytes | memoryview]) -> None:
        for part in parts:
            view = memoryview(part)
            while view:
                # A full disk takes what fits of a slice, and says so next time.
                view = view[write(self._handle, view[:_SLICE]) :]

    def _reconcile(self) -> None:
        """An interrupt came between the write and its booking: look what the file says."""
        try:
            status = os.fstat(self._handle)
            if (status.st_dev, status.st_ino) != self._identity:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            if status.st_size == self._pending[1]:
                self._booked = self._pending
            elif status.st_size != self._booked[1]:
                os.ftruncate(self._handle, self._booked[1])
        except OSError as error:
            self._fail(error)
        self._pending = self._booked

    def _fail(self, error: Exception, *, waits: bool = False) -> None:
        # What is not the disk's is tried again at once, but once only.
        name = errno.errorcode.get(getattr(error, "errno", None) or 0)
        waits = waits or self.failure is not None or name in _OF_THE_DISK
        self._retry_at = monotonic() + _RETRY_EVERY if waits else 0.0
        self.failure = reason(self.path, error)
        self._pending = self._booked
        if identity(self._handle) == self._identity:
            with suppress(OSError):
                os.ftruncate(self._handle, self._booked[1])

    def _resume(self) -> bool:
        """Try again, not at every record: first the file's end, then a word on what was lost."""
        if monotonic() < self._retry_at:
            return False
        if identity(self._handle) != self._identity:
            self._reopen()
        os.ftruncate(self._handle, self._booked[1])
        if self._lost:
            gap = {"reason": self.failure, "lost": self._lost}
            self._record([events.event_payload("gap", gap)], is_large=False)
        self.failure, self._lost = None, 0
        return True

    def _reopen(self) -> None:
        """The user closed our descriptor, and its number may be that of a file of his by now."""
        if self._closing:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0))
        if identity(handle) != self._identity:
            os.close(handle)
            raise FileNotFoundError(errno.ENOENT, "the journal was taken away")
        self._handle = lifted(handle)
        _lock(self._handle)


def reason(path: Path, error: BaseException) -> str:
    """Say why `path` cannot be written, and the way out."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    code = getattr(error, "errno", None)
    if code in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        return f"{path.parent} is full ({text}): make room; recording goes on by itself"
    if code in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{path.parent} cannot be written ({text}): set CODESAVE_DIR to a folder that can"
    return f"{path} cannot be written: {text}"


def _kept(payload: Payload) -> Payload:
    """Give a payload that stays as it is while it is queued."""
    if isinstance(payload, bytes):
        return payload
    return [part if isinstance(part, bytes) or part.readonly else bytes(part) for part in payload]


def _flush(handle: int) -> None:
    if handle >= 0:
        getattr(os, "fdatasync", os.fsync)(handle)


def _reserve(handle: int, offset: int, length: int) -> None:
    """Have the room for a large record allocated at once: Linux then writes it for a fifth less."""
    if sys.platform == "linux" and (ctypes := sys.modules.get("ctypes")) is not None:
        with suppress(AttributeError):
            reserve = ctypes.CDLL(None).fallocate
            kept_size = 1  # FALLOC_FL_KEEP_SIZE
            reserve(handle, kept_size, ctypes.c_int64(offset), ctypes.c_int64(length))


def _lock(handle: int) -> None:
    """Lock the open file; a file system without locks goes without."""
    if sys.platform == "win32":
        return
    import fcntl

    with suppress(OSError):
        if sys.platform == "linux":
            lock = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            fcntl.fcntl(handle, fcntl.F_OFD_SETLK, lock)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _end(handle: int) -> tuple[int, int]:
    """Give the next sequence number and the end of the last whole record."""
    size = os.fstat(handle).st_size
    sequence, offset = 0, len(events.MAGIC)
    while offset + events.HEADER.size <= size:
        header = os.pread(handle, events.HEADER.size, offset)
        mark, _, number, _, length = events.HEADER.unpack(header)
        end = offset + events.HEADER.size + length
        if mark != events.SYNC or end > size:
            break
        if end == size:
            payload = os.pread(handle, length, offset + events.HEADER.size)
            if not events.check(header, payload):
                break
        sequence, offset = number + 1, end
    return sequence, offset
