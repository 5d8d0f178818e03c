"""Pairs of notebooks in the real comparer: each opens, is scrolled through, without an error.

`--pairs FOLDER` takes every folder below it that holds two notebooks; without it `--made N` (20)
pairs are made. `--seed N` makes them again.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from tests import browser
from tests.conftest import Home, isolated, running_lab
from tests.diff import made
from tests.end_to_end.jupyterlab import open_lab

_THROUGH = """async () => {
    const view = [...document.querySelectorAll('.codesave-Comparer')].pop();
    view.querySelectorAll('.codesave-Fold button').forEach(button => button.click());
    const list = view.querySelector('.codesave-NotebookDiff');
    let steps = 0;
    while (list && list.scrollTop + list.clientHeight < list.scrollHeight - 1 && steps++ < 400) {
        list.scrollTop += list.clientHeight / 2;
        await new Promise(done => requestAnimationFrame(() => setTimeout(done, 20)));
    }
    return view.querySelectorAll('.codesave-CellDiff-content').length;
}"""


def main(arguments: list[str]) -> None:
    """Open every pair; name those that failed and end with an error if there are any."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance browser")
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--made", type=int, default=20)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 30))
    options = parser.parse_args(arguments)
    path = browser.executable()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        home = Home(Path(name), isolated(Path(name)))
        if options.pairs is None:
            print(f"browser: seed {options.seed}", flush=True)
            make_pairs(home.work, options.made, random.Random(options.seed))
        else:
            copy_pairs(options.pairs, home.work)
        pairs = sorted(folder.name for folder in home.work.iterdir() if folder.is_dir())
        failed = []
        with running_lab(home) as lab:
            chromium = playwright.chromium.launch(executable_path=path, args=browser.FLAGS)
            page = chromium.new_context(viewport={"width": 1440, "height": 900}).new_page()
            said: list[str] = []
            page.on("pageerror", lambda error: said.append(f"error: {error}"))
            page.on(
                "console",
                lambda line: said.append(line.text) if line.type == "error" else None,
            )
            open_lab(page, lab)
            said.clear()  # what JupyterLab itself says while it starts
            for pair in pairs:
                if found := open_pair(page, pair) or list(said):
                    failed.append(pair)
                    print(f"{pair}: {found}", flush=True)
                said.clear()
            chromium.close()
    print(f"browser: {len(pairs)} pairs opened, {len(failed)} failed {failed}", flush=True)
    if failed or not pairs:
        raise SystemExit(1)


def open_pair(page: Any, pair: str) -> list[str]:
    """Compare a pair, look at all of it and close it; give what went wrong."""
    begun = time.monotonic()
    sides = {"base": f"./{pair}/a.ipynb", "head": f"./{pair}/b.ipynb"}
    page.evaluate(
        "sides => { window.jupyterapp.commands.execute('codesave:compare', sides); }", sides
    )
    page.wait_for_selector(
        ".codesave-Comparer:is([data-state=ready], [data-state=error])", timeout=60_000
    )
    wrong = page.locator(".codesave-Failure, .codesave-CellDiff > .codesave-note").all_inner_texts()
    shown = page.evaluate(_THROUGH)
    page.evaluate("() => { window.jupyterapp.commands.execute('application:close-all'); }")
    page.wait_for_selector(".codesave-Comparer", state="detached")
    print(f"{pair}: {shown} cells, {time.monotonic() - begun:.1f} s", flush=True)
    return [str(text) for text in wrong]


def copy_pairs(source: Path, target: Path) -> None:
    """Copy the folders that hold two notebooks, as `a.ipynb` and `b.ipynb`."""
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        notebooks = sorted(folder.glob("*.ipynb"))
        if len(notebooks) == 2:
            (target / folder.name).mkdir()
            for file, name in zip(notebooks, ("a.ipynb", "b.ipynb"), strict=True):
                shutil.copyfile(file, target / folder.name / name)


def make_pairs(target: Path, count: int, chance: random.Random) -> None:
    """Make notebooks and edits of them."""
    for number in range(count):
        base = made.some_notebook(chance, chance.randrange(3, 120))
        kinds = chance.sample(sorted(made.EDITS), 3)
        try:
            head, _ = made.edited(chance, base, *kinds, times=chance.randrange(1, 5))
        except IndexError:  # too small for this edit
            head = made.some_notebook(chance, 5)
        folder = target / f"made{number:03}"
        folder.mkdir()
        for name, notebook in (("a.ipynb", base), ("b.ipynb", head)):
            (folder / name).write_text(json.dumps(notebook))
