"""What of a notebook file may be stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_codesave.ingest.filter import blank_skipped
from jupyter_codesave.model.digest import digest_of

NEVER_RUN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "by its tag": ("code", "canary", {"tags": ["codesave-skip"]}),
    "by its tag, a text": ("markdown", "canary", {"tags": ["codesave-skip"]}),
    "by its own metadata": ("code", "canary", {"codesave": {"capture": "off"}}),
    "by its first line": ("code", "\n %%codesave  skip\ncanary", {}),
    "with a prompt before it": ("code", ">>> %%codesave skip\n>>> canary", {}),
    "marked when it was blanked, and filled since": (
        "code",
        "canary",
        {"codesave": {"skipped": 1}},
    ),
}


def notebook(*cells: tuple[str, str, dict[str, Any]]) -> bytes:
    made = [
        {
            "cell_type": kind,
            "id": f"cell-{n}",
            "source": source.splitlines(True),
            "metadata": metadata,
            **({"outputs": [], "execution_count": None} if kind == "code" else {}),
        }
        for n, (kind, source, metadata) in enumerate(cells)
    ]
    return json.dumps(
        {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=2
    ).encode()


@pytest.mark.parametrize("how", NEVER_RUN)
def test_a_cell_that_says_skip_of_itself_is_blanked_though_it_never_ran(how: str) -> None:
    data = blank_skipped(notebook(NEVER_RUN[how], ("code", "x = 1", {})), set(), set())
    assert data is not None
    assert b"canary" not in data
    blank, kept = json.loads(data)["cells"]
    assert (blank["source"], blank["metadata"]) == ([], {"codesave": {"skipped": True}})
    assert kept["source"] == ["x = 1"]


@pytest.mark.parametrize("how", NEVER_RUN)
def test_what_is_blank_already_comes_back_as_the_very_bytes(how: str) -> None:
    once = blank_skipped(notebook(NEVER_RUN[how], ("code", "x = 1", {})), set(), set())
    assert once is not None
    assert blank_skipped(once, set(), set()) == once
    saved = json.dumps(json.loads(once), indent=3).encode()  # by another front end
    assert blank_skipped(saved, set(), {digest_of(b"")}) == saved


@pytest.mark.parametrize(
    "cell",
    [
        ("code", "print('%%codesave skip')", {"codesave": {"capture": "all"}}),
        ("code", "%%codesave skipping", {}),
        ("markdown", "%%codesave skip", {}),
    ],
)
def test_what_only_speaks_of_it_is_kept_as_the_very_bytes(
    cell: tuple[str, str, dict[str, Any]],
) -> None:
    data = notebook(cell)
    assert blank_skipped(data, set(), set()) == data


def test_of_what_is_off_or_cannot_be_read_nothing_is_kept() -> None:
    off = json.dumps({"cells": [], "metadata": {"codesave": {"capture": "off"}}}).encode()
    assert blank_skipped(off, set(), set()) is None
    assert blank_skipped(b"no notebook", {"cell"}, set()) is None
    assert blank_skipped(b"[" * 100_000 + b'"codesave"', set(), set()) is None
