"""What a kernel's journal says equals what nbclient saw, output for output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.capture import cases
from tests.capture.journals import cells, fold, the_journal
from tests.capture.stacks import Stack
from tests.conftest import scale


def _comparable(outputs: list[Any]) -> list[Any]:
    """Merge consecutive texts of one stream, as front ends do."""
    merged: list[Any] = []
    for output in json.loads(json.dumps(outputs).encode("utf-8", "replace")):
        if output["output_type"] == "stream":
            output["text"] = "".join(output["text"])
            last = merged[-1] if merged else {}
            if last.get("output_type") == "stream" and last["name"] == output["name"]:
                last["text"] += output["text"]
                continue
        merged.append(output)
    return merged


def _execute(stack: Stack, folder: Path, sources: list[str]) -> tuple[Any, Path]:
    """Have nbclient run the sources; give its notebook and the kernel's journal."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources]
    )
    environment = stack.environment(folder)
    NotebookClient(
        notebook,
        allow_errors=True,
        timeout=120,
        kernel_name=stack.kernel,
        resources={"metadata": {"path": str(folder)}},
    ).execute(env=environment)
    return notebook, the_journal(Path(environment["CODESAVE_DIR"]))


def _check(chosen: list[tuple[str, list[str]]], stack: Stack, folder: Path) -> None:
    sources = [(name, source) for name, sources in chosen for source in sources]
    notebook, journal = _execute(stack, folder, [source for _, source in sources])
    recorded = cells(journal)
    assert [cell["source"] for cell in recorded] == [source for _, source in sources if source]
    pairs = [pair for pair in zip(sources, notebook.cells, strict=True) if pair[0][1]]
    for cell, (case, theirs) in zip(recorded, pairs, strict=True):
        assert _comparable(cell["outputs"]) == _comparable(theirs.outputs), case
        assert cell["execution_count"] == theirs.execution_count, case


def test_the_session_notebook_equals_nbclients_own_record(stack: Stack, tmp_path: Path) -> None:
    _check(cases.PLAIN + cases.FIGURES, stack, tmp_path)


def test_large_outputs_equal_nbclients_own_record(stack: Stack, tmp_path: Path) -> None:
    count = scale(100_000)
    prints = ("small prints", [f"for n in range({count}): print(n)"])
    _check([*cases.LARGE, prints], stack, tmp_path)


def test_widgets_are_in_the_state_in_which_nbclient_keeps_them(
    stack: Stack, tmp_path: Path
) -> None:
    sources = [source for _, sources in cases.WIDGETS for source in sources]
    notebook, journal = _execute(stack, tmp_path, sources)
    folded = fold(journal)
    (run,) = folded.runs
    session = folded.notebook(run)
    for mine, theirs in zip(session["cells"], notebook.cells, strict=True):
        assert _comparable(mine["outputs"]) == _comparable(theirs.outputs), mine["source"]
    assert session["metadata"]["widgets"] == json.loads(json.dumps(notebook.metadata.widgets))
