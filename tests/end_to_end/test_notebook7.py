"""Notebook 7 records and shows runs as JupyterLab does; the comparer opens in JupyterLab."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import Lab, wait_until
from tests.end_to_end.jupyterlab import wait_for_kernel, write_notebook
from tests.end_to_end.test_comparer import leave
from tests.journal.records import stream


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


def test_two_runs_of_notebook_7_are_compared_beside_the_files_or_in_jupyterlab(
    notebook7: Lab, page: Any
) -> None:
    base, head = (
        leave(
            notebook7,
            name,
            [("a", f"rate = {minute}\nprint(rate)", [stream(f"{minute}\n")])],
            notebook="seven.ipynb",
            minute=minute,
        )
        for name, minute in (("sevena", 1), ("sevenb", 2))
    )
    write_notebook(notebook7.root / "seven.ipynb", "rate = 2")

    def chosen(place: str) -> Any:
        open_page(page, notebook7, place)
        page.evaluate("() => { window.jupyterapp.commands.execute('codesave:open-runs'); }")
        history = page.locator(".codesave-RunBrowser[data-state=ready]")
        history.locator(f"[data-run={base}]").click()
        history.locator(f"[data-run={head}]").click(modifiers=["Control"])
        return history.get_by_role("button", name="Compare", exact=True)

    def is_shown(where: Any) -> None:
        comparer = where.locator(".codesave-Comparer[data-state=ready]")
        changed = comparer.locator(".codesave-CellDiff[data-change=modified]").first
        changed.locator(".cm-merge-b", has_text="rate = 2").first.wait_for(timeout=60_000)

    chosen("tree").click()
    is_shown(page)
    with page.expect_popup() as opened:  # a notebook's page has no room for it
        chosen("notebooks/seven.ipynb").click()
    is_shown(opened.value)
    assert opened.value.url.startswith(f"{notebook7.url}lab")


def test_a_session_is_opened_beside_the_files_or_in_jupyterlab(notebook7: Lab, page: Any) -> None:
    cells = [(f"c{n}", f"step_{n} = {n}", [stream(f"at {n}\n")]) for n in range(60)]
    run = leave(notebook7, "beside", cells, notebook="beside.ipynb")
    write_notebook(notebook7.root / "beside.ipynb", "step_0 = 0")
    open_page(page, notebook7, "tree")
    page.evaluate("() => { window.jupyterapp.commands.execute('codesave:open-runs'); }")
    page.locator(f".codesave-RunBrowser [data-run={run}]").dblclick()
    viewer = page.locator(".codesave-SessionViewer[data-state=ready]")
    viewer.get_by_role("listbox", name="Executions").focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    viewer.locator(".codesave-mod-found", has_text="step_59 = 59").wait_for()
    viewer.locator(".jp-OutputArea-output", has_text="at 59").wait_for()

    open_page(page, notebook7, "notebooks/beside.ipynb")
    page.evaluate("() => { window.jupyterapp.commands.execute('codesave:open-runs'); }")
    with page.expect_popup() as opened:
        page.locator(f".codesave-RunBrowser [data-run={run}]").dblclick()
    elsewhere = opened.value.locator(".codesave-SessionViewer[data-state=ready]")
    elsewhere.locator(".jp-OutputArea-output", has_text="at 0").wait_for(timeout=60_000)
