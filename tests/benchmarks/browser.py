"""How fast the views are in headless Chromium, nbdiff-web's page measured beside in the same run.

Wall time in the page, from the command to what is painted; every notebook is made here.
`--only` takes some of `compare`, `history`, `viewer`, `peer`; `--runs N` lists fewer than 10^5.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_codesave.catalog import runs, schema
from jupyter_codesave.model.run import new_id
from tests import browser
from tests.benchmarks.store import calibrate
from tests.conftest import Home, Lab, isolated, running_lab, wait_until
from tests.end_to_end.jupyterlab import open_lab
from tests.journal.records import execute_input, idle, message, session, stream, write
from tests.server.test_routes import known
from tests.store.made import Place, make_run

TABLES = ("compare", "history", "viewer", "peer")
TIMES = 3

# Milliseconds from the command until a selector matches and the browser has painted it.
_UNTIL_SHOWN = """async ([command, args, selectors]) => {
    const begun = performance.now();
    const took = selectors.map(() => null);
    window.jupyterapp.commands.execute(command, args);
    while (took.includes(null)) {
        await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
        selectors.forEach((selector, i) => {
            if (took[i] === null && document.querySelector(selector)) {
                took[i] = performance.now() - begun;
            }
        });
        if (performance.now() - begun > 60000) {
            break;
        }
    }
    return took;
}"""

# Milliseconds of each frame while the cells are scrolled through, a third of a page a frame, 8 s.
_SCROLL = """async () => {
    const list = document.querySelector('.codesave-Comparer:not(.lm-mod-hidden) '
        + '.codesave-NotebookDiff');
    const frames = [];
    const begun = performance.now();
    let last = await new Promise(requestAnimationFrame);
    while (performance.now() - begun < 8000
        && list.scrollTop + list.clientHeight < list.scrollHeight - 1) {
        list.scrollTop += list.clientHeight / 3;
        const now = await new Promise(requestAnimationFrame);
        frames.push(now - last);
        last = now;
    }
    return frames;
}"""

# Milliseconds until the answer of a request whose address has a part is painted.
_UNTIL_ANSWERED = """([part, needle]) => new Promise(done => {
    const begun = performance.now();
    const observer = new PerformanceObserver(list => {
        if (list.getEntries().some(entry => entry.name.includes(part))) {
            observer.disconnect();
            requestAnimationFrame(() => setTimeout(() => done(performance.now() - begun)));
        }
    });
    observer.observe({ type: 'resource' });
    if (needle === null) {
        window.jupyterapp.commands.execute('codesave:open-runs');
        return;
    }
    const field = document.querySelector('.codesave-RunBrowser input');
    const { set } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value');
    set.call(field, needle);
    field.dispatchEvent(new Event('input', { bubbles: true }));
})"""


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks browser")
    parser.add_argument("--only", choices=TABLES, nargs="+", default=TABLES)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--cap", type=float, default=120, help="seconds for nbdiff-web's page")
    options = parser.parse_args(list(arguments))
    factor = calibrate()
    wanted = options.only
    path = browser.executable()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=browser.FLAGS)
        home = Home(Path(name), isolated(Path(name)))
        make_pairs(home.work)
        if "history" in wanted:
            fill_catalog(home.data, options.runs)
        if set(wanted) - {"peer"}:
            with running_lab(home) as lab:
                if "compare" in wanted:
                    compare(chromium, lab)
                if "history" in wanted:
                    history(chromium, lab, options.runs)
                if "viewer" in wanted:
                    viewer(chromium, lab)
        if "peer" in wanted:
            peer(chromium, home, options.cap)
        chromium.close()
    print(f"(limits are for a machine of factor 1 that does nothing else; this one: {factor:.2f})")


def row(what: str, found: str, limit: str) -> None:
    """Print a line of the table."""
    print(f"{what:<58} {found:>26}   {limit}", flush=True)


@contextmanager
def opened(chromium: Any, lab: Lab) -> Iterator[Any]:
    """Give a page with JupyterLab, all of it loaded."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    open_lab(page, lab)
    page.wait_for_load_state("networkidle")
    yield page
    context.close()


# -- comparisons ----------------------------------------------------------------------------------


def make_pairs(folder: Path) -> None:
    """Write pairs of 1,000 and 5,000 cells of which every fifth differs; each pair is another."""
    for count, pairs in ((1000, TIMES), (5000, TIMES), (20, 1)):
        for number in range(pairs):
            rng = random.Random(count + number)
            words = [f"name_{rng.randrange(400)}" for _ in range(6 * count)]
            for side in ("base", "head"):
                cells = [cell(n, words, side == "head" and n % 5 == 3) for n in range(count)]
                whole = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
                (folder / f"{side}{count}-{number}.ipynb").write_text(json.dumps(whole))


