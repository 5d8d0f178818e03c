"""What lies on the desk is in the journal soon, in its place, and outlives its writer."""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from jupyter_codesave.journal import desk as desks
from jupyter_codesave.journal import events, writer
from jupyter_codesave.journal.desk import LARGEST, Desk, append_left
from jupyter_codesave.journal.events import LARGE
from jupyter_codesave.journal.reader import Record, decode_event, read
from jupyter_codesave.journal.tail import Tail
from jupyter_codesave.journal.writer import Writer
from tests.conftest import scale
from tests.journal.test_writer import Moment, _Disk


def opened(path: Path) -> Writer:
    made = Writer(path)
    assert made.open()
    made.event("session", version=1)
    made.use(Desk(Tail(path.with_suffix(".tail"))))
    return made


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A writer with a desk that is cleared by nobody but itself."""
    monkeypatch.setattr(writer, "_FILE_EVERY", 60)
    made = opened(tmp_path / "s.journal")
    yield made
    made.close()


def say(journal: Writer, text: str) -> None:
    journal.message([b"topic", b"<IDS|MSG>", b"", b"{}", b"{}", b"{}", json.dumps(text).encode()])


def said(path: Path) -> list[str]:
    """Give what messages say, and the names of events; all of it must be whole."""
    found = []
    for item in read(path):
        assert isinstance(item, Record), item
        if item.is_event:
            found.append(decode_event(item)["event"])
        else:
            found.append(json.loads(bytes(events.message_frames(item.payload)[-1])))
    return found


def restored(path: Path) -> list[str]:
    """Append what lies on the desk as for a dead writer, twice, and give all that is said."""
    for _ in range(2):
        items = list(read(path))
        last = items[-1]
        assert isinstance(last, Record)
        append_left(path, last.end, last.sequence)
    return said(path)


def test_messages_wait_for_the_next_event_or_for_their_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_FILE_EVERY", 0.01)
    filed = threading.Event()
    clear = Writer._clear
    monkeypatch.setattr(Writer, "_clear", lambda self: (clear(self), filed.set()))
    journal = opened(tmp_path / "s.journal")
    filed.clear()
    with journal.lock:
        say(journal, "one")
        assert said(journal.path) == ["session"]
    assert filed.wait(60)
    journal.sync()
    assert said(journal.path) == ["session", "one"]
    with journal.lock:
        say(journal, "two")
        journal.event("three")
        assert said(journal.path) == ["session", "one", "two", "three"]
    journal.close()


def test_small_and_large_keep_their_order(journal: Writer) -> None:
    wanted = ["session"]
    for number in range(scale(300)):
        size = (1, 30, LARGEST - 200, LARGEST + 1, LARGE)[number % 5]
        wanted.append(f"{number} " + "x" * size)
        say(journal, wanted[-1])
        if number % 7 == 0:
            journal.event("event")
            wanted.append("event")
    journal.sync()
    assert said(journal.path) == wanted


def test_closing_leaves_nothing_on_the_desk(journal: Writer) -> None:
    say(journal, "last")
    journal.close()
    assert said(journal.path) == ["session", "last"]
    assert restored(journal.path) == ["session", "last"]


def test_what_lies_there_when_its_writer_is_dead_is_appended_once(journal: Writer) -> None:
    for text in ("one", "two"):
        say(journal, text)
    assert said(journal.path) == ["session"]
    assert restored(journal.path) == ["session", "one", "two"]


def test_what_lay_there_before_is_not_appended_again(journal: Writer) -> None:
    for text in ("one", "two", "three"):
        say(journal, text)
    journal.sync()
    say(journal, "four")  # as long as none of those that lie behind it
    assert restored(journal.path) == ["session", "one", "two", "three", "four"]


def test_a_garbled_desk_gives_what_is_whole(journal: Writer) -> None:
    for text in ("one", "two", "three"):
        say(journal, text)
    tail = journal.path.with_suffix(".tail")
    data = bytearray(tail.read_bytes())
    at = data.index(b'"two"')
    data[at : at + 5] = b"rotten"[:5]
    tail.write_bytes(data)
    assert restored(journal.path) == ["session", "one"]


def test_without_a_tail_there_is_nothing_to_append(tmp_path: Path) -> None:
    journal = Writer(tmp_path / "s.journal")
    assert journal.open()
    journal.event("session")
    assert restored(journal.path) == ["session"]
    journal.path.with_suffix(".tail").write_bytes(b"no tail")
    assert restored(journal.path) == ["session"]
    append_left(journal.path, len(events.MAGIC), None)
    assert said(journal.path) == ["session"]
    journal.close()


_DYING = """
import os, sys
from pathlib import Path
from jupyter_codesave.journal import writer
from tests.journal.test_desk import opened, say

path, room = Path(sys.argv[1]), int(sys.argv[2])
writer._FILE_EVERY = 60
journal = opened(path)
for number in range(9):
    say(journal, f"number {number}")

def die(handle, data):
    os.write(handle, bytes(data[:room]))
    os.kill(os.getpid(), 9)

