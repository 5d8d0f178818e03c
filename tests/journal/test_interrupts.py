"""Whose an exception is that comes out of our code."""

from __future__ import annotations

import functools
import json
import signal
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from jupyter_codesave.journal import events
from jupyter_codesave.journal.interrupts import is_interrupt


class TheirsError(Exception):
    """An exception of the user's."""


def plain(number: int, frame: Any) -> None:
    raise TheirsError


def builtin(*_: Any) -> None:
    raise TimeoutError


def once(number: int, frame: Any) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    within(frame)


def within(frame: Any) -> None:
    raise TheirsError


class Handler:
    def __call__(self, number: int, frame: Any) -> None:
        raise TheirsError

    def method(self, number: int, *rest: Any) -> None:
        raise TheirsError


def bound(own: str, number: int, frame: Any) -> None:
    raise TheirsError


def raised(work: Callable[[], object]) -> Exception:
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "handler",
    [plain, builtin, once, Handler(), Handler().method, functools.partial(bound, "x")],
    ids=["function", "of Python's", "one-shot", "object", "method", "partial"],
)
def test_what_a_signal_handler_raises_is_the_users(handler: Any) -> None:
    before = signal.signal(signal.SIGALRM, handler)
    try:
        error = raised(lambda: signal.raise_signal(signal.SIGALRM))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert is_interrupt(error)


def test_what_our_code_meets_is_ours() -> None:
    class Value:
        def __repr__(self) -> str:
            raise TheirsError

    assert not is_interrupt(raised(lambda: events.message_frames(b"")))
    assert not is_interrupt(raised(lambda: json.dumps(Value(), default=repr)))
    with mock.patch("os.access", side_effect=TheirsError):
        assert not is_interrupt(raised(lambda: __import__("os").access("x")))
