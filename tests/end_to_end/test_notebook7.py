"""Notebook 7 records and shows runs as JupyterLab does; the comparer opens in JupyterLab."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import Lab, wait_until
from tests.end_to_end.jupyterlab import wait_for_kernel, write_notebook


@pytest.fixture(scope="module")
def notebook7(start_lab: Callable[..., Lab]) -> Lab:
    return start_lab(app="notebook")


def open_page(page: Any, lab: Lab, path: str) -> None:
    page.goto(f"{lab.url}{path}?token={lab.token}")
    page.wait_for_function("window.jupyterapp && window.jupyterapp.started", timeout=90_000)
    page.evaluate("() => window.jupyterapp.restored")


def recorded(lab: Lab, notebook: str) -> Any:
    return [
        run for run in lab.api(f"runs?notebook={quote(notebook)}")["runs"] if run["executions"] == 1
    ]


def test_a_cell_in_notebook_7_is_recorded_and_seen_in_the_tree(notebook7: Lab, page: Any) -> None:
    write_notebook(notebook7.root / "seven.ipynb", "print('in notebook', 7)")
    open_page(page, notebook7, "notebooks/seven.ipynb")
    wait_for_kernel(page)
    page.wait_for_selector(".codesave-Status[data-state=recording]")
    page.locator(".jp-Cell .cm-content").first.click()
    page.keyboard.press("Control+Enter")
    (run,) = wait_until(lambda: recorded(notebook7, "seven.ipynb"), "the run")
    (cell,) = notebook7.api(f"runs/{run['id']}/notebook")["cells"]
    assert cell["outputs"][0]["text"] == "in notebook 7\n"

    open_page(page, notebook7, "tree")
    page.evaluate("() => window.jupyterapp.commands.execute('codesave:open-runs')")
    page.wait_for_selector(f".codesave-RunBrowser [data-run={run['id']}]", timeout=30_000)
    page.evaluate(
        "run => window.jupyterapp.commands.execute('codesave:open-session', {run})", run["id"]
    )
    page.wait_for_selector(".codesave-SessionViewer[data-state=ready]", timeout=30_000)
    page.locator(".jp-OutputArea-output", has_text="in notebook 7").first.wait_for()
