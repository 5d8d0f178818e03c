"""Journals are read whatever happened to their end or their middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_codesave.errors import DamagedError, UnavailableError
from jupyter_codesave.journal import events
from jupyter_codesave.journal.erase import erase
from jupyter_codesave.journal.notebook import Fold
from jupyter_codesave.journal.reader import Lost, Record, decode_event, read, session_event
from tests.journal.records import execute_input, idle, journal_bytes, run, session, stream, write

ITEMS = [session(), run(), execute_input("print(1)"), stream("1\n"), idle()]


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = write(tmp_path / "s.journal", ITEMS)
    records = [item for item in read(path) if isinstance(item, Record)]
    assert [record.sequence for record in records] == [0, 1, 2, 3, 4]
    assert decode_event(records[0])["session"] == "s1"
    frames = [bytes(frame) for frame in events.message_frames(records[3].payload)]
    assert frames[1] == b"<IDS|MSG>"
    assert records[-1].end == path.stat().st_size


def test_a_journal_cut_at_any_byte_is_read_up_to_the_last_whole_record(tmp_path: Path) -> None:
    data = journal_bytes(ITEMS)
    path = tmp_path / "s.journal"
    path.write_bytes(data)
    ends = [item.end for item in read(path)]
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        found = [item for item in read(path) if isinstance(item, Record)]
        assert len(found) == sum(end <= cut for end in ends), f"cut at {cut}"


def test_reading_resumes_at_an_offset(tmp_path: Path) -> None:
    path = write(tmp_path / "s.journal", ITEMS[:3])
    *_, last = read(path)
    assert isinstance(last, Record)
    write(path, ITEMS)
    rest = list(read(path, last.end, last.sequence))
    assert [item.sequence for item in rest if isinstance(item, Record)] == [3, 4]


def test_a_garbled_byte_costs_one_record_and_is_said(tmp_path: Path) -> None:
    data = bytearray(journal_bytes(ITEMS))
    path = tmp_path / "s.journal"
    path.write_bytes(data)
    ends = [item.end for item in read(path)]
    for position in range(ends[1], ends[2]):
        garbled = bytearray(data)
        garbled[position] ^= 0xFF
        path.write_bytes(garbled)
        found = list(read(path))
        whole = [item.sequence for item in found if isinstance(item, Record)]
        assert whole == [0, 1, 3, 4], f"byte {position}"
        assert any(isinstance(item, Lost) for item in found)


def test_a_missing_record_is_said(tmp_path: Path) -> None:
    data = journal_bytes(ITEMS)
    path = tmp_path / "s.journal"
    path.write_bytes(data)
    ends = [item.end for item in read(path)]
    path.write_bytes(data[: ends[2]] + data[ends[3] :])
    lost = [item for item in read(path) if isinstance(item, Lost)]
    assert [item.reason for item in lost] == ["1 records are missing"]


def test_a_journal_of_a_newer_version_waits(tmp_path: Path) -> None:
    path = tmp_path / "s.journal"
    path.write_bytes(b"CSJRNL99" + journal_bytes(ITEMS)[8:])
    with pytest.raises(UnavailableError, match="update jupyter_codesave"):
        list(read(path))
    write(path, [("session", {**ITEMS[0][1], "version": events.VERSION + 1}), *ITEMS[1:]])
    with pytest.raises(UnavailableError, match="update jupyter_codesave"):
        list(read(path))


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.journal"
    path.write_bytes(b"not a journal at all")
    with pytest.raises(DamagedError, match=r"s\.journal is not a journal"):
        list(read(path))


def test_the_session_is_known_from_the_first_record(tmp_path: Path) -> None:
    assert session_event(write(tmp_path / "s.journal", ITEMS))["session"] == "s1"
    empty = tmp_path / "empty.journal"
    empty.write_bytes(b"")
    assert session_event(empty) == {}


def test_erased_executions_leave_zeros_and_nothing_else_changes(tmp_path: Path) -> None:
    items = [
        session(),
        run(),
        execute_input("canary = 'keep me'", key="a"),
        stream("kept\n", key="a"),
        execute_input("canary = 'secret'", key="b"),
        stream("secret\n", key="b"),
        ("forget", {"key": "b"}),
    ]
    path = write(tmp_path / "s.journal", items)
    size = path.stat().st_size
    assert erase(path, {"b"}) == 2
    assert b"secret" not in path.read_bytes()
    assert path.stat().st_size == size
    fold = Fold()
    for item in read(path):
        assert isinstance(item, Record)
        fold.feed(item)
    assert [cell.source for cell in fold.listed("run1")] == ["canary = 'keep me'"]
