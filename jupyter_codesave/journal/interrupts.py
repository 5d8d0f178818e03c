"""Exceptions that come from outside into code of ours, which must let them through."""

from __future__ import annotations

import dis
import inspect
import sys
from types import FrameType

_PACKAGE = __name__.partition(".")[0]
_RAISE = dis.opmap["RAISE_VARARGS"]


def is_interrupt(error: BaseException) -> bool:
    """Tell whether the user's own code interrupted ours: it waits for `error`, we do not.

    A signal handler raised it (a timeout by SIGALRM), or another thread had it raised here
    (`PyThreadState_SetAsyncExc`): then its type is neither Python's nor ours, and it comes from
    no `raise` that stands here.
    """
    trace, last, is_raised = error.__traceback__, "", False
    while trace is not None:
        frame = trace.tb_frame
        if _is_handler(frame):
            return True
        last = str(frame.f_globals.get("__name__"))
        is_raised = frame.f_code.co_code[trace.tb_lasti] == _RAISE
        trace = trace.tb_next
    known = {_PACKAGE, *sys.stdlib_module_names}
    return not is_raised and _root(last) in known and _root(type(error).__module__) not in known


def _is_handler(frame: FrameType) -> bool:
    """Tell whether a frame is a signal handler's: it was given the frame that it interrupted.

    It may be set no more, and may be anything that can be called.
    """
    code, below = frame.f_code, frame.f_back
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & inspect.CO_VARARGS)
    given = [frame.f_locals.get(name) for name in code.co_varnames[:count]]
    return below is not None and any(
        value is below or (type(value) is tuple and any(each is below for each in value))
        for value in given
    )


def _root(module: object) -> str:
    return str(module).partition(".")[0]
