"""What a step writes: what changed, once, whoever takes it; and nothing that was purged."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_codesave.blobs.batch import Batch
from jupyter_codesave.catalog import runs
from jupyter_codesave.errors import UnavailableError
from jupyter_codesave.ingest import Ingest
from jupyter_codesave.ingest.session import SessionIngest
from jupyter_codesave.journal.notebook import Fold
from jupyter_codesave.journal.reader import read
from jupyter_codesave.journal.tail import TailEntry
from jupyter_codesave.model.artifact import SESSION_NOTEBOOK
from jupyter_codesave.settings import resolve
from jupyter_codesave.store import Store
from tests.capture.journals import is_anywhere
from tests.journal.records import START_NS, execute_input, idle, run, session, stream, write

END = ("session-end", {"ended_by": "shutdown", "exit_code": 0})


@pytest.fixture
def ingest(tmp_path: Path) -> Any:
    given = resolve(environ={}, cwd=tmp_path, explicit={"version_interval": 10**9})
    with Store.open(tmp_path / "data", given) as store:
        yield Ingest(store)


def again(ingest: Ingest) -> Ingest:
    """Give what a restarted server has: the store, and nothing in memory."""
    return Ingest(ingest.store)


def live(name: str = "s1") -> tuple[str, dict[str, Any]]:
    """Begin a session whose process lives on."""
    return ("session", {**session(name)[1], "pid": os.getpid()})


def journal(ingest: Ingest, name: str = "s1") -> Path:
    return ingest.journals / f"{name}.journal"


def cell(n: int, key: str) -> list[Any]:
    return [execute_input(f"x = {n}", n, key), stream(f"{n}\n", key=key), idle(key)]


def code_event(ingest: Ingest, contents: dict[str, bytes], run_id: str = "run1") -> Any:
    files = [
        {"path": path, "digest": ingest.spool.put(data), "size": len(data)}
        for path, data in contents.items()
    ]
    return ("code", {"run": run_id, "files": files})


def log_code(ingest: Ingest, name: str, data: bytes, *, own: bool = False, run_id: str) -> Any:
    with Batch(ingest.spool) as batch:
        entry = {"path": "a.py", "digest": batch.put(data), "size": len(data)}
    fields = {"run": run_id, "name": name, "type": "code", "own": own, "files": [entry]}
    return ("artifact", fields)


def named(ingest: Ingest) -> dict[str, list[str]]:
    return {
        artifact.name: [version.run or "" for version in artifact.versions]
        for artifact in ingest.store.artifacts()
    }


def spooled(ingest: Ingest) -> list[Path]:
    return [path for path in ingest.spool.folder.rglob("*") if path.is_file()]


def run_of(file: Path, name: str) -> tuple[str, dict[str, Any]]:
    """Give the event of a run of a notebook file, which was saved when the journal begins."""
    file.write_bytes(b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    os.utime(file, (START_NS / 1e9, START_NS / 1e9))
    return ("run", {**run(name)[1], "notebook": str(file)})


# -- once, whoever takes it ---------------------------------------------------------------------


def test_a_server_that_starts_again_makes_no_version_of_a_run_that_is_over(
    ingest: Ingest, tmp_path: Path
) -> None:
    file = tmp_path / "a.ipynb"
    first, second = (run_of(file, name) for name in ("run1", "run2"))
    over = ("run-end", {"run": "run1", "ended_by": "finish", "exit_code": 0})
    items = [live(), first, *cell(1, "a"), over, second, *cell(2, "b")]
    path = write(journal(ingest), items)
    ingest.step(path, commit=True)
    (versions,) = named(ingest).values()
    assert versions == ["run1", "run2"]
    file.write_bytes(file.read_bytes() + b" ")
    changes = again(ingest).step(path)
    assert [change.run.id for change in changes] == ["run2"]
    assert changes[0].action == "updated"
    assert list(named(ingest).values()) == [versions]


def test_sessions_that_log_the_same_name_do_not_take_turns(ingest: Ingest) -> None:
    items = {}
    for number, name in enumerate(("s1", "s2")):
        run_id = f"run{number}"
        logged = log_code(ingest, "lib", name.encode(), run_id=run_id)
        items[name] = [live(name), run(run_id), *cell(1, f"{name}a"), logged]
        ingest.step(write(journal(ingest, name), items[name]))
    assert named(ingest)["lib"] == ["run0", "run1"]
    for process in (ingest, again(ingest)):
        for name in ("s1", "s2"):
            items[name] += cell(2, f"{name}b{id(process)}")
            process.step(write(journal(ingest, name), items[name]))
    assert named(ingest)["lib"] == ["run0", "run1"]


def test_a_run_that_only_saved_files_is_kept(ingest: Ingest) -> None:
    digest = ingest.spool.put(b"kept")
    file = {"run": "run1", "path": "a.txt", "digest": digest, "size": 4, "mode": "100644"}
    ingest.step(write(journal(ingest), [live(), run(), ("file", {**file, "policy": "now"})]))
    assert [path for path, _ in ingest.store.files("run1")] == ["a.txt"]


def test_a_project_too_long_for_an_index_is_cut(ingest: Ingest) -> None:
    name, fields = run("run1")
    items = [live(), (name, {**fields, "project": "p" * 9000}), *cell(1, "a")]
    ingest.step(write(journal(ingest), items))
    assert ingest.store.run("run1").project == "p" * 500


def test_log_code_makes_a_version_at_once(ingest: Ingest) -> None:
    logged = log_code(ingest, "own", b"x = 1", own=True, run_id="run1")
    items = [live(), run(), *cell(1, "a"), logged]
    ingest.step(write(journal(ingest), items))
    (version,) = ingest.store.versions_of("run1")
    files = ingest.store.manifest(version.digest).entries
    assert files.keys() == {SESSION_NOTEBOOK, "a.py"}
    ingest.step(write(journal(ingest), [*items, *cell(2, "b")]))
    assert len(ingest.store.versions_of("run1")) == 1


def test_what_could_not_be_written_is_made_up_for(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(journal(ingest), [live(), run(), *cell(1, "a")])

    def refuse(*_: object, **__: object) -> None:
        raise UnavailableError("the disk is full")

    monkeypatch.setattr(ingest.store, "write", refuse)
    with pytest.raises(UnavailableError):
        ingest.step(path)
    monkeypatch.undo()
    (change,) = ingest.step(path)
    assert (change.action, change.run.executions) == ("started", 1)
    assert ingest.step(path) == []


def test_what_the_tail_kept_is_added_once(ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(journal(ingest), [session(), run(), execute_input("f()", 1, "a")])
    entry = TailEntry("a", "stdout", 0, "last words")
    monkeypatch.setattr("jupyter_codesave.ingest.session.read_tail", lambda _: [entry])
    real = ingest.store.seal
    monkeypatch.setattr(ingest.store, "seal", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(UnavailableError, match="make room"):
        ingest.step(path)
    monkeypatch.setattr(ingest.store, "seal", real)
    ingest.step(path)
    notebook = json.loads(ingest.session_notebook(ingest.store.run("run1")))
    assert [output["text"] for output in notebook["cells"][0]["outputs"]] == ["last words"]


def test_records_that_come_after_the_last_reading_are_not_sealed_unread(ingest: Ingest) -> None:
    items = [session(), run(), *cell(1, "a"), END]
    path = write(journal(ingest), items)
    taken = SessionIngest(path, ingest.store, ingest.spool)
    taken.step(False)
    write(path, [*items, *cell(2, "b")])
    assert not taken.seal()
    path.write_bytes(path.read_bytes()[: taken.fold.offset] + b"torn")
    assert taken.seal()


# -- whoever takes it when ----------------------------------------------------------------------


def sweep() -> list[Any]:
    """Give a session whose third cell loops over runs while tasks of the others go on printing."""
    begun = {**run("auto")[1], "name": "n"}
    items = [live(), ("run", begun), *cell(1, "a"), *cell(2, "b")]
    items += [execute_input("loop", 3, "c"), stream("before\n", key="c")]
    for number in range(3):
        name = f"r{number}"
        items += [
            ("run", {**begun, "run": name, "explicit": True, "adopts": "c"}),
            stream(f"loss {number}\n", key="c"),
            stream(f"task {number}\n", key="a"),
        ]
        if number == 0:
            items.append(("run-end", {"run": "auto", "ended_by": "finish"}))
        items += [("run-end", {"run": name, "ended_by": "finish"})]
    return [*items, stream("after\n", key="c"), idle("c"), stream("last\n", key="a"), END]


def whole(ingest: Ingest) -> dict[str, Any]:
    """Give what there is to see of every run, and which run's code is the latest."""
    store = ingest.store
    found: dict[str, Any] = {
        each.id: [
            each.with_(artifact=None),
            store.executions(each.id),
            json.loads(ingest.session_notebook(each)),
            json.loads(ingest.code(each.id).read(SESSION_NOTEBOOK)),
            sorted(ingest.code(each.id).files),
        ]
        for each in store.runs().items
    }
    found["hits"] = [(hit.run, hit.execution) for hit in store.search("loop").items]
    found["latest"] = {a.name: store.version(a.name, "latest").run for a in store.artifacts()}
    return found


