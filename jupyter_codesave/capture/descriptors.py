"""Descriptors 1 and 2 while a terminal's cell runs: what `!commands` and subprocesses print.

They inherit a pseudo-terminal (a pipe where there is no terminal) instead of the descriptor, and
a thread carries what they print on to the real one, and to the journal. What Python itself prints
goes to the real one directly, after what was printed before it.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import re
import resource
import select
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..journal.condition import Condition

_READ = 64 << 10
_MARK = b"\0codesave:%d\0"
_MARKS = re.compile(rb"\0codesave:(\d+)\0")
_BEGUN = re.compile(rb"\0(?:c(?:o(?:d(?:e(?:s(?:a(?:v(?:e(?::\d*)?)?)?)?)?)?)?)?)?")
_LONGEST = 32
_PATIENCE = 2.0  # s that a print waits at most for what was printed before it


class Descriptors:
    """Made at the first cell; in place from `begin` to `end` of each."""

    def __init__(self, record: Callable[[str, str], None]) -> None:
        """`record(name, text)` is told what was printed past Python. OSError: there is no way."""
        self._record = record
        self._active = False
        self._quiet = 0
        self._lock = threading.RLock()
        self._carried = Condition(self._lock)
        self._children = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._pipes: list[_Pipe] = []
        for name, stream, handle in (("stdout", sys.stdout, 1), ("stderr", sys.stderr, 2)):
            if stream.fileno() == handle:
                self._pipes.append(_Pipe(name, handle))
        os.register_at_fork(after_in_child=self._leave)
        threading.Thread(target=self._carry, name="codesave-terminal", daemon=True).start()

    def begin(self) -> None:
        """A cell begins: who is started from now on prints through us."""
        sys.stdout.flush()
        sys.stderr.flush()
        for pipe in self._pipes:
            pipe.resize()
            os.dup2(pipe.inner, pipe.handle)
        self._active = True

    def _leave(self) -> None:
        """In a forked child: it prints to the descriptor as it found it, as any child."""
        self._active = False

    def end(self) -> None:
        """The cell ended: all that was printed is out before this returns."""
        if not self._active:
            return
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        self.drain()
        self._active = False
        for pipe in self._pipes:
            os.dup2(pipe.real, pipe.handle)

    def write(self, name: str, string: str, encoding: str, errors: str) -> bool:
        """Print for Python, past us; False when that is not ours to do."""
        if not self._active:
            return False
        pipe = next((pipe for pipe in self._pipes if pipe.name == name), None)
        if pipe is None:
            return False
        _write(pipe.real, string.encode(encoding, errors))
        return True

    def catch_up(self) -> None:
        """Python prints: what a child printed that has ended since comes first."""
        if not self._active:
            return
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        if children != self._children:
            self._children = children
            self.drain()

    def drain(self) -> None:
        """Wait until what was printed so far is carried on: a mark is sent after it."""
        deadline = time.monotonic() + _PATIENCE
        for pipe in self._pipes:
            pipe.sent += 1
            _write(pipe.inner, _MARK % pipe.sent)
        with self._lock:
            while any(pipe.seen < pipe.sent for pipe in self._pipes):
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._carried.wait(left)

    @contextmanager
    def hushed(self) -> Iterator[None]:
        """Carry on without recording: it is recorded in another form, or not to be kept."""
        self.drain()
        self._quiet += 1
        try:
            yield
        finally:
            self.drain()
            self._quiet -= 1

    def _carry(self) -> None:
        pipes = {pipe.outer: pipe for pipe in self._pipes}
        while pipes:
            try:
                ready, _, _ = select.select(list(pipes), [], [], 1.0 if self._active else None)
                if not ready:
                    for pipe in pipes.values():
                        pipe.resize()
                for outer in ready:
                    if not self._carry_on(pipes[outer]):
                        del pipes[outer]
            except (OSError, ValueError):
                return

    def _carry_on(self, pipe: _Pipe) -> bool:
        data = os.read(pipe.outer, _READ)
        text = pipe.unmarked(data)
        if text:
            _write(pipe.real, text)
            if not self._quiet:
                self._record(pipe.name, pipe.decoder.decode(text))
        with self._lock:
            pipe.seen = pipe.latest
            self._carried.notify_all()
        return bool(data)


class _Pipe:
    """One descriptor: the real one, and the two ends of what stands in for it."""

    def __init__(self, name: str, handle: int) -> None:
        self.name, self.handle = name, handle
        self.real = os.dup(handle)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_terminal = os.isatty(self.real)
        if self._is_terminal:
            self.outer, self.inner = os.openpty()
            tty.setraw(self.inner)  # the real terminal does what there is to do
        else:
            self.outer, self.inner = os.pipe()
        self._size = b""
        self._rest = b""
        self.sent = self.latest = self.seen = 0  # numbers of marks

    def resize(self) -> None:
        """Tell programs how large the real terminal is."""
        if not self._is_terminal:
            return
        with suppress(OSError):
            size = fcntl.ioctl(self.real, termios.TIOCGWINSZ, b"\0" * 8)
            if size != self._size:
                self._size = size
                fcntl.ioctl(self.inner, termios.TIOCSWINSZ, size)

    def unmarked(self, data: bytes) -> bytes:
        """Take the marks out of what was read, and note them; one may come in two pieces."""
        data = self._rest + data
        text, marks = [], []
        at = 0
        for found in _MARKS.finditer(data):
            text.append(data[at : found.start()])
            at = found.end()
            marks.append(int(found[1]))
        begun = data.find(b"\0", max(at, len(data) - _LONGEST))
        end = len(data) if begun < 0 or not _BEGUN.fullmatch(data[begun:]) else begun
        self._rest = data[end:]
        self.latest = marks[-1] if marks else self.latest
        return b"".join([*text, data[at:end]])


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(handle, view) :]
        except BlockingIOError:
            select.select([], [handle], [], 0.1)
