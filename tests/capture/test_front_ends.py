"""Every way to run a notebook or a kernel that has no browser."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pexpect
import pytest

from tests.capture.journals import all_events, cells, is_anywhere, text_of, the_journal
from tests.conftest import Home

SOURCES = ["print('first')", "1 + 1", "from IPython.display import display; display('shown')"]


def notebook(home: Home) -> Path:
    path = home.work / "analysis.ipynb"
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in SOURCES])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(made, path)
    return path


def run(home: Home, *command: str) -> None:
    subprocess.run(
        [sys.executable, "-m", *command],
        env=home.environment,
        cwd=home.work,
        check=True,
        capture_output=True,
        timeout=180,
    )


def check(home: Home) -> None:
    found = cells(the_journal(home.data))
    assert [cell["source"] for cell in found][-len(SOURCES) :] == SOURCES
    printed, result, shown = (cell["outputs"] for cell in found[-len(SOURCES) :])
    assert text_of(printed) == "first\n"
    assert result[0]["data"]["text/plain"] == "2"
    assert shown[0]["output_type"] == "display_data"


PROGRAMS = {
    "jupyter execute": ("jupyter", "execute", "analysis.ipynb"),
    "papermill": ("papermill", "analysis.ipynb", "out.ipynb", "-k", "python3"),
    "nbconvert": ("jupyter", "nbconvert", "--to", "notebook", "--execute", "analysis.ipynb"),
}


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_a_program_that_executes_a_notebook(program: str, home: Home) -> None:
    path = notebook(home)
    run(home, *PROGRAMS[program])
    check(home)
    assert {event["notebook"] for event in all_events(the_journal(home.data), "run")} == {str(path)}


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_what_is_tagged_in_a_file_that_a_program_executes_is_nowhere(
    program: str, home: Home
) -> None:
    path = notebook(home)
    written = json.loads(path.read_text())
    written["cells"][1]["metadata"]["tags"] = ["codesave-skip"]
    written["cells"][1]["source"] = ["x = 'canary-7f3a9c'\n", "print(x)"]
    path.write_text(json.dumps(written))
    run(home, *PROGRAMS[program])
    found = [cell["source"] for cell in cells(the_journal(home.data))]
    assert [source for source in found if source in SOURCES] == [SOURCES[0], SOURCES[2]]
    assert is_anywhere(home.data, "canary-7f3a9c") == []
    home.command("ingest")
    assert is_anywhere(home.data, "canary-7f3a9c") == []


def test_off_in_the_metadata_of_a_file_that_a_program_executes_is_off(home: Home) -> None:
    path = notebook(home)
    written = json.loads(path.read_text())
    written["metadata"]["codesave"] = {"capture": "off"}
    path.write_text(json.dumps(written))
    run(home, *PROGRAMS["jupyter execute"])
    assert is_anywhere(home.data, "first") == []


def test_jupyter_console(home: Home) -> None:
    child = pexpect.spawn(
        sys.executable,
        ["-m", "jupyter", "console", "--simple-prompt"],
        env={**home.environment, "TERM": "dumb"},
        cwd=str(home.work),
        encoding="utf-8",
        timeout=120,
    )
    child.expect_exact("In [1]")
    for number, source in enumerate(SOURCES, 2):
        child.sendline(source)
        child.expect_exact(f"In [{number}]")
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()
    found = cells(the_journal(home.data))
    assert [cell["source"] for cell in found][:3] == SOURCES
    assert text_of(found[0]["outputs"]) == "first\n"


def test_a_cell_in_a_subshell(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("import threading; go = threading.Event()")
    control = kernel.client.session.msg("create_subshell_request")
    kernel.client.control_channel.send(control)
    while True:
        reply = kernel.client.control_channel.get_msg(timeout=60)
        if reply["parent_header"]["msg_id"] == control["header"]["msg_id"]:
            break
    waiting = kernel.client.execute("go.wait(60); print('main')")
    content = {
        "code": "print('from the subshell'); go.set()",
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }
    request = kernel.client.session.msg("execute_request", content)
    request["header"]["subshell_id"] = reply["content"]["subshell_id"]
    kernel.client.shell_channel.send(request)
    idle = set()
    while len(idle) < 2:
        message = kernel.client.get_iopub_msg(timeout=60)
        key = message["parent_header"].get("msg_id")
        if message["content"].get("execution_state") == "idle" and key in (
            waiting,
            request["header"]["msg_id"],
        ):
            idle.add(key)
    path = the_journal(home.data)
    found = {cell["source"]: text_of(cell["outputs"]) for cell in cells(path)}
    assert found["go.wait(60); print('main')"] == "main\n"
    assert found["print('from the subshell'); go.set()"] == "from the subshell\n"
    assert [cell["metadata"]["codesave"]["status"] for cell in cells(path)] == ["ok"] * 3