def texts(ingest: Ingest, run_id: str) -> list[str]:
    cells = json.loads(ingest.code(run_id).read(SESSION_NOTEBOOK))["cells"]
    return ["".join(output["text"] for output in each["outputs"]) for each in cells]


@pytest.mark.parametrize("restarts", [False, True], ids=["one process", "a process each time"])
def test_it_does_not_matter_when_a_journal_is_taken_in(tmp_path: Path, restarts: bool) -> None:
    items = sweep()
    given = resolve(environ={}, cwd=tmp_path, explicit={"version_interval": 10**9})
    seen = []
    cuts = [[], *([n] for n in range(1, len(items))), list(range(1, len(items)))]
    for number, cut in enumerate(cuts):
        with Store.open(tmp_path / str(number), given) as store:
            ingest = Ingest(store)
            for end in [*cut, len(items)]:
                ingest = again(ingest) if restarts else ingest
                ingest.step(write(journal(ingest), items[:end]))
            seen.append(whole(ingest))
            if cut == cuts[-1]:
                store.rebuild()
                assert whole(ingest) == seen[-1]
                assert store.verify()["missing"] == []
    assert texts(ingest, "auto") == ["1\ntask 0\ntask 1\ntask 2\nlast\n", "2\n"]
    assert texts(ingest, "r0") == ["before\nloss 0\n"]
    assert texts(ingest, "r1") == ["loss 1\n"]
    assert texts(ingest, "r2") == ["loss 2\nafter\n"]
    for each, cut in zip(seen, cuts, strict=True):
        assert each == seen[0], cut


