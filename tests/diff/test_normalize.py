"""Any notebook becomes one normal form, the same every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from nbformat import from_dict, validate

from jupyter_codesave.diff import normalize
from jupyter_codesave.diff.normalize import DEEPEST
from jupyter_codesave.errors import UsageError

from .made import code_cell, notebook
from .odd import examples, odd_notebooks

SCALE = float(os.environ.get("CODESAVE_TEST_SCALE", "1"))


def normal(value: object) -> dict[str, object]:
    return normalize(json.dumps(value))


@given(odd_notebooks())
@examples
def test_normalizing_twice_changes_nothing(given_notebook: object) -> None:
    once = normal(given_notebook)
    assert normal(once) == once


@settings(max_examples=int(200 * SCALE), deadline=None)
@given(odd_notebooks())
@examples
def test_the_normal_form_is_valid_nbformat(given_notebook: object) -> None:
    validate(from_dict(normal(given_notebook)))


@given(odd_notebooks())
@examples
def test_ids_are_unique(given_notebook: object) -> None:
    ids = [cell["id"] for cell in normal(given_notebook)["cells"]]
    assert len(set(ids)) == len(ids)


def test_text_and_bytes_give_the_same_form() -> None:
    text = json.dumps(notebook([code_cell("ünï")]), ensure_ascii=False)
    assert normalize(text) == normalize(text.encode()) == normalize("\ufeff" + text)


def test_missing_ids_come_from_the_source_and_count_up() -> None:
    first, second, other = normal(notebook([code_cell("a"), code_cell("a"), code_cell("b")]))[
        "cells"
    ]
    assert second["id"] == first["id"] + "-2"
    assert other["id"] != first["id"]


def test_a_duplicate_id_stays_with_the_first_cell() -> None:
    cells = normal(notebook([code_cell("a", id="x"), code_cell("b", id="x")]))["cells"]
    assert cells[0]["id"] == "x"
    assert cells[1]["id"] == normal(notebook([code_cell("b")]))["cells"][0]["id"]


def test_a_derived_id_never_takes_one_that_is_given() -> None:
    derived = normal(notebook([code_cell("a")]))["cells"][0]["id"]
    ids = [c["id"] for c in normal(notebook([code_cell("a"), code_cell("b", id=derived)]))["cells"]]
    assert ids == [derived + "-2", derived]


def test_lists_of_lines_are_joined() -> None:
    stream = {"output_type": "stream", "name": "stdout", "text": ["1\n", "2"]}
    shown = {"output_type": "display_data", "metadata": {}, "data": {"text/html": ["<b>", "</b>"]}}
    cell = normal(notebook([code_cell("", stream, shown, source=["a\n", "b"])]))["cells"][0]
    assert cell["source"] == "a\nb"
    assert cell["outputs"][0]["text"] == "1\n2"
    assert cell["outputs"][1]["data"]["text/html"] == "<b></b>"


def test_json_in_an_output_stays_as_it_is() -> None:
    data = {"application/json": 5, "application/vnd.x+json": ["a", "b"]}
    output = {"output_type": "display_data", "metadata": {}, "data": data}
    assert normal(notebook([code_cell("", output)]))["cells"][0]["outputs"][0]["data"] == data


def test_version_3_becomes_version_4() -> None:
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": "old", "kept": 1},
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "source": ["A\n", "title"]},
                    {
                        "cell_type": "code",
                        "language": "python",
                        "collapsed": True,
                        "input": ["1+1"],
                        "prompt_number": 4,
                        "outputs": [
                            {"output_type": "pyout", "prompt_number": 4, "text": ["2"]},
                            {"output_type": "stream", "stream": "stderr", "text": "w"},
                            {"output_type": "pyerr", "ename": "E", "evalue": "v", "traceback": []},
                            {"output_type": "display_data", "png": "QUJD"},
                        ],
                    },
                ]
            }
        ],
    }
    form = normal(old)
    heading, code = form["cells"]
    assert form["metadata"] == {"kept": 1}
    assert (heading["cell_type"], heading["source"]) == ("markdown", "## A title")
    assert (code["source"], code["execution_count"]) == ("1+1", 4)
    assert code["metadata"] == {"collapsed": True}
    assert [o["output_type"] for o in code["outputs"]] == [
        "execute_result",
        "stream",
        "error",
        "display_data",
    ]
    assert code["outputs"][0]["data"] == {"text/plain": "2"}
    assert code["outputs"][1]["name"] == "stderr"
    assert code["outputs"][3]["data"] == {"image/png": "QUJD"}
    validate(from_dict(form))


def test_numbers_that_json_does_not_have_become_text() -> None:
    text = '{"cells": [], "metadata": {"a": NaN, "b": -Infinity, "c": 1e999}, "nbformat": 4}'
    assert normalize(text)["metadata"] == {"a": "NaN", "b": "-Infinity", "c": "1e999"}


def test_what_is_nested_too_deeply_becomes_text_and_stays_so() -> None:
    deep: object = 1
    for n in range(400):
        deep = [deep, n] if n % 2 else {"a": deep}
    output = {"output_type": "display_data", "metadata": {}, "data": {"application/json": deep}}
    cell = code_cell("", output, metadata={"deep": deep}, unknown=deep)
    form = normal({**notebook([cell]), "metadata": {"deep": deep}})
    text = json.dumps(form, indent=1)
    assert normalize(text) == form
    held, levels = form["metadata"]["deep"], 1
    while not isinstance(held, str):
        held, levels = held["a"] if isinstance(held, dict) else held[0], levels + 1
    assert levels == DEEPEST
    assert json.loads(held)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        b"\xff\xfe\x00",
        "[]",
        "{}",
        '{"nbformat": 5, "cells": []}',
        '{"nbformat": "4", "cells": []}',
        "[" * 100_000,
        '{"cells": [], "metadata": {"n": ' + "9" * 5000 + "}}",
    ],
    ids=["empty", "text", "bytes", "list", "object", "newer", "version", "deep", "digits"],
)
def test_what_is_no_notebook_is_named(text: str | bytes) -> None:
    with pytest.raises(UsageError, match="Not a notebook"):
        normalize(text)


def test_the_package_comes_without_nbdime() -> None:

    code = "import sys, jupyter_codesave.diff as d; d.normalize; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"nbdime", "nbformat", "rich"} & set(loaded.stdout.split())
