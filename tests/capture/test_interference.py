"""Other code gets between: other libraries, threads that finish runs, purges, interrupts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.capture.journals import (
    all_events,
    cells,
    is_anywhere,
    journal_paths,
    messages,
    outputs,
    text_of,
    the_journal,
)
from tests.capture.test_kernel import evaluate
from tests.conftest import Home, wait_until

WRAPS_START = """
import threading
theirs = threading.Thread.start
def start(self, *arguments): return theirs(self, *arguments)
threading.Thread.start = start
"""
STARTS = (
    "thread = threading.Thread(target=lambda: print('RES' 'ULT')); thread.start(); thread.join()"
)


def sources(home: Home) -> list[str]:
    return [cell["source"] for path in journal_paths(home.data) for cell in cells(path)]


def test_work_after_its_run_was_purged_is_another_run(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("'before'")
    (run,) = home.json("runs", "--json")
    home.command("purge", run["id"])
    kernel.run("'after'")
    assert "not recording" not in evaluate(kernel, "%codesave status").lower()
    kernel.stop()
    (left,) = home.json("runs", "--json")
    assert left["id"] != run["id"]
    assert left["executions"] == 2
    assert is_anywhere(home.data, "'before'") == []


def test_a_run_that_was_asked_for_and_purged_is_not_followed_where_automatic_is_off(
    home: Home,
) -> None:
    kernel = home.kernel(CODESAVE_AUTOMATIC="false")
    kernel.run("import jupyter_codesave; run = jupyter_codesave.init()")
    (run,) = home.json("runs", "--json")
    home.command("purge", run["id"])
    kernel.run("'CANA' 'RY'")
    assert is_anywhere(home.data, "CANA") == []


def test_a_journal_that_was_taken_away_is_not_followed_where_automatic_is_off(home: Home) -> None:
    kernel = home.kernel(CODESAVE_AUTOMATIC="false")
    kernel.run("import jupyter_codesave; run = jupyter_codesave.init()")
    old = the_journal(home.data)
    old.unlink()

    def is_noticed() -> bool:
        kernel.run("'CANA' 'RY'")
        return "not recording" in evaluate(kernel, "%codesave status").lower()

    wait_until(is_noticed, "it to be noticed")
    assert is_anywhere(home.data, "CANA") == []


@pytest.mark.parametrize("why", ["%%codesave skip\n", ""])
def test_who_wraps_threads_in_a_cell_that_is_not_recorded_disturbs_no_later_one(
    home: Home, why: str
) -> None:
    kernel = home.kernel()
    kernel.run("1" if why else "%codesave off")
    kernel.run(why + WRAPS_START)
    kernel.run("%codesave on")
    assert evaluate(kernel, STARTS) == "RESULT\n"
    assert cells(the_journal(home.data))[-1]["outputs"][0]["text"] == "RESULT\n"


def test_no_cell_is_lost_while_a_thread_finishes_runs(home: Home) -> None:
    kernel = home.kernel()
    kernel.run(
        "import threading, time, jupyter_codesave\nstop = False\n"
        "def finish():\n    while not stop: jupyter_codesave.finish(); time.sleep(0.0005)\n"
        "threading.Thread(target=finish, daemon=True).start()"
    )
    ran = [f"'cell {number}'" for number in range(60)]
    for source in ran:
        kernel.run(source)
    kernel.run("stop = True")
    assert [source for source in ran if source not in sources(home)] == []


def test_each_run_of_a_loop_in_one_cell_has_what_was_printed_in_it(home: Home) -> None:
    kernel = home.kernel()
    kernel.run(
        "import jupyter_codesave\nfor n in range(3):\n"
        "    run = jupyter_codesave.init(name=f'run {n}'); print('loss of', n); run.finish()"
    )
    kernel.stop()
    found = {run["name"]: run["id"] for run in home.json("runs", "--json")}
    shown = {
        name: json.loads(home.command("notebook", run, "--output", "-").stdout)["cells"]
        for name, run in found.items()
    }
    printed = {name: [text_of(cell["outputs"]) for cell in cells] for name, cells in shown.items()}
    assert printed == {f"run {n}": [f"loss of {n}\n"] for n in range(3)}


def test_buffers_of_any_shape_are_recorded_as_they_are_sent(home: Home) -> None:
    kernel = home.kernel()
    kernel.run(
        "import numpy as np\nfrom comm import create_comm\ncomm = create_comm(target_name='x')\n"
        "square = np.arange(6.).reshape(2, 3)\n"
        "for n, each in enumerate([square, np.asfortranarray(square), np.zeros((0, 3))]):\n"
        "    comm.send({'n': n}, buffers=[memoryview(each), bytes(300_000)])\n"
        "    comm.send({'n': n}, buffers=[memoryview(each)])"
    )
    found = [each for each in messages(the_journal(home.data)) if each["type"] == "comm_msg"]
    assert [each["content"]["data"]["n"] for each in found] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("how", ["magic", "command"])
def test_off_is_off_for_tasks_of_earlier_cells(home: Home, how: str) -> None:
    kernel = home.kernel()
    kernel.run(
        "import asyncio\ngo, done = asyncio.Event(), asyncio.Event()\n"
        "async def late():\n    await go.wait(); print('CANA' 'RY'); done.set()\n"
        "task = asyncio.create_task(late())"
    )
    if how == "magic":
        kernel.run("%codesave off")
    else:
        home.command("off")
    kernel.run("go.set(); await done.wait()")
    kernel.run("1")
    assert is_anywhere(home.data, "CANARY") == []


def test_a_notebook_that_is_half_written_says_what_it_said(home: Home) -> None:
    notebook = home.work / "half.ipynb"
    whole = json.dumps({"cells": [], "metadata": {"codesave": {"capture": "off"}}})
    notebook.write_text(whole)
    kernel = home.kernel("half.ipynb")
    kernel.run("1")
    notebook.write_text(whole[:-2])
    kernel.run("'CANA' 'RY'")
    assert is_anywhere(home.data, "CANA") == []
    notebook.write_text(json.dumps({"cells": [], "metadata": {}}))
    kernel.run("2")
    assert sources(home) == ["2"]


@pytest.mark.parametrize("is_before", [True, False])
def test_unloading_leaves_what_others_wrapped(home: Home, is_before: bool) -> None:
    kernel = home.kernel()
    wraps = (
        "publisher = get_ipython().kernel.iopub_thread\nbefore = publisher.send_multipart\n"
        "def theirs(*arguments, **more): return before(*arguments, **more)\n"
        "publisher.send_multipart = theirs"
    )
    steps = ["%unload_ext jupyter_codesave", wraps, "%load_ext jupyter_codesave"]
    kernel.run("%reload_ext jupyter_codesave")
    for step in steps if is_before else [wraps]:
        kernel.run(step)
    kernel.run("%unload_ext jupyter_codesave")
    assert evaluate(kernel, "print(publisher.send_multipart is theirs)") == "True\n"
    kernel.run("%load_ext jupyter_codesave")
    kernel.run("print('seen once')")
    assert text_of(cells(the_newest(home))[-1]["outputs"]) == "seen once\n"


def the_newest(home: Home) -> Any:
    return max(journal_paths(home.data), key=lambda path: path.stat().st_mtime_ns)


def test_an_interrupt_that_comes_when_a_cell_has_ended_shows_nothing(home: Home) -> None:
    kernel = home.kernel()
    kernel.run("1")
    shown: list[str] = []

    def note(message: dict[str, Any]) -> None:
        shown.append(message["content"].get("text") or message["content"].get("ename") or "")

    kernel.client.execute_interactive(
        "recorder = get_ipython()._jupyter_codesave.recorder\nended = recorder.ended\n"
        "def interrupted(*arguments):\n    recorder.ended = ended\n    raise KeyboardInterrupt\n"
        "recorder.ended = interrupted\n1 / 0",
        timeout=60,
        output_hook=note,
    )
    assert [text for text in shown if text] == ["ZeroDivisionError"]
    path = the_journal(home.data)
    assert [each["status"] for each in all_events(path, "execution-end")] == ["error"]


CLOSE_OURS = """
import os, time
for number in os.listdir("/proc/self/fd"):
    file = f"/proc/self/fd/{number}"
    if os.path.exists(file) and os.readlink(file).endswith((".journal", ".tail")):
        os.close(int(number)); closed = True
