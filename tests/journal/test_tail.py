"""The tail keeps what was printed and not yet published, and nothing twice."""

from __future__ import annotations

import errno
import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from jupyter_codesave.journal.tail import Tail, TailEntry, read_tail, unrecorded
from tests.conftest import scale


class Printing:
    """A stream as ipykernel's: it publishes what was printed only when it is flushed."""

    def __init__(self, tail: Tail, name: str = "stdout", kept: Any = lambda key: True) -> None:
        self.parent_header = {"msg_id": "first"}
        self.published: dict[tuple[str, str], int] = {}
        self._buffer: list[tuple[str, str]] = []
        self.name = name
        self.tail = tail.stream(name, self, kept)

    def write(self, text: str) -> None:
        self.tail.write(text)
        self._buffer.append((self.parent_header.get("msg_id", ""), text))

    def flush(self) -> None:
        self.tail.flush()
        for key, text in self._buffer:
            place = (key, self.name)
            self.published[place] = self.published.get(place, 0) + len(text)
        self._buffer.clear()


@pytest.fixture
def tail(tmp_path: Path) -> Tail:
    return Tail(tmp_path / "s.tail")


def lost(tail: Tail, *streams: Printing) -> dict[tuple[str, str], str]:
    """Give what a reader adds to the published text, by key and stream."""
    published = {place: n for stream in streams for place, n in stream.published.items()}
    found: dict[tuple[str, str], str] = {}
    for entry in unrecorded(read_tail(tail.path), published):
        place = (entry.key, entry.name)
        found[place] = found.get(place, "") + entry.text
    return found


def test_what_was_not_published_is_there(tail: Tail) -> None:
    out = Printing(tail)
    out.write("one ")
    out.write("two ☃")
    assert lost(tail, out) == {("first", "stdout"): "one two ☃"}


def test_what_was_published_is_not_given_again(tail: Tail) -> None:
    out = Printing(tail)
    out.write("published")
    out.flush()
    assert lost(tail, out) == {}
    out.write("not yet")
    assert lost(tail, out) == {("first", "stdout"): "not yet"}


def test_giving_entries_twice_adds_nothing(tail: Tail) -> None:
    out = Printing(tail)
    out.write("text")
    entries, published = read_tail(tail.path), {}
    assert unrecorded(entries, published) == [TailEntry("first", "stdout", 0, "text")]
    assert unrecorded(entries, published) == []


def test_executions_and_streams_are_kept_apart(tail: Tail) -> None:
    out, err = Printing(tail), Printing(tail, "stderr")
    out.write("a")
    err.write("b")
    out.parent_header = {"msg_id": "second"}
    out.write("c")
    out.parent_header = {"msg_id": "first"}
    out.write("d")
    assert lost(tail, out, err) == {
        ("first", "stdout"): "ad",
        ("first", "stderr"): "b",
        ("second", "stdout"): "c",
    }


def test_what_may_not_be_kept_is_nowhere_in_the_file(tail: Tail) -> None:
    out = Printing(tail, kept=lambda key: key != "secret")
    out.write("kept")
    out.parent_header = {"msg_id": "secret"}
    out.write("CANARY")
    out.write("CANARY" * 100_000)
    out.parent_header = {"msg_id": "second"}
    out.write("kept, too")
    assert lost(tail, out) == {("first", "stdout"): "kept", ("second", "stdout"): "kept, too"}
    assert b"CANARY" not in tail.path.read_bytes()


def test_a_change_of_mind_holds_from_the_next_print_on(tail: Tail) -> None:
    kept = True
    out = Printing(tail, kept=lambda key: kept)
    out.write("before")
    kept = False
    tail.reconsider()
    out.write("CANARY")
    kept = True
    tail.reconsider()
    out.write("after")
    assert b"CANARY" not in tail.path.read_bytes()
    assert [entry.text for entry in read_tail(tail.path)] == ["before", "after"]


def test_a_key_with_any_characters_and_no_key_at_all(tail: Tail) -> None:
    out = Printing(tail)
    out.parent_header = {"msg_id": "käy \u2028"}
    out.write("x")
    out.parent_header = {}
    out.write("nobody's")
    assert lost(tail, out) == {("käy \u2028", "stdout"): "x"}


def test_lone_surrogates_are_kept(tail: Tail) -> None:
    out = Printing(tail)
    out.write("a\ud800b")
    assert lost(tail, out) == {("first", "stdout"): "a\ud800b"}


