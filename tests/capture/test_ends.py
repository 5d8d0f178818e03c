"""How sessions end: what is there of them afterwards, and what is said of the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.capture.journals import all_events, cells, is_anywhere, text_of, the_journal
from tests.conftest import Home, Kernel, wait_until

BUSY = "print('begun', flush=True)\nwhile True: print('on and on', flush=True); time.sleep(0.01)"


def busy_kernel(home: Home) -> Kernel:
    kernel = home.kernel()
    kernel.run("import time; print('before')")
    kernel.client.execute(BUSY)
    path = the_journal(home.data)
    wait_until(lambda: "begun" in text_of(cells(path)[-1]["outputs"]), "the busy cell")
    return kernel


@pytest.mark.parametrize("how", ["restart", "shutdown"])
def test_a_kernel_that_is_killed_because_it_is_busy_was_asked_to_end(how: str, home: Home) -> None:
    kernel = busy_kernel(home)
    first = the_journal(home.data)
    if how == "restart":
        kernel.manager.restart_kernel()
    else:
        kernel.manager.shutdown_kernel()
    told = [event["ending"] for event in all_events(first, "run-update") if "ending" in event]
    assert told == [how]
    printed = text_of(cells(first, dead=True)[-1]["outputs"])
    assert printed.startswith("begun\non and on\n")
    (run,) = [each for each in home.json("runs") if each["executions"] == 2]
    assert (run["state"], run["ended_by"]) == ("finished", how)


def test_the_metadata_of_the_notebook_file_says_off_without_any_server(home: Home) -> None:
    notebook = home.work / "private.ipynb"
    empty: dict[str, Any] = {"cells": [], "nbformat": 4, "nbformat_minor": 5}
    notebook.write_text(json.dumps({**empty, "metadata": {"codesave": {"capture": "off"}}}))
    kernel = home.kernel("private.ipynb")
    kernel.run("print('canary-61')")
    assert not is_anywhere(home.data, "canary-61")
    notebook.write_text(json.dumps({**empty, "metadata": {"kernelspec": {"name": "python3"}}}))
    kernel.run("print('seen')")
    assert [cell["source"] for cell in cells(the_journal(home.data))] == ["print('seen')"]
    notebook.write_text(json.dumps({**empty, "metadata": {"codesave": {"capture": "sources"}}}))
    kernel.run("print('cana' 'ry-61')")
    assert not is_anywhere(home.data, "canary-61")


def test_a_renamed_notebook_takes_its_off_along(home: Home) -> None:
    kernel = home.kernel("old.ipynb")
    home.data.mkdir(mode=0o700, exist_ok=True)
    old, new = str(home.work / "old.ipynb"), str(home.work / "new.ipynb")
    control = {
        "renames": [{"old": old, "new": new, "at": time.time()}],
        "notebooks": {new: {"capture": "off"}},
    }
    (home.data / "control.json").write_text(json.dumps(control))
    kernel.run("print('canary-62')")
    assert not is_anywhere(home.data, "canary-62")


def test_a_forked_child_that_ends_takes_nothing_along(home: Home) -> None:
    kernel = home.kernel()
    kernel.run(
        "import os\n"
        "if (pid := os.fork()) == 0:\n"
        "    get_ipython()._jupyter_codesave._at_exit(); os._exit(0)\n"
        "os.waitpid(pid, 0); print('parent')"
    )
    kernel.run("print('goes on')")
    path = the_journal(home.data)
    assert [text_of(cell["outputs"]) for cell in cells(path)] == ["parent\n", "goes on\n"]
    assert all_events(path, "session-end") == []
    assert path.with_suffix(".tail").exists()


def test_a_kernel_whose_parent_dies_leaves_all_it_printed(home: Home) -> None:
    program = home.work / "front_end.py"
    program.write_text(
        "import sys, time\n"
        "from jupyter_client.manager import start_new_kernel\n"
        "manager, client = start_new_kernel()\n"
        "client.execute_interactive('import time; print(1)')\n"
        f"client.execute({BUSY!r})\n"
        "print('ready', manager.provisioner.process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    front_end = subprocess.Popen(
        [sys.executable, str(program)], env=home.environment, stdout=subprocess.PIPE, text=True
    )
    assert front_end.stdout is not None
    ready = next(line for line in front_end.stdout if line.startswith("ready"))
    kernel = int(ready.split()[1])
    path = the_journal(home.data)
    wait_until(lambda: "on and on" in text_of(cells(path)[-1]["outputs"]), "the busy cell")
    front_end.kill()
    front_end.wait()
    front_end.stdout.close()
    wait_until(lambda: not is_running(kernel), "the kernel's end")
    run = home.json("runs")[0]
    assert (run["state"], run["ended_by"], run["executions"]) == ("crashed", "killed", 2)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_clock_that_jumps_changes_no_order_and_loses_nothing(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("print(1)")
    kernel.run("import time; real = time.time_ns; time.time_ns = lambda: real() - 86_400 * 10**9")
    for n in range(2, 5):
        kernel.run(f"print({n})")
    kernel.run("time.time_ns = lambda: real() + 86_400 * 10**9 * 365")
    kernel.run("print(5)")
    kernel.stop()
    (run,) = home.json("runs")
    assert (run["state"], run["executions"]) == ("finished", 7)
    notebook = home.command("notebook", run["id"], "-o", str(home.work / "out.ipynb"))
    assert notebook.returncode == 0
    found = json.loads((home.work / "out.ipynb").read_text())["cells"]
    assert [c["source"] for c in found if c["source"].startswith("print")] == [
        f"print({n})" for n in range(1, 6)
    ]


def test_two_kernels_on_one_notebook_are_two_runs(home: Home) -> None:
    kernels = [home.kernel("same.ipynb") for _ in range(2)]
    for n in range(3):
        for number, kernel in enumerate(kernels):
            kernel.run(f"print({number}, {n})")
    for kernel in kernels:
        kernel.stop()
    runs = home.json("runs", "--notebook", str(home.work / "same.ipynb"))
    assert [run["executions"] for run in runs] == [3, 3]
    assert len({run["session"] for run in runs}) == 2
    assert {run["state"] for run in runs} == {"finished"}


def test_whoever_comes_first_brings_a_dead_kernels_journal_in_once(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("print('kept')")
    os.kill(kernel.manager.provisioner.process.pid, signal.SIGKILL)
    wait_until(lambda: kernel.manager.provisioner.process.poll() is not None, "its death")
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "jupyter_codesave", "runs", "--json"],
            env=home.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    answers = [json.loads(command.communicate(timeout=120)[0]) for command in commands]
    for answer in answers:
        assert [(r["state"], r["ended_by"], r["executions"]) for r in answer] == [
            ("crashed", "killed", 1)
        ]
    assert home.json("verify")["damaged"] == []


def test_two_versions_of_the_package_share_a_data_folder(home: Home, tmp_path: Path) -> None:
    """A newer version's journal waits, unharmed; each version goes on with what is its own."""
    copy = tmp_path / "newer" / "jupyter_codesave"
    package = Path(__file__).parents[2] / "jupyter_codesave"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("labextension", "__pycache__"))
    file = copy / "journal" / "events.py"
    file.write_text(file.read_text().replace('MAGIC = b"CSJRNL01"', 'MAGIC = b"CSJRNL02"'))
    newer = home.kernel(PYTHONPATH=str(copy.parent))
    older = home.kernel()
    for number in range(3):
        newer.run(f"print('newer', {number})")
        older.run(f"print('older', {number})")
    newer.stop()
    older.stop()
    (run,) = home.json("runs")
    assert run["executions"] == 3
    (waiting,) = (home.data / "journal").glob("*.journal")
    assert waiting.read_bytes()[:8] == b"CSJRNL02"
    environment = {**home.environment, "PYTHONPATH": str(copy.parent)}
    found = subprocess.run(
        [sys.executable, "-m", "jupyter_codesave", "runs", "--json"],
        env=environment,
        cwd=home.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [each["executions"] for each in json.loads(found.stdout)] == [3, 3]
    assert not waiting.exists()


def test_a_home_that_cannot_be_written_harms_no_cell(home: Home) -> None:
    kernel = home.kernel(CODESAVE_DIR="/proc/codesave")
    printed: list[str] = []
    kernel.client.execute_interactive(
        "print(6 * 7)", timeout=60, output_hook=lambda m: printed.append(str(m["content"]))
    )
    assert sum("42" in each for each in printed) == 1
    kernel.client.execute_interactive(
        "%codesave", timeout=60, output_hook=lambda m: printed.append(str(m["content"]))
    )
    assert any("Not recording" in each and "/proc/codesave" in each for each in printed)
