"""What no client's notebook holds, against notebooks written out by hand.

Late output, prompts, repeats, executions without history, death: on both stacks.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.capture.journals import cells, the_journal
from tests.capture.stacks import Stack
from tests.conftest import Home, Kernel, wait_until

Written = list[dict[str, Any]]


@pytest.fixture
def start(stack: Stack, tmp_path: Path) -> Iterator[Callable[..., Kernel]]:
    """Start a kernel of the stack."""
    from jupyter_client.manager import start_new_kernel

    started: list[Kernel] = []

    def start(**more: str) -> Kernel:
        manager, client = start_new_kernel(
            kernel_name=stack.kernel,
            env=stack.environment(tmp_path, **more),
            cwd=str(tmp_path),
            startup_timeout=120,
        )
        started.append(Kernel(manager, client))
        return started[-1]

    yield start
    for kernel in started:
        kernel.stop()


def out(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def result(text: str, count: int) -> dict[str, Any]:
    return {
        "output_type": "execute_result",
        "data": {"text/plain": text},
        "metadata": {},
        "execution_count": count,
    }


def cell(source: str, count: int, *outputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Write a cell of a session notebook; `cell_id`, `nth`, `status` where they matter."""
    cell_id, nth = more.pop("cell_id", None), more.pop("nth", 1)
    base = cell_id or hashlib.sha256(source.encode()).hexdigest()[:16]
    return {
        "cell_type": "code",
        "id": base if nth == 1 else f"{base}-{nth}",
        "source": source,
        "execution_count": count,
        "outputs": list(outputs),
        "metadata": {"cell_id": cell_id, "status": "ok", "store_history": True, **more},
    }


def recorded(home: Home, *, dead: bool = False) -> Written:
    """Give the session notebook's cells without times; the times are looked at here."""
    found = cells(the_journal(home.data), dead=dead)
    for number, each in enumerate(found, 1):
        times = each["metadata"].pop("execution")
        said = each["metadata"].pop("codesave")
        assert said.pop("execution") == number
        assert each.pop("metadata") == {}
        moments = [
            datetime.fromisoformat(times[name].replace("Z", "+00:00"))
            for name in ("iopub.execute_input", "iopub.status.idle")
            if name in times
        ]
        assert len(moments) == (1 if said["status"] == "running" else 2)
        assert moments == sorted(moments)
        each["metadata"] = said
        for output in each["outputs"]:
            output.pop("traceback", None)
    return found


def has_printed(home: Home, text: str) -> bool:
    """Tell whether the last cell printed this by now."""
    try:
        return recorded(home)[-1]["outputs"] == [out(text)]
    except (ValueError, IndexError, AssertionError):
        return False


def settled(home: Home, wanted: Written, *, dead: bool = False) -> None:
    """Wait until what was written by hand is there, and compare."""

    def is_there() -> bool:
        try:
            return recorded(home, dead=dead) == wanted
        except (ValueError, AssertionError):
            return False

    try:
        wait_until(is_there, "the notebook as written", 15)
    finally:
        assert recorded(home, dead=dead) == wanted


LATE = {
    "a thread": "import threading\nt = threading.Timer(0.4, print, ['late']); t.start()",
    "a task": "import asyncio\nx = asyncio.get_event_loop().call_later(0.4, print, 'late')",
    "a forked child": "import os, time\nif os.fork() == 0:\n"
    "    time.sleep(0.4); print('late', flush=True); time.sleep(0.5); os._exit(0)",
    "a process": "import subprocess\np = subprocess.Popen(['sh', '-c', 'sleep 0.4; echo late'])",
}


@pytest.mark.parametrize("who", sorted(LATE))
def test_what_is_printed_after_the_end_of_its_cell(
    who: str, start: Callable[..., Kernel], home: Home
) -> None:
    kernel = start()
    kernel.run(LATE[who])
    settled(home, [cell(LATE[who], 1, out("late\n"))])
    kernel.run("print('next')")
    settled(home, [cell(LATE[who], 1, out("late\n")), cell("print('next')", 2, out("next\n"))])


def test_a_thread_that_prints_while_a_later_cell_runs(
    start: Callable[..., Kernel], home: Home
) -> None:
    kernel = start()
    first = (
        "import threading; go = threading.Event()\n"
        "t = threading.Thread(target=lambda: (go.wait(), print('late'))); t.start()"
    )
    second = "go.set(); t.join()"
    kernel.run(first)
    kernel.run(second)
    # Kernels give it to the cell that runs, as every front end shows it.
    settled(home, [cell(first, 1), cell(second, 2, out("late\n"))])


@pytest.mark.parametrize(("answers", "kept"), [("false", ""), ("true", "forty-two")])
def test_prompts(answers: str, kept: str, start: Callable[..., Kernel], home: Home) -> None:
    kernel = start(CODESAVE_INPUT_ANSWERS=answers)
    source = "import getpass\nx = input('how many? '); y = getpass.getpass('secret? ')\nlen(y)"
    kernel.client.execute_interactive(
        source,
        allow_stdin=True,
        timeout=60,
        output_hook=lambda message: None,
        stdin_hook=lambda message: kernel.client.input(
            "canary" if message["content"]["password"] else "forty-two"
        ),
    )
    asked = out(f"how many? {kept}\nsecret? \n")
    settled(home, [cell(source, 1, asked, result("6", 1))])


