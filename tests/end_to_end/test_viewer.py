"""The session viewer in a real browser: timeline, executions of a cell, images, details, copies."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import nbformat
import pytest

from tests.conftest import Lab, wait_until
from tests.end_to_end.jupyterlab import open_lab, write_notebook
from tests.end_to_end.test_comparer import leave
from tests.journal.records import message, stream

READY = ".codesave-SessionViewer:visible[data-state=ready]"


def png(red: int) -> str:
    """Give a small square of one colour as base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\0" + bytes((red, 80, 80)) * 40) * 40
    header = struct.pack(">IIBBBBB", 40, 40, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return base64.b64encode(
        data + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    ).decode()


def shown(red: int) -> list[bytes]:
    return message("display_data", {"data": {"image/png": png(red)}, "metadata": {}})


@pytest.fixture(scope="module")
def viewed(lab: Lab) -> str:
    """Give a session of 42 executions: one cell three times, two images and an error."""
    path = write_notebook(lab.root / "seen.ipynb", "first line", "second line")
    written = nbformat.read(path, as_version=4)
    written.cells[1].id = "again"
    nbformat.write(written, path)
    error = {"ename": "ValueError", "evalue": "no", "traceback": ["ValueError: no way"]}
    cells: list[Any] = [
        ("again", "accuracy(1)", [stream("accuracy 0.1\n")]),
        ("plot", "plot(1)", [shown(10)]),
        ("again", "accuracy(2)", [stream("accuracy 0.2\n")]),
        ("plot2", "plot(2)", [shown(200)]),
        ("bad", "fail()", [message("error", error)]),
        ("again", "accuracy(3)", [stream("accuracy 0.3\n")]),
        *((f"n{n}", f"number = {n}\nprint(number)", [stream(f"{n}\n")]) for n in range(36)),
    ]
    facts = [
        ("environment", {"python": "3.11.9", "packages": {"numpy": "2.1"}}),
        ("git", {"commit": "c0ffee", "branch": "side", "remote": None, "dirty": True}),
    ]
    return leave(
        lab, "viewed", cells, notebook="seen.ipynb", minute=40, facts=facts, config={"lr": 0.3}
    )


def view(page: Any, lab: Lab, run: str) -> Any:
    open_lab(page, lab)
    page.evaluate(
        "run => { window.jupyterapp.commands.execute('codesave:open-session', {run}); }", run
    )
    page.wait_for_selector(READY, timeout=30_000)
    return page.locator(READY)


def press(viewer: Any, name: str) -> None:
    viewer.get_by_role("button", name=name, exact=True).click()


def test_the_timeline_leads_to_each_execution(lab: Lab, page: Any, viewed: str) -> None:
    viewer = view(page, lab, viewed)
    rows = viewer.locator(".codesave-Timeline li[role=option]")
    assert rows.count() == 42
    assert "accuracy(1)" in rows.first.inner_text()
    assert [row.inner_text().split("\n")[0] for row in rows.all()[:3]] == ["[1]", "[2]", "[3]"]
    failed = viewer.locator(".codesave-Timeline li[data-status=error]")
    assert failed.count() == 1
    failed.click()
    viewer.locator(".jp-OutputArea-output", has_text="no way").wait_for()
    viewer.get_by_role("listbox", name="Executions").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    viewer.locator(".codesave-Timeline li[aria-selected=true]", has_text="plot(2)").wait_for()
    viewer.locator(".jp-Cell.codesave-mod-found", has_text="plot(2)").locator("img").wait_for()
    assert page.problems == []


@pytest.fixture(scope="module")
def long(lab: Lab) -> str:
    """Give a session of 2,000 executions; every tenth is long, every fortieth shows an image."""
    return leave(
        lab,
        "longview",
        [
            (
                f"l{n}",
                f"step_{n} = {n}" + "\npass" * (30 if n % 10 == 0 else 0),
                [shown(n % 250)] if n % 40 == 0 else [stream(f"printed {n}\n")],
            )
            for n in range(2000)
        ],
        notebook="long.ipynb",
    )


@pytest.mark.parametrize("place", [42, 700, 1234, 1999])
def test_the_timeline_reaches_cells_far_away(lab: Lab, page: Any, long: str, place: int) -> None:
    viewer = view(page, lab, long)
    timeline = viewer.get_by_role("listbox", name="Executions")
    timeline.evaluate("(list, at) => { list.scrollTop = at * list.scrollHeight; }", place / 2000)
    timeline.get_by_text(f"step_{place} = {place}", exact=True).click()
    there = f"""() => {{
        const list = document.querySelector('.codesave-SessionCells');
        const cell = [...list.querySelectorAll('.codesave-SessionCell')].find(
            node => node.textContent.includes('step_{place} = {place}'));
        const [box, view] = [cell?.getBoundingClientRect(), list.getBoundingClientRect()];
        return box && box.top >= view.top - 1 && box.top < view.bottom - 100;
    }}"""
    page.wait_for_function(there)
    page.wait_for_load_state("networkidle")
    page.wait_for_function(there)  # what was built around it has not moved it away
    timeline.focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    viewer.locator(".codesave-mod-found", has_text="step_0 = 0").wait_for()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    viewer.locator(".codesave-mod-found", has_text="step_1999 = 1999").wait_for()
    assert page.problems == []


def test_a_run_that_goes_on_is_shown_as_it_goes(lab: Lab, page: Any) -> None:
    write_notebook(lab.root / "going.ipynb", "step = 1", "step = 2")
    open_lab(page, lab, "going.ipynb")
    page.locator(".jp-NotebookPanel .jp-Cell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    (run,) = wait_until(lambda: lab.api("runs?notebook=going.ipynb")["runs"], "the run")
    page.evaluate(
        "run => { window.jupyterapp.commands.execute('codesave:open-session', {run}); }",
        run["id"],
    )
    page.wait_for_selector(READY, timeout=30_000)
    viewer = page.locator(READY)
    viewer.locator(".codesave-SessionCell", has_text="step = 1").wait_for()
    page.evaluate(
        """() => {
            const panels = [...window.jupyterapp.shell.widgets('main')];
            const { kernel } = panels.find(each => each.sessionContext).sessionContext.session;
            const code = "import time\\nprint('first')\\ntime.sleep(3)\\nprint('second')";
            kernel.requestExecute({ code });
        }"""
    )
    going = viewer.locator(".codesave-SessionCell", has_text="time.sleep(3)")
    going.locator(".jp-OutputArea-output", has_text="first").wait_for()
    assert going.get_attribute("data-status") == "running"
    assert going.locator(".jp-InputPrompt").inner_text() == "[*]:"
    row = viewer.locator(".codesave-Timeline li[data-status=running]")
    assert row.locator(".codesave-Timeline-time").inner_text() == "running"
    assert "running" in viewer.locator("h2").inner_text()
    going.locator(".jp-OutputArea-output", has_text="second").wait_for()
    viewer.locator(".codesave-SessionCell[data-status=ok]", has_text="time.sleep(3)").wait_for()
    viewer.locator(".codesave-Timeline li[data-status=ok]", has_text="import time").wait_for()
    assert going.locator(".jp-InputPrompt").inner_text() != "[*]:"
    assert page.problems == []


def test_what_was_running_when_its_kernel_was_killed_is_unfinished(lab: Lab, page: Any) -> None:
    kernel = lab.home.kernel("killed.ipynb")
    kernel.client.execute("print('before', flush=True); import os; os.kill(os.getpid(), 9)")
    crashed = wait_until(
        lambda: [
            run
            for run in lab.api("runs?notebook=killed.ipynb")["runs"]
            if run["state"] == "crashed"
        ],
        "the end of the run",
    )
    kernel.stop()
    viewer = view(page, lab, crashed[0]["id"])
    row = viewer.locator(".codesave-Timeline li[data-status=unfinished]")
    assert row.locator(".codesave-Timeline-time").inner_text() == "unfinished"
    viewer.locator(".codesave-SessionCell[data-status=unfinished]", has_text="os.kill").wait_for()
    assert page.problems == []


def test_where_two_columns_have_no_room_the_timeline_stands_above(
    lab: Lab, page: Any, viewed: str
) -> None:
    viewer = view(page, lab, viewed)
    parts = [viewer.locator(f".codesave-{name}") for name in ("Timeline", "SessionCells")]
    timeline, cells = (part.bounding_box() for part in parts)
    assert timeline["x"] + timeline["width"] <= cells["x"]
    page.set_viewport_size({"width": 700, "height": 800})
    timeline, cells = (part.bounding_box() for part in parts)
    assert timeline["y"] + timeline["height"] <= cells["y"]
    assert timeline["width"] == cells["width"]
    assert page.problems == []


def test_a_run_without_an_executed_cell_says_so(lab: Lab, page: Any) -> None:
    run = leave(lab, "emptyrun", [], notebook="empty.py", kind="script", explicit=True)
    viewer = view(page, lab, run)
    viewer.get_by_text("No cell was executed").wait_for()
    press(viewer, "Details")
    viewer.locator(".codesave-RunDetails", has_text=run).wait_for()
    assert page.problems == []


def test_the_executions_of_a_cell_stand_beside_each_other(lab: Lab, page: Any, viewed: str) -> None:
    viewer = view(page, lab, viewed)
    rows = viewer.locator(".codesave-Timeline li[role=option]")
    rows.nth(1).click()
    assert viewer.get_by_role("button", name="Ran once").is_disabled()
    rows.nth(2).click()
    press(viewer, "Compare its 3 executions")
    pairs = viewer.locator(".codesave-Executions .codesave-CellDiff-content")
    pairs.nth(1).locator(".cm-merge-b", has_text="accuracy(3)").wait_for()
    assert pairs.count() == 2
    assert "accuracy(1)" in pairs.first.locator(".codesave-Source .cm-merge-a").inner_text()
    assert "accuracy(2)" in pairs.first.locator(".codesave-Source .cm-merge-b").inner_text()
    output = pairs.nth(1).locator(".codesave-Output-text")
    assert "0.2" in output.locator(".cm-merge-a").inner_text()
    assert "0.3" in output.locator(".cm-merge-b").inner_text()
    press(viewer, "Session")
    viewer.locator(".jp-Cell", has_text="accuracy(2)").first.wait_for()
    assert page.problems == []


def test_images_are_gathered_newest_first(lab: Lab, page: Any, viewed: str) -> None:
    viewer = view(page, lab, viewed)
    press(viewer, "Images")
    images = viewer.locator(".codesave-Gallery-image")
    images.nth(1).wait_for()
    assert images.count() == 2
    assert "plot(2)" in images.first.inner_text()
    assert images.first.locator("img").get_attribute("src").endswith(png(200))
    assert images.first.locator("img").get_attribute("alt")
    images.nth(1).click()
    cell = viewer.locator(".jp-Cell", has_text="plot(1)")
    cell.locator("img").wait_for()
    assert page.problems == []


def test_details_tell_where_the_code_ran(lab: Lab, page: Any, viewed: str) -> None:
    viewer = view(page, lab, viewed)
    press(viewer, "Details")
    details = viewer.locator(".codesave-RunDetails")
    assert "c0ffee" in details.locator("table", has_text="Git").inner_text()
    assert "0.3" in details.locator("table", has_text="Config").inner_text()
    environment = details.locator("table", has=page.locator("caption", has_text="Environment"))
    assert "3.11.9" in environment.inner_text()
    assert "2.1" in environment.inner_text()
    assert viewed in details.inner_text()
    assert page.problems == []


def test_a_session_is_copied_and_downloaded(lab: Lab, page: Any, viewed: str) -> None:
    viewer = view(page, lab, viewed)
    with page.expect_download() as started:
        press(viewer, "Download")
    with open(started.value.path()) as file:
        downloaded = nbformat.reads(file.read(), as_version=4)
    nbformat.validate(downloaded)
    assert [cell.source for cell in downloaded.cells][:2] == ["accuracy(1)", "plot(1)"]
    assert len(downloaded.cells) == 42

    press(viewer, "Open a copy")
    page.locator(".jp-NotebookPanel .jp-Cell", has_text="accuracy(1)").first.wait_for()
    (copy,) = lab.root.glob("Untitled*.ipynb")
    assert len(json.loads(copy.read_text())["cells"]) == 42
    assert page.problems == []


def test_a_cell_is_copied_and_found_again_in_its_notebook(lab: Lab, page: Any, viewed: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    viewer = view(page, lab, viewed)
    viewer.locator(".codesave-Timeline li[role=option]").nth(5).click()
    press(viewer, "Copy cell")
    assert page.evaluate("() => navigator.clipboard.readText()") == "accuracy(3)"
    press(viewer, "Go to notebook")
    page.locator(".jp-NotebookPanel .jp-Cell.jp-mod-active", has_text="second line").wait_for()
    assert page.problems == []