assert closed
mine = [open(f"mine{n}", "w+b", buffering=0) for n in range(4)]
"""


def test_who_closes_our_descriptors_has_his_files_as_he_wrote_them_and_loses_nothing(
    home: Home,
) -> None:
    kernel = home.kernel()
    kernel.run("print('before')")
    kernel.run(CLOSE_OURS)
    kernel.run("for file in mine: file.write(b'p' * 1_000_000)")
    kernel.run("print('x' * 400_000); display('shown')")
    kernel.run("print('later', [len(open(f'mine{n}').read().strip('p')) for n in range(4)])")
    kernel.run("print('last')")
    told = outputs(the_journal(home.data))
    assert text_of(told[3]) == "x" * 400_000 + "\n"
    assert text_of(told[4]) == "later [0, 0, 0, 0]\n"
    assert text_of(told[5]) == "last\n"
    kernel.stop()
    assert {(home.work / f"mine{n}").read_bytes() for n in range(4)} == {b"p" * 1_000_000}


@pytest.mark.parametrize("mocked", ["os.write", "threading.Thread", "os.fstat", "time.time_ns"])
@pytest.mark.parametrize("error", ["OSError", "Theirs"])
def test_what_is_mocked_for_a_moment_costs_no_cell(home: Home, mocked: str, error: str) -> None:
    kernel = home.kernel()
    kernel.run("from unittest import mock\nclass Theirs(Exception): pass")
    kernel.run(f"with mock.patch({mocked!r}, side_effect={error}('mocked')): display('inside')")
    ran = [f"print('x' * 300_000); {number}" for number in range(4)]
    for source in ran:
        kernel.run(source)
    kernel.stop()
    assert [cell["source"] for cell in cells(the_journal(home.data))][2:] == ran
    assert {text_of(o) for o in outputs(the_journal(home.data))[2:]} == {"x" * 300_000 + "\n"}


@pytest.mark.parametrize("mocked", ["os.access", "os.stat", "os.fstat"])
def test_what_is_mocked_for_good_shows_nothing_of_ours(home: Home, mocked: str) -> None:
    kernel = home.kernel()
    kernel.run("from unittest import mock\nclass Theirs(Exception): pass")
    kernel.run(f"patch = mock.patch({mocked!r}, side_effect=Theirs('mocked')); n = patch.start()")
    assert evaluate(kernel, "print('z' * 40_000)") == "z" * 40_000 + "\n"
    kernel.run("patch.stop()")
    kernel.run("'recorded again'")
    assert sources(home)[-1] == "'recorded again'"


@pytest.mark.parametrize("body", ["raise RuntimeError('theirs')", "def squeeze(): return 'theirs'"])
def test_a_module_of_the_users_may_have_the_name_of_one_of_ours(home: Home, body: str) -> None:
    (home.work / "deflate.py").write_text("open('was run', 'a').write('x')\n" + body)
    kernel = home.kernel()
    kernel.run("'recorded'")
    assert not (home.work / "was run").exists()
    kernel.run("import deflate; print(deflate.squeeze())")
    assert (home.work / "was run").exists()
    assert "theirs" in json.dumps(outputs(the_journal(home.data))[1])
    assert sources(home)[0] == "'recorded'"
