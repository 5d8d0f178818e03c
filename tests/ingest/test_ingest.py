"""Journals come into the store once, whole, whoever brings them and however often."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_codesave.errors import UnavailableError
from jupyter_codesave.ingest import Ingest
from jupyter_codesave.model.artifact import SESSION_NOTEBOOK
from jupyter_codesave.settings import resolve
from jupyter_codesave.store import Store
from tests.capture.journals import is_anywhere
from tests.journal.records import (
    START_NS,
    execute_input,
    idle,
    journal_bytes,
    message,
    run,
    session,
    stream,
    write,
)


@pytest.fixture
def ingest(tmp_path: Path) -> Any:
    settings = resolve(environ={}, cwd=tmp_path, explicit={"version_interval": 10**9})
    with Store.open(tmp_path / "data", settings) as store:
        yield Ingest(store)


def items(notebook: str | None = None) -> list[Any]:
    began = ("run", {**run()[1], "notebook": notebook})
    png = {"data": {"image/png": "iVBORw0KGgo" + "A" * 5000}, "metadata": {}, "transient": {}}
    return [
        session(),
        began,
        execute_input("print('one')", 1, "a"),
        stream("one\n", key="a"),
        idle("a"),
        execute_input("plot()", 2, "b"),
        message("display_data", png, "b"),
        idle("b"),
    ]


def saved_by_its_run(file: Path) -> None:
    os.utime(file, (START_NS / 1e9, START_NS / 1e9))


END = ("session-end", {"ended_by": "shutdown", "exit_code": 0})


def journal(ingest: Ingest, name: str = "s1") -> Path:
    return ingest.journals / f"{name}.journal"


def test_a_finished_journal_becomes_a_run_with_a_version_and_is_sealed(ingest: Ingest) -> None:
    path = write(journal(ingest), [*items(), END])
    written = path.read_bytes()
    (change,) = ingest.step(path)
    assert change.action == "finished"
    found = ingest.store.run("run1")
    assert (found.state, found.ended_by, found.executions) == ("finished", "shutdown", 2)
    notebook = json.loads(ingest.session_notebook(found))
    assert [cell["source"] for cell in notebook["cells"]] == ["print('one')", "plot()"]
    assert notebook["cells"][1]["outputs"][0]["data"]["image/png"].startswith("iVBORw0KGgo")
    assert SESSION_NOTEBOOK in ingest.code("run1").files
    state = ingest.store.journal_state("s1")
    assert state is not None
    assert state.sealed
    assert not path.exists()
    assert ingest.store.get(state.digest or "") == written


def test_ingesting_twice_changes_nothing(ingest: Ingest, tmp_path: Path) -> None:
    path = write(journal(ingest), [*items(), END])
    ingest.step(path)
    before = [artifact.summary() for artifact in ingest.store.artifacts()]
    write(path, [*items(), END])  # as if the file had survived a crash after sealing
    Ingest(ingest.store).step(path)
    assert [artifact.summary() for artifact in ingest.store.artifacts()] == before
    assert len(ingest.store.executions("run1")) == 2


def test_a_journal_cut_at_any_record_still_ingests(ingest: Ingest) -> None:
    data = journal_bytes([*items(), END])
    for cut in range(0, len(data), 97):
        path = journal(ingest, f"cut{cut}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data[:cut])
        saved_by_its_run(path)  # long ago: nobody is about to write to it
        Ingest(ingest.store).step(path)
        assert not path.exists(), f"cut at {cut}"


def test_a_journal_without_an_end_whose_writer_is_gone_is_a_crash(ingest: Ingest) -> None:
    ingest.step(write(journal(ingest), items()))
    found = ingest.store.run("run1")
    assert (found.state, found.ended_by) == ("crashed", "killed")
    assert len(ingest.store.executions("run1")) == 2


def test_a_journal_of_another_host_is_never_called_dead(ingest: Ingest) -> None:
    there = ("session", {**session()[1], "host": "another-machine", "pid": 1})
    path = write(journal(ingest), [there, *items()[1:]])
    ingest.step(path)
    assert ingest.store.run("run1").state == "running"
    assert path.exists()


def test_the_notebook_file_lies_beside_the_session_notebook(ingest: Ingest, tmp_path: Path) -> None:
    file = tmp_path / "analysis.ipynb"
    file.write_bytes(b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}  ')
    saved_by_its_run(file)
    ingest.step(write(journal(ingest), [*items(str(file)), END]))
    code = ingest.code("run1")
    assert sorted(code.files) == [SESSION_NOTEBOOK, "analysis.ipynb"]
    assert code.read("analysis.ipynb") == file.read_bytes()
    assert ingest.store.run("run1").name == "analysis.ipynb"


def test_a_notebook_file_that_was_saved_long_after_its_run_is_not_taken_for_the_runs(
    ingest: Ingest, tmp_path: Path
) -> None:
    file = tmp_path / "analysis.ipynb"
    file.write_bytes(b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    ingest.step(write(journal(ingest), [*items(str(file)), END]))
    assert sorted(ingest.code("run1").files) == [SESSION_NOTEBOOK]
    assert ingest.store.missing_files("run1") == [("analysis.ipynb", "changed after the run")]


def test_skipped_cells_are_blanked_in_the_copy_of_the_notebook_file(
    ingest: Ingest, tmp_path: Path
) -> None:
    cells = [
        ("by-tag", "canary 1", {"tags": ["codesave-skip"]}),
        ("by-magic", "%%codesave skip\ncanary 2", {}),
        ("by-id", "canary 3", {}),
        ("kept", "x = 1", {}),
    ]
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "id": name,
                "source": source.splitlines(True),
                "metadata": metadata,
                "outputs": [{"output_type": "stream", "name": "stdout", "text": source}],
                "execution_count": 1,
            }
            for name, source, metadata in cells
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    file = tmp_path / "analysis.ipynb"
    file.write_text(json.dumps(notebook))
    saved_by_its_run(file)
    skip = ("skip", {"cell_id": "by-id", "source": None})
    ingest.step(write(journal(ingest), [*items(str(file)), skip, END]))
    copy = json.loads(ingest.code("run1").read("analysis.ipynb"))
    assert "canary" not in json.dumps(copy)
    assert copy["cells"][3]["source"] == ["x = 1"]
    assert copy["cells"][0]["metadata"] == {"codesave": {"skipped": True}}


def test_a_running_run_shows_its_present_state_and_has_no_version(ingest: Ingest) -> None:
    here = ("session", {**session()[1], "pid": os.getpid()})
    path = write(journal(ingest), [here, *items()[1:]])
    ingest.step(path)
    found = ingest.store.run("run1")
    assert (found.state, found.artifact) == ("running", None)
    assert len(json.loads(ingest.session_notebook(found))["cells"]) == 2
    write(path, [here, *items()[1:], execute_input("x = 3", 3, "c")])
    ingest.step(path)
    assert ingest.store.run("run1").executions == 3
    ingest.step(path, commit=True)
    assert ingest.store.run("run1").artifact is not None


def test_a_forgotten_execution_is_nowhere(ingest: Ingest) -> None:
    path = journal(ingest)
    canary = [execute_input("canary = 'secret-9f3'", 3, "c"), stream("secret-9f3", key="c")]
    write(path, [*items(), *canary, ("forget", {"key": "c"}), END])
    ingest.step(path)
    ingest.store.close()
    assert not is_anywhere(ingest.store.folder, "secret-9f3")


def test_a_newer_journal_waits_and_the_others_come_in(ingest: Ingest) -> None:
    newer = journal(ingest, "newer")
    newer.parent.mkdir(parents=True, exist_ok=True)
    newer.write_bytes(b"CSJRNL77 what comes is unknown")
    later = write(journal(ingest, "later"), [("session", {**session()[1], "version": 2}), run()])
    write(journal(ingest), [*items(), END])
    complaints: list[str] = []
    changes = ingest.all(on_error=lambda path, error: complaints.append(str(error)))
    assert [change.run.id for change in changes] == ["run1"]
    assert ["update jupyter_codesave" in complaint for complaint in complaints] == [True, True]
    assert newer.exists()
    assert later.exists()
    with pytest.raises(UnavailableError):
        ingest.step(newer)


def test_what_another_process_sealed_is_told_as_finished_here(ingest: Ingest) -> None:
    here = ("session", {**session()[1], "pid": os.getpid()})
    path = write(journal(ingest), [here, *items()[1:]])
    ingest.step(path)
    write(path, [here, *items()[1:], END])
    Ingest(ingest.store).step(path)
    assert not path.exists()
    (change,) = ingest.step(path)
    assert (change.run.id, change.run.state, change.action) == ("run1", "finished", "finished")
    assert ingest.step(path) == []


def test_a_running_run_is_read_as_it_is_now_not_as_it_was_first_read(ingest: Ingest) -> None:
    here = ("session", {**session()[1], "pid": os.getpid()})
    path = write(journal(ingest), [here, *items()[1:]])
    Ingest(ingest.store).step(path)
    found = ingest.store.run("run1")
    assert len(json.loads(ingest.session_notebook(found))["cells"]) == 2
    write(path, [here, *items()[1:], execute_input("x = 3", 3, "c")])
    assert len(json.loads(ingest.session_notebook(found))["cells"]) == 3
    write(path, [here, *items()[1:], execute_input("x = 3", 3, "c"), END])
    assert len(json.loads(ingest.session_notebook(found))["cells"]) == 3
    assert ingest.code("run1").run is not None
    assert ingest.store.run("run1").state == "finished"


def everything() -> list[Any]:
    """Give a journal with one of each event that names things of a run."""
    digest, here = "sha256:" + "0" * 64, {"run": "run1"}
    printed = {"output_type": "stream", "name": "stdout", "text": "x"}
    file = {"path": "a.txt", "digest": digest, "size": 3, "source": "/no/a.txt", "policy": "now"}
    return [
        *items("/no/where.ipynb"),
        ("execution", {"key": "a", "cell_id": "c1", "store_history": True, **here}),
        ("output", {"key": "a", "output": printed}),
        ("stdin", {"key": "a", "prompt": "?", "answer": "!"}),
        ("file", {**file, **here}),
        ("file-missing", {"path": "b.txt", "reason": "gone", **here}),
        ("watch", {"path": "c.txt", "source": "/no/c.txt", "policy": "live", **here}),
        ("code", {"files": [{"path": "m.py", "digest": digest, "size": 3}], **here}),
        ("artifact", {"name": "code", "type": "code", "own": False, "files": [file], **here}),
        ("git", {"commit": "0" * 40, "branch": "main", "patch": digest, "patch_size": 3, **here}),
        ("environment", {"python": "3.11", "packages": {"numpy": "1"}, "editable": {}, **here}),
        ("run-update", {"config": {"x": 1}, "tags": ["t"], "notes": "n", **here}),
        ("capture", {"capture": "all", "decided_by": "default"}),
        ("run-end", {"ended_by": "finish", "exit_code": 0, "error": "e", **here}),
        END,
    ]


@pytest.mark.parametrize("odd", [7, None, [], {}, "\0", [7], {"a": []}], ids=repr)
def test_no_odd_value_in_a_journal_keeps_other_journals_out(ingest: Ingest, odd: Any) -> None:
    ordinary = everything()
    places = [
        (number, key)
        for number, item in enumerate(ordinary)
        if isinstance(item, tuple)
        for key in item[1]
    ]
    assert len(places) > 40
    complaints: list[str] = []
    for place, (number, key) in enumerate(places):
        altered = list(ordinary)
        event, fields = altered[number]
        altered[number] = (event, {**fields, key: odd})
        write(journal(ingest, f"odd{place}"), altered)
    began = ("run", {**run()[1], "run": "good1"})
    write(journal(ingest, "whole"), [session(), began, execute_input("1", 1, "k"), idle("k"), END])
    ingest.all(on_error=lambda path, error: complaints.append(path.stem))
    assert ingest.store.run("good1").state == "finished"
    assert all(name.startswith("odd") for name in complaints)


VIEW = {"application/vnd.jupyter.widget-view+json": {"model_id": "w"}, "text/plain": "x"}
SHOWN = {"data": VIEW, "metadata": {}, "transient": {"display_id": "d"}}
CAUGHT = {"output_type": "stream", "name": "stdout", "text": "caught"}
STATE = {"_model_name": "OutputModel", "msg_id": "o", "outputs": [CAUGHT], "value": 1}
COMM = {"comm_id": "w", "target_name": "jupyter.widget"}
CONTENTS: list[tuple[str, dict[str, Any]]] = [
    ("execute_input", {"code": "x", "execution_count": 2}),
    ("comm_open", {**COMM, "data": {"state": STATE, "buffer_paths": [["value"]]}}),
    ("stream", {"name": "stdout", "text": "odd?"}),
    ("display_data", SHOWN),
    ("update_display_data", {**SHOWN, "transient": {"display_id": "first"}}),
    ("execute_result", {**SHOWN, "execution_count": 2}),
    ("comm_msg", {"comm_id": "w", "data": {"method": "update", "state": STATE}}),
    ("error", {"ename": "E", "evalue": "v", "traceback": ["t"]}),
    ("clear_output", {"wait": True}),
    ("comm_close", {"comm_id": "w", "data": {}}),
    ("status", {"execution_state": "idle"}),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the path of every value within a JSON value, its own first."""
    yield path
    parts: Any = ()
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    for name, part in parts:
        yield from places(part, (*path, name))


