"""The writer leaves whole records only, in order, whatever happens around it."""

from __future__ import annotations

import ctypes
import errno
import inspect
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from jupyter_codesave.journal import events, tail, writer
from jupyter_codesave.journal.events import LARGE
from jupyter_codesave.journal.reader import Lost, Record, decode_event, read
from jupyter_codesave.journal.writer import Writer
from tests.conftest import scale
from tests.journal.test_tail import Printing
from tests.store.power import Disk, operations, traced


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    made = Writer(tmp_path / "journal" / "s.journal")
    assert made.open()
    yield made
    made.close()


def names(path: Path) -> list[Any]:
    """Give the events' names, and the sizes of messages' last frames."""
    found: list[Any] = []
    for item in read(path):
        assert isinstance(item, Record), item
        if item.is_event:
            found.append(decode_event(item)["event"])
        else:
            found.append(len(events.message_frames(item.payload)[-1]))
    return found


def test_files_are_private(journal: Writer) -> None:
    assert journal.path.stat().st_mode & 0o777 == 0o600
    assert journal.path.parent.stat().st_mode & 0o777 == 0o700


def test_events_and_messages_come_back_in_order(journal: Writer) -> None:
    journal.event("session", version=1)
    journal.message([b"topic", b"", b"\xff\x00binary"])
    journal.append(events.event_payload("a", {}), events.message_payload([memoryview(b"view")]))
    assert names(journal.path) == ["session", 8, "a", 4]


def test_a_large_record_keeps_its_place(journal: Writer) -> None:
    for _ in range(5):
        journal.event("small")
        journal.message([b"x" * LARGE])
        journal.event("after")
    journal.sync()
    assert names(journal.path) == ["small", LARGE, "after"] * 5


def test_a_buffer_that_changes_after_the_call_is_kept_as_it_was(journal: Writer) -> None:
    buffer = bytearray(b"a" * LARGE)
    held = threading.Event()
    original = journal._write
    journal._write = lambda *args: (held.wait(10), original(*args))[1]
    journal.message([buffer])
    buffer[:] = b"b" * LARGE
    held.set()
    journal.sync()
    (record,) = read(journal.path)
    assert isinstance(record, Record)
    assert record.payload.endswith(b"a" * LARGE)


def test_what_waits_is_bounded_and_nothing_is_lost(
    journal: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "QUEUE_LIMIT", 4 * LARGE)
    most = 0
    for _ in range(40):
        journal.message([b"x" * LARGE])
        most = max(most, journal._queued)
    journal.sync()
    assert most <= 6 * LARGE
    assert names(journal.path) == [LARGE] * 40


def test_many_threads_write_whole_records(journal: Writer) -> None:
    def work(number: int) -> None:
        for count in range(200):
            journal.event("note", thread=number, count=count)
            if count % 50 == 0:
                journal.message([b"x" * LARGE])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.sync()
    seen: dict[int, list[int]] = {}
    for item in read(journal.path):
        assert isinstance(item, Record)
        if item.is_event:
            fields = decode_event(item)
            seen.setdefault(fields["thread"], []).append(fields["count"])
    assert seen == {number: list(range(200)) for number in range(4)}


def test_interrupts_at_any_moment_leave_whole_records(journal: Writer) -> None:
    written, interrupted, armed = 0, 0, False

    def interrupt(*_: Any) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for number in range(scale(2000)):
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, (number % 50 + 1) * 1e-6)
                journal.event("number", number=number)
                armed = False
                written += 1
            except KeyboardInterrupt:
                interrupted += 1
            while signal.getitimer(signal.ITIMER_REAL)[0]:
                pass
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 0
    journal.event("number", number=1 << 30)
    found = [decode_event(item)["number"] for item in read(journal.path)]
    assert found == sorted(set(found))
    assert written < len(found)


class LateError(Exception):
    """What a timeout of the user's raises."""


