"""Descriptors of ours in a process of the user's, who may close any number and use it again."""

from __future__ import annotations

import os
from contextlib import suppress

_HIGH = 900  # below the usual limit of 1,024, above what is closed by number (`daemon`, 256)
_FREE = 32  # numbers left to others where the limit is lower


def lifted(handle: int) -> int:
    """Give the open file another number, where nobody looks who closes all that he may have."""
    try:
        import fcntl
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        least = _HIGH if limit == resource.RLIM_INFINITY else min(_HIGH, limit - _FREE)
        high = fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, least)
    except (ImportError, OSError, ValueError):
        return handle
    os.close(handle)
    return high


def identity(handle: int) -> tuple[int, int] | None:
    """Give what tells the open file from all others; None where nothing is open."""
    with suppress(OSError):
        status = os.fstat(handle)
        return status.st_dev, status.st_ino
    return None
