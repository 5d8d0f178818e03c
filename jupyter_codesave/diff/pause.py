"""Python's collector of cycles waits while notebooks are read and compared.

Both make many small objects, none of them in a cycle: looking through them for cycles would cost a
tenth of a large diff and find nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def without_collecting(work: Callable[P, R]) -> Callable[P, R]:
    """Do `work` with the collector paused, unless somebody else has paused it already."""

    @wraps(work)
    def paused(*args: P.args, **kwargs: P.kwargs) -> R:
        if not gc.isenabled():
            return work(*args, **kwargs)
        gc.disable()
        try:
            return work(*args, **kwargs)
        finally:
            gc.enable()

    return paused
