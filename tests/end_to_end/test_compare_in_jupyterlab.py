"""A cell is typed and run, its run appears, two runs are compared: in a real browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.conftest import Lab, wait_until
from tests.end_to_end.jupyterlab import execute, open_lab, write_notebook


def ran(lab: Lab, notebook: str, runs: int, executions: int) -> Any:
    found = lab.api(f"runs?notebook={quote(notebook)}")["runs"]
    return len(found) == runs and found[0]["executions"] == executions and found


def type_and_run(page: Any, source: str) -> None:
    page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell .cm-content").first.click()
    page.keyboard.press("Control+a")
    page.keyboard.type(source)
    page.keyboard.press("Control+Enter")


def test_a_typed_cell_appears_as_a_run_and_two_runs_are_compared(lab: Lab, page: Any) -> None:
    write_notebook(lab.root / "typed.ipynb", "")
    open_lab(page, lab, "typed.ipynb")
    execute(page, "codesave:open-runs")
    page.wait_for_selector(".codesave-RunBrowser[data-state=ready]")
    type_and_run(page, "rate = 0.1\nprint('rate', rate)")
    page.wait_for_selector(".codesave-RunBrowser li[data-state=running]", timeout=30_000)
    (first,) = wait_until(lambda: ran(lab, "typed.ipynb", 1, 1), "the first run")

    execute(page, "docmanager:save")
    page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    finished = f".codesave-RunBrowser li[data-run={first['id']}][data-state=finished]"
    page.wait_for_selector(finished, timeout=30_000)
    assert lab.api(f"runs/{first['id']}")["ended_by"] == "restart"
    type_and_run(page, "rate = 0.2\nprint('rate', rate)")
    second, _ = wait_until(lambda: ran(lab, "typed.ipynb", 2, 1), "the second run")

    page.locator(f".codesave-RunBrowser [data-run={first['id']}]").click()
    page.locator(f".codesave-RunBrowser [data-run={second['id']}]").click(modifiers=["Control"])
    page.locator(".codesave-RunBrowser").get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_selector(".codesave-Comparer[data-state=ready]", timeout=30_000)
    cell = page.locator(".codesave-CellDiff[data-change=modified]")
    cell.first.wait_for()
    assert "rate = 0.1" in cell.first.locator(".cm-merge-a").first.inner_text()
    assert "rate = 0.2" in cell.first.locator(".cm-merge-b").first.inner_text()
    assert "rate 0.2" in cell.first.inner_text()
    assert page.problems == []


def test_a_run_is_compared_with_the_notebook_on_disk(lab: Lab, page: Any) -> None:
    write_notebook(lab.root / "disk.ipynb", "value = 1\nvalue")
    open_lab(page, lab, "disk.ipynb")
    type_and_run(page, "value = 2\nvalue")
    (run,) = wait_until(lambda: ran(lab, "disk.ipynb", 1, 1), "the run")
    execute(page, "codesave:compare", base=run["id"], head="./disk.ipynb")
    page.wait_for_selector(".codesave-Comparer[data-state=ready]", timeout=30_000)
    cell = page.locator(".codesave-CellDiff[data-change=modified]").first
    cell.wait_for()
    assert "value = 2" in cell.locator(".cm-merge-a").first.inner_text()
    assert "value = 1" in cell.locator(".cm-merge-b").first.inner_text()
    assert page.problems == []


def test_a_session_notebook_opens_read_only_with_its_outputs(lab: Lab, page: Any) -> None:
    write_notebook(lab.root / "viewed.ipynb", "")
    open_lab(page, lab, "viewed.ipynb")
    type_and_run(page, "print('seen in the viewer')")
    (run,) = wait_until(lambda: ran(lab, "viewed.ipynb", 1, 1), "the run")
    execute(page, "codesave:open-session", run=run["id"])
    page.wait_for_selector(".codesave-SessionViewer[data-state=ready]", timeout=30_000)
    viewer = page.locator(".codesave-SessionViewer")
    viewer.locator(".jp-OutputArea-output", has_text="seen in the viewer").first.wait_for()
    viewer.locator(".cm-content").first.click()
    page.keyboard.type("not allowed")
    assert "not allowed" not in viewer.locator(".cm-content").first.inner_text()
    assert page.problems == []
