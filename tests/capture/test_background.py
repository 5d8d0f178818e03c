"""What must not hold up a cell is done in the background, and where that cannot be, at the end."""

from __future__ import annotations

import signal
import threading
from functools import partial
from typing import Any

import pytest

from jupyter_codesave.capture import background as module
from jupyter_codesave.capture.background import Background
from tests.journal.test_writer import Moment


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
    background = Background(lambda _: None)

    def submit(name: str) -> None:
        background.submit(name, lambda: doing.append((name, threading.current_thread())))

    def handle(*_: Any) -> None:
        if does != "interrupts":
            submit("handler")
        if does != "submits":
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handle)
    number, came = 0, True
    try:
        while came:
            number += 1
            doing.clear()
            background = Background(lambda _: None)
            moment = Moment(partial(submit, "first"), number, module.__file__)
            came = moment.came
            submit("last")
            assert background.drain(30)
            done = [name for name, _ in doing]
            assert done.count("first") == 1 or moment.interrupted
            assert set(done) >= {"last"} | ({"handler"} if came and does != "interrupts" else set())
            assert len(done) == len(set(done))
            assert {thread for _, thread in doing} == {background._thread}
    finally:
        signal.signal(signal.SIGALRM, before)
    assert number > 3


def test_after_an_interrupt_at_any_moment_other_threads_go_on_to_submit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_DELAY", 0.0)

    def bring(background: Background) -> None:
        background.submit("first", lambda: None)
        background.drain(30)

    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    number, came = 0, True
    try:
        while came:
            number += 1
            last = threading.Event()
            background = Background(lambda _: None)
            came = Moment(partial(bring, background), number, module.__file__).came
            other = threading.Thread(target=background.submit, args=("last", last.set), daemon=True)
            other.start()
            assert last.wait(60)
            other.join(60)
            assert not other.is_alive()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert number > 20
