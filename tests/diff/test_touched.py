"""A browser gets at first only what changed and what is near it."""

from __future__ import annotations

import json
from typing import Any

from jupyter_codesave.diff import normalize
from jupyter_codesave.diff.notebooks import diff_notebooks
from jupyter_codesave.diff.touched import LARGEST, NEAR, touched

from .made import code_cell, notebook, stream


def sent(base: list[Any], head: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    a, b = (normalize(json.dumps(notebook(cells))) for cells in (base, head))
    found = diff_notebooks(a, b)
    before = json.dumps([a, b, found.diff])
    sides, diff = touched(a, b, found.cells, found.diff)
    assert json.dumps([a, b, found.diff]) == before
    return sides, diff


def image(data: str) -> dict[str, Any]:
    return {
        "output_type": "display_data",
        "metadata": {},
        "data": {"image/png": data, "text/plain": "x"},
    }


def test_cells_far_from_a_change_are_outlines() -> None:
    cells = [code_cell(f"x = {n}\ny", id=f"c{n}") for n in range(20)]
    sides, _ = sent(cells, [*cells[:10], code_cell("z = 1", id="c10"), *cells[11:]])
    whole = [n for n, cell in enumerate(sides["head"]["cells"]) if "source" in cell]
    assert whole == list(range(10 - NEAR, 10 + NEAR + 1))
    outline = sides["head"]["cells"][0]
    assert outline == {"cell_type": "code", "id": "c0", "partial": True, "lines": 2}


def test_an_unchanged_cell_near_a_change_is_sent_once() -> None:
    cells = [code_cell(f"x = {n}", id=f"c{n}") for n in range(3)]
    sides, _ = sent(cells, [cells[0], cells[1], code_cell("y", id="c2")])
    assert sides["base"]["cells"][0]["partial"]
    assert "partial" not in sides["head"]["cells"][0]


def test_a_large_value_is_left_out_and_its_cell_partial() -> None:
    large = "A" * (LARGEST + 1)
    sides, diff = sent(
        [code_cell("plot(1)", image(large))], [code_cell("plot(2)", image(large + "B"))]
    )
    for side in ("base", "head"):
        (cell,) = sides[side]["cells"]
        assert cell["partial"]
        assert cell["outputs"][0]["data"] == {"text/plain": "x"}
    assert large not in json.dumps([sides, diff])


def test_a_small_output_is_sent_whole() -> None:
    sides, _ = sent([code_cell("a", stream("1\n"))], [code_cell("a", stream("2\n"))])
    assert sides["head"]["cells"][0]["outputs"] == [stream("2\n")]


def test_added_cells_are_outlines_in_the_diff() -> None:
    sides, diff = sent([], [code_cell("new", id="n")])
    assert sides["head"]["cells"][0]["source"] == "new"
    (added,) = diff[0]["diff"]
    assert added["valuelist"] == [{"cell_type": "code", "id": "n", "partial": True, "lines": 1}]


def test_a_large_attachment_is_left_out() -> None:
    def text(source: str) -> dict[str, Any]:
        pictures = {"a.png": {"image/png": "A" * (LARGEST + 1)}}
        return {"cell_type": "markdown", "metadata": {}, "source": source, "attachments": pictures}

    sides, _ = sent([text("one")], [text("one two")])
    assert sides["head"]["cells"][0]["partial"]
    assert "attachments" not in sides["head"]["cells"][0]


def test_what_is_sent_grows_with_the_change_not_with_the_notebook() -> None:
    cells = [code_cell(f"x = {n}", stream("line\n" * 100), id=f"c{n}") for n in range(500)]
    sides, diff = sent(cells, [*cells[:-1], code_cell("y = 2", id="c499")])
    assert len(json.dumps([sides, diff])) < 0.3 * len(json.dumps(cells))
