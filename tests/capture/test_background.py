"""What must not hold up a cell is done in the background, and where that cannot be, at the end."""

from __future__ import annotations

import threading

import pytest

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