def test_repeats_and_runs_out_of_order_are_cells_of_their_own(
    start: Callable[..., Kernel], home: Home
) -> None:
    kernel = start()
    for source, cell_id in (("n = 0", "b"), ("n += 1; n", "a"), ("n += 1; n", "a"), ("n", "b")):
        kernel.run(source, metadata={"cellId": cell_id})
    kernel.run("n")
    kernel.run("n")
    settled(
        home,
        [
            cell("n = 0", 1, cell_id="b"),
            cell("n += 1; n", 2, result("1", 2), cell_id="a"),
            cell("n += 1; n", 3, result("2", 3), cell_id="a", nth=2),
            cell("n", 4, result("2", 4), cell_id="b", nth=2),
            cell("n", 5, result("2", 5)),
            cell("n", 6, result("2", 6), nth=2),
        ],
    )


def test_without_history_it_is_there_and_silent_it_is_not(
    start: Callable[..., Kernel], home: Home
) -> None:
    kernel = start()
    kernel.run("print(1)")
    kernel.run("print('aside')", store_history=False)
    kernel.run("print('canary')", silent=True)
    kernel.run("print(2)")
    aside = recorded(home)[1]
    aside.pop("execution_count")  # what it counts as is not the same in all kernels
    wanted = cell("print('aside')", 0, out("aside\n"), store_history=False)
    wanted.pop("execution_count")
    assert aside == wanted
    found = recorded(home)
    assert [found[0], found[2]] == [
        cell("print(1)", 1, out("1\n")),
        cell("print(2)", 2, out("2\n")),
    ]
    assert len(found) == 3


def test_what_waited_behind_an_error_never_ran(start: Callable[..., Kernel], home: Home) -> None:
    kernel = start()
    kernel.client.execute("import time; time.sleep(0.5); 1 / 0")
    kernel.client.execute("print('never')")
    for _ in range(2):
        kernel.client.get_shell_msg(timeout=60)

    def goes_on() -> bool:  # an old kernel aborts for a moment longer
        kernel.run("print('next')")
        return len(recorded(home)) > 1

    wait_until(goes_on, "the next execution")
    error = {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "division by zero"}
    wanted = [
        cell("import time; time.sleep(0.5); 1 / 0", 1, error, status="error"),
        cell("print('next')", 2, out("next\n")),
    ]
    settled(home, wanted)


ENDS = {
    "kill -9": "os.kill(os.getpid(), signal.SIGKILL)",
    "_exit": "os._exit(3)",
    "a fault": "import ctypes; ctypes.string_at(0)",
    "SIGTERM": "signal.signal(signal.SIGTERM, signal.SIG_DFL); os.kill(os.getpid(), 15)",
}


@pytest.mark.parametrize("way", sorted(ENDS))
def test_death_in_mid_cell(way: str, start: Callable[..., Kernel], home: Home) -> None:
    kernel = start()
    kernel.run("import os, signal, sys; print('whole')")
    last = f"print('begun')\nsys.stderr.write('no newline')\n{ENDS[way]}"
    kernel.client.execute(last)
    process = kernel.manager.provisioner.process
    wait_until(lambda: process.poll() is not None, "the kernel's death")
    wanted = [
        cell("import os, signal, sys; print('whole')", 1, out("whole\n")),
        cell(last, 2, out("begun\n"), out("no newline", "stderr"), status="running"),
    ]
    assert recorded(home, dead=True) == wanted


def test_an_interrupt_from_outside(start: Callable[..., Kernel], home: Home) -> None:
    kernel = start()
    source = "import time; print('begun', flush=True); time.sleep(60)"
    kernel.client.execute(source)
    wait_until(lambda: has_printed(home, "begun\n"), "the first print")
    os.kill(kernel.manager.provisioner.process.pid, signal.SIGINT)
    error = {"output_type": "error", "ename": "KeyboardInterrupt", "evalue": ""}
    settled(home, [cell(source, 1, out("begun\n"), error, status="error")])


def test_what_a_widgets_callback_changes_in_an_earlier_cell(
    start: Callable[..., Kernel], home: Home
) -> None:
    kernel = start()
    first = (
        "import ipywidgets as w\nfrom IPython.display import display\n"
        "h = display('old', display_id=True); b = w.Button(); b.on_click(lambda _: h.update('new'))"
    )
    kernel.run(first)
    reply = kernel.client.execute(
        "", user_expressions={"x": "b.comm.comm_id"}, silent=True, reply=True, timeout=60
    )
    comm = reply["content"]["user_expressions"]["x"]["data"]["text/plain"].strip("'")
    content = {"comm_id": comm, "data": {"method": "custom", "content": {"event": "click"}}}
    kernel.client.shell_channel.send(kernel.client.session.msg("comm_msg", content))
    shown = {"output_type": "display_data", "data": {"text/plain": "'new'"}, "metadata": {}}
    settled(home, [cell(first, 1, shown)])
