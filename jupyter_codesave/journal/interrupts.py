"""Exceptions that come from outside into code of ours, which must let them through."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import CodeType
from typing import Any

_PACKAGE = __name__.partition(".")[0]


def is_interrupt(error: BaseException) -> bool:
    """Tell whether the user's own code interrupted ours: it waits for `error`, we do not.

    A signal handler raised it (a timeout by SIGALRM), or another thread had it raised here
    (`PyThreadState_SetAsyncExc`): then its type is neither Python's nor ours.
    """
    trace, codes, last = error.__traceback__, set(_handlers()), ""
    while trace is not None:
        if trace.tb_frame.f_code in codes:
            return True
        last = str(trace.tb_frame.f_globals.get("__name__"))
        trace = trace.tb_next
    known = {_PACKAGE, *sys.stdlib_module_names}
    return _root(last) in known and _root(type(error).__module__) not in known


def _root(module: str) -> str:
    return module.partition(".")[0]


def _handlers() -> Iterator[CodeType]:
    """Give the code of Python's signal handlers that are set: functions, methods, partials."""
    for number in signal.valid_signals():
        handler: Any = None
        with suppress(ValueError, OSError):
            handler = signal.getsignal(number)
        handler = getattr(handler, "func", handler)
        code = getattr(handler, "__code__", None)
        if isinstance(code, CodeType):
            yield code