class Moment:
    """Raises SIGALRM at the n-th moment within `file` at which CPython takes a signal.

    That is when a function of Python's begins, or when one of C's returned.
    """

    def __init__(
        self, work: Callable[[], object], number: int, file: str = writer.__file__
    ) -> None:
        self.came, self.interrupted = False, False
        self._left, self._file = number, file
        # Kept, for CPython 3.11 borrows it: a finalizer that the garbage collector runs while an
        # event is being prepared may come to the moment, and what is freed then is called.
        self._profile = self._look
        sys.setprofile(self._profile)
        try:
            work()
        except (KeyboardInterrupt, LateError):
            self.interrupted = True
        finally:
            sys.setprofile(None)

    def _look(self, frame: FrameType, event: str, _: Any) -> None:
        place: FrameType | None = frame
        while place is not None and place.f_code.co_filename != self._file:
            place = place.f_back
        if place is None or event not in ("call", "c_return"):
            return
        self._left -= 1
        if self._left == 0:
            self.came = True
            sys.setprofile(None)
            signal.raise_signal(signal.SIGALRM)


@pytest.fixture(params=["displays", "interrupts", "both"])
def handler(request: pytest.FixtureRequest) -> Any:
    """A signal handler that writes to `handle.journal`, or raises KeyboardInterrupt, or both."""

    def handle(*_: Any) -> None:
        if request.param != "interrupts":
            handle.journal.event("handler")
        if request.param != "displays":
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handle)
    yield handle
    signal.signal(signal.SIGALRM, before)