def test_random_prints_and_flushes_lose_and_double_nothing(tmp_path: Path) -> None:
    for seed in range(scale(4)):
        dice = random.Random(seed)
        tail = Tail(tmp_path / f"{seed}.tail")
        streams = [Printing(tail), Printing(tail, "stderr")]
        printed: dict[tuple[str, str], str] = {}
        for _ in range(500):
            stream = dice.choice(streams)
            size = dice.choice([0, 1, 10, 10, 1000, 9000, 30_000])
            if dice.random() < 0.01:
                size = 200_000
            text = dice.choice("xä☃𝒳") * size + "|"
            stream.parent_header = {"msg_id": dice.choice(["first", "second"])}
            stream.write(text)
            place = (stream.parent_header["msg_id"], stream.name)
            printed[place] = printed.get(place, "") + text
            if dice.random() < 0.02:
                stream.flush()
        found = lost(tail, *streams)
        for place, text in printed.items():
            known = next((s.published[place] for s in streams if place in s.published), 0)
            assert text[known:] == found.get(place, ""), (seed, place)
        tail.close()


def test_the_file_does_not_grow_with_what_is_printed(tail: Tail) -> None:
    out = Printing(tail)
    for number in range(2000):
        out.write("x" * 100_000)
        if number % 10 == 0:
            out.flush()
    assert tail.path.stat().st_size < 80 << 20


def test_a_cut_or_garbled_file_is_read_as_far_as_it_goes(tail: Tail, tmp_path: Path) -> None:
    out = Printing(tail)
    out.write("some text" * 20_000)
    whole = tail.path.read_bytes()
    dice = random.Random(1)
    for number in range(scale(200)):
        broken = bytearray(whole[: dice.randrange(len(whole))])
        for _ in range(dice.randrange(5)):
            if broken:
                broken[dice.randrange(min(len(broken), 70_000))] = dice.randrange(256)
        path = tmp_path / "broken.tail"
        path.write_bytes(broken)
        for entry in read_tail(path):
            assert isinstance(entry.text, str), number


def test_no_tail_reads_as_nothing(tmp_path: Path) -> None:
    assert read_tail(tmp_path / "none.tail") == []


def test_a_tail_that_cannot_be_read_does_not_pass_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "folder.tail").mkdir()
    with pytest.raises(OSError, match="directory"):
        read_tail(tmp_path / "folder.tail")


def test_a_forked_child_writes_nothing_into_it(tail: Tail) -> None:
    out = Printing(tail)
    out.write("parent")
    pid = os.fork()
    if pid == 0:
        out.write("child")
        os._exit(0)
    os.waitpid(pid, 0)
    out.write(" goes on")
    assert lost(tail, out) == {("first", "stdout"): "parent goes on"}


def test_closing_removes_it_and_later_prints_do_nothing(tail: Tail) -> None:
    out = Printing(tail)
    out.write("x")
    tail.close()
    out.write("y" * 1_000_000)
    assert not tail.path.exists()


def test_what_is_printed_where_the_stack_ends_is_there(tail: Tail) -> None:
    out = Printing(tail)
    returned: list[str] = []

    def deep(number: int) -> None:
        text = f"{number}:" + "x" * (number % 7 * 10)
        out.tail.write(text)
        returned.append(text)
        deep(number + 1)

    for _ in range(20):
        with pytest.raises(RecursionError):
            deep(0)
    out.tail.write("after")
    assert len(returned) > 1000
    assert lost(tail, out)["first", "stdout"] == "".join(returned) + "after"


def test_what_is_forgotten_is_published_and_wiped(tail: Tail) -> None:
    out = Printing(tail)
    out.write("canary")
    out.write("canary" * 20_000)
    tail.forget()
    assert b"canary" not in tail.path.read_bytes()
    assert lost(tail, out) == {}
    out.write("later")
    assert lost(tail, out) == {("first", "stdout"): "later"}


def test_a_disk_too_full_for_a_large_text_ends_no_tail(
    tail: Tail, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Printing(tail)
    out.write("before ")
    with monkeypatch.context() as context:

        def full(*_: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        context.setattr(os, "pwrite", full)
        out.write("x" * 100_000)
    for _ in range(3):
        out.flush()
    out.write("after")
    assert lost(tail, out) == {("first", "stdout"): "after"}


def test_a_forked_child_prints_though_another_thread_was_printing(tail: Tail) -> None:
    out = Printing(tail)
    held, free = threading.Event(), threading.Event()

    def print_for_long() -> None:
        with out.tail._lock:
            held.set()
            free.wait(60)

    thread = threading.Thread(target=print_for_long)
    thread.start()
    assert held.wait(60)
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        out.tail.write("from the child")
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    free.set()
    thread.join()
    assert status == 0