def cell(n: int, words: list[str], changed: bool) -> dict[str, Any]:
    """Give a cell of six lines that prints, or every tenth a text."""
    own = words[6 * n : 6 * n + 6]
    value = "changed" if changed else "value"
    if n % 10 == 0:
        return {
            "cell_type": "markdown",
            "id": f"cell{n}",
            "metadata": {},
            "source": f"## Part {n}\n\n{' '.join(own)} {value}",
        }
    lines = [f"{word} = compute({n}, '{value if i == 3 else i}')" for i, word in enumerate(own)]
    output = {"output_type": "stream", "name": "stdout", "text": f"{own[0]} {value} {n}\n"}
    return {
        "cell_type": "code",
        "id": f"cell{n}",
        "metadata": {},
        "source": "\n".join(lines),
        "outputs": [output],
        "execution_count": n,
    }


def compare(chromium: Any, lab: Lab) -> None:
    """Comparisons of large notebooks, scrolling, and what is left of them in memory."""
    with opened(chromium, lab) as page:
        show_pair(page, 20, 0)  # starts the server's workers and loads the code of the view
        close_all(page)
        empty = memory(page)
        for count, limits in ((1000, ("≤ 0.6 s", "≤ 0.4 s")), (5000, ("≤ 1.5 s", ""))):
            took = []
            frames: list[float] = []
            for number in range(TIMES):
                took.append(show_pair(page, count, number))
                if number == 0:
                    frames = page.evaluate(_SCROLL)
                close_all(page)
            row(f"{count:,} cells, 20 % changed: ready", worst([t[0] for t in took]), limits[0])
            row(f"{count:,} cells: first change visible", worst([t[1] for t in took]), limits[1])
            frames.sort()
            p95 = frames[int(0.95 * len(frames))]
            row(
                f"{count:,} cells: scrolling, p95 and longest frame",
                f"{p95:.0f} ms, {frames[-1]:.0f} ms",
                "≤ 50 ms",
            )
        left = memory(page)
        row("memory after closing, of the empty page", f"{100 * left / empty:.0f} %", "≤ 120 %")


def show_pair(page: Any, count: int, number: int) -> list[float]:
    """Compare a pair; give the milliseconds until it is ready and until a change is visible."""
    sides = {side: f"./{side}{count}-{number}.ipynb" for side in ("base", "head")}
    ready = ".codesave-Comparer[data-state=ready]"
    change = f"{ready} .codesave-CellDiff[data-change=modified] .codesave-CellDiff-content"
    found: list[float] = page.evaluate(_UNTIL_SHOWN, ["codesave:compare", sides, [ready, change]])
    return found


def close_all(page: Any) -> None:
    """Close every tab of the main area."""
    page.evaluate("() => { window.jupyterapp.commands.execute('application:close-all'); }")
    page.wait_for_selector(".codesave-Comparer, .codesave-SessionViewer", state="detached")


def memory(page: Any) -> float:
    """Give the page's used bytes of JavaScript after forced collections.

    The engine lets go of compiled code half a minute after its last use: so long it is left alone.
    """
    page.wait_for_timeout(35_000)
    devtools = page.context.new_cdp_session(page)
    for _ in range(3):
        devtools.send("HeapProfiler.collectGarbage")
    used: float = devtools.send("Runtime.getHeapUsage")["usedSize"]
    devtools.detach()
    return used


def worst(milliseconds: list[float | None]) -> str:
    """Say the best and the worst of several."""
    if None in milliseconds:
        return "not within 60 s"
    found = [each / 1000 for each in milliseconds if each is not None]
    return f"{min(found):.2f} … {max(found):.2f} s"


# -- the history ----------------------------------------------------------------------------------


def fill_catalog(folder: Path, count: int) -> None:
    """Write runs of 200 notebooks into the catalog, without their code."""
    rng = random.Random(1)
    with Place(folder).open() as store, store.catalog.write() as tx:
        for begin in range(0, count, 5000):
            rows = []
            for n in range(begin, min(begin + 5000, count)):
                minute = f"2025-{1 + n // 8640 % 12:02}-{1 + n // 1440 % 6:02}"
                run = make_run(
                    id=new_id(),
                    name=f"run {n}",
                    project=f"project{n % 17}",
                    notebook=f"/home/ann/notebook{rng.randrange(200)}.ipynb",
                    started=f"{minute}T{n // 60 % 24:02}:{n % 60:02}:00.{n:06}Z",
                )
                rows.append(runs.to_row(run))
            tx.upsert(schema.runs, rows)


