"""What the open notebook shows of its runs: marks in the gutter, missed outputs, comparisons."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import nbformat
import pytest

from tests.conftest import Lab, wait_until
from tests.end_to_end.jupyterlab import execute, open_lab, wait_for_kernel, write_notebook
from tests.end_to_end.test_comparer import leave
from tests.journal.records import stream

APPS = ("jupyterlab", "notebook")


@pytest.fixture(scope="module")
def servers(lab: Lab, start_lab: Callable[..., Lab]) -> dict[str, Lab]:
    return {"jupyterlab": lab, "notebook": start_lab(app="notebook")}


def open_notebook(page: Any, lab: Lab, app: str, name: str) -> None:
    """Open a notebook in JupyterLab or Notebook 7, with its kernel."""
    if app == "jupyterlab":
        open_lab(page, lab, name)
        return
    page.goto(f"{lab.url}notebooks/{name}?token={lab.token}")
    page.wait_for_function("window.jupyterapp && window.jupyterapp.started", timeout=90_000)
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
    wait_for_kernel(page)


def problems(page: Any, app: str) -> list[str]:
    """Give the page's errors; Notebook 7 has one of its own."""
    return [each for each in page.problems if app == "jupyterlab" or "'schema'" not in each]


def cell(page: Any, place: int) -> Any:
    return page.locator(".jp-NotebookPanel .jp-Notebook .jp-Cell").nth(place)


def run(page: Any, place: int) -> None:
    cell(page, place).locator(".cm-content").click()
    page.keyboard.press("Control+Enter")


def recorded(lab: Lab, notebook: str, executions: int) -> Any:
    found = lab.api(f"runs?notebook={notebook}")["runs"]
    return found[0] if found and found[0]["executions"] == executions else None


@pytest.mark.parametrize("app", APPS)
def test_cells_that_were_edited_or_never_ran_are_marked(
    servers: dict[str, Lab], page: Any, app: str
) -> None:
    lab = servers[app]
    write_notebook(lab.root / "marked.ipynb", "x = 1", "y = 2", "# Text")
    open_notebook(page, lab, app, "marked.ipynb")
    unrun, edited = "[data-codesave=unrun]", "[data-codesave=edited]"
    marked = page.locator(".jp-NotebookPanel .jp-Cell[data-codesave]")
    page.wait_for_function("() => document.querySelectorAll('[data-codesave=unrun]').length === 2")
    run(page, 0)
    page.locator(f".jp-Cell:not({unrun})", has_text="x = 1").wait_for()
    assert marked.count() == 1
    cell(page, 0).locator(".cm-content").click()
    page.keyboard.press("End")
    page.keyboard.type("00")
    page.locator(f".jp-Cell{edited}", has_text="x = 100").wait_for()
    assert cell(page, 0).locator(".jp-InputPrompt").get_attribute("title") == "Edited since it ran"
    run(page, 0)
    page.locator(f".jp-Cell{edited}").wait_for(state="detached")
    wait_until(lambda: recorded(lab, "marked.ipynb", 2), "the second execution")
    execute(page, "docmanager:save")
    cell(page, 0).locator(".cm-content").click()
    page.keyboard.type("0")
    page.locator(f".jp-Cell{edited}").wait_for()
    execute(page, "docmanager:save")
    page.reload()
    page.locator(f".jp-Cell{edited}").wait_for(timeout=60_000)
    assert problems(page, app) == []


def test_the_marks_are_turned_off_by_a_setting(lab: Lab, page: Any) -> None:
    write_notebook(lab.root / "unmarked.ipynb", "x = 1")
    open_lab(page, lab, "unmarked.ipynb")
    page.locator(".jp-Cell[data-codesave=unrun]").wait_for()
    notebook = page.evaluate("() => window.jupyterapp.shell.currentWidget.id")
    execute(page, "settingeditor:open", query="Code saving")
    field = page.locator("[name='jp-SettingsEditor-jupyter-codesave:plugin_marks']")
    field.click()
    page.locator(".jp-Cell[data-codesave]").wait_for(state="detached")
    field.click()
    page.evaluate("id => window.jupyterapp.shell.activateById(id)", notebook)
    page.locator(".jp-Cell[data-codesave=unrun]").wait_for()
    assert page.problems == []


