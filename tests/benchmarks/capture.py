"""What recording costs a kernel and a script: bare and recorded, paired in one run.

CPU time, best of five, measured in the kernels themselves; the limits stretch with the machine.
W&B offline is measured beside where it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import isolated

REFERENCE = 0.06, 0.02  # seconds of CPU: sha256 of 64 MB, json parse of 5 MB
ROUNDS = 5
PARTS = ("loading", "trivial", "paired", "growth", "ingest", "code")
HTML = "from IPython.display import HTML; h = '<b>x</b>' * (20_000_000 // 8)"
WANDB = "import wandb; wandb.init(mode='offline', settings=wandb.Settings(silent=True))"

MEMORY = """
def resident():
    total, is_tail = 0, False
    for line in open("/proc/self/smaps"):
        word, *rest = line.split()
        if not word.endswith(":"):
            is_tail = line.endswith(".tail\\n")
        elif word == "Anonymous:" or (is_tail and word == "Rss:"):
            total += int(rest[0]) << 10
    return total
"""


class Kernel:
    """A kernel whose cells are timed from within."""

    def __init__(self, folder: Path, *, recorded: bool = True) -> None:
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(
            env=isolated(folder), cwd=str(folder), startup_timeout=120
        )
        if not recorded:
            self.record(False)

    def run(self, code: str, **options: Any) -> None:
        self.client.execute_interactive(
            code, timeout=600, output_hook=lambda message: None, **options
        )

    def record(self, recorded: bool) -> None:
        """Load or unload the extension, and let what happens at first be over."""
        name = "load" if recorded else "unload"
        self.run(
            f"from jupyter_codesave.capture.extension import {name}; {name}(get_ipython())",
            silent=True,
        )
        if recorded:
            self.cpu("1", 3)
            self.run("time.sleep(1.5)", silent=True)

    def ask(self, code: str) -> Any:
        """Give a value as JSON; the asking cell is silent, so it is not recorded."""
        reply = self.client.execute_interactive(
            "import json, resource, time",
            silent=True,
            timeout=600,
            output_hook=lambda message: None,
            user_expressions={"x": f"json.dumps({code})"},
        )
        text = reply["content"]["user_expressions"]["x"]["data"]["text/plain"]
        return json.loads(text[1:-1])

    def cpu(self, code: str, times: int = 1) -> float:
        """Give the CPU seconds of running a cell, its share of `times`."""
        before = self.ask("time.process_time()")
        for _ in range(times):
            self.run(code)
        return float(self.ask("time.process_time()") - before) / times

    def memory(self) -> int:
        """Give the resident bytes that are its own, and what it maps of a tail.

        Those of libraries come and go as the system likes.
        """
        self.run(MEMORY, silent=True)
        return int(self.ask("resident()"))

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


class Table:
    """Prints rows as they come, and remembers what missed its limit."""

    def __init__(self, slower: float) -> None:
        self.slower, self.missed = slower, 0

    def row(self, name: str, bare: str, ours: str, limit: str, met: bool) -> None:
        self.missed += not met
        print(f"| {name} | {bare} | {ours} | {limit}{'' if met else ' **missed**'} |", flush=True)

    def seconds(self, name: str, found: float, limit: float) -> None:
        limit *= self.slower
        self.row(name, "", f"{found * 1e3:.1f} ms", f"≤ {limit * 1e3:.0f} ms", found <= limit)


def calibration() -> float:
    """How many times slower than the reference machine this one is, at least 1."""
    block, text = bytes(64 << 20), json.dumps([{"key": "word " * 20}] * 40_000)

    def cpu(work: Callable[[], object]) -> float:
        best = []
        for _ in range(ROUNDS):
            began = time.process_time()
            work()
            best.append(time.process_time() - began)
        return min(best)

    sha = cpu(lambda: hashlib.sha256(block).digest())
    parse = cpu(lambda: json.loads(text)) * 5e6 / len(text)
    print(f"calibration: sha256 of 64 MB {sha:.3f} s, json parse of 5 MB {parse:.3f} s")
    return max(1.0, sha / REFERENCE[0], parse / REFERENCE[1])


def paired(table: Table, folder: Path, quick: bool) -> None:
    """Compare the same cells bare and recorded, turn by turn.

    In one kernel: two of them differ by more than the limits allow. W&B has one beside it.
    """
    kernel, wandb = Kernel(folder / "paired"), None
    if importlib.util.find_spec("wandb"):
        wandb = Kernel(folder / "wandb", recorded=False)
        wandb.run(WANDB)
    try:
        for each in filter(None, (kernel, wandb)):
            each.run(HTML)
            each.cpu("1", 50)

        def compare(name: str, code: str, ratio: float, times: int = 1) -> None:
            found: dict[str, list[float]] = {"bare": [], "ours": [], "wandb": []}
            for _ in range(ROUNDS):
                for recorded in (False, True):
                    kernel.record(recorded)
                    # The best of single ones: a mean of a few has every interruption in it.
                    single = [kernel.cpu(code) for _ in range(times)]
                    found["ours" if recorded else "bare"] += single
                if wandb is not None:
                    found["wandb"] += [wandb.cpu(code) for _ in range(times)]
            bare, mine = min(found["bare"]), min(found["ours"])
            ours = f"{mine:.2f} s (× {mine / bare:.2f})"
            if wandb is not None:
                ours += f", wandb {min(found['wandb']):.2f} s"
            table.row(name, f"{bare:.2f} s", ours, f"≤ × {ratio}", mine <= ratio * bare)

        compare("20 MB of HTML displayed", "HTML(h)", 1.1, 5)
        lines = "for n in range(100_000): print(f'line {n} of some length, as logs have')"
        compare("100,000 lines printed", lines, 1.1, 3)
        count = 100_000 if quick else 1_000_000
        compare(f"{count:,} prints", f"for n in range({count}): print(n)", 1.15)
        if not quick:
            compare("100 MB printed at once", "print('x' * 100_000_000)", 2.0)
    finally:
        for each in filter(None, (kernel, wandb)):
            each.stop()


def trivial(table: Table, folder: Path) -> None:
    """One kernel, recorded and not, turn by turn: two kernels differ by more than the limit.

    A machine's speed comes and goes in waves that are longer than a turn, and a tenth of them is
    more than the limit, too: the median difference of neighbours is what stays of them.
    """
    kernel = Kernel(folder / "trivial")
    bare: list[float] = []
    more: list[float] = []

    def measure(recorded: bool) -> float:
        # The same steps either way: what a turn itself leaves behind is then no difference.
        turn = "part.remove()", "part.install()"
        kernel.run("part = get_ipython()._jupyter_codesave", silent=True)
        kernel.run("; ".join(turn if recorded else turn[:1]), silent=True)
        kernel.run("1")
        found = kernel.cpu("1", 20)
        kernel.run("pass" if recorded else turn[1], silent=True)
        return found

    try:
        kernel.cpu("1", 100)
        for _ in range(20 * ROUNDS):
            before, first, second, after = map(measure, (False, True, True, False))
            bare += [before, after]
            more += [first - before, second - after]
    finally:
        kernel.stop()
    limit, found = 1e-4 * table.slower, statistics.median(more)
    table.row(
        f"a trivial cell, median of {len(more)} pairs",
        f"{statistics.median(bare) * 1e3:.3f} ms",
        f"+ {found * 1e3:.3f} ms",
        f"≤ + {limit * 1e3:.2f} ms",
        found <= limit,
    )


def growth(table: Table, folder: Path, cells: int) -> None:
    """See whether cells grow dearer and memory larger."""
    Kernel(folder / "m-first").stop()  # the first one compiles all modules, which takes 25 MB
    bare, ours = Kernel(folder / "m-bare", recorded=False), Kernel(folder / "m-ours")
    try:
        for kernel in (bare, ours):
            kernel.cpu("1", 10)

        def ratio() -> float:
            pairs = [(bare.cpu("1", 50), ours.cpu("1", 50)) for _ in range(4 * ROUNDS)]
            return min(pair[1] for pair in pairs) / min(pair[0] for pair in pairs)

        first = ratio()
        for kernel in (bare, ours):
            kernel.cpu("print('x')", 1000)
        more = ours.memory() - bare.memory()
        table.row(
            "memory after 1,000 cells",
            f"{bare.memory() / 1e6:.1f} MB",
            f"{ours.memory() / 1e6:.1f} MB (+ {more / 1e6:.1f})",
            "≤ + 5 MB",
            more <= 5 << 20,
        )
        lines = "for n in range(200_000): print('line', n, 'of some length, as logs have')"
        grown = {}
        for kernel in (bare, ours):
            kernel.cpu(lines, 3)  # the buffers of a kernel that prints, recorded or not
            before = kernel.memory()
            kernel.cpu(lines, 6)
            grown[kernel] = kernel.memory() - before
        table.row(
            "more memory after 60 MB more printed",
            f"{grown[bare] / 1e6:.1f} MB",
            f"{grown[ours] / 1e6:.1f} MB",
            "≤ bare + 3 MB",
            grown[ours] - grown[bare] <= 3 << 20,
        )
        if cells:
            for kernel in (bare, ours):
                kernel.cpu("1", cells)
            last = ratio()
            table.row(
                f"a cell after {cells:,}, by a bare one's",
                f"× {first:.2f} at first",
                f"× {last:.2f}",
                "≤ first + 0.05",
                last <= first + 0.05,
            )
    finally:
        bare.stop()
        ours.stop()


INGEST_CELL = (
    "import random; dice = random.Random({0})\n"
    "for n in range(60): display({{'text/html': '<p>' + dice.randbytes(50_000).hex() + '</p>'}}, "
    "raw=True)\n"
    "for n in range(20_000): print('epoch', n, 'loss', dice.random(), 'and more words of a log')"
)


def ingest(table: Table, folder: Path, cells: int) -> None:
    """A worker brings a journal in, as in a server, while the server's loop has a heartbeat."""
    kernel = Kernel(folder / "ingest")
    data = folder / "ingest" / "codesave"
    try:
        for number in range(cells):
            kernel.run(INGEST_CELL.format(number))
        (journal,) = (data / "journal").glob("*.journal")
        size = journal.stat().st_size / 1e6
        found = asyncio.run(_ingest_in_a_worker(journal, kernel))
    finally:
        kernel.stop()
    (live, peak), (end, last_peak), pause = found
    limit = 100 / table.slower
    rate = size / live
    name = f"ingest of {size:.0f} MB of journal, in a worker"
    table.row(name, "", f"{rate:.0f} MB/s", f"≥ {limit:.0f} MB/s", rate >= limit)
    table.row("its memory, at most", "", f"{peak / 1e6:.0f} MB", "≤ 300 MB", peak <= 300e6)
    name = "its session's end: a version, and the journal sealed"
    table.row(name, "", f"{size / end:.0f} MB/s, {last_peak / 1e6:.0f} MB", "–", True)
    name = "the server's loop meanwhile, longest pause"
    table.row(name, "", f"{pause * 1e3:.0f} ms", "≤ 100 ms", pause <= 0.1)


