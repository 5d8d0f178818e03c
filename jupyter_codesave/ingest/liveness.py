"""Who may still write a journal, and who may ingest it now."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from ..journal.reader import session_event

_YOUNG = 60.0  # s


def is_alive(path: Path) -> bool:
    """Tell whether a journal's writer may still append; only its own host can know it is dead."""
    session = session_event(path)
    if session.get("host") not in (None, socket.gethostname()):
        return True
    if _is_locked(path):
        return True
    if not session:  # its writer may be about to lock it, and to say who it is
        return time.time() - path.stat().st_mtime < _YOUNG
    pid = session.get("pid")
    if not isinstance(pid, int):
        return False
    import psutil

    try:
        process = psutil.Process(pid)
        started = session.get("process_started")
        same = started is None or abs(process.create_time() - float(started)) < 2
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.NoSuchProcess, ValueError, TypeError):
        return False
    except psutil.Error:
        return True


def _is_locked(path: Path) -> bool:
    try:
        import fcntl
    except ImportError:
        return False
    try:
        with path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except PermissionError:
        return False
    except OSError:
        return True
    return False


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time ingest a journal."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    lock = path.with_suffix(".ingest")
    with lock.open("a+b") as file:
        os.chmod(lock, 0o600)
        fcntl.lockf(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if not path.exists():
                lock.unlink(missing_ok=True)