@pytest.mark.parametrize("app", APPS)
def test_outputs_missed_by_a_closed_browser_are_put_back(
    servers: dict[str, Lab], page: Any, app: str
) -> None:
    lab = servers[app]
    path = write_notebook(
        lab.root / "missed.ipynb",
        "import time\ntime.sleep(3)\nprint('slept well')",
        "print('deleted later')",
        "print('edited later')",
    )
    open_notebook(page, lab, app, "missed.ipynb")
    page.locator(".jp-NotebookPanel .jp-Cell .cm-content").first.click()
    execute_nowait(page, "notebook:run-all-cells")
    wait_until(lambda: recorded(lab, "missed.ipynb", 1), "the first execution's beginning")
    page.goto("about:blank")
    wait_until(lambda: recorded(lab, "missed.ipynb", 3), "the last execution")
    written = nbformat.read(path, as_version=4)
    del written.cells[1]
    written.cells[1].source = "print('another')"
    for each in written.cells:
        each.outputs, each.execution_count = [], None
    written.cells[0].outputs = [nbformat.v4.new_output("stream", name="stdout", text="not yet\n")]
    nbformat.write(written, path)
    os.utime(path, (1_700_000_000, 1_700_000_000))  # saved before any of it ran
    open_notebook(page, lab, app, "missed.ipynb")
    page.get_by_role("button", name="Put missed outputs back").click()
    preview = page.locator(".codesave-Missed")
    preview.wait_for()
    assert preview.get_by_role("checkbox", checked=True).count() == 1
    preview.locator("label", has_text="deleted later").get_by_role("checkbox").check()
    page.locator(".jp-Dialog").get_by_role("button", name="Put back").click()
    outputs = page.locator(".jp-NotebookPanel .jp-Cell .jp-OutputArea-output")
    outputs.filter(has_text="slept well").wait_for()
    outputs.filter(has_text="deleted later").wait_for()
    assert outputs.filter(has_text="not yet").count() == 0
    sources = page.locator(".jp-NotebookPanel .jp-Notebook .jp-Cell .cm-content")
    assert [text.splitlines()[-1] for text in sources.all_inner_texts()] == [
        "print('slept well')",
        "print('deleted later')",
        "print('another')",
    ]
    execute(page, "docmanager:save")
    wait_until(lambda: "slept well" in json.dumps(saved_outputs(path)), "the saved outputs")
    assert problems(page, app) == []


def execute_nowait(page: Any, command: str) -> None:
    page.evaluate("command => { window.jupyterapp.commands.execute(command); }", command)


def saved_outputs(path: Any) -> list[Any]:
    return [cell.get("outputs") for cell in json.loads(path.read_text())["cells"]]


def test_outputs_of_a_kernel_that_died_are_put_back(lab: Lab, page: Any) -> None:
    path = write_notebook(lab.root / "died.ipynb", "print('before the end', flush=True)", "x = 1")
    open_lab(page, lab, "died.ipynb")
    cell(page, 0).locator(".cm-content").click()
    execute_nowait(page, "notebook:run-cell")
    cell(page, 0).locator(".jp-OutputArea-output", has_text="before the end").wait_for()
    found = wait_until(lambda: recorded(lab, "died.ipynb", 1), "the execution")
    page.evaluate(
        """() => {
            const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
            kernel.requestExecute({ code: 'import os; os.kill(os.getpid(), 9)' });
        }"""
    )
    wait_until(lambda: lab.api(f"runs/{found['id']}")["state"] == "crashed", "the run's crash", 90)
    page.goto("about:blank")
    assert saved_outputs(path) == [[], []]
    open_lab(page, lab, "died.ipynb")
    page.get_by_role("button", name="Put missed outputs back").click()
    page.locator(".codesave-Missed").wait_for()
    page.locator(".jp-Dialog").get_by_role("button", name="Put back").click()
    cell(page, 0).locator(".jp-OutputArea-output", has_text="before the end").wait_for()
    assert page.problems == []


def test_the_dialog_says_into_which_notebook_outputs_are_put_back(lab: Lab, page: Any) -> None:
    name = "_".join(["what_was_measured_in_the_second_week_of_the_third_campaign"] * 3) + ".ipynb"
    (lab.root / "named").mkdir()
    path = write_notebook(lab.root / "named" / name, "print('found again')")
    (cell_id,) = (each["id"] for each in json.loads(path.read_text())["cells"])
    printed = ("print('found again')", [stream("found again\n")])
    leave(lab, "named", [(cell_id, *printed)], notebook=f"named/{name}", minute=50)
    open_lab(page, lab, f"named/{name}")
    execute_nowait(page, "codesave:restore-outputs")
    dialog = page.locator(".jp-Dialog", has=page.locator(".codesave-Missed"))
    header = dialog.locator(".jp-Dialog-header")
    header.wait_for()
    assert header.inner_text() == f"Put missed outputs back into named/{name}"
    assert header.evaluate("node => node.scrollWidth <= node.clientWidth")
    dialog.get_by_role("button", name="Put back").click()
    cell(page, 0).locator(".jp-OutputArea-output", has_text="found again").wait_for()
    assert page.problems == []


