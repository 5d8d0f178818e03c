"""The console: what a terminal session or a script writes to sys.stdout and sys.stderr."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

from .recorder import Recorder
from .session import Session

_EVERY = 0.2  # s between two publications, as in a kernel


class Console:
    """Sits on the streams' `write`; text goes on as before, and to the journal every 200 ms."""

    def __init__(self, recorder: Recorder, key: Callable[[], str | None]) -> None:
        """`key()` names the execution that prints now, None when nothing is to be recorded."""
        self.recorder, self.key = recorder, key
        self.quiet = threading.local()
        self.through: Any = None  # the Descriptors of a terminal
        self.lock = threading.RLock()
        if hasattr(os, "register_at_fork"):  # another thread may hold it while this one forks
            os.register_at_fork(after_in_child=lambda: setattr(self, "lock", threading.RLock()))
        self.last: _Stream | None = None
        self._streams: dict[str, _Stream] = {}
        self.idle = threading.Lock()  # taken until something is to be published
        self.idle.acquire()
        self._thread: threading.Thread | None = None

    def install(self) -> None:
        """See what is written from now on; what sees it already is left as it is.

        What the user puts in a stream's place later writes to that one, or past it.
        """
        for name in ("stdout", "stderr"):
            known = self._streams.get(name)
            stream = known.stream if known is not None else getattr(sys, name, None)
            if stream is None or (known is not None and known.is_on()):
                continue
            try:
                self._streams[name] = _Stream(self, name, stream, known)
            except AttributeError:
                continue  # a stream that cannot be watched

    def remove(self) -> None:
        """See nothing any more."""
        self.flush()
        for stream in self._streams.values():
            stream.remove()
        self._streams.clear()

    def follow_prints(self, session: Session) -> None:
        """Have what is written laid into the session's tail until it is published."""
        if session.tail is not None:
            for stream in self._streams.values():
                stream.tail = session.tail.stream(stream.name, stream, self.recorder.keeps)

    def flush(self) -> None:
        """Publish what was written."""
        with self.lock:
            for stream in self._streams.values():
                stream.flush()

    def output(self, **output: Any) -> None:
        """Record an output that is not a stream."""
        key = self.key()
        if key is None or not self.recorder.keeps(key):
            return
        display_id = output.pop("display_id", None)
        self.flush()
        more: dict[str, Any] = {"display_id": display_id} if display_id else {}
        if output.pop("past", False):
            more["past"] = True
        self.recorder.event("output", key=key, output=output, **more)

    def text(self, name: str, text: str) -> None:
        """Record text that reached the terminal past the streams."""
        self.output(output_type="stream", name=name, text=text, past=True)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Do not record what this thread writes: it is recorded in another form."""
        before = getattr(self.quiet, "on", False)
        self.quiet.on = True
        try:
            yield
        finally:
            self.quiet.on = before

    def schedule(self) -> None:
        """Publish soon."""
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="codesave-console", daemon=True)
            try:
                self._thread = thread  # a signal handler in between must not start another
                thread.start()
            except BaseException:
                self._thread = None
                raise
        with suppress(RuntimeError):  # it was released meanwhile
            self.idle.release()

    def _work(self) -> None:
        pause = threading.Event()
        while True:
            self.idle.acquire()
            pause.wait(_EVERY)
            self.recorder.guarded(self.flush)


class _Stream:
    """One of the two streams. `parent_header` and `flush` are what the tail asks for."""

    def __init__(self, console: Console, name: str, stream: Any, former: _Stream | None) -> None:
        self.name = name
        self.tail: Any = former.tail if former is not None else None
        self.parent_header: dict[str, str] = {}
        self._console, self.stream = console, stream
        self._is_plain = isinstance(stream, TextIOWrapper)
        self._key: str | None = None
        self._parts: list[str] = []
        self._publishing = False
        self._write = stream.write
        self._seen = self.write
        stream.write = self._seen

    def is_on(self) -> bool:
        """Tell whether the stream is still watched."""
        return bool(self.stream.write == self._seen)

    def remove(self) -> None:
        if self.stream.write == self._seen:
            try:
                del self.stream.write
            except AttributeError:
                self.stream.write = self._write

    def write(self, string: Any) -> Any:
        """Note, then write: what was seen is kept, whatever happens next."""
        if not isinstance(string, str):
            return self._write(string)  # raises, most likely, what the user expects
        through = self._console.through
        if through is not None and not self._is_plain:
            return self._write(string)  # the user's own; what it prints is seen further down
        try:
            if string and self._console.recorder.is_here:
                if through is not None:
                    through.catch_up()
                self._note(string)
        except Exception as error:
            self._console.recorder.note_fault(error)
        if through is not None and through.write(
            self.name, string, self.stream.encoding, self.stream.errors
        ):
            return len(string)
        return self._write(string)

    def _note(self, string: str) -> None:
        console = self._console
        if getattr(console.quiet, "on", False):
            return
        key = console.key()
        if key is None or key not in console.recorder.kept:
            return
        with console.lock:
            if key != self._key:
                self.flush()
                self._key, self.parent_header = key, {"msg_id": key}
            if console.last is not self:
                if console.last is not None:
                    console.last.flush()
                console.last = self
            if self.tail is not None:
                self.tail.write(string)
            self._parts.append(string)
            if console.idle.locked():
                console.schedule()

    def flush(self) -> None:
        """Publish what was written to this stream."""
        with self._console.lock:
            if self._publishing:  # a signal handler prints, too
                return
            self._publishing = True
            try:
                if self.tail is not None:
                    self.tail.flush()
                if self._parts:
                    self._publish(self._console.recorder)
            finally:
                self._publishing = False

    def _publish(self, recorder: Recorder) -> None:
        """Write what was printed: an interrupt leaves it written or noted, never both."""
        parts = self._parts.copy()  # a signal handler may add to them from here on
        count = len(parts)
        output = {"output_type": "stream", "name": self.name, "text": "".join(parts)}
        journal = recorder.session.journal
        with journal.lock:
            before = journal.brought
            try:
                recorder.event("output", key=self._key, output=output)
            except BaseException:
                if journal.brought != before:
                    del self._parts[:count]
                raise
            del self._parts[:count]