def test_a_signal_while_the_threads_are_started_leaves_one_of_each_and_loses_nothing(
    tmp_path: Path, handler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    working: list[Writer] = []
    work = Writer._write_queued
    monkeypatch.setattr(Writer, "_write_queued", lambda self: (working.append(self), work(self)))

    def bring() -> None:
        journal.message([b"x" * LARGE])
        journal.event("small")

    number, came = 0, True
    while came:
        number += 1
        working.clear()
        handler.journal = journal = Writer(tmp_path / f"{number}.journal")
        assert journal.open()
        moment = Moment(bring, number)
        came = moment.came
        for _ in range(5):
            journal.message([b"y" * (LARGE + 1)])
            journal.event("after")
        journal.sync()
        assert not journal._queue
        assert working == [journal]
        found = names(journal.path)
        journal.close()
        assert found[-10:] == [LARGE + 1, "after"] * 5
        assert found.count(LARGE) == found.count("small") == 1 or moment.interrupted
        assert found.count(LARGE) <= 1
        assert found.count("small") <= 1
        if came and "handler" in found:
            assert found.count("handler") == 1
    assert number > 20
    assert not failed


@pytest.mark.parametrize("handler", ["interrupts"], indirect=True)
@pytest.mark.parametrize("work", [Writer.settle, Writer.sync, Writer.close])
def test_after_an_interrupt_at_any_moment_other_threads_go_on_to_write(
    tmp_path: Path, handler: Any, work: Callable[[Writer], None]
) -> None:
    def go_on(journal: Writer) -> None:
        journal.event("after")
        journal.sync()

    number, came = 0, True
    while came:
        number += 1
        journal = Writer(tmp_path / f"{number}.journal")
        assert journal.open()
        journal.message([b"x" * LARGE])
        came = Moment(partial(work, journal), number).came
        other = threading.Thread(target=go_on, args=(journal,), daemon=True)
        other.start()
        other.join(60)
        assert not other.is_alive()
        assert names(journal.path) == [LARGE] + ["after"] * journal.is_open
        journal.close()
    assert number > 3


def test_a_signal_handler_may_write_too(journal: Writer) -> None:
    handled = 0

    def handle(*_: Any) -> None:
        nonlocal handled
        handled += 1
        journal.event("handler")

    before = signal.signal(signal.SIGALRM, handle)
    try:
        for number in range(scale(1000)):
            signal.setitimer(signal.ITIMER_REAL, (number % 40 + 1) * 1e-6)
            journal.event("main")
            while signal.getitimer(signal.ITIMER_REAL)[0]:
                pass
    finally:
        signal.signal(signal.SIGALRM, before)
    journal.sync()
    found = names(journal.path)
    assert found.count("main") == scale(1000)
    assert found.count("handler") == handled > 0


@pytest.mark.parametrize("file", [writer, tail], ids=["writer", "tail"])
def test_a_timeout_of_the_users_own_reaches_him_at_any_moment(tmp_path: Path, file: Any) -> None:
    def once(number: int, frame: Any) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        raise LateError

    def work() -> None:
        journal.event("small")
        printing.write("printed ☃")
        printing.parent_header = {"msg_id": "second"}
        printing.write("printed" * 20_000)

    before, number, came = signal.getsignal(signal.SIGALRM), 0, True
    while came:
        number += 1
        journal = Writer(tmp_path / f"{number}.journal")
        assert journal.open()
        printing = Printing(tail.Tail(tmp_path / f"{number}.tail"))
        signal.signal(signal.SIGALRM, once)
        moment = Moment(work, number, file.__file__)
        came = moment.came
        assert moment.interrupted is came
        journal.event("after")
        printing.write("after")
        printing.flush()
        assert journal.failure is None
        assert set(names(journal.path)) <= {"small", "after"}
        assert not printing.tail._stopped
        journal.close()
    signal.signal(signal.SIGALRM, before)
    assert number > 20


def test_what_another_thread_has_raised_in_ours_is_for_the_user(journal: Writer) -> None:
    journal.event("number", number=-1)  # in 3.11 it may be raised in a thread that main starts
    written = came = 0
    main, ready = threading.get_ident(), threading.Event()

    def interrupt() -> None:
        for _ in range(scale(100)):
            assert ready.wait(60)
            ready.clear()
            raise_in(ctypes.c_ulong(main), ctypes.py_object(LateError))

    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    thread = threading.Thread(target=interrupt)
    thread.start()
    while came < scale(100):
        try:
            ready.set()
            while True:
                journal.event("number", number=written)
                written += 1
        except LateError:
            came += 1
    thread.join()
    assert journal.failure is None
    found = [decode_event(item) for item in read(journal.path)]
    assert {event["event"] for event in found} == {"number"}
    assert written < len(found) <= written + came + 1


def test_after_an_exception_that_somebody_raises_in_our_thread_another_one_syncs(
    journal: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    died, flushed = threading.Event(), threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: died.set())
    monkeypatch.setattr(writer, "_SYNC_EVERY", 0.01)
    monkeypatch.setattr(journal, "_flush", flushed.set)
    journal.event("first")
    assert flushed.wait(60)
    thread = journal._threads["sync"]
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    raise_in(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(LateError))
    journal.event("next")  # wakes it
    assert died.wait(60)
    flushed.clear()
    journal.event("last")
    assert flushed.wait(60)
    assert journal._threads["sync"] is not thread


def test_what_finds_no_room_on_the_stack_is_brought_again_and_there_once(journal: Writer) -> None:
    def deep(left: int) -> None:
        if left:
            deep(left - 1)
            return
        journal.event("event")

    limit = sys.getrecursionlimit()
    depth = len(inspect.stack())
    for room in range(1, 40):
        journal._dirty = False  # it is to be marked anew
        before = len(names(journal.path))
        sys.setrecursionlimit(depth + 60 + room)
        try:
            deep(55)
            brought = 1
        except RecursionError:
            brought = 0
        finally:
            sys.setrecursionlimit(limit)
        assert len(names(journal.path)) - before == brought


class _Disk:
    """A disk that takes so many bytes: what `os.write` does there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._write = os.write
        monkeypatch.setattr(writer, "write", self.write)
        monkeypatch.setattr(writer, "_RETRY_EVERY", 0.0)

    def write(self, handle: int, data: bytes) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self._write(handle, data[: self.room])
        self.room -= taken
        return taken


def test_a_full_disk_is_told_and_recording_resumes_with_a_gap(
    journal: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.event("before")
    disk = _Disk(monkeypatch, room=100)
    for _ in range(3):
        journal.event("lost", text="x" * 200)
    assert journal.failure is not None
    assert "full" in journal.failure
    assert names(journal.path) == ["before"]
    disk.room = 1 << 30
    journal.event("after")
    assert journal.failure is None
    assert names(journal.path) == ["before", "gap", "after"]
    gap = decode_event(list(read(journal.path))[1])
    assert gap["lost"] == 3
    assert "full" in gap["reason"]


def test_a_full_disk_at_any_byte_leaves_whole_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in range(0, 400, 7):
        made = Writer(tmp_path / f"{room}.journal")
        assert made.open()
        with monkeypatch.context() as context:
            _Disk(context, room)
            made.event("first", text="x" * 60)
            made.event("second", text="y" * 60)
            made.message([b"z" * 60])
        items = list(read(made.path))
        assert all(isinstance(item, Record) for item in items)
        assert made.path.stat().st_size == (items[-1].end if items else len(events.MAGIC))
        made.close()


def test_an_error_that_comes_again_is_tried_twice_and_then_waited_for(
    journal: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    right = writer.write

    def fail(*_: Any) -> int:
        nonlocal tries
        tries += 1
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr(writer, "write", fail)
    journal.event("lost")
    assert tries == 2
    journal.event("lost, too")
    assert tries == 2
    assert "File too large" in str(journal.failure)
    monkeypatch.setattr(writer, "write", right)
    journal._retry_at = 0.0
    journal.event("kept")
    found = [decode_event(item) for item in read(journal.path)]
    assert [(event["event"], event.get("lost")) for event in found] == [("gap", 2), ("kept", None)]


def test_a_folder_that_cannot_be_made_is_a_failure_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = Writer(tmp_path / "file" / "journal" / "s.journal")
    assert made.open() is False
    assert made.failure is not None
    made.event("nothing happens")
    made.close()


def test_a_forked_child_writes_nothing_and_holds_no_lock(journal: Writer) -> None:
    journal.event("parent")
    reader, starter = os.pipe()
    running, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        journal.event("child")
        os.write(told, b"x")
        os.read(reader, 1)
        os._exit(0)
    try:
        os.read(running, 1)
        journal.close()
        assert not _is_locked(journal.path)
        assert names(journal.path) == ["parent"]
    finally:
        os.write(starter, b"x")
        os.waitpid(pid, 0)


def test_the_lock_outlives_readers_in_the_same_process(journal: Writer) -> None:
    journal.event("x")
    assert names(journal.path) == ["x"]
    with journal.path.open("r+b"):
        pass
    assert _is_locked(journal.path)
    journal.close()
    assert not _is_locked(journal.path)


PROBE = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(3)
"""


def _is_locked(path: Path) -> bool:
    code = subprocess.run([sys.executable, "-c", PROBE, str(path)], check=False).returncode
    assert code in (0, 3)
    return code == 3


def test_who_inherits_the_open_journal_goes_on_where_it_ended(journal: Writer) -> None:
    journal.event("first")
    journal.event("second")
    handle = os.dup(journal.handle)
    journal.close()
    with journal.path.open("ab") as file:
        file.write(events.SYNC + b"torn")
    heir = Writer(journal.path)
    heir.adopt(handle)
    heir.event("third")
    heir.close()
    items = list(read(journal.path))
    assert not [item for item in items if isinstance(item, Lost)]
    assert names(journal.path) == ["first", "second", "third"]


def test_a_journal_that_was_taken_away_is_noticed(journal: Writer) -> None:
    assert journal.is_in_place()
    journal.path.unlink()
    assert not journal.is_in_place()


def test_closing_writes_what_is_queued(tmp_path: Path) -> None:
    made = Writer(tmp_path / "s.journal")
    assert made.open()
    for _ in range(10):
        made.message([b"x" * LARGE])
    made.close()
    assert names(made.path) == [LARGE] * 10
    made.event("too late")
    assert names(made.path) == [LARGE] * 10


def test_a_disk_that_hangs_is_waited_for_once_and_told(
    journal: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, asked = threading.Event(), threading.Event()
    write = os.write

    def slow(handle: int, data: Any) -> int:
        if handle == journal.handle:
            asked.set()
            assert answers.wait(60)
        return write(handle, data)

    monkeypatch.setattr(writer, "_PATIENCE", 0.05)
    monkeypatch.setattr(writer, "QUEUE_LIMIT", 3 * LARGE)
    monkeypatch.setattr(writer, "write", slow)
    for number in range(9):  # returns, though nothing is written
        journal.message([bytes(LARGE + number)])
    assert asked.wait(60)
    assert "does not answer" in str(journal.failure)
    answers.set()
    journal.sync()
    journal.event("after")
    journal.sync()
    found = names(journal.path)
    assert found[0] == LARGE
    assert found[-1] == "after"
    (gap,) = [
        decode_event(item)
        for item in read(journal.path)
        if isinstance(item, Record) and item.is_event and decode_event(item)["event"] == "gap"
    ]
    assert gap["lost"] == 9 - (len(found) - 2)
    assert journal.failure is None


def test_nobody_waits_for_ever_until_a_disk_that_hangs_has_settled(
    journal: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, write = threading.Event(), os.write

    def slow(handle: int, data: Any) -> int:
        assert handle != journal.handle or answers.wait(60)
        return write(handle, data)

    monkeypatch.setattr(writer, "_PATIENCE", 0.05)
    monkeypatch.setattr(writer, "write", slow)
    journal.message([bytes(LARGE)])
    journal.settle()
    answers.set()
    journal.event("after")
    journal.sync()
    assert names(journal.path) == [LARGE, "after"]


def test_where_no_thread_can_be_started_all_is_written_all_the_same(
    journal: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", refuse)
        journal.event("small")
        journal.message([b"x" * LARGE])
        journal.event("after")
        journal.settle()
        assert names(journal.path) == ["small", LARGE, "after"]
        assert journal.failure is None
    flushed, flush = threading.Event(), journal._flush
    journal._flush = lambda: (flush(), flushed.set())
    journal.event("with threads again")
    assert flushed.wait(60)


_CUT = """
import os, sys, threading
from pathlib import Path
from jupyter_codesave.journal import events, writer

synced, flush = threading.Event(), writer.Writer._flush
writer.Writer._flush = lambda self: (flush(self), synced.set())
journal = writer.Writer(Path(sys.argv[1]) / "codesave" / "journal" / "s.journal")
assert journal.open()
for number in range(20):
    journal.event("small", number=number)
assert synced.wait(60)
os.write(1, b"did by itself\\n")
journal.message([b"x" * events.LARGE])
journal.event("last")
journal.sync()
os.write(1, b"did when asked\\n")
os._exit(0)
"""


def test_a_power_cut_leaves_what_was_written_before_the_last_sync(tmp_path: Path) -> None:
    before, log = tmp_path / "before", tmp_path / "strace.log"
    before.mkdir()
    command = [*traced(log), sys.executable, "-c", _CUT, str(before)]
    subprocess.run(command, check=True, timeout=300)
    disk, found = Disk(before), {}
    for operation in operations(log):
        if moment := disk.apply(operation):
            disk.survive(tmp_path / moment)
            found[moment] = names(tmp_path / moment / "codesave" / "journal" / "s.journal")
    assert found["by itself"] == ["small"] * 20
    assert found["when asked"] == ["small"] * 20 + [LARGE, "last"]


def test_it_is_synced_while_large_records_go_on_to_come(journal: Writer) -> None:
    begun, slow = threading.Event(), journal._write
    synced, flush = threading.Semaphore(0), journal._flush

    def write(*args: Any) -> None:
        begun.set()
        slow(*args)

    journal._write = write
    journal._flush = lambda: (flush(), synced.release())
    enough = threading.Event()

    def bring() -> None:
        while not enough.is_set():
            journal.message([b"x" * LARGE])

    bringing = threading.Thread(target=bring)
    bringing.start()
    try:
        assert begun.wait(30)
        assert all(synced.acquire(timeout=30) for _ in range(2))
    finally:
        enough.set()
        bringing.join()