writer.write = die
journal.sync()
"""


def test_death_at_any_byte_of_the_write_that_clears_the_desk_loses_nothing(tmp_path: Path) -> None:
    wanted = ["session", *(f"number {number}" for number in range(9))]
    for room in range(0, 1500, 1500 // scale(40)):
        path = tmp_path / f"{room}.journal"
        died = subprocess.run([sys.executable, "-c", _DYING, str(path), str(room)], check=False)
        assert died.returncode == -signal.SIGKILL
        assert restored(path) == wanted


@pytest.fixture(params=["displays", "interrupts", "both"])
def handler(request: pytest.FixtureRequest) -> Any:
    """A signal handler that writes to `handle.journal`, or raises KeyboardInterrupt, or both."""

    def handle(*_: Any) -> None:
        if request.param != "interrupts":
            say(handle.journal, "handler")
        if request.param != "displays":
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handle)
    yield handle
    signal.signal(signal.SIGALRM, before)


def test_a_signal_at_any_moment_loses_nothing_and_doubles_nothing(
    tmp_path: Path, handler: Any
) -> None:
    def bring() -> None:
        say(journal, "one")
        say(journal, "x" * LARGEST)
        say(journal, "two")
        journal.event("event")
        say(journal, "three")
        journal.sync()

    wanted = ["session", "one", "x" * LARGEST, "two", "event", "three"]
    for number in itertools.count(1):
        handler.journal = journal = opened(tmp_path / f"{number}.journal")
        moment = Moment(bring, number)
        say(journal, "after")
        journal.sync()
        found = said(journal.path)
        journal.close()
        assert found[-1] == "after"
        assert found.count("handler") == ("handler" in found)
        rest = [each for each in found[:-1] if each != "handler"]
        assert rest == wanted if not moment.interrupted else rest == wanted[: len(rest)]
        if not moment.came:
            break
    assert number > 50


def test_a_full_disk_takes_nothing_from_the_desk(
    journal: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("one", "two"):
        say(journal, text)
    disk = _Disk(monkeypatch, room=100)
    journal.event("lost")
    assert "full" in str(journal.failure)
    say(journal, "lost, too")
    assert said(journal.path) == ["session"]
    disk.room = 1 << 30
    say(journal, "three")
    journal.sync()
    assert journal.failure is None
    assert said(journal.path) == ["session", "one", "two", "gap", "three"]
    assert decode_event(list(read(journal.path))[3])["lost"] == 2


def test_what_a_full_disk_kept_on_the_desk_comes_when_there_is_room_without_any_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_FILE_EVERY", 0.01)
    failed, cleared = threading.Event(), threading.Event()
    clear, fail = Writer._clear, Writer._fail
    monkeypatch.setattr(Writer, "_clear", lambda self: (clear(self), cleared.set()))
    monkeypatch.setattr(Writer, "_fail", lambda self, *a, **k: (fail(self, *a, **k), failed.set()))
    journal = opened(tmp_path / "s.journal")
    disk = _Disk(monkeypatch, room=0)
    say(journal, "one")
    assert failed.wait(60)
    cleared.clear()
    disk.room = 1 << 30
    assert cleared.wait(60)
    assert said(journal.path) == ["session", "one"]
    journal.close()


def test_a_desk_that_is_full_is_cleared(journal: Writer) -> None:
    wanted = ["session", *(f"{number} " + "x" * 5000 for number in range(40))]
    for text in wanted[1:]:
        say(journal, text)
    assert 1 < len(said(journal.path)) < 41
    assert restored(journal.path) == wanted


def test_what_is_to_be_forgotten_lies_nowhere(journal: Writer) -> None:
    say(journal, "canary")
    journal.sync()
    tail = journal.path.with_suffix(".tail")
    assert b"canary" in tail.read_bytes()
    say(journal, "another")
    journal.wipe()
    assert b"canary" not in tail.read_bytes()
    assert said(journal.path) == ["session", "canary", "another"]
    say(journal, "after")
    assert restored(journal.path) == ["session", "canary", "another", "after"]


def test_who_is_given_the_descriptor_finds_all_in_the_file(journal: Writer) -> None:
    say(journal, "one")
    journal.give()
    assert said(journal.path) == ["session", "one"]
    say(journal, "two")
    assert said(journal.path) == ["session", "one", "two"]


def test_who_closes_our_descriptor_finds_nothing_of_ours_in_his_file_and_loses_nothing(
    journal: Writer, tmp_path: Path
) -> None:
    say(journal, "one")
    mine = os.open(tmp_path / "mine", os.O_RDWR | os.O_CREAT)
    os.dup2(mine, journal._handle)
    say(journal, "two")
    journal.sync()
    os.dup2(mine, journal._handle)
    journal.event("event")
    assert (tmp_path / "mine").read_bytes() == b""
    assert said(journal.path) == ["session", "one", "two", "event"]


def test_a_forked_child_lays_nothing_there(journal: Writer) -> None:
    pid = os.fork()
    if pid == 0:
        say(journal, "child")
        os._exit(0)
    os.waitpid(pid, 0)
    say(journal, "parent")
    assert restored(journal.path) == ["session", "parent"]


def test_where_no_thread_can_be_started_nothing_stays_on_the_desk(
    journal: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.close()
    again = opened(journal.path.with_name("again.journal"))

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", refuse)
        again._threads.clear()
        again._dirty = False
        say(again, "one")
        assert said(again.path) == ["session", "one"]
    again.close()


def test_many_threads_lay_whole_records(journal: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_FILE_EVERY", 0.001)

    def work(name: int) -> None:
        for count in range(300):
            say(journal, f"{name} {count}")
            if count % 50 == 0:
                journal.event("event")
                say(journal, "x" * LARGE)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.sync()
    found = [each for each in said(journal.path) if each[0].isdigit()]
    for number in range(4):
        mine = [each for each in found if each.startswith(f"{number} ")]
        assert mine == [f"{number} {count}" for count in range(300)]


def test_what_cannot_be_appended_is_told_and_left_there(
    journal: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(journal, "one")
    last = list(read(journal.path))[-1]
    assert isinstance(last, Record)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(desks.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            append_left(journal.path, last.end, last.sequence)
    assert restored(journal.path) == ["session", "one"]