def replaced(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    """Give a JSON value with what lies at a path replaced."""
    if not path:
        return odd
    other = value.copy()
    other[path[0]] = replaced(value[path[0]], path[1:], odd)
    return other


ODD_VALUES = [None, [], {}, "x", ["x"], 10**30, -1, True, 1.5, {"a": {"b": [{}]}}, [{}], [[]]]


@pytest.mark.parametrize("odd", ODD_VALUES, ids=repr)
@pytest.mark.parametrize("catches", [False, True], ids=["cell", "widget"])
def test_an_odd_message_costs_at_most_itself(ingest: Ingest, odd: Any, catches: bool) -> None:
    ordinary = dict(CONTENTS)
    items: list[Any] = [session(), run(), execute_input("first", 1, "a")]
    first = {**SHOWN, "transient": {"display_id": "first"}}
    items += [stream("first", key="a"), message("display_data", first, "a"), idle("a")]
    number = 0
    for kind, content in CONTENTS:
        for path in places(content):
            number += 1
            key = f"odd{number}"
            items.append(execute_input("whole", 1, key))
            if catches:
                entered = replaced(ordinary["comm_msg"], ("data", "state", "msg_id"), key)
                items.append(message("comm_open", ordinary["comm_open"], key))
                items.append(message("comm_msg", entered, key))
            altered = message(kind, content, key, [b"buffer"])
            altered[6] = json.dumps(replaced(content, path, odd)).encode()
            items += [altered, stream("behind", key=key), idle(key)]
    for part in (3, 4):
        for name in json.loads(stream("x")[part]):
            altered = stream("x", key="b")
            altered[part] = json.dumps({**json.loads(altered[part]), name: odd}).encode()
            items.append(altered)
    items += [execute_input("last", 3, "z"), stream("last", key="z"), idle("z"), END]
    ingest.step(write(journal(ingest), items))
    found = ingest.store.run("run1")
    assert found.executions == number + 2
    data = ingest.session_notebook(found)
    nbformat.validate(nbformat.reads(data.decode(), as_version=4))
    cells = json.loads(data)["cells"]
    assert len(cells) == number + 2
    assert cells[0]["outputs"][0]["text"] == "first"
    assert cells[-1]["outputs"][0]["text"] == "last"
    for each in cells[1:-1]:
        assert catches or each["outputs"][-1]["text"].endswith("behind")
    ingest.store.rebuild()
    assert len(ingest.store.executions("run1")) == number + 2


def test_what_of_an_odd_message_is_left_out_is_told(ingest: Ingest) -> None:
    items = [
        session(),
        run(),
        execute_input("x", 1, "a"),
        message("display_data", SHOWN, "a"),
        message("stream", {"name": "stdout", "text": {"a": 1}}, "a"),
        message("update_display_data", {**SHOWN, "data": ["y"]}, "a"),
        message("execute_result", {**SHOWN, "execution_count": {}, "metadata": ["y"]}, "a"),
        END,
    ]
    ingest.step(write(journal(ingest), items))
    notebook = json.loads(ingest.session_notebook(ingest.store.run("run1")))
    display, text, result = notebook["cells"][0]["outputs"]
    assert display["data"] == result["data"] == VIEW
    assert text["text"] == '{"a": 1}'
    assert (result["metadata"], result["execution_count"]) == ({}, None)
    gaps = notebook["metadata"]["codesave"]["gaps"]
    assert ["no mapping" in gaps[0], "the metadata of a message" in gaps[1]] == [True, True]
    assert len(gaps) == 2
