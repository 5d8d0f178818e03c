"""What a kernel's journal says equals what nbclient saw, output for output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.capture import cases
from tests.capture.journals import cells, the_journal
from tests.capture.stacks import Stack


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


def test_the_session_notebook_equals_nbclients_own_record(stack: Stack, tmp_path: Path) -> None:
    chosen = cases.PLAIN + (cases.FIGURES if stack.draws else [])
    sources = [(name, source) for name, sources in chosen for source in sources]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for _, source in sources]
    )
    environment = stack.environment(tmp_path)
    NotebookClient(
        notebook,
        allow_errors=True,
        timeout=60,
        kernel_name=stack.kernel,
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute(env=environment)
    recorded = cells(the_journal(Path(environment["CODESAVE_DIR"])))
    assert [cell["source"] for cell in recorded] == [source for _, source in sources if source]
    pairs = [pair for pair in zip(sources, notebook.cells, strict=True) if pair[0][1]]
    for cell, (case, theirs) in zip(recorded, pairs, strict=True):
        assert _comparable(cell["outputs"]) == _comparable(theirs.outputs), case
        assert cell["execution_count"] == theirs.execution_count, case