async def _ingest_in_a_worker(journal: Path, kernel: Kernel) -> Any:
    """Give CPU seconds and largest memory of the worker, live and at the end, and the pause."""
    from jupyter_codesave.server.workers import Pool

    pool = Pool(1, {**os.environ, "CODESAVE_DIR": str(journal.parent.parent)})
    pauses, found = [0.0], []

    async def beat() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.01)
            pauses.append(time.perf_counter() - began - 0.01)

    try:
        await pool.call("ingest", paths=[])  # what it does at first is over
        process = psutil.Process(pool._workers[0]._process.pid)
        heart = asyncio.ensure_future(beat())
        for is_end in (False, True):
            if is_end:
                await asyncio.to_thread(kernel.manager.shutdown_kernel)
            before = sum(process.cpu_times()[:2])
            await pool.call("ingest", paths=[str(journal)], commit=False)
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) << 10
            found.append((sum(process.cpu_times()[:2]) - before, peak))
        heart.cancel()
    finally:
        pool.kill()
        await asyncio.sleep(0.2)
    return *found, max(pauses)


LOADING = """
import sys, time
def once():
    from jupyter_codesave.capture.extension import unload
    unload(get_ipython())
    for name in [name for name in sys.modules if name.startswith('jupyter_codesave')]:
        del sys.modules[name]
    began = time.process_time()
    from jupyter_codesave.capture.extension import load
    load(get_ipython())
    return time.process_time() - began
"""


