"""A notebook that is not recorded is told as such, though its kernel writes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Lab, wait_until
from tests.server.test_observer import ask, start

TYPO = '[tool.codesave]\ncaptur = "off"\n'


@pytest.fixture
def kernel(lab: Lab, request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    """The name of a folder of its own, with a notebook `paper.ipynb`, and the kernel's client."""
    folder = request.node.name
    (lab.root / folder).mkdir()
    kernel_id, client = start(lab, "python3", f"{folder}/paper.ipynb")
    yield folder, client
    client.stop_channels()
    ask(lab, f"kernels/{kernel_id}", "DELETE")


def said(lab: Lab, folder: str) -> list[tuple[str, str]]:
    entries = lab.api("status")["recording"]
    mine = [entry for entry in entries if entry["notebook"] == f"{folder}/paper.ipynb"]
    return [(entry["state"], entry["reason"]) for entry in mine]


def printed(client: Any, code: str) -> str:
    found: list[str] = []
    client.execute_interactive(
        code, timeout=60, output_hook=lambda m: found.append(m["content"].get("text", ""))
    )
    return "".join(found)


def test_a_typo_in_the_project_file_is_told_before_the_first_cell_and_after_it(
    lab: Lab, kernel: tuple[str, Any]
) -> None:
    folder, client = kernel
    file = lab.root / folder / "pyproject.toml"
    assert said(lab, folder) == []
    file.write_text(TYPO)
    for _ in range(2):
        ((state, reason),) = said(lab, folder)
        assert state == "failed"
        assert "'captur'" in reason
        assert str(file) in reason
        assert printed(client, "print('seen')") == "seen\n"
    assert printed(client, "%codesave").startswith(f"Not recording: {reason}")
    log = (lab.home.folder / "server.log").read_text()
    assert log.count(f"not recording: {reason}") == 1
    file.unlink()
    printed(client, "1")
    wait_until(lambda: [state for state, _ in said(lab, folder)] == ["recording"], "the mending")


def test_a_typo_made_while_it_records_is_told_with_its_reason(
    lab: Lab, kernel: tuple[str, Any]
) -> None:
    folder, client = kernel
    printed(client, "1")
    wait_until(lambda: [state for state, _ in said(lab, folder)] == ["recording"], "the journal")
    (lab.root / folder / "pyproject.toml").write_text(TYPO)
    os.utime(lab.root / folder / "paper.ipynb", (1, 1))  # what else may have changed is looked at
    printed(client, "2")
    wait_until(lambda: [state for state, _ in said(lab, folder)] == ["failed"], "the typo")
    assert "'captur'" in said(lab, folder)[0][1]
    told = lab.home.command("status").stdout
    (line,) = (each for each in told.splitlines() if folder in each)
    assert line.startswith("  failed: ")
    assert "'captur'" in line


def test_a_project_file_that_says_off_is_told(lab: Lab, kernel: tuple[str, Any]) -> None:
    folder, client = kernel
    file = lab.root / folder / "pyproject.toml"
    file.write_text('[tool.codesave]\ncapture = "off"\n')
    printed(client, "1")
    assert said(lab, folder) == [("off", str(file))]
