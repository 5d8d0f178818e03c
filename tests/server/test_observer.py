"""Kernels without the package are observed by the server; no kernel is recorded twice."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from queue import Empty
from typing import Any
from urllib.parse import quote

import pytest

from tests.capture.journals import is_anywhere
from tests.conftest import Lab, wait_until


def install_spec(lab: Lab, name: str, argv: list[str], language: str, **env: str) -> None:
    folder = Path(lab.home.environment["JUPYTER_DATA_DIR"]) / "kernels" / name
    folder.mkdir(parents=True, exist_ok=True)
    spec = {"argv": argv, "display_name": name.title(), "language": language, "env": env}
    (folder / "kernel.json").write_text(json.dumps(spec))


def ask(lab: Lab, path: str, method: str = "GET", body: Any = None) -> Any:
    request = urllib.request.Request(
        f"{lab.url}api/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"token {lab.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        text = response.read()
    return json.loads(text) if text else None


def start(lab: Lab, kernel: str, notebook: str) -> tuple[str, Any]:
    """Start a session as a browser does, and give the kernel's id and a client of the kernel."""
    from jupyter_client.blocking.client import BlockingKernelClient

    empty = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (lab.root / notebook).write_text(json.dumps(empty))
    name = notebook.rpartition("/")[2]  # as JupyterLab names it
    body = {"path": notebook, "name": name, "type": "notebook", "kernel": {"name": kernel}}
    kernel_id: str = ask(lab, "sessions", "POST", body)["kernel"]["id"]
    runtime = Path(lab.home.environment["JUPYTER_RUNTIME_DIR"])
    client = BlockingKernelClient(connection_file=str(runtime / f"kernel-{kernel_id}.json"))
    client.load_connection_file()
    client.start_channels()
    wait_until(lambda: is_ready(client), f"the {kernel} kernel", 120)
    return kernel_id, client


def is_ready(client: Any) -> bool:
    """Ask until both channels answer; wait_for_ready takes a busy machine for a dead kernel.

    What a killed process said before does not count: its successor's iopub may not be heard yet.
    """
    asked = client.kernel_info()
    try:
        for receive in (client.get_iopub_msg, client.get_shell_msg):
            while receive(timeout=1)["parent_header"].get("msg_id") != asked:
                pass
    except Empty:
        return False
    return True


def runs(lab: Lab, notebook: str, executions: int) -> Any:
    found = lab.api(f"runs?notebook={quote(notebook)}")["runs"]
    return [run for run in found if run["executions"] == executions]


def texts(lab: Lab, run: dict[str, Any]) -> list[list[Any]]:
    cells = lab.api(f"runs/{run['id']}/notebook")["cells"]
    return [[output.get("text") for output in cell["outputs"]] for cell in cells]


def test_a_bash_kernel_is_observed_by_the_server(lab: Lab) -> None:
    install_spec(
        lab, "bash", [sys.executable, "-m", "bash_kernel", "-f", "{connection_file}"], "bash"
    )
    kernel_id, client = start(lab, "bash", "shell.ipynb")
    client.execute_interactive("echo one; echo two", timeout=60, output_hook=lambda _: None)
    client.execute_interactive("%%codesave skip\necho canary", timeout=60, output_hook=lambda _: 0)
    (run,) = wait_until(lambda: runs(lab, "shell.ipynb", 1), "the observed run")
    assert run["by"] == "server"
    assert texts(lab, run) == [["one\ntwo\n"]]
    details = lab.api(f"runs/{run['id']}")
    assert details["environment"]["python"] is None
    assert details["git"]["commit"] is None
    assert details["cwd"] is None
    client.stop_channels()
    ask(lab, f"kernels/{kernel_id}", "DELETE")
    ended = wait_until(
        lambda: [r for r in runs(lab, "shell.ipynb", 1) if r["state"] != "running"], "its end"
    )
    assert (ended[0]["state"], ended[0]["ended_by"]) == ("finished", "shutdown")


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment with ipykernel and without this package."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "ipykernel"], check=True)
    return python


def test_an_ipython_kernel_of_another_environment_is_observed(lab: Lab, bare_python: str) -> None:
    argv = [bare_python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    install_spec(lab, "bare", ["env", "-u", "PYTHONPATH", *argv], "python")
    kernel_id, client = start(lab, "bare", "elsewhere.ipynb")
    client.execute_interactive("print('seen')\n1/0", timeout=60, output_hook=lambda _: None)
    (run,) = wait_until(lambda: runs(lab, "elsewhere.ipynb", 1), "the observed run")
    assert run["by"] == "server"
    (cell,) = lab.api(f"runs/{run['id']}/notebook")["cells"]
    assert [output["output_type"] for output in cell["outputs"]] == ["stream", "error"]
    assert cell["metadata"]["codesave"]["status"] == "error"
    client.stop_channels()
    ask(lab, f"kernels/{kernel_id}", "DELETE")


def test_a_kernel_that_records_itself_is_recorded_once(lab: Lab) -> None:
    kernel_id, client = start(lab, "python3", "itself.ipynb")
    client.execute_interactive("print('once')", timeout=60, output_hook=lambda _: None)
    (run,) = wait_until(lambda: runs(lab, "itself.ipynb", 1), "the run")
    assert run["by"] == "kernel"
    assert len(lab.api(f"runs?notebook={quote('itself.ipynb')}")["runs"]) == 1
    client.stop_channels()
    ask(lab, f"kernels/{kernel_id}", "DELETE")


@pytest.mark.parametrize("how", ["by magic", "by its environment"])
def test_a_kernel_that_was_told_not_to_record_is_not_observed_either(lab: Lab, how: str) -> None:
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    install_spec(lab, "silent", ["env", "CODESAVE=off", *argv], "python")
    notebook = f"silent {how}.ipynb"
    kernel_id, client = start(lab, "python3" if how == "by magic" else "silent", notebook)
    for source in ("%codesave off", "print('canary-7d1')"):
        client.execute_interactive(source, timeout=60, output_hook=lambda _: None)
    if how == "by magic":
        end_the_silence(lab, client, notebook)
    client.stop_channels()
    ask(lab, f"kernels/{kernel_id}", "DELETE")
    assert not is_anywhere(lab.home.data, "canary-7d1")
    assert not (lab.home.data / "kernels" / kernel_id).exists()


def end_the_silence(lab: Lab, client: Any, notebook: str) -> None:
    client.execute_interactive("%codesave on", timeout=60, output_hook=lambda _: None)
    client.execute_interactive("print('seen')", timeout=60, output_hook=lambda _: None)
    wait_until(
        lambda: [run for run in lab.api("runs")["runs"] if run["notebook"] == notebook], "the run"
    )