def loading(table: Table, folder: Path) -> None:
    """Loading into a kernel, importing and init() in a script."""
    kernel = Kernel(folder / "load")
    try:
        kernel.run(LOADING, silent=True)
        found = [float(kernel.ask("once()")) for _ in range(ROUNDS)]
    finally:
        kernel.stop()
    table.seconds("loading the extension", min(found), 0.010)
    script = (
        "import time; a = time.process_time()\n"
        "import jupyter_codesave as codesave; codesave.Settings; b = time.process_time()\n"
        "run = codesave.init(); c = time.process_time()\n"
        "run.finish(); d = time.process_time(); print(b - a, c - b, d - c)\n"
    )
    times = []
    for _ in range(ROUNDS + 1):  # the first one compiles
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=isolated(folder / "script"),
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        times.append([float(word) for word in done.stdout.split()])
    imported, begun, finished = (min(column) for column in zip(*times, strict=True))
    table.seconds("import jupyter_codesave", imported, 0.050)
    table.seconds("init() more", begun, 0.150)
    table.seconds("git and packages, in the background", finished, 0.050)


def code(table: Table, folder: Path) -> None:
    """log_code() of 10,000 files, as far as the kernel's part goes."""
    source = folder / "source"
    line = os.urandom(5000).hex()
    for number in range(10_000):
        place = source / f"p{number % 100}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"m{number}.py").write_text(f"# {number}\n{line}{number}")
    script = (
        "import time, jupyter_codesave as codesave\n"
        "from jupyter_codesave.blobs import statcache; statcache._RACY_NS = 0\n"
        "run = codesave.init(settings=codesave.Settings(save_code=False))\n"
        "a = time.process_time(); run.log_code('source'); b = time.process_time()\n"
        "run.log_code('source'); c = time.process_time(); print(b - a, c - b)\n"
    )
    times = []
    for attempt in range(3):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=isolated(folder / f"code{attempt}"),
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        times.append([float(word) for word in done.stdout.split()])
    first, again = (min(column) for column in zip(*times, strict=True))
    table.seconds("log_code of 10,000 files (100 MB)", first, 1.5)
    table.seconds("log_code again", again, 0.2)


def main(arguments: list[str]) -> None:
    """Print the table of capture."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks capture", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer prints and cells")
    parser.add_argument("--only", choices=PARTS, help="one part of the table")
    parser.add_argument("--cells", type=int, default=10_000, help="cells of the long kernel")
    chosen = parser.parse_args(arguments)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # loading is measured as users have it
    table = Table(calibration())
    print("\n| capture | bare | recorded | limit |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="codesave-bench-") as place:
        folder = Path(place)
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "pycache")
        parts: dict[str, Callable[[], None]] = {
            "loading": lambda: loading(table, folder),
            "trivial": lambda: trivial(table, folder),
            "paired": lambda: paired(table, folder, chosen.quick),
            "growth": lambda: growth(table, folder, 500 if chosen.quick else chosen.cells),
            "ingest": lambda: ingest(table, folder, 5 if chosen.quick else 30),
            "code": lambda: code(table, folder),
        }
        for name, part in parts.items():
            if chosen.only in (None, name):
                part()
    print(f"\n{table.missed} missed" if table.missed else "\nall within their limits")


if __name__ == "__main__":
    main(sys.argv[1:])
