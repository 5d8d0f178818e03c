"""Killing kernels and scripts at random moments: nothing that returned may be lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from jupyter_codesave.ingest import Ingest
from jupyter_codesave.model.digest import digest_of
from jupyter_codesave.settings import resolve
from jupyter_codesave.store import Store
from tests.capture.journals import all_events, cells, the_journal
from tests.conftest import isolated, wait_until

WAYS = ("kill", "_exit", "segfault")

# Prints of random sizes to both streams; each is confirmed over a file of its own when its write
# has returned. The same seed prints the same.
PRINTER = """
import os, random, sys, time
def printed(seed):
    dice = random.Random(seed)
    number = 0
    while True:
        size = dice.choice([1, 1, 10, 10, 80, 80, 80, 3000, 30_000])
        if dice.random() < 0.01:
            size = 400_000
        letter = dice.choice(["x", "ä", "☃", "𝒳"])
        yield ("stdout" if dice.random() < 0.8 else "stderr"), f"{number}:" + letter * size + "\\n"
        number += 1
def print_until_killed(seed, confirmed, die):
    dice = random.Random(seed)
    handle = os.open(confirmed, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    end = dice.randrange(1, 1500)
    for number, (name, text) in enumerate(printed(seed)):
        getattr(sys, name).write(text)
        os.write(handle, b".")
        if dice.random() < 0.001:
            time.sleep(dice.random() * 0.3)
        if number == end and die == "_exit":
            os._exit(7)
        if number == end and die == "segfault":
            import ctypes
            ctypes.string_at(0)
"""


def expected(seed: int, confirmed: int) -> tuple[dict[str, str], dict[str, str]]:
    """Give what must be there of each stream, and what may be there: one write more."""
    namespace: dict[str, object] = {}
    exec(PRINTER, namespace)
    must = {"stdout": "", "stderr": ""}
    source = namespace["printed"](seed)
    for _ in range(confirmed):
        name, text = next(source)
        must[name] += text
    name, text = next(source)
    return must, {**must, name: must[name] + text}


def check(seed: int, confirmed: Path, data: Path, completed: int) -> None:
    """Compare the journal of a killed process with what it confirmed."""
    recorded = cells(the_journal(data), dead=True)
    must, may = expected(seed, confirmed.stat().st_size)
    assert len(recorded) == completed + 1, f"seed {seed}: {len(recorded)} cells"
    for number, cell in enumerate(recorded[:completed]):
        assert "".join(o["text"] for o in cell["outputs"]) == f"cell {number}\n", f"seed {seed}"
        assert cell["metadata"]["codesave"]["status"] == "ok", f"seed {seed}"
    for name in ("stdout", "stderr"):
        texts = [o["text"] for o in recorded[-1]["outputs"] if o["name"] == name]
        found = "".join(texts)
        assert found.startswith(must[name]), f"seed {seed}: {name} lost text it had taken"
        assert may[name].startswith(found), f"seed {seed}: {name} holds what was not printed"
    check_ingest(seed, data, recorded)


def check_ingest(seed: int, data: Path, recorded: list[dict[str, Any]]) -> None:
    """Bring the journal into a store: the run crashed, and its notebook is what the fold says."""
    with Store.open(data, resolve(environ={}, cwd=data)) as store:
        ingest = Ingest(store)
        faults: list[Exception] = []
        ingest.all(on_error=lambda path, error: faults.append(error))
        assert not faults, f"seed {seed}: {faults}"
        assert ingest.waiting() == [], f"seed {seed}: a journal waits"
        run = store.nth_run(1)
        assert (run.state, run.ended_by) == ("crashed", "killed"), f"seed {seed}"
        assert json.loads(ingest.session_notebook(run))["cells"] == recorded, f"seed {seed}"
        assert ingest.all() == [], f"seed {seed}: brought in twice"


def kill_a_kernel(folder: Path, seed: int, way: str) -> None:
    """Start a kernel, run some cells, and kill it in the middle of the next one."""
    from jupyter_client.manager import start_new_kernel

    environment = isolated(folder)
    dice = random.Random(seed)
    manager, client = start_new_kernel(kernel_name="python3", env=environment, startup_timeout=120)
    try:
        completed = dice.randrange(1, 5)
        for number in range(completed):
            code = f"print('cell {number}')" + (PRINTER if number == 0 else "")
            client.execute_interactive(code, timeout=60, output_hook=lambda message: None)
        confirmed = folder / "confirmed"
        client.execute(f"print_until_killed({seed}, {str(confirmed)!r}, {way!r})")
        if way == "kill":
            wait_until(confirmed.exists, "the first print")
            enough = dice.randrange(0, 1500)
            wait_until(lambda: confirmed.stat().st_size >= enough, "the prints before the kill")
            os.kill(manager.provisioner.process.pid, signal.SIGKILL)
        wait_until(lambda: manager.provisioner.process.poll() is not None, "the kernel's death")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    check(seed, confirmed, folder / "codesave", completed)


def kill_a_script(folder: Path, seed: int, way: str) -> None:
    """Start a script that prints under a run of its own, and kill it."""
    environment = isolated(folder)
    dice = random.Random(seed)
    confirmed = folder / "confirmed"
    program = folder / "printer.py"
    program.write_text(
        f"import jupyter_codesave as codesave\n{PRINTER}\n"
        f"run = codesave.init()\nprint_until_killed({seed}, {str(confirmed)!r}, {way!r})\n"
    )
    with (folder / "console").open("wb") as console:
        process = subprocess.Popen(
            [sys.executable, str(program)], env=environment, stdout=console, stderr=console
        )
        if way == "kill":
            wait_until(confirmed.exists, "the first print")
            enough = dice.randrange(0, 1500)
            wait_until(lambda: confirmed.stat().st_size >= enough, "the prints before the kill")
            process.kill()
        process.wait(60)
    check(seed, confirmed, folder / "codesave", 0)


LIVE = """
import sys, time
import jupyter_codesave as codesave
run = codesave.init()
run.save("state.txt")
run.save("folder", policy="end")
print("ready", flush=True)
{body}
"""
BODIES = ("time.sleep(600)", "while True: pass", "sum(range(10**13))")


def kill_a_live_saver(folder: Path, seed: int) -> None:
    """Kill a script that saves live, idle or holding the GIL, just after its files changed."""
    environment = isolated(folder)
    dice = random.Random(seed)
    state, inside = folder / "state.txt", folder / "folder" / "inside.txt"
    inside.parent.mkdir()
    state.write_text("0")
    inside.write_text("0")
    code = LIVE.format(body=dice.choice(BODIES))
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, cwd=folder, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    for number in range(dice.randrange(1, 6)):
        state.write_text(last := f"state {number}")
        inside.write_text(last)
        time.sleep(dice.random() * 0.6)
    process.kill()
    process.wait()
    process.stdout.close()
    path = the_journal(folder / "codesave")

    def kept() -> bool:
        found = {event["path"]: event["digest"] for event in all_events(path, "file")}
        wanted = digest_of(last.encode())
        return found == {"state.txt": wanted, "folder/inside.txt": wanted}

    wait_until(kept, f"seed {seed}: the last states in the journal", 30)
