"""The background: one thread for what must not hold up a cell (git, packages, modules)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from threading import Thread

from ..journal.condition import Condition

_DELAY = 0.3  # s; the first cell goes first


class Background:
    """Runs named pieces of work one after the other; a piece that waits already is not doubled."""

    def __init__(self, on_fault: Callable[[BaseException], None]) -> None:
        self._on_fault = on_fault
        self._pid = os.getpid()
        self._work: dict[str, Callable[[], None]] = {}
        self._busy = False
        self._hurry = False
        self._lock = threading.RLock()
        self._changed = Condition(self._lock)
        self._thread: Thread | None = None

    def submit(self, name: str, work: Callable[[], None]) -> None:
        """Have `work` done soon."""
        if name in self._work or os.getpid() != self._pid:
            return
        with self._lock:
            self._work[name] = work
            if self._thread is None:
                thread = Thread(target=self._run, name="codesave", daemon=True)
                try:
                    # Before it starts: a signal handler in between must not start another.
                    self._thread = thread
                    thread.start()
                except BaseException as error:
                    self._thread = None
                    if not isinstance(error, RuntimeError):
                        raise  # an interrupt: if the thread runs, it sees that it must not
                    self._on_fault(error)  # there are too many: the work waits for `drain`
                    return
            self._changed.notify_all()

    def drain(self, timeout: float) -> bool:
        """Wait until nothing is left to do; False when that takes longer than `timeout` s."""
        if os.getpid() != self._pid:
            return True
        thread = self._thread
        if thread is None:
            while self._work:
                self._do_next()
            return True
        deadline = time.monotonic() + timeout
        with self._lock:
            self._hurry = True
            self._changed.notify_all()
            try:
                while self._work or self._busy:
                    left = deadline - time.monotonic()
                    if left <= 0 or not thread.is_alive():
                        return False
                    self._changed.wait(left)
            finally:
                self._hurry = False
        return True

    def _run(self) -> None:
        with self._lock:
            if self._thread is not threading.current_thread():
                return
        while True:
            with self._lock:
                while not self._work:
                    self._changed.wait()
                began = time.monotonic()
                while not self._hurry and (left := began + _DELAY - time.monotonic()) > 0:
                    self._changed.wait(left)
                self._busy = True
            self._do_next()
            with self._lock:
                self._busy = False
                self._changed.notify_all()

    def _do_next(self) -> None:
        with self._lock:  # `submit` may add one meanwhile
            work = self._work.pop(next(iter(self._work)))
        try:
            work()
        except Exception as error:
            self._on_fault(error)
