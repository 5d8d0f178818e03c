"""Descriptors 1 and 2 while a terminal's cell runs: what `!commands` and subprocesses print.

They inherit a pseudo-terminal (a pipe where there is no terminal) instead of the descriptor, and
a thread carries what they print on to the real one, and to the journal. What Python itself prints
goes to the real one directly, after what was printed before it.

Descriptors are numbers, which the user may close and open anew: each is looked at before use, and
where it is not ours any more we stand in no longer.
"""

from __future__ import annotations

import atexit
import codecs
import os
import re
import resource
import select
import signal
import subprocess
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..journal.condition import Condition
from ..journal.handle import identity, lifted
from .mirror import Mirror

_READ = 64 << 10
_MARK = b"\0codesave:%d\0"
_MARKS = re.compile(rb"\0codesave:(\d+)\0")
_BEGUN = re.compile(rb"\0(?:c(?:o(?:d(?:e(?:s(?:a(?:v(?:e(?::\d*)?)?)?)?)?)?)?)?)?")
_LONGEST = 32
_PATIENCE = 2.0  # s that a print waits at most for what was printed before it
_EVERY = 0.25  # s between two looks at the terminal's size
_SOON, _MANY = 0.005, 16  # s, and pieces, until what was carried on is recorded
_CARRIER = """
import os, select, sys
handles = [int(handle) for handle in sys.argv[1:]]
pairs = dict(zip(handles[::2], handles[1::2]))
while pairs:
    for outer in select.select(list(pairs), [], [])[0]:
        try:
            data = left = os.read(outer, 65536)
            while left:
                left = left[os.write(pairs[outer], left) :]
        except OSError:
            data = b""
        if not data:
            del pairs[outer]
            os.close(outer)
os._exit(0)
"""


class Descriptors:
    """Made at the first cell; in place from `begin` to `end` of each."""

    def __init__(self, record: Callable[[str, str], None]) -> None:
        """`record(name, text)` is told what was printed past Python. OSError: there is no way."""
        self._record = record
        self._active = self._leaving = False
        self._quiet = 0
        self._carried_on: list[tuple[str, str]] = []  # and not recorded yet
        self._lock = threading.RLock()
        self._carried = Condition(self._lock)
        self._children = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._pipes: list[_Pipe] = []
        for name, stream, handle in (("stdout", sys.stdout, 1), ("stderr", sys.stderr, 2)):
            if stream.fileno() == handle:
                self._pipes.append(_Pipe(name, handle))
        os.register_at_fork(after_in_child=self._forked)
        self._thread = threading.Thread(target=self._carry, name="codesave-terminal", daemon=True)
        self._thread.start()
        atexit.register(self.leave)

    def begin(self) -> None:
        """A cell begins: who is started from now on prints through us."""
        sys.stdout.flush()
        sys.stderr.flush()
        for pipe in self._ours():
            pipe.stand_in()
        self._active = bool(self._pipes)

    def end(self) -> None:
        """The cell ended: all that was printed is out before this returns."""
        if not self._active:
            return
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        self.drain()
        self._active = False
        for pipe in self._ours():
            pipe.give_back()

    def leave(self) -> None:
        """The process ends: children that outlive it print on as if we had not been there."""
        with suppress(Exception):
            self.end()
            pipes, self._pipes, self._leaving = self._ours(), [], True
            for pipe in pipes:
                pipe.mark()  # the thread wakes
            self._thread.join(_PATIENCE)
            if self._thread.is_alive():
                return
            held = [pipe for pipe in pipes if pipe.is_held()]
            for pipe in pipes:
                with suppress(OSError):  # the other side is closed, and all is read
                    while pipe not in held and self._carry_on(pipe):
                        pass
            self._settle()
            if held:
                _leave_behind(held)

    def _forked(self) -> None:
        """In a forked child: it prints to the descriptor as it found it, as any child."""
        self._active = False
        pipes, self._pipes = self._ours(), []
        for pipe in pipes:
            pipe.close()

    def _ours(self) -> list[_Pipe]:
        """Give the pipes whose descriptors are still ours; of the others nothing is touched."""
        for pipe in list(self._pipes):
            if not pipe.is_ours():
                self._pipes = [other for other in self._pipes if other is not pipe]
                pipe.give_back()
        return self._pipes

    def write(self, name: str, string: str, encoding: str, errors: str) -> bool:
        """Print for Python, past us; False when that is not ours to do."""
        if not self._active:
            return False
        pipe = next((pipe for pipe in self._pipes if pipe.name == name), None)
        if pipe is None or not pipe.stands_in():
            return False
        if not pipe.has_real():
            self._ours()
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
        for pipe in self._ours():
            pipe.mark()
        if not self._pipes:
            return  # a forked child, whose lock may be held by nobody that is there
        with self._lock:
            while self._thread.is_alive() and any(pipe.seen < pipe.sent for pipe in self._pipes):
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
        # In the background we print for who is in the foreground.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU, signal.SIGTTIN})
        looked = 0.0
        while (pipes := self._ours()) and not self._leaving:
            waited = {pipe.outer: pipe for pipe in pipes}
            keys = {pipe.real: pipe for pipe in pipes if self._active and pipe.wants_keys()}
            try:
                pause = _SOON if self._carried_on else _EVERY if self._active else None
                ready, _, _ = select.select([*waited, *keys], [], [], pause)
                if not ready:
                    self._settle()
                if self._active and time.monotonic() - looked >= _EVERY:
                    for pipe in self._ours():
                        pipe.follow_size()
                    looked = time.monotonic()
                for handle in ready:
                    pipe = waited.get(handle) or keys[handle]
                    if not pipe.is_ours():
                        continue
                    if handle in keys:
                        pipe.pass_keys()
                    elif not self._carry_on(pipe):
                        self._pipes = [other for other in self._pipes if other is not pipe]
            except (OSError, ValueError):
                if all(pipe.is_ours() for pipe in pipes):
                    self._give_up()

    def _settle(self) -> None:
        """Record what was carried on. Not at once: a pager that leaves sets the attributes back
        after its last words, and a shell sets its own right then, which must come later.
        """
        carried, self._carried_on = self._carried_on, []
        for name, text in carried:
            self._record(name, text)

    def _give_up(self) -> None:
        """The real one takes no more (`| head`): who prints shall be told so, as without us."""
        self._settle()
        pipes, self._pipes = self._pipes, []
        for pipe in pipes:
            pipe.give_back()
            pipe.close()

    def _carry_on(self, pipe: _Pipe) -> bool:
        data = os.read(pipe.outer, _READ)
        if pipe.mirror is not None:
            printed = pipe.mirror.take(data)
            if pipe.mirror.has_set:
                for other in self._ours():
                    other.follow()
        else:
            printed = data
        text = pipe.unmarked(printed)
        if text:
            _write(pipe.real, text)
            if not self._quiet:
                self._carried_on.append((pipe.name, pipe.decoder.decode(text)))
        if pipe.latest != pipe.seen or len(self._carried_on) >= _MANY:
            self._settle()
        with self._lock:
            pipe.seen = pipe.latest
            self._carried.notify_all()
        return bool(data)


