"""The diff is complete, and what a person sees of it is what changed."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest
from hypothesis import given, settings

from jupyter_codesave.diff import normalize
from jupyter_codesave.diff.notebooks import (
    NotebookDiff,
    Options,
    diff_notebooks,
    patch_notebook,
    select,
    whole_cells,
)
from jupyter_codesave.errors import UsageError

from .made import EDITS, code_cell, edited, notebook, session, some_notebook, stream
from .odd import pairs

SCALE = float(os.environ.get("CODESAVE_TEST_SCALE", "1"))


def normal(value: object) -> dict[str, Any]:
    return normalize(json.dumps(value))


def law_holds(base: dict[str, Any], head: dict[str, Any], **options: Any) -> NotebookDiff:
    """Diff two notebooks, hold the diff against the law, and everything else against the diff."""
    before = json.dumps([base, head])
    found = diff_notebooks(base, head, Options(**options))
    json.dumps([found.diff, found.cells], allow_nan=False)
    assert json.dumps([base, head]) == before
    base, head = select(base, Options(**options)), select(head, Options(**options))
    assert patch_notebook(base, found.diff) == head
    assert sorted(c["base"] for c in found.cells if c["base"] is not None) == list(
        range(len(base["cells"]))
    )
    assert [c["head"] for c in found.cells if c["head"] is not None] == list(
        range(len(head["cells"]))
    )
    return found


def compared(base: list[Any], head: list[Any], **options: Any) -> NotebookDiff:
    return law_holds(normal(notebook(base)), normal(notebook(head)), **options)


@settings(max_examples=int(200 * SCALE), deadline=None)
@given(pairs())
def test_patching_base_with_the_diff_gives_head(pair: tuple[Any, Any]) -> None:
    law_holds(*map(normal, pair))


@settings(max_examples=int(50 * SCALE), deadline=None)
@given(pairs())
def test_the_law_holds_when_the_work_runs_out(pair: tuple[Any, Any]) -> None:
    for work in (0, 50, 500):
        law_holds(*map(normal, pair), work=work)


@pytest.mark.parametrize("options", [{"outputs": False}, {"metadata": False}, {"noise": True}])
@settings(max_examples=int(20 * SCALE), deadline=None)
@given(pair=pairs())
def test_the_law_holds_for_what_is_left_in(options: dict[str, bool], pair: tuple[Any, Any]) -> None:
    law_holds(*map(normal, pair), **options)


@pytest.mark.parametrize("kind", EDITS)
def test_the_law_holds_after_each_kind_of_edit(kind: str) -> None:
    for seed in range(int(10 * SCALE)):
        rng = random.Random(seed)
        base = some_notebook(rng, 30)
        head, _ = edited(rng, base, kind, times=3)
        law_holds(normal(base), normal(head))
        law_holds(normal(head), normal(base))


def test_the_same_notebooks_always_give_the_same_diff() -> None:
    rng = random.Random(7)
    base = some_notebook(rng, 60)
    head, _ = edited(rng, base, "edit", "move", "insert", "split", "merge", "rerun", times=4)
    first = diff_notebooks(normal(base), normal(head))
    again = diff_notebooks(normal(base), normal(head))
    assert json.dumps([first.diff, first.cells]) == json.dumps([again.diff, again.cells])


def test_equal_notebooks_have_no_diff() -> None:
    base = normal(some_notebook(random.Random(1), 20))
    found = law_holds(base, normal(base))
    assert (found.diff, found.changed, found.truncated) == ([], False, False)
    assert {cell["change"] for cell in found.cells} == {"unchanged"}


def test_a_changed_line_is_the_only_change() -> None:
    lines = [f"x{n} = {n}\n" for n in range(50)]
    found = compared(
        [code_cell("".join(lines), id="a")], [code_cell("".join([*lines, "y"]), id="a")]
    )
    assert found.cells == [{"change": "modified", "base": 0, "head": 0, "fields": ["source"]}]
    assert found.counts == {"added": 0, "removed": 0, "modified": 1, "moved": 0}
    (cells,) = found.diff
    assert cells["diff"][0]["diff"] == [
        {
            "op": "patch",
            "key": "source",
            "diff": [{"op": "addrange", "key": 50, "valuelist": ["y"]}],
        }
    ]


def test_a_moved_cell_is_called_moved() -> None:
    cells = [code_cell(f"step_{name} = {name!r} * 3", id=name) for name in "abcdef"]
    found = compared(cells, [*cells[1:], cells[0]])
    assert found.counts["moved"] == 1
    assert found.cells[-1] == {"change": "moved", "base": 0, "head": 5, "fields": []}


def test_a_cell_moved_and_edited_is_moved_with_its_fields() -> None:
    cells = [code_cell(f"print({n})\nvalue_{n} = compute({n}, {n})\n" * 3) for n in range(6)]
    last = code_cell(cells[0]["source"] + "done = True")
    found = compared(cells, [*cells[1:], last])
    assert found.cells[-1] == {"change": "moved", "base": 0, "head": 5, "fields": ["source"]}


def test_code_turned_into_markdown_is_removed_and_added() -> None:
    text = code_cell("some text", id="a")
    found = compared([text], [{"cell_type": "markdown", "source": "some text", "metadata": {}}])
    assert [cell["change"] for cell in found.cells] == ["removed", "added"]


@pytest.mark.parametrize(
    ("base", "head"),
    [
        (code_cell("a", execution_count=1), code_cell("a", execution_count=7)),
        (code_cell("a", id="one"), code_cell("a", id="two")),
        (
            code_cell("a", metadata={"execution": {"shell.execute_reply": "2020"}}),
            code_cell("a", metadata={"execution": {"shell.execute_reply": "2021"}}),
        ),
        (code_cell("a", metadata={"trusted": True}), code_cell("a", metadata={"trusted": False})),
        (code_cell("a", stream("10%\r60%\r100%\n")), code_cell("a", stream("10%\r100%\n"))),
        (code_cell("a", stream("<X at 0x7f12ab>\n")), code_cell("a", stream("<X at 0x7f99ff>\n"))),
        (
            code_cell("a", stream("Cell In[3], line 1\n")),
            code_cell("a", stream("Cell In[12], line 1\n")),
        ),
        (code_cell("a", stream("1\n"), stream("2\n")), code_cell("a", stream("1\n2\n"))),
    ],
    ids=["count", "id", "time", "trust", "progress", "address", "traceback", "flushed"],
)
def test_noise_is_in_the_diff_and_is_no_change(base: Any, head: Any) -> None:
    found = compared([base], [head])
    assert found.diff
    assert not found.changed
    assert found.cells == [{"change": "unchanged", "base": 0, "head": 0, "fields": []}]
    loud = compared([base], [head], noise=True)
    assert loud.changed
    assert loud.cells[0]["change"] == "modified"


def test_a_value_that_changed_is_no_noise() -> None:
    found = compared([code_cell("a", stream("loss 0.3\n"))], [code_cell("a", stream("loss 0.2\n"))])
    assert found.cells[0]["fields"] == ["outputs"]


def test_outputs_can_be_left_out() -> None:
    base, head = code_cell("a", stream("1")), code_cell("a", stream("2"), execution_count=3)
    found = compared([base], [head], outputs=False)
    assert (found.diff, found.changed) == ([], False)


def test_metadata_can_be_left_out() -> None:
    base = {**notebook([code_cell("a", metadata={"tags": ["x"]})]), "metadata": {"title": "t"}}
    found = law_holds(normal(base), normal(notebook([code_cell("a")])), metadata=False)
    assert (found.diff, found.changed) == ([], False)


def test_metadata_of_the_notebook_is_a_change_of_its_own() -> None:
    base, head = notebook([]), {**notebook([]), "metadata": {"kernelspec": {"name": "r"}}}
    found = law_holds(normal(base), normal(head))
    assert found.metadata
    assert found.changed


def test_five_of_100000_stream_lines_take_less_than_a_kilobyte() -> None:
    lines = [f"step {n} loss {n * 7919 % 1000}\n" for n in range(100_000)]
    base = code_cell("train()", stream("".join(lines)))
    for at in (7, 20_000, 55_555, 77_777, 99_998):
        lines[at] = "nan\n"
    found = compared([base], [code_cell("train()", stream("".join(lines)))])
    assert len(json.dumps(found.diff)) < 1000


def test_100000_empty_cells_are_compared() -> None:
    base = notebook([{"cell_type": "code", "source": ""}] * 100_000)
    head = notebook([{"cell_type": "code", "source": ""}] * 99_990)
    found = law_holds(normal(base), normal(head))
    assert found.counts["removed"] == 10


def test_100000_reruns_of_one_cell_are_compared() -> None:
    ran = [code_cell("", stream(f"{n}")) for n in range(100_001)]
    found = diff_notebooks(normal(notebook(ran[:-1])), normal(notebook(ran[1:])))
    assert found.counts == {"added": 0, "removed": 0, "modified": 100_000, "moved": 0}


def test_a_very_large_cell_is_compared_and_says_if_coarsely() -> None:
    rng = random.Random(3)
    million = 1_000_000
    base = "".join(f"{rng.randrange(500)}\n" for _ in range(million // 4))
    head = "".join(f"{rng.randrange(500)}\n" for _ in range(million // 4))
    found = compared([code_cell(base)], [code_cell(head)])
    assert found.truncated


def test_an_image_between_others_stays_where_it_is() -> None:
    def image(data: str) -> dict[str, Any]:
        return {"output_type": "display_data", "metadata": {}, "data": {"image/png": data}}

    base = code_cell("plot()", stream("a\n"), image("QUFB"))
    head = code_cell("plot()", stream("a\n"), image("QkJC"), image("QUFB"))
    found = compared([base], [head])
    (outputs,) = [op for op in found.diff[0]["diff"][0]["diff"] if op["key"] == "outputs"]
    assert [op["op"] for op in outputs["diff"]] == ["addrange"]


def executed(text: str, n: int, cell_id: str, name: str | None = None) -> dict[str, Any]:
    noted = {"execution": n, "cell_id": cell_id, "status": "ok", "store_history": True}
    return code_cell(text, id=name or cell_id, metadata={"codesave": noted})


def test_what_ran_last_is_compared_with_what_the_file_says() -> None:
    ran = [
        executed("a = 1", 1, "a"),
        executed("b = 2", 2, "b"),
        executed("a = 10", 3, "a", "a-2"),
        executed("gone = 0", 4, "gone"),
    ]
    file = [
        {"cell_type": "markdown", "source": "# Title", "metadata": {}, "id": "t"},
        code_cell("b = 3", id="b"),
        code_cell("a = 10", id="a"),
        code_cell("c = 3", id="c"),
        code_cell("", id="d"),
    ]
    found = compared(ran, file)
    assert found.session
    assert sorted((c["change"], c["base"], c["head"]) for c in found.cells if c["base"] == 0) == [
        ("removed", 0, None)
    ]
    by_head = {cell["head"]: (cell["change"], cell["base"]) for cell in found.cells}
    assert by_head[0] == ("unchanged", None)
    assert by_head[1] == ("modified", 1)
    assert by_head[2] == ("unchanged", 2)
    assert by_head[3] == ("added", None)
    assert by_head[4] == ("unchanged", None)
    assert found.counts == {"added": 1, "removed": 1, "modified": 1, "moved": 0, "superseded": 1}


def test_a_session_that_ran_what_the_file_says_does_not_differ_from_it() -> None:
    ran = [executed("b = 2", 1, "b"), executed("a = 1", 2, "a"), executed("b = 2", 3, "b", "b-2")]
    file = [code_cell("a = 1", id="a"), code_cell("b = 2", id="b")]
    assert not compared(ran, file).changed
    assert not compared(file, ran).changed


def test_two_sessions_pair_the_executions_of_a_cell_in_order() -> None:
    base = session(random.Random(2), 120)
    head = {**base, "cells": base["cells"][5:]}
    found = law_holds(normal(base), normal(head))
    assert not found.session
    assert found.counts == {"added": 0, "removed": 5, "modified": 0, "moved": 0}


def test_whole_cells_are_found_by_their_index() -> None:
    form = normal(notebook([code_cell("a"), code_cell("b")]))
    assert whole_cells(form, [1]) == {"1": form["cells"][1]}
    with pytest.raises(UsageError, match="No cell 2"):
        whole_cells(form, [2])