def test_a_cell_is_not_recorded_when_a_person_says_so(lab: Lab, page: Any) -> None:
    write_notebook(lab.root / "skipped.ipynb", "print('secret word')", "print('open word')")
    open_lab(page, lab, "skipped.ipynb")
    cell(page, 0).locator(".jp-InputPrompt").click(button="right")
    page.locator(".lm-Menu-itemLabel", has_text="Don’t record this cell").click()
    run(page, 0)
    cell(page, 0).locator(".jp-OutputArea-output", has_text="secret word").wait_for()
    run(page, 1)
    found = wait_until(lambda: recorded(lab, "skipped.ipynb", 1), "the run")
    session = lab.api(f"runs/{found['id']}/notebook")["cells"]
    assert [each["source"] for each in session] == ["print('open word')"]
    assert lab.api("search?q=secret%20word")["results"] == []
    cell(page, 0).locator(".jp-InputPrompt").click(button="right")
    toggled = page.locator(".lm-Menu-item.lm-mod-toggled", has_text="Don’t record this cell")
    toggled.click()
    run(page, 0)
    wait_until(lambda: recorded(lab, "skipped.ipynb", 2), "the cell's record")
    assert page.problems == []


@pytest.mark.parametrize("app", APPS)
def test_the_clicked_cell_is_not_recorded_whichever_is_active(
    servers: dict[str, Lab], page: Any, app: str
) -> None:
    lab = servers[app]
    sources = [f"print('word {n}')" for n in range(8)]
    write_notebook(lab.root / "clicked.ipynb", *sources)
    open_notebook(page, lab, app, "clicked.ipynb")

    def choose(place: int) -> None:
        cell(page, place).locator(".cm-line").click(button="right")
        page.locator(".lm-Menu-itemLabel", has_text="Don’t record this cell").click()

    def tagged() -> list[int]:
        tags = page.evaluate(
            """() => window.jupyterapp.shell.currentWidget.content.widgets.map(
                cell => cell.model.getMetadata('tags') ?? [])"""
        )
        return [place for place, each in enumerate(tags) if "codesave-skip" in each]

    def activate(place: int) -> None:
        page.evaluate(
            """place => {
                const { content } = window.jupyterapp.shell.currentWidget;
                content.activeCellIndex = place;
                content.mode = 'command';
            }""",
            place,
        )

    activate(3)
    choose(7)
    assert tagged() == [7]
    choose(5)
    assert tagged() == [5, 7]
    activate(3)
    cell(page, 7).locator(".cm-line").click(button="right")
    page.locator(".lm-Menu-item.lm-mod-toggled", has_text="Don’t record this cell").click()
    assert tagged() == [5]
    activate(2)
    execute(page, "codesave:skip-cell")
    assert tagged() == [2, 5]
    said = page.locator(".jp-CodeCell[data-codesave-skip='Not recorded']")
    cell(page, 7).and_(page.locator(":not([data-codesave-skip])")).wait_for()
    said.filter(has_text="word 2").wait_for()
    assert said.locator(".cm-line").all_inner_texts() == [sources[2], sources[5]]
    for place in (2, 5, 7):
        run(page, place)
        cell(page, place).locator(".jp-OutputArea-output", has_text=f"word {place}").wait_for()
    found = wait_until(lambda: recorded(lab, "clicked.ipynb", 1), "the run")
    session = lab.api(f"runs/{found['id']}/notebook")["cells"]
    assert [each["source"] for each in session] == ["print('word 7')"]
    assert problems(page, app) == []


