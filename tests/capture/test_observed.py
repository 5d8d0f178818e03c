"""Observed kernels end and begin anew as kernels do; what is off stays off."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

import pytest

from jupyter_codesave.journal.reader import session_event
from jupyter_codesave.server.observer import _Kernel
from tests.capture.journals import is_anywhere
from tests.conftest import Lab, wait_until
from tests.server.test_observer import ask, install_spec, is_ready, start


@pytest.fixture(scope="module")
def lab(start_lab: Callable[..., Lab]) -> Lab:
    """A server whose kernels may be killed; kernels without the package are plain ipykernels."""
    found = start_lab("--KernelRestarter.time_to_dead=0.5")
    argv = [sys.executable, "-c", PLAIN, "-f", "{connection_file}"]
    install_spec(found, "plain", argv, "python")
    return found


# As in an environment without the package: no startup file is looked for.
PLAIN = """
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
IPKernelApp.exec_files, IPKernelApp.kernel_class = [], IPythonKernel
from IPython.core import shellapp
shellapp.InteractiveShellApp._run_startup_files = lambda self: None
IPKernelApp.launch_instance()
"""


@pytest.fixture
def kernel(lab: Lab, request: pytest.FixtureRequest) -> Iterator[tuple[str, Any, str]]:
    notebook = f"{request.node.name[5:25]}{len(request.node.name)}.ipynb"
    kernel_id, client = start(lab, "plain", notebook)
    yield kernel_id, client, notebook
    client.stop_channels()
    ask(lab, f"kernels/{kernel_id}", "DELETE")


def run(client: Any, code: str) -> None:
    client.execute_interactive(code, timeout=60, output_hook=lambda _: None)


def runs(lab: Lab, notebook: str) -> list[dict[str, Any]]:
    found = lab.api(f"runs?notebook={quote(notebook)}")["runs"]
    return [each for each in found if each["executions"]]


def ended(lab: Lab, notebook: str) -> list[tuple[str, str]]:
    found = [each for each in runs(lab, notebook) if each["state"] != "running"]
    return [(each["state"], each["ended_by"]) for each in found]


def test_a_restart_ends_its_run_and_the_next_process_is_observed_anew(
    lab: Lab, kernel: tuple[str, Any, str]
) -> None:
    kernel_id, client, notebook = kernel
    run(client, "print('before')")
    wait_until(lambda: runs(lab, notebook), "the run")
    ask(lab, f"kernels/{kernel_id}/restart", "POST", {})
    wait_until(lambda: ended(lab, notebook) == [("finished", "restart")], "its end")
    wait_until(lambda: is_ready(client), "the kernel", 60)
    run(client, "print('after')")
    wait_until(lambda: len(runs(lab, notebook)) == 2, "the second run")


def test_a_killed_kernel_is_a_crash_and_the_one_after_it_another_run(
    lab: Lab, kernel: tuple[str, Any, str]
) -> None:
    _, client, notebook = kernel
    run(client, "print('before')")
    reply = client.execute(
        "import os", user_expressions={"pid": "os.getpid()"}, reply=True, timeout=60
    )
    wait_until(lambda: runs(lab, notebook), "the run")
    os.kill(int(reply["content"]["user_expressions"]["pid"]["data"]["text/plain"]), signal.SIGKILL)
    wait_until(lambda: ended(lab, notebook) == [("crashed", "killed")], "its end")
    wait_until(lambda: is_ready(client), "the next process", 60)
    run(client, "print('after')")
    wait_until(lambda: len(runs(lab, notebook)) == 2, "the second run")


def test_a_message_that_is_no_utf8_is_observed(lab: Lab, kernel: tuple[str, Any, str]) -> None:
    _, client, notebook = kernel
    run(client, "x = 'a\udc80b'; print(x, 'seen')")
    (found,) = wait_until(lambda: runs(lab, notebook), "the run")
    (cell,) = lab.api(f"runs/{found['id']}/notebook")["cells"]
    assert cell["outputs"][0]["text"].endswith(" seen\n")
    told = lab.home.command("status").stdout
    assert f"{notebook} (observed by the server" in told
    assert "jupyter codesave setup --kernel plain" in told


def test_a_project_file_beside_the_notebook_says_off_for_observed_kernels_too(lab: Lab) -> None:
    (lab.root / "private").mkdir()
    (lab.root / "private" / "pyproject.toml").write_text('[tool.codesave]\ncapture = "off"\n')
    kernel_id, client = start(lab, "plain", "private/kept_out.ipynb")
    run(client, "print('canary-93')")
    client.stop_channels()
    ask(lab, f"kernels/{kernel_id}", "DELETE")
    assert is_anywhere(lab.home.data, "canary-93") == []


@pytest.mark.parametrize("length", [0, 5 << 20])
def test_a_cell_that_is_tagged_in_its_file_is_not_observed(
    lab: Lab, kernel: tuple[str, Any, str], length: int
) -> None:
    _, client, notebook = kernel
    source = f"print('canary-' '95-{length}')"
    tagged = {"cell_type": "code", "source": [source], "metadata": {"tags": ["codesave-skip"]}}
    large = {"cell_type": "markdown", "source": "x" * length, "metadata": {}}
    (lab.root / notebook).write_text(json.dumps({"cells": [large, tagged], "metadata": {}}))
    run(client, source)
    run(client, "print('kept')")
    wait_until(lambda: runs(lab, notebook), "the run")
    assert recorded(lab, notebook) == [("server", "running", ["print('kept')"])]
    assert is_anywhere(lab.home.data, f"canary-95-{length}") == []


def test_a_notebook_that_says_off_in_its_file_is_not_observed(lab: Lab) -> None:
    kernel_id, client = start(lab, "plain", "says_off.ipynb")
    off = {"cells": [], "metadata": {"codesave": {"capture": "off"}}}
    (lab.root / "says_off.ipynb").write_text(json.dumps(off))
    run(client, "print('canary-96')")
    client.stop_channels()
    ask(lab, f"kernels/{kernel_id}", "DELETE")
    assert is_anywhere(lab.home.data, "canary-96") == []


def test_a_notebook_file_that_cannot_be_read_may_say_off_to_observed_kernels_too(
    lab: Lab, kernel: tuple[str, Any, str]
) -> None:
    kernel_id, client, notebook = kernel
    run(client, "print('kept')")
    wait_until(lambda: runs(lab, notebook), "the run")
    file = lab.root / notebook
    file.unlink()
    file.symlink_to(file)  # as root may read anything else
    run(client, "print('canary-92')")
    ask(lab, f"kernels/{kernel_id}/restart", "POST", {})
    wait_until(lambda: ended(lab, notebook), "all that it said to be taken")
    assert recorded(lab, notebook) == [("server", "finished", ["print('kept')"])]
    assert is_anywhere(lab.home.data, "canary-92") == []


def test_a_kernelspec_whose_environment_says_off_is_not_observed_and_that_is_told(lab: Lab) -> None:
    argv = [sys.executable, "-c", PLAIN, "-f", "{connection_file}"]
    install_spec(lab, "silent", argv, "python", CODESAVE="off")
    kernel_id, client = start(lab, "silent", "silent.ipynb")
    run(client, "import os; assert os.environ['CODESAVE'] == 'off'; print('canary-91')")
    entries = [each for each in lab.api("status")["recording"] if each["kernel"] == "silent"]
    told = [(each["state"], each["reason"]) for each in entries]
    ask(lab, f"kernels/{kernel_id}/restart", "POST", {})
    wait_until(lambda: is_ready(client), "the next process", 60)
    run(client, "print('canary-91')")
    client.stop_channels()
    ask(lab, f"kernels/{kernel_id}", "DELETE")
    assert is_anywhere(lab.home.data, "canary-91") == []
    assert told == [("off", "the environment (CODESAVE)")]


def test_off_is_off_for_tasks_of_earlier_cells_of_observed_kernels(
    lab: Lab, kernel: tuple[str, Any, str]
) -> None:
    kernel_id, client, notebook = kernel
    run(
        client,
        "import asyncio; go, done = asyncio.Event(), asyncio.Event()\n"
        "async def late():\n    await go.wait(); print('canary-' '98'); done.set()\n"
        "task = asyncio.create_task(late())",
    )
    wait_until(lambda: runs(lab, notebook), "the run")
    lab.api("settings", "PUT", {"capture": "off"})
    try:
        run(client, "go.set(); await done.wait()")
        ask(lab, f"kernels/{kernel_id}/restart", "POST", {})
        wait_until(lambda: ended(lab, notebook), "all that it said to be taken")
    finally:
        lab.api("settings", "PUT", {"capture": None})
    assert is_anywhere(lab.home.data, "canary-98") == []


def test_what_goes_on_after_its_run_was_purged_is_another_run(
    lab: Lab, kernel: tuple[str, Any, str]
) -> None:
    _, client, notebook = kernel
    run(client, "print('canary-97')")
    (found,) = wait_until(lambda: runs(lab, notebook), "the run")
    lab.home.command("purge", found["id"])
    run(client, "print('kept')")
    wait_until(lambda: runs(lab, notebook), "the run after it")
    assert recorded(lab, notebook) == [("server", "running", ["print('kept')"])]
    wait_until(lambda: is_anywhere(lab.home.data, "canary-97") == [], "the end of its journal")


def test_what_is_switched_off_in_mid_session_is_not_observed(
    lab: Lab, kernel: tuple[str, Any, str]
) -> None:
    _, client, notebook = kernel
    run(client, "import ipywidgets; text = ipywidgets.Text(); print('seen')")
    wait_until(lambda: runs(lab, notebook), "the run")
    lab.api("settings", "PUT", {"capture": "off"})
    try:
        run(client, "text.value = 'canary-94'; other = ipywidgets.Text('canary-94')")
    finally:
        lab.api("settings", "PUT", {"capture": None})
    run(client, "print('seen again')")
    wait_until(lambda: [each for each in runs(lab, notebook) if each["executions"] == 2], "it")
    assert is_anywhere(lab.home.data, "canary-94") == []


def test_a_kernel_that_encrypts_is_observed(start_lab: Callable[..., Lab]) -> None:
    lab = start_lab("--KernelManager.transport_encryption=required")
    install_spec(lab, "plain", [sys.executable, "-c", PLAIN, "-f", "{connection_file}"], "python")
    file = Path(lab.home.environment["JUPYTER_DATA_DIR"]) / "kernels" / "plain" / "kernel.json"
    spec = json.loads(file.read_text())
    file.write_text(json.dumps({**spec, "metadata": {"supported_encryption": "curve"}}))
    kernel_id, client = start(lab, "plain", "encrypted.ipynb")
    assert client.curve_publickey
    run(client, "print('in secret')")
    wait_until(lambda: runs(lab, "encrypted.ipynb"), "the run")
    client.stop_channels()
    ask(lab, f"kernels/{kernel_id}", "DELETE")


def recorded(lab: Lab, notebook: str) -> list[tuple[str, str, list[str]]]:
    """Give who recorded which sources, by run; the kernel's own first.

    Their order in time is not told: who is behind knows when it heard of the first cell, not when
    that ran.
    """
    found = []
    for each in runs(lab, notebook):
        try:
            cells = lab.api(f"runs/{each['id']}/notebook")["cells"]
        except HTTPError:  # since it was listed its only cell went over to another run
            return []
        found.append((each["by"], each["state"], [cell["source"] for cell in cells]))
    return sorted(found)


def test_a_kernel_into_which_the_extension_is_loaded_later_is_observed_until_then(
    lab: Lab, kernel: tuple[str, Any, str]
) -> None:
    _, client, notebook = kernel
    before = ["1", "%load_ext jupyter_codesave"]
    for source in (*before, "2", "print(3)"):
        run(client, source)
    found = [("kernel", "running", ["2", "print(3)"]), ("server", "finished", before)]
    wait_until(lambda: recorded(lab, notebook) == found, "both runs")


def test_an_observer_that_is_behind_records_what_ran_before_the_kernel_recorded_itself(
    lab: Lab, kernel: tuple[str, Any, str]
) -> None:
    _, client, notebook = kernel
    before = ["1", "%load_ext jupyter_codesave"]
    lab.process.send_signal(signal.SIGSTOP)
    for source in (*before, "2", "print(3)"):
        run(client, source)
    lab.process.send_signal(signal.SIGCONT)
    found = [("kernel", "running", ["2", "print(3)"]), ("server", "finished", before)]
    wait_until(lambda: recorded(lab, notebook) == found, "both runs")


def test_the_cell_that_calls_init_where_nothing_was_loaded_is_recorded_once(
    lab: Lab, kernel: tuple[str, Any, str]
) -> None:
    _, client, notebook = kernel
    calling = "import jupyter_codesave; run = jupyter_codesave.init(); print('said')"
    for source in (calling, "2"):
        run(client, source)
    found = [("kernel", "running", [calling, "2"])]
    wait_until(lambda: recorded(lab, notebook) == found, "the run")


def test_a_journal_that_a_dead_server_left_is_known_from_a_living_process_of_its_number(
    lab: Lab, kernel: tuple[str, Any, str]
) -> None:
    _, client, notebook = kernel
    run(client, "1")
    (found,) = wait_until(lambda: runs(lab, notebook), "the run")
    journal = lab.home.data / "journal" / f"{found['session']}.journal"
    told = session_event(journal)
    assert told["process_started"]
    assert told["boot"]
    assert told["user"]


def test_a_death_that_is_followed_by_a_restart_at_once_is_a_death() -> None:
    ends: list[str] = []

    async def die() -> None:
        info = {"transport": "tcp", "ip": "127.0.0.1", "iopub_port": 9}
        manager: Any = SimpleNamespace(
            add_restart_callback=lambda *_: None,
            remove_restart_callback=lambda *_: None,
            get_connection_info=lambda: info,
        )
        kernel = _Kernel(SimpleNamespace(), "id", manager)
        kernel._observed = SimpleNamespace(end=ends.append, ended_by=None)
        kernel._heard = asyncio.get_running_loop().time()
        death = asyncio.ensure_future(kernel.ended("killed"))  # waits for its last words
        await asyncio.sleep(0)
        kernel._heard = 0.0
        await kernel.ended("restart")
        await death
        kernel.stop("shutdown")

    asyncio.run(die())
    assert ends == ["killed"]
