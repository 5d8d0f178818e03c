"""A condition for the user's own thread, where an interrupt may come at any moment."""

from __future__ import annotations

import threading


class Condition(threading.Condition):
    """Waits as threading's own does, and an interrupt leaves its lock as it has to be.

    Enter it by `with lock`, never by itself: its `__enter__` is Python's, and an interrupt in it
    would leave the lock taken for ever.
    """

    def __init__(self, lock: threading.RLock) -> None:
        super().__init__(lock)
        self._held = lock

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a change, at most so many seconds, with the lock held before and after."""
        try:
            return super().wait(timeout)
        except BaseException:  # it may have let go of the lock already
            if not self._held._is_owned():  # type: ignore[attr-defined]  # of every RLock
                self._held.acquire()
            raise