@pytest.mark.parametrize("app", APPS)
def test_a_cell_is_marked_as_not_recorded_whatever_says_so(
    servers: dict[str, Lab], page: Any, app: str
) -> None:
    lab = servers[app]
    sources = ["tag = 1", "metadata = 1", "%%codesave skip\nline = 1", "recorded = 1"]
    path = write_notebook(lab.root / "said.ipynb", *sources)
    written = nbformat.read(path, as_version=4)
    written.cells[0].metadata["tags"] = ["codesave-skip"]
    written.cells[1].metadata["codesave"] = {"capture": "off"}
    nbformat.write(written, path)
    open_notebook(page, lab, app, "said.ipynb")
    said = page.locator(".jp-CodeCell[data-codesave-skip='Not recorded']")
    said.nth(2).wait_for()
    assert [text.splitlines()[-1] for text in said.locator(".cm-content").all_inner_texts()] == [
        "tag = 1",
        "metadata = 1",
        "line = 1",
    ]
    for place in range(4):
        run(page, place)
    found = wait_until(lambda: recorded(lab, "said.ipynb", 1), "the run")
    session = lab.api(f"runs/{found['id']}/notebook")["cells"]
    assert [each["source"] for each in session] == ["recorded = 1"]

    item = page.locator(".lm-Menu-item.lm-mod-toggled", has_text="Don’t record this cell")
    cell(page, 2).locator(".jp-InputPrompt").click(button="right")
    item.and_(page.locator("[aria-disabled=true]")).wait_for()
    page.keyboard.press("Escape")
    cell(page, 1).locator(".jp-InputPrompt").click(button="right")
    item.click()
    cell(page, 1).and_(page.locator(":not([data-codesave-skip])")).wait_for()
    cell(page, 2).locator(".cm-line").first.click()
    page.keyboard.press("Home")
    page.keyboard.type("# ")
    cell(page, 2).and_(page.locator(":not([data-codesave-skip])")).wait_for()
    assert said.count() == 1
    assert problems(page, app) == []


def test_a_notebook_is_compared_with_its_last_run_version_or_anything(lab: Lab, page: Any) -> None:
    write_notebook(lab.root / "against.ipynb", "rate = 1")
    open_lab(page, lab, "against.ipynb")
    run(page, 0)
    found = wait_until(lambda: recorded(lab, "against.ipynb", 1), "the run")
    page.keyboard.press("Control+s")  # by hand: makes a version
    wait_until(lambda: lab.api(f"runs/{found['id']}")["artifact"], "the version")
    cell(page, 0).locator(".cm-content").click()
    page.keyboard.press("End")
    page.keyboard.type("23")
    notebook = page.evaluate("() => window.jupyterapp.shell.currentWidget.id")
    for number, label in enumerate(("Compare with last run", "Compare with last version"), 1):
        page.evaluate("id => window.jupyterapp.shell.activateById(id)", notebook)
        cell(page, 0).locator(".jp-InputPrompt").click(button="right")
        page.locator(".lm-Menu-itemLabel", has_text=label).click()
        comparer = page.locator(f"#codesave-comparer-{number}[data-state=ready]")
        changed = comparer.locator(".codesave-CellDiff[data-change=modified]")
        changed.locator(".cm-merge-a", has_text="rate = 1").first.wait_for()
        changed.locator(".cm-merge-b", has_text="rate = 123").first.wait_for()
    page.evaluate("id => window.jupyterapp.shell.activateById(id)", notebook)
    execute_nowait(page, "codesave:compare-notebook")
    head = page.locator(".codesave-Picker").get_by_role("combobox").nth(1)
    page.wait_for_function(
        "() => document.querySelectorAll('.codesave-Picker input')[1].value.includes('on disk')"
    )
    assert head.input_value() == "against.ipynb on disk"
    page.keyboard.press("Escape")

    page.evaluate("id => window.jupyterapp.shell.activateById(id)", notebook)
    page.locator("[data-jp-item-name='codesave-compare']:visible").click()
    page.locator("#codesave-comparer-1:visible[data-state=ready]").wait_for()
    assert page.problems == []


def test_a_comparison_that_is_asked_for_again_shows_what_was_edited_since(
    lab: Lab, page: Any
) -> None:
    write_notebook(lab.root / "again.ipynb", "rate = 1", "step = 1")
    open_lab(page, lab, "again.ipynb")
    run(page, 0)
    wait_until(lambda: recorded(lab, "again.ipynb", 1), "the run")
    notebook = page.evaluate("() => window.jupyterapp.shell.currentWidget.id")
    comparers = page.locator(".codesave-Comparer")
    shown = page.locator(".codesave-Comparer:visible[data-state=ready] .cm-merge-b")
    for text, whole in (("23", "rate = 123"), ("45", "rate = 12345")):
        page.evaluate("id => window.jupyterapp.shell.activateById(id)", notebook)
        cell(page, 0).locator(".cm-content").click()
        page.keyboard.press("End")
        page.keyboard.type(text)
        page.locator("[data-jp-item-name='codesave-compare']:visible").click()
        shown.filter(has_text=whole).first.wait_for()
        assert comparers.count() == 1
    assert page.problems == []