def test_late_output_of_a_run_that_ended_is_one_more_version_and_only_once(
    ingest: Ingest, tmp_path: Path
) -> None:
    file = tmp_path / "a.ipynb"
    first = run_of(file, "run1")
    over = ("run-end", {"run": "run1", "ended_by": "finish"})
    items = [live(), first, *cell(1, "a"), over]
    ingest.step(write(journal(ingest), items))
    file.write_bytes(b"not the run's any more")
    for number in range(5):
        items.append(stream(f"late {number}\n", key="a"))
        assert ingest.step(write(journal(ingest), items)) == []
    assert len(ingest.store.versions_of("run1")) == 1
    (change,) = ingest.step(journal(ingest), commit=True)
    assert (change.action, change.run.state) == ("updated", "finished")
    for process in (ingest, again(ingest), again(ingest)):
        assert process.step(journal(ingest), commit=True) == []
    write(journal(ingest), [*items, END])
    ingest.step(journal(ingest))
    assert len(ingest.store.versions_of("run1")) == 2
    assert texts(ingest, "run1") == ["1\n" + "".join(f"late {n}\n" for n in range(5))]
    assert ingest.code("run1").read("a.ipynb").startswith(b'{"cells"')


def test_late_output_that_only_the_tail_kept_is_in_the_run_that_ended(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = ("run-end", {"run": "run1", "ended_by": "finish"})
    items = [*cell(1, "a"), over, run("run2"), *cell(2, "b")]
    ingest.step(write(journal(ingest), [live(), run(), *items]))
    entry = TailEntry("a", "stdout", 2, "last words")
    monkeypatch.setattr("jupyter_codesave.ingest.session.read_tail", lambda _: [entry])
    monkeypatch.setattr("jupyter_codesave.ingest.session.is_alive", lambda _: False)
    ingest.step(journal(ingest))
    assert texts(ingest, "run1") == ["1\nlast words"]
    assert texts(ingest, "run2") == ["2\n"]


def test_late_output_brings_nothing_back_that_was_dropped_for_space(ingest: Ingest) -> None:
    over = ("run-end", {"run": "run1", "ended_by": "finish"})
    items = [live(), run(), *cell(1, "a"), over]
    ingest.step(write(journal(ingest), items))
    with ingest.store.catalog.write() as tx:
        runs.set_columns(tx, "run1", thinned="2025-11-20T15:00:00.000Z")
    ingest.step(write(journal(ingest), [*items, stream("late", key="a"), END]))
    assert texts(ingest, "run1") == ["1\n"]


def test_late_output_brings_no_purged_run_back(ingest: Ingest) -> None:
    over = ("run-end", {"run": "run1", "ended_by": "finish"})
    items = [live(), run(), *cell(1, "a"), over]
    path = write(journal(ingest), items)
    ingest.step(path)
    ingest.store.purge(runs=["run1"])
    items.append(stream(CANARY.decode(), key="a"))
    for process in (ingest, again(ingest)):
        assert process.step(write(path, items), commit=True) == []
    again(ingest).step(write(path, [*items, END]))
    assert ingest.store.runs().items == ()
    ingest.store.close()
    assert is_anywhere(ingest.store.folder, CANARY.decode()) == []


# -- while a run is running ---------------------------------------------------------------------


def test_the_code_of_a_running_run_outlives_the_collector(ingest: Ingest) -> None:
    code = code_event(ingest, {"own.py": b"y = 2\n"})
    logged = log_code(ingest, "lib", b"z = 3\n", run_id="run1")
    items = [live(), run(), execute_input("train()", 1, "a"), code, logged]
    path = write(journal(ingest), items)
    ingest.step(path)
    ingest.store.gc(grace=-1)
    found = ingest.code("run1")
    assert found.read("own.py") == b"y = 2\n"
    again(ingest).step(write(path, [*items, idle("a"), END]))
    assert ingest.code("run1").read("own.py") == b"y = 2\n"
    assert ingest.store.verify()["missing"] == []
    assert ingest.store.missing_files("run1") == []
    assert spooled(ingest) == []


def test_own_code_in_a_batch_is_read_before_it_is_a_version(ingest: Ingest) -> None:
    with Batch(ingest.spool) as batch:
        entry = {"path": "b.py", "digest": batch.put(b"b = 1\n" * 99), "size": 594}
    items = [live(), run(), *cell(1, "a"), ("code", {"run": "run1", "files": [entry]})]
    ingest.step(write(journal(ingest), items))
    assert ingest.code("run1").read("b.py") == b"b = 1\n" * 99


def test_what_no_journal_names_leaves_the_spool(ingest: Ingest) -> None:
    code = code_event(ingest, {"own.py": b"y = 2\n"})
    ingest.step(write(journal(ingest), [live(), run(), *cell(1, "a"), code]))
    ingest.spool.put(b"of a journal that is lost")
    with Batch(ingest.spool) as batch:
        batch.put(b"a batch of it")
    ingest.store.gc()
    assert len(spooled(ingest)) == 3, "it may be on its way"
    ingest.store.gc(grace=-1)
    assert [path.read_bytes() for path in spooled(ingest)] == [b"y = 2\n"]


# -- odd names ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["aux.ipynb", "a\\b.ipynb", "new\nline.ipynb"])
def test_a_notebook_whose_name_cannot_be_stored_is_told_and_the_run_kept(
    ingest: Ingest, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.write_bytes(b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    os.utime(file, (START_NS / 1e9, START_NS / 1e9))
    began = ("run", {**run()[1], "notebook": str(file)})
    ingest.step(write(journal(ingest), [session(), began, *cell(1, "a"), END]))
    assert ingest.code("run1").files.keys() == {SESSION_NOTEBOOK}
    ((path, reason),) = ingest.store.missing_files("run1")
    assert path == name
    assert "cannot be stored" in reason


def test_a_path_that_leads_out_is_told_and_never_stored(ingest: Ingest) -> None:
    data = b"root"
    digest = ingest.spool.put(data)
    there = {"path": "../../etc/passwd", "digest": digest, "size": 4}
    items = [session(), run(), *cell(1, "a"), ("file", {"run": "run1", **there})]
    ingest.step(write(journal(ingest), [*items, ("code", {"run": "run1", "files": [there]}), END]))
    assert ingest.code("run1").files.keys() == {SESSION_NOTEBOOK}
    assert dict(ingest.store.missing_files("run1")).keys() == {"../../etc/passwd"}


# -- purged, taken back -------------------------------------------------------------------------

CANARY = b"canary_s8Kq2"


def test_nothing_is_left_of_a_run_that_was_purged_while_it_ran(ingest: Ingest) -> None:
    code = code_event(ingest, {"own.py": CANARY})
    logged = log_code(ingest, "own", CANARY, own=True, run_id="run1")
    data = CANARY + b" saved"
    saved = {"path": "s.txt", "digest": ingest.spool.put(data), "size": len(data)}
    items = [live(), run(), *cell(1, "a"), code]
    path = write(journal(ingest), items)
    ingest.step(path)
    assert ingest.store.purge(runs=["run1"])["waiting"] == 1
    items += [execute_input(CANARY.decode(), 2, "b"), ("file", {"run": "run1", **saved})]
    assert ingest.step(write(path, items)) == []
    again(ingest).step(write(path, [*items, logged, END]))
    ingest.store.close()
    assert is_anywhere(ingest.store.folder, CANARY.decode()) == []
    assert spooled(ingest) == []


def test_what_another_session_has_yet_to_bring_in_stays_in_the_spool(ingest: Ingest) -> None:
    shared = code_event(ingest, {"own.py": b"shared = 1\n"})
    for name in ("s1", "s2"):
        run_id = f"run{name}"
        code = ("code", {**shared[1], "run": run_id})
        items = [live(name), run(run_id), *cell(1, f"{name}a"), code]
        ingest.step(write(journal(ingest, name), items))
    ingest.store.purge(runs=["runs1"])
    first, second = journal(ingest, "s1"), journal(ingest, "s2")
    head = [run("runs1"), *cell(1, "s1a"), ("code", {**shared[1], "run": "runs1"}), END]
    again(ingest).step(write(first, [session("s1"), *head]))
    head = [run("runs2"), *cell(1, "s2a"), ("code", {**shared[1], "run": "runs2"}), END]
    again(ingest).step(write(second, [session("s2"), *head]))
    assert ingest.code("runs2").read("own.py") == b"shared = 1\n"


def test_a_run_whose_only_cell_moved_is_as_if_it_had_never_been(ingest: Ingest) -> None:
    items = [live(), run("auto"), *cell(1, "a")[:2]]
    path = write(journal(ingest), items)
    ingest.step(path)
    moved = ("run", {**run("mine")[1], "explicit": True, "adopts": "a"})
    ended = ("run-end", {"run": "auto", "ended_by": "finish", "dropped": True})
    ingest.step(write(path, [*items, ended, moved, idle("a")]))
    assert [each.id for each in ingest.store.runs().items] == ["mine"]
    assert ingest.store.runs(deleted=True).items == ()
    again(ingest).step(write(path, [*items, ended, moved, idle("a"), END]))
    state = ingest.store.journal_state("s1")
    assert state is not None
    assert state.digest, "its journal is kept"


# -- care ---------------------------------------------------------------------------------------


def test_garbage_is_collected_once_a_day_when_a_session_ends(ingest: Ingest) -> None:
    store = ingest.store
    digest = store.put(b"nobody's " * 50)
    store.flush()
    assert not store.needs_gc()
    with store.catalog.write() as tx:
        tx.connection.exec_driver_sql("UPDATE blobs SET touched = 1")
        tx.connection.exec_driver_sql("UPDATE facts SET value = '2020' WHERE name = 'made'")
    ingest.step(write(journal(ingest), [session(), run(), *cell(1, "a"), END]))
    tending = ingest.tend()
    assert tending is not None
    tending.join()
    assert not store.has(digest)
    assert not store.needs_gc()
    assert ingest.code("run1").files


# -- the fold -----------------------------------------------------------------------------------

KEYS, RUNS = st.sampled_from("abc"), st.sampled_from(["r1", "r2", "r3"])


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("run"), RUNS, st.none() | KEYS),
            st.tuples(st.just("execution"), KEYS, RUNS),
            st.tuples(st.just("end"), RUNS),
            st.tuples(st.just("input"), KEYS),
            st.tuples(st.just("forget"), KEYS),
        ),
        max_size=25,
    )
)
def test_the_count_of_a_runs_executions_is_the_number_that_are_listed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    items: list[Any] = [session()]
    for kind, *values in steps:
        if kind == "run":
            items.append(("run", {**run(values[0])[1], "adopts": values[1]}))
        elif kind == "end":
            items.append(("run-end", {"run": values[0]}))
        elif kind == "execution":
            items.append(("execution", {"key": values[0], "run": values[1]}))
        elif kind == "input":
            items.append(execute_input("x", 1, values[0]))
        else:
            items.append(("forget", {"key": values[0]}))
    fold = Fold()
    for record in read(write(tmp_path_factory.mktemp("fold") / "s.journal", items)):
        fold.feed(record)
    for folded in fold.runs.values():
        assert folded.recorded == len(fold.listed(folded.id))