class _Pipe:
    """One descriptor: the real one, and the two ends of what stands in for it."""

    def __init__(self, name: str, handle: int) -> None:
        self.name, self.handle = name, handle
        self.real = lifted(os.dup(handle))
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.mirror: Mirror | None = None
        self._terminal = os.ttyname(self.real) if os.isatty(self.real) else None
        outer, inner = os.openpty() if self._terminal else os.pipe()
        self.outer, self.inner = lifted(outer), lifted(inner)
        if self._terminal:
            try:
                tty.setraw(self.inner)
                self.mirror = Mirror(self.real, self.outer)
            except termios.error as error:
                raise OSError(*error.args) from None
        self._is = {each: identity(each) for each in (self.real, self.outer, self.inner)}
        self._rest = b""
        self.sent = self.latest = self.seen = 0  # numbers of marks

    def is_ours(self) -> bool:
        """Tell whether no number was closed, or is another file's by now."""
        return all(identity(handle) == known for handle, known in self._is.items())

    def stands_in(self) -> bool:
        """Tell whether who prints to the descriptor prints through us: the user may change it."""
        return identity(self.handle) == self._is[self.inner]

    def stand_in(self) -> None:
        """Be in place, unless the user has put something else there."""
        if identity(self.handle) == self._is[self.real]:
            self.follow()
            if self.mirror is not None:
                self.mirror.wants_keys = False  # a pager of an earlier cell may have been killed
            os.dup2(self.inner, self.handle)

    def give_back(self) -> None:
        """Put the real one back, where we stand in for it."""
        if not self.stands_in():
            return
        if self.has_real():
            os.dup2(self.real, self.handle)
            return
        with suppress(OSError):  # it was closed: a terminal can be had again
            opened = os.open(self._terminal or os.devnull, os.O_RDWR | os.O_NOCTTY)
            os.dup2(opened, self.handle)
            os.close(opened)

    def has_real(self) -> bool:
        """Tell whether the real one's number is still ours."""
        return identity(self.real) == self._is[self.real]

    def follow(self) -> None:
        """Have the attributes of the real terminal."""
        if self.mirror is not None:
            with suppress(OSError, termios.error):
                self.mirror.follow()

    def follow_size(self) -> None:
        """Have the size of the real terminal, and tell who draws."""
        if self.mirror is not None:
            with suppress(OSError, termios.error):
                if self.mirror.follow_size():
                    self.mirror.tell_size()

    def wants_keys(self) -> bool:
        """Tell whether a pager waits for keys on the stand-in: less and more read from stderr's.

        Who draws on stdout reads from stdin, which is the real terminal.
        """
        return self.handle == 2 and self.mirror is not None and self.mirror.wants_keys

    def pass_keys(self) -> None:
        """Give the pager what was typed."""
        keys = b""
        with suppress(OSError):
            keys = os.read(self.real, _READ)
            _write(self.outer, keys)
        if not keys and self.mirror is not None:
            self.mirror.wants_keys = False

    def mark(self) -> None:
        """Print a mark, which the thread notes when it comes to it."""
        self.sent += 1
        _write(self.inner, _MARK % self.sent)

    def is_held(self) -> bool:
        """Close our side, and tell whether somebody else still has it open."""
        os.close(self.inner)
        if self.mirror is not None:
            self.mirror.leave()
            self.mirror = None
        poll = select.poll()
        poll.register(self.outer, select.POLLIN)
        return not any(found & select.POLLHUP for _, found in poll.poll(0))

    def close(self) -> None:
        for handle in self._is:
            os.close(handle)

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


def _leave_behind(pipes: list[_Pipe]) -> None:
    """Start a process that does nothing but carry on, until nobody prints there any more."""
    handles = [handle for pipe in pipes for handle in (pipe.outer, pipe.real)]
    carrier = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _CARRIER, *map(str, handles)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=os.sep,
        pass_fds=handles,
        start_new_session=True,
    )
    carrier.returncode = 0  # it goes on by itself; Popen would warn


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(handle, view) :]
        except BlockingIOError:
            select.select([], [handle], [], 0.1)