def history(chromium: Any, lab: Lab, count: int) -> None:
    """The first page of very many runs, and the filter."""
    with opened(chromium, lab) as page:
        first = [page.evaluate(_UNTIL_ANSWERED, ["codesave/api/runs?", None])]
        for _ in range(TIMES - 1):
            page.evaluate("() => { window.jupyterapp.commands.execute('filebrowser:activate'); }")
            page.wait_for_selector(".codesave-RunBrowser", state="hidden")
            first.append(page.evaluate(_UNTIL_ANSWERED, ["codesave/api/runs?", None]))
        row(f"{count:,} runs: first page", worst(first), "≤ 0.3 s")
        took = [
            page.evaluate(_UNTIL_ANSWERED, [f"q={needle}", needle])
            for needle in ("notebook77", "project3", "9999")
        ]
        row(f"{count:,} runs: filter (0.08 s of it waits for keys)", worst(took), "≤ 0.2 s")
        row("    the same, nothing matches", worst([nothing(page)]), "")


def nothing(page: Any) -> float:
    found: float = page.evaluate(_UNTIL_ANSWERED, ["q=nowhere", "nowhere"])
    return found


# -- the viewer -----------------------------------------------------------------------------------


def picture(rng: random.Random, size: int = 100) -> str:
    """Give an image of noise as base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    pixels = b"".join(b"\0" + rng.randbytes(3 * size) for _ in range(size))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels, 1))
    return base64.b64encode(data + chunk(b"IEND", b"")).decode()


def viewer(chromium: Any, lab: Lab, executions: int = 2000, images: int = 200) -> None:
    """A long session with many images."""
    rng = random.Random(2)
    run = {"run": "longrun", "project": "long", "notebook": str(lab.root / "long.ipynb")}
    items: list[Any] = [session("long"), ("run", run)]
    for n in range(1, executions + 1):
        key = f"long{n}"
        items += [execute_input(f"step_{n} = {n}\nprint(step_{n})", n, key)]
        items += [stream(f"{n}\n", key=key)]
        if n % (executions // images) == 0:
            shown = {"data": {"image/png": picture(rng)}, "metadata": {}}
            items.append(message("display_data", shown, key))
        items.append(idle(key))
    end = ("session-end", {"ended_by": "exit", "exit_code": 0})
    write(lab.home.data / "journal" / "long.journal", [*items, end])
    wait_until(lambda: known(lab, "longrun"), "the long run")
    ready = ".codesave-SessionViewer[data-state=ready] .jp-Cell .cm-content"
    took = []
    with opened(chromium, lab) as page:
        empty = memory(page)
        for _ in range(TIMES):
            took += page.evaluate(
                _UNTIL_SHOWN, ["codesave:open-session", {"run": "longrun"}, [ready]]
            )
            close_all(page)
        left = memory(page)
    row(f"viewer: {executions:,} executions, {images} images", worst(took), "≤ 1 s")
    row("    memory after closing, of the empty page", f"{100 * left / empty:.0f} %", "≤ 120 %")


# -- nbdiff-web -----------------------------------------------------------------------------------


def peer(chromium: Any, home: Home, cap: float) -> None:
    """nbdiff-web's page on the pair of 1,000 cells."""
    log = home.folder / "nbdiff-web.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "nbdime.webapp.nbdiffweb", "--persist"),
                *("--log-level", "INFO", "base1000-0.ipynb", "head1000-0.ipynb"),
            ],
            cwd=home.work,
            env={**home.environment, "BROWSER": "true", "PYTHONUNBUFFERED": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    try:
        found = wait_until(lambda: re.search(r"URL: (\S+)", log.read_text()), "nbdiff-web's start")
        page = context.new_page()
        begun = time.monotonic()
        page.goto(found[1], timeout=1000 * cap)
        first = ready = "more than the cap"
        try:
            page.wait_for_selector(".jp-Cell-diff:not(.jp-Diff-unchanged)", timeout=1000 * cap)
            first = f"{time.monotonic() - begun:.1f} s"
            page.wait_for_function(
                "() => document.querySelectorAll('.jp-Cell-diff').length >= 1000",
                timeout=1000 * max(1.0, cap - (time.monotonic() - begun)),
            )
            ready = f"{time.monotonic() - begun:.1f} s"
        except Exception as error:  # Playwright's own, and where the page broke
            if "Timeout" not in str(error):
                ready = f"broke: {str(error).splitlines()[0][:60]}"
        row("nbdiff-web, 1,000 cells: first change visible", first, f"cap {cap:g} s")
        row("nbdiff-web, 1,000 cells: all cells", ready, f"cap {cap:g} s")
    finally:
        context.close()
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main(sys.argv[1:])