def test_a_journal_that_others_brought_in_is_no_session_any_more(ingest: Ingest) -> None:
    path = write(journal(ingest), [live(), run(), *cell(1, "a")])
    ingest.all()
    assert [entry["session"] for entry in ingest.sessions()] == ["s1"]
    write(path, [live(), run(), *cell(1, "a"), END])
    again(ingest).all()
    assert not path.exists()
    (change,) = ingest.all()
    assert (change.action, change.run.state) == ("finished", "finished")
    assert ingest.sessions() == []


def test_a_journal_that_its_writer_has_just_made_is_left_to_it(ingest: Ingest) -> None:
    path = write(journal(ingest), [])
    ingest.all()
    assert path.exists()
    os.utime(path, (START_NS / 1e9, START_NS / 1e9))
    ingest.all()
    assert not path.exists()


def test_output_that_goes_on_to_come_late_takes_no_more_room_than_it_is_long(
    ingest: Ingest,
) -> None:
    items = [live(), run(), *cell(1, "a")]
    path, size = journal(ingest), 0
    for number in range(60):
        items.append(stream(f"{number}" * 20_000, key="a"))
        size += len(str(number)) * 20_000
        write(path, items)
        ingest.step(path)
    away = ingest._live[path]._away
    away.seek(0, os.SEEK_END)
    assert away.tell() < 4 * size
    write(path, [*items, END])
    ingest.step(path)
    (shown,) = json.loads(ingest.code("run1").read(SESSION_NOTEBOOK))["cells"]
    assert len(shown["outputs"][0]["text"]) == size + 2
