"""What must not hold up a cell is done in the background, and where that cannot be, at the end."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any

import pytest

from jupyter_codesave.capture import background as module
from jupyter_codesave.capture.background import Background


def test_where_no_thread_can_be_started_the_work_is_done_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    done: list[str] = []
    faults: list[BaseException] = []
    background = Background(faults.append)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    background.submit("fails", lambda: [][0])
    background.submit("works", lambda: done.append("works"))
    assert background.drain(1.0)
    assert done == ["works"]
    assert [type(fault) for fault in faults] == [RuntimeError, RuntimeError, IndexError]


@pytest.mark.parametrize("does", ["submits", "interrupts", "both"])
def test_a_signal_while_the_thread_is_started_leaves_one_and_all_is_done_once(
    does: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DELAY", 0.0)
    doing: list[tuple[str, threading.Thread]] = []
    background, left, came = Background(lambda _: None), 0, True

    def submit(name: str) -> None:
        background.submit(name, lambda: doing.append((name, threading.current_thread())))

    def handle(*_: Any) -> None:
        if does != "interrupts":
            submit("handler")
        if does != "submits":
            raise KeyboardInterrupt

    def look(frame: FrameType, event: str, _: Any) -> None:
        """Raise the signal where CPython takes one: a function of ours or of C's at a time."""
        nonlocal left, came
        if frame.f_code is not threading.Thread.start.__code__ or event not in ("call", "c_return"):
            return
        left -= 1
        if left == 0:
            came = True
            sys.setprofile(None)
            signal.raise_signal(signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, handle)
    number = 0
    try:
        while came:
            number += 1
            doing.clear()
            background, left, came = Background(lambda _: None), number, False
            interrupted = False
            sys.setprofile(look)
            try:
                submit("first")
            except KeyboardInterrupt:
                interrupted = True
            finally:
                sys.setprofile(None)
            submit("last")
            assert background.drain(30)
            done = [name for name, _ in doing]
            expected = ["first", "last"] + ["handler"] * (came and does != "interrupts")
            assert sorted(done) == sorted(expected)
            assert interrupted == (came and does != "submits")
            assert {thread for _, thread in doing} == {background._thread}
    finally:
        signal.signal(signal.SIGALRM, before)
    assert number > 3
