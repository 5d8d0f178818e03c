"""The Code Comparer in a real browser: files, cells, folds, switches, keys, links."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from jupyter_codesave.journal import events
from tests.conftest import Lab, wait_until
from tests.end_to_end.jupyterlab import execute, open_lab, write_notebook
from tests.journal.records import START_NS, execute_input, idle, session, stream
from tests.server.test_routes import known

END = ("session-end", {"ended_by": "shutdown", "exit_code": 0})
READY = ".codesave-Comparer:visible[data-state=ready]"
SESSION = "_session_history.ipynb"


def leave(
    lab: Lab,
    name: str,
    cells: Sequence[tuple[str, str, Sequence[list[bytes]]]],
    *,
    notebook: str,
    minute: int = 0,
    kind: str = "kernel",
    facts: Sequence[tuple[str, dict[str, Any]]] = (),
    **fields: Any,
) -> str:
    """Leave a finished journal as a kernel would and wait until the server has ingested it.

    A cell is its id, its source and its output messages, whose parent is set to `NAMEn`.
    """
    run = {"run": f"{name}run", "project": name, "notebook": str(lab.root / notebook), **fields}
    items: list[Any] = [("session", {**session(name)[1], "kind": kind}), ("run", run)]
    items += [(fact, {"run": f"{name}run", **told}) for fact, told in facts]
    for n, (cell_id, source, outputs) in enumerate(cells, 1):
        key = f"{name}{n}"
        execution = {"key": key, "run": f"{name}run", "cell_id": cell_id, "store_history": True}
        parent = json.dumps({"msg_id": key, "msg_type": "execute_request"}).encode()
        answers = [[*frames[:4], parent, *frames[5:]] for frames in outputs]
        items += [("execution", execution), execute_input(source, n, key), *answers, idle(key)]
        failed = any(b'"msg_type": "error"' in frames[3] for frames in outputs)
        items.append(("execution-end", {"key": key, "status": "error" if failed else "ok"}))
    out = [events.MAGIC]
    for sequence, item in enumerate([*items, END]):
        is_event = isinstance(item, tuple)
        payload = events.event_payload(*item) if is_event else events.message_payload(item)
        time_ns = START_NS + (60 * minute + sequence) * 1_000_000_000
        out += map(bytes, events.encode_parts(sequence, time_ns, payload))
    path = lab.home.data / "journal" / f"{name}.journal"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(out))
    wait_until(lambda: known(lab, f"{name}run"), f"the run {name}run")
    return f"{name}run"


def write_pair(folder: Path) -> None:
    """Write 60 cells twice: 5 modified, one added before 10, 15 removed, 40 moved, 50's tags."""
    before = [
        new_code_cell(
            f"value_{n} = {n}\nprint(value_{n})",
            id=f"cell{n}",
            outputs=[new_output("stream", name="stdout", text=f"printed {n}\n")],
            execution_count=n,
        )
        for n in range(60)
    ]
    before[0] = new_markdown_cell("# A title", id="cell0")
    after = [nbformat.from_dict(json.loads(json.dumps(cell))) for cell in before]
    after[5].source = "value_5 = 500\nprint(value_5)"
    after[5].outputs[0].text = "printed 500\n"
    after[50].metadata["tags"] = ["slow"]
    moved, _ = after.pop(40), after.pop(15)
    after.insert(25, moved)
    after.insert(10, new_code_cell("import added_module", id="added"))
    for name, cells in (("before", before), ("after", after)):
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")


@pytest.fixture(scope="module")
def pair(lab: Lab) -> dict[str, Any]:
    folder = lab.root / "pair"
    folder.mkdir()
    write_pair(folder)
    return {"base": "./pair/before.ipynb", "head": "./pair/after.ipynb"}


@pytest.fixture(scope="module")
def two_runs(lab: Lab) -> dict[str, Any]:
    def run(name: str, rate: str, numpy: str, minute: int) -> str:
        return leave(
            lab,
            name,
            [
                ("a", "import numpy", []),
                ("b", f"rate = {rate}\nprint('rate', rate)", [stream(f"rate {rate}\n")]),
            ],
            notebook="compared.ipynb",
            minute=minute,
            kind="script",  # whose arguments are its user's: a kernel's are its launcher's
            facts=[
                ("environment", {"python": "3.11", "packages": {"numpy": numpy, "rich": "13"}}),
                ("git", {"commit": numpy * 8, "branch": "main", "remote": None, "dirty": False}),
            ],
            config={"rate": float(rate), "epochs": 3},
            argv=["train.py", "--rate", rate],
        )

    return {"base": run("compareda", "0.1", "1", 1), "head": run("comparedb", "0.2", "2", 2)}


def compare(page: Any, lab: Lab, sides: dict[str, Any], **args: Any) -> Any:
    """Open JupyterLab and the comparer, wait until it is there and give its locator."""
    open_lab(page, lab)
    return compare_again(page, sides, **args)


def compare_again(page: Any, sides: dict[str, Any], **args: Any) -> Any:
    page.evaluate(
        "args => { window.jupyterapp.commands.execute('codesave:compare', args); }",
        {**sides, **args},
    )
    page.wait_for_selector(READY, timeout=30_000)
    return page.locator(READY)


def cells(comparer: Any, change: str) -> Any:
    return comparer.locator(f".codesave-CellDiff[data-change={change}]")


def press(comparer: Any, name: str) -> None:
    comparer.get_by_role("button", name=name, exact=True).click()


def test_each_change_of_a_notebook_is_marked_as_what_it_is(
    lab: Lab, page: Any, pair: dict[str, Any]
) -> None:
    comparer = compare(page, lab, pair)
    modified = cells(comparer, "modified").first
    modified.locator(".cm-merge-b").first.wait_for()
    assert "value_5 = 5\n" in modified.locator(".cm-merge-a").first.inner_text()
    assert "value_5 = 500" in modified.locator(".cm-merge-b").first.inner_text()
    assert modified.locator(".cm-merge-b .cm-changedText").first.inner_text() in "value_5 = 500"
    output = modified.locator(".codesave-Output-text")
    assert "printed 500" in output.locator(".cm-merge-b").inner_text()

    added, removed, moved = (cells(comparer, change) for change in ("added", "removed", "moved"))
    assert [found.count() for found in (added, removed, moved)] == [1, 1, 1]
    added.scroll_into_view_if_needed()
    added.locator(".codesave-mod-head", has_text="import added_module").wait_for()
    removed.scroll_into_view_if_needed()
    removed.locator(".codesave-mod-base", has_text="value_15").first.wait_for()
    moved.scroll_into_view_if_needed()
    moved.locator(".codesave-CellDiff-content", has_text="value_40").wait_for()

    moved.get_by_role("button", name="Show where it was").click()
    ghost = comparer.locator(".codesave-Ghost button")
    page.wait_for_function("() => document.activeElement.matches('.codesave-Ghost button')")
    ghost.click()
    page.wait_for_function("() => document.activeElement.dataset.change === 'moved'")
    assert page.problems == []


def test_folded_cells_are_fetched_when_they_are_opened(
    lab: Lab, page: Any, pair: dict[str, Any]
) -> None:
    comparer = compare(page, lab, pair)
    assert "value_33" not in comparer.inner_text()
    fold = comparer.locator(".codesave-Fold button").nth(2)
    count = int(fold.inner_text().split()[0])
    shown = cells(comparer, "unchanged").count()
    with page.expect_response(lambda answer: "/diff/cells?" in answer.url) as fetched:
        fold.click()
        page.evaluate(
            """() => {
                const opened = document.activeElement;
                const cells = [...document.querySelectorAll('.codesave-CellDiff')];
                cells[cells.indexOf(opened) + 5].scrollIntoView();
            }"""
        )
    assert fetched.value.ok
    assert cells(comparer, "unchanged").count() == shown + count
    cell = cells(comparer, "unchanged").filter(has_text="value_33 = 33")
    cell.locator(".codesave-Output-same", has_text="printed 33").wait_for()
    assert page.problems == []


def test_the_layout_is_side_by_side_or_inline(lab: Lab, page: Any, pair: dict[str, Any]) -> None:
    comparer = compare(page, lab, pair)
    cell = cells(comparer, "modified").first
    cell.locator(".cm-merge-a").first.wait_for()
    press(comparer, "Inline")
    cell.locator(".cm-deletedChunk", has_text="value_5 = 5").wait_for()
    assert cell.locator(".cm-merge-a").count() == 0
    inline = comparer.get_by_role("button", name="Inline", exact=True)
    assert inline.get_attribute("aria-pressed") == "true"
    press(comparer, "Side by side")
    cell.locator(".cm-merge-a").first.wait_for()
    assert inline.get_attribute("aria-pressed") == "false"
    assert page.problems == []


def test_outputs_and_metadata_are_shown_as_the_switches_say(
    lab: Lab, page: Any, pair: dict[str, Any]
) -> None:
    comparer = compare(page, lab, pair)
    place = comparer.locator(".codesave-place")
    cells(comparer, "modified").first.locator(".codesave-Output-text").wait_for()
    assert place.inner_text() == "5 changes"
    tagged = cells(comparer, "modified").nth(1)
    tagged.scroll_into_view_if_needed()
    tagged.locator("td.codesave-mod-added", has_text="slow").wait_for()
    assert tagged.locator("td.codesave-mod-removed").count() == 0  # it had no tags

    press(comparer, "Metadata")
    comparer.locator(".codesave-place", has_text="4 changes").wait_for()
    assert cells(comparer, "modified").count() == 1
    press(comparer, "Outputs")
    sources = comparer.get_by_role("button", name="Sources only", exact=True)
    assert sources.get_attribute("aria-pressed") == "true"
    cells(comparer, "modified").locator(".cm-merge-b").first.wait_for()
    assert comparer.locator(".codesave-Output-text, .codesave-Output-same").count() == 0

    press(comparer, "Sources only")
    comparer.locator(".codesave-place", has_text="5 changes").wait_for()
    cells(comparer, "modified").first.locator(".codesave-Output-text").wait_for()
    press(comparer, "Sources only")
    comparer.locator(".codesave-place", has_text="4 changes").wait_for()
    assert page.problems == []


def test_keys_go_from_change_to_change(lab: Lab, page: Any, pair: dict[str, Any]) -> None:
    comparer = compare(page, lab, pair)
    cells(comparer, "modified").first.locator(".cm-merge-a").first.wait_for()
    place = comparer.locator(".codesave-place")
    of = int(place.inner_text().split()[0])
    comparer.focus()
    seen = []
    for at in range(1, of + 1):
        page.keyboard.press("j")
        page.wait_for_function(
            "text => document.querySelector('.codesave-place').textContent === text",
            arg=f"{at} of {of}",
        )
        seen.append(page.evaluate("() => document.activeElement.dataset.change"))
    assert seen == ["modified", "added", "removed", "moved", "modified"]
    assert comparer.get_by_role("button", name="Next change").is_disabled()
    page.keyboard.press("k")
    comparer.locator(".codesave-place", has_text=f"{of - 1} of {of}").wait_for()
    press(comparer, "Previous change")
    comparer.locator(".codesave-place", has_text=f"{of - 2} of {of}").wait_for()
    assert page.problems == []


def test_files_and_facts_of_two_runs_are_listed_and_shown(
    lab: Lab, page: Any, two_runs: dict[str, Any]
) -> None:
    comparer = compare(page, lab, two_runs)
    files = comparer.locator(".codesave-FileTree li[role=option]")
    assert {
        (f.get_attribute("data-path"), f.get_attribute("data-status")) for f in files.all()
    } == {
        (SESSION, "modified"),
        ("requirements.txt", "modified"),
    }
    row = comparer.locator(f".codesave-FileTree [data-path='{SESSION}']")
    assert row.get_attribute("aria-selected") == "true"
    cells(comparer, "modified").first.locator(".cm-merge-a", has_text="0.1").first.wait_for()

    comparer.locator("[data-path='requirements.txt']").click()
    comparer.locator(".codesave-FileDiff .cm-merge-b", has_text="numpy==2").wait_for()
    assert "numpy==1" in comparer.locator(".codesave-FileDiff .cm-merge-a").inner_text()
    assert comparer.locator(".codesave-FileDiff .cm-gutters").count() > 0
    press(comparer, "Inline")
    comparer.locator(".codesave-FileDiff .cm-deletedChunk", has_text="numpy==1").wait_for()

    comparer.locator(".codesave-FileTree-facts").click()
    told = {
        table.get_attribute("data-facts"): table.locator("tbody").inner_text()
        for table in comparer.locator("table[data-facts]").all()
    }
    assert set(told) == {"git", "packages", "config", "argv"}
    assert told["packages"].split() == ["numpy", "1", "2"]
    assert told["config"].split() == ["rate", "0.1", "0.2"]
    assert "11111111" in told["git"]
    assert "--rate 0.2" in told["argv"]
    assert page.problems == []


def test_the_facts_of_a_run_are_no_difference_to_a_notebook_on_disk(
    lab: Lab, page: Any, two_runs: dict[str, Any]
) -> None:
    write_notebook(lab.root / "compared.ipynb", "import numpy", "rate = 0.3")
    comparer = compare(page, lab, {"base": two_runs["head"], "head": "./compared.ipynb"})
    cells(comparer, "modified").first.wait_for()
    assert comparer.locator(".codesave-FileTree li[role=option]").count() == 1
    assert comparer.get_by_text("Environment").count() == 0
    assert page.problems == []


def test_unchanged_files_stay_behind_a_button(lab: Lab, page: Any) -> None:
    packages = ("environment", {"python": "3.11", "packages": {"numpy": "1"}})
    base, head = (
        leave(
            lab, name, [("a", source, [])], notebook="same.ipynb", minute=minute, facts=[packages]
        )
        for name, source, minute in (("samefila", "x = 1", 3), ("samefilb", "x = 2", 4))
    )
    comparer = compare(page, lab, {"base": base, "head": head})
    files = comparer.locator(".codesave-FileTree li[role=option]")
    assert files.count() == 1
    comparer.locator(".codesave-FileTree .codesave-Link").click()
    same = comparer.locator("[data-path='requirements.txt'][data-status=unchanged]")
    same.wait_for()
    assert files.count() == 2
    assert page.problems == []


def test_swapping_shows_the_head_as_the_base(lab: Lab, page: Any, two_runs: dict[str, Any]) -> None:
    comparer = compare(page, lab, two_runs)
    cells(comparer, "modified").locator(".cm-merge-a", has_text="0.1").first.wait_for()
    titles = comparer.locator(".codesave-Sides-title").all_inner_texts()
    press(comparer, "Swap base and head")
    cells(comparer, "modified").locator(".cm-merge-a", has_text="0.2").first.wait_for()
    assert comparer.locator(".codesave-Sides-title").all_inner_texts() == titles[::-1]
    assert page.problems == []


def test_a_copied_link_opens_the_same_comparison(
    lab: Lab, page: Any, two_runs: dict[str, Any]
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    comparer = compare(page, lab, two_runs, path="requirements.txt")
    comparer.locator(".cm-merge-b", has_text="numpy==2").wait_for()
    press(comparer, "Copy link to this comparison")
    link = page.evaluate("() => navigator.clipboard.readText()")
    assert link.startswith(lab.url)
    assert lab.token not in link
    page.goto(link.replace("/lab?", "/lab/workspaces/linked?"))  # where nothing else is restored
    page.wait_for_selector(READY, timeout=60_000)
    page.locator(READY).locator(".cm-merge-b", has_text="numpy==2").wait_for()
    assert page.locator(".codesave-Comparer").count() == 1
    assert page.problems == []


def test_an_open_comparison_is_there_again_after_a_reload(
    lab: Lab, page: Any, two_runs: dict[str, Any]
) -> None:
    open_lab(page, lab)
    with page.expect_response(
        lambda answer: (
            "/api/workspaces" in answer.url
            and answer.request.method == "PUT"
            and two_runs["head"] in (answer.request.post_data or "")
        ),
        timeout=30_000,
    ):
        compare_again(page, two_runs)
    page.goto(f"{lab.url}lab")
    page.wait_for_selector(READY, timeout=60_000)
    cell = cells(page.locator(READY), "modified").first
    cell.locator(".cm-merge-b", has_text="0.2").first.wait_for()
    assert page.problems == []


def test_both_sides_are_picked_by_what_a_person_knows(
    lab: Lab, page: Any, two_runs: dict[str, Any]
) -> None:
    open_lab(page, lab)
    page.evaluate("() => { window.jupyterapp.commands.execute('codesave:compare'); }")
    picker = page.locator(".codesave-Picker")
    base, head = picker.get_by_role("combobox").all()
    sides = picker.get_by_role("listbox").all()
    base.fill("compared.ipynb comparedarun")
    row = sides[0].locator(f"[data-ref={two_runs['base']}]")
    row.wait_for()
    assert "compared.ipynb" in row.inner_text()
    assert "2 cells" in row.inner_text()
    base.press("ArrowDown")
    assert base.input_value().startswith("compared.ipynb · ")
    row.click()
    assert two_runs["base"] not in base.input_value()
    head.fill("compared.ipynb on disk")
    sides[1].locator("[data-ref='./compared.ipynb'][data-kind=path]").wait_for()
    head.fill("source-compared v0")
    sides[1].locator("[data-kind=version]").first.wait_for()
    head.fill("comparedbrun")
    sides[1].locator(f"[data-ref={two_runs['head']}][aria-selected=true]").wait_for()
    head.press("Enter")
    page.wait_for_selector(READY, timeout=30_000)
    cells(page.locator(READY), "modified").locator(".cm-merge-b", has_text="0.2").first.wait_for()

    page.locator(".codesave-Sides-side.codesave-mod-head").click()
    picker.get_by_role("combobox").nth(1).fill(two_runs["base"])
    picker.locator(f"[data-ref={two_runs['base']}][aria-selected=true]").nth(1).wait_for()
    page.locator(".jp-Dialog").get_by_role("button", name="Compare", exact=True).click()
    page.locator(".codesave-Comparer", has_text="The notebooks do not differ").wait_for()
    assert page.problems == []


def test_a_reference_that_is_not_listed_is_looked_up(
    lab: Lab, page: Any, two_runs: dict[str, Any]
) -> None:
    open_lab(page, lab)
    page.locator(".jp-LauncherCard", has_text="Code Comparer").click()
    base, head = page.locator(".codesave-Picker").get_by_role("combobox").all()
    base.fill("compared.ipynb@2")
    head.fill("compared.ipynb@1")
    page.locator(".codesave-Picker").get_by_text("looked up as it is").nth(1).wait_for()
    page.locator(".jp-Dialog").get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_selector(READY, timeout=30_000)
    cells(page.locator(READY), "modified").locator(".cm-merge-b", has_text="0.2").first.wait_for()
    assert page.problems == []


def test_images_are_compared_beside_each_other_and_by_swipe(lab: Lab, page: Any) -> None:
    from tests.end_to_end.test_viewer import shown

    base, head = (
        leave(lab, name, [("a", "plot()", [shown(red)])], notebook="swiped.ipynb", minute=minute)
        for name, red, minute in (("swipeda", 10, 5), ("swipedb", 240, 6))
    )
    comparer = compare(page, lab, {"base": base, "head": head})
    pair = cells(comparer, "modified").locator(".codesave-Pair")
    pair.locator(".codesave-mod-head img").wait_for()
    assert pair.locator(".codesave-mod-base img").is_visible()
    press(comparer, "Swipe")
    slider = pair.get_by_role("slider")
    slider.focus()
    before = pair.locator(".codesave-Swipe-pile").screenshot()
    for _ in range(30):
        slider.press("ArrowRight")
    assert pair.locator(".codesave-Swipe-pile").screenshot() != before
    assert pair.locator(".codesave-mod-base img").is_hidden()
    press(comparer, "Swipe")
    pair.locator(".codesave-mod-base img").wait_for()
    assert page.problems == []


def test_a_table_that_is_wide_and_long_is_scrolled_where_it_is_seen(lab: Lab, page: Any) -> None:
    row = "<tr>" + "<td>a_value</td>" * 40 + "<td>last</td></tr>"
    folder = lab.root / "tables"
    folder.mkdir()
    for name in ("before", "after"):
        html = f"<table><tbody><tr><td>{name}</td></tr>{row * 60}</tbody></table>"
        table = new_output("display_data", {"text/html": html, "text/plain": name})
        cell = new_code_cell("frame", id="frame", outputs=[table], execution_count=1)
        nbformat.write(new_notebook(cells=[cell]), folder / f"{name}.ipynb")
    sides = {"base": "./tables/before.ipynb", "head": "./tables/after.ipynb"}
    comparer = compare(page, lab, sides)
    output = comparer.locator(".codesave-Pair .codesave-Output").first
    output.get_by_text("last").first.wait_for()
    output.hover()
    page.mouse.wheel(10_000, 0)
    page.wait_for_function(
        """node => {
            const last = [...node.querySelectorAll('td')].at(-1).getBoundingClientRect();
            return node.scrollLeft > 0 && last.right <= node.getBoundingClientRect().right;
        }""",
        arg=output.element_handle(),
    )
    assert output.evaluate("node => node.clientHeight < node.scrollHeight")
    assert page.problems == []


def test_a_long_comparison_is_cancelled_and_begun_again(
    lab: Lab, page: Any, two_runs: dict[str, Any]
) -> None:
    open_lab(page, lab)
    held: list[Any] = []
    page.route("**/codesave/api/diff?*", lambda route: held.append(route))
    page.evaluate(
        "args => { window.jupyterapp.commands.execute('codesave:compare', args); }", two_runs
    )
    comparer = page.locator(".codesave-Comparer")
    with page.expect_event("requestfailed"):
        press(comparer, "Cancel")
    comparer.locator(".codesave-Failure", has_text="cancelled").wait_for()
    page.unroute("**/codesave/api/diff?*")
    press(comparer, "Try again")
    page.wait_for_selector(READY, timeout=30_000)
    assert page.problems == []


def test_what_cannot_be_compared_says_why_and_can_be_tried_again(lab: Lab, page: Any) -> None:
    open_lab(page, lab)
    page.evaluate(
        "args => { window.jupyterapp.commands.execute('codesave:compare', args); }",
        {"base": "./pair/not there.ipynb", "head": "./pair/later.ipynb"},
    )
    failure = page.locator(".codesave-Comparer[data-state=error] .codesave-Failure[role=alert]")
    failure.wait_for()
    assert "not there.ipynb" in failure.inner_text()
    text = json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    for name in ("not there", "later"):
        (lab.root / "pair").mkdir(exist_ok=True)
        (lab.root / "pair" / f"{name}.ipynb").write_text(text)
    failure.get_by_role("button", name="Try again").click()
    page.wait_for_selector(READY, timeout=30_000)
    assert page.problems == []


def test_a_comparison_without_a_server_says_so(
    lab: Lab, page: Any, two_runs: dict[str, Any]
) -> None:
    open_lab(page, lab)
    page.route("**/codesave/api/**", lambda route: route.abort())
    page.evaluate(
        "args => { window.jupyterapp.commands.execute('codesave:compare', args); }", two_runs
    )
    failure = page.locator(".codesave-Comparer .codesave-Failure", has_text="does not answer")
    failure.wait_for()
    page.locator(".codesave-Status button").click()
    dialog = page.locator(".jp-Dialog", has_text="does not answer")
    dialog.wait_for()
    assert [each.inner_text() for each in dialog.get_by_role("button").all()] == ["Close"]
    dialog.get_by_role("button", name="Close").click()
    page.locator(".codesave-Status[data-state=unknown]").wait_for()
    page.unroute("**/codesave/api/**")
    failure.get_by_role("button", name="Try again").click()
    page.wait_for_selector(READY, timeout=30_000)
    assert page.problems == []


def test_a_file_that_was_compared_coarsely_says_so(
    lab: Lab, page: Any, two_runs: dict[str, Any]
) -> None:
    open_lab(page, lab)

    def coarse(route: Any) -> None:
        answer = route.fetch()
        told = answer.json()
        for file in told["files"]:
            file["truncated"] = file["path"] == SESSION
        route.fulfill(response=answer, json=told)

    page.route("**/codesave/api/diff?*", coarse)
    comparer = compare_again(page, two_runs)
    comparer.locator(".codesave-NotebookDiff", has_text="Too large to compare finely").wait_for()
    marks = comparer.locator(".codesave-FileTree [data-path]", has_text="coarse")
    assert [row.get_attribute("data-path") for row in marks.all()] == [SESSION]
    assert page.problems == []


def test_long_names_are_seen_to_their_ends_where_they_differ(lab: Lab, page: Any) -> None:
    stem = "the_analysis_whose_name_nobody_wanted_to_be_as_long_as_it_became_in_the_end_"
    sides = {
        side: leave(
            lab,
            f"longname{side}",
            [("a", f"x = {minute}", [])],
            notebook=f"{stem}{side}.ipynb",
            minute=minute,
        )
        for minute, side in enumerate(("base", "head"), 90)
    }
    for side, run in sides.items():
        lab.api(f"runs/{run}", "PATCH", {"name": f"what was tried, told at some length: {side}"})
    page.set_viewport_size({"width": 1280, "height": 700})
    comparer = compare(page, lab, sides)
    for width in ("", "420px"):
        comparer.evaluate("(node, width) => { node.style.maxWidth = width; }", width)
        for side in ("base", "head"):
            title = comparer.locator(f".codesave-mod-{side} .codesave-Sides-title")
            said = title.get_attribute("title")
            assert title.text_content() == said
            assert f"{stem}{side}.ipynb · what was tried, told at some length: {side}" in said
            assert is_whole(title)
    comparer.locator(".codesave-Sides-side.codesave-mod-base").click()
    picker = page.locator(".codesave-Picker")
    for number, side in enumerate(("base", "head")):
        picker.get_by_role("combobox").nth(number).fill(f"longname{side}")
        listed = picker.get_by_role("listbox").nth(number)
        chosen = listed.locator("[role=option][aria-selected=true]", has_text=f"{stem}{side}")
        chosen.wait_for()
        for row in listed.get_by_role("option").all():
            assert all(is_whole(part) for part in row.locator("> *").all())
    assert page.problems == []


def is_whole(text: Any) -> bool:
    """Tell whether nothing of a text is cut, by itself or by what it stands in."""
    whole: bool = text.evaluate(
        """node => {
            const range = document.createRange();
            range.selectNodeContents(node);
            const drawn = range.getBoundingClientRect();
            const clips = [node, node.parentElement].map(each => each.getBoundingClientRect());
            return drawn.width > 0 && node.scrollWidth <= node.clientWidth && clips.every(
                clip => drawn.right <= clip.right + 0.5 && drawn.bottom <= clip.bottom + 0.5);
        }"""
    )
    return whole


def test_a_comparison_says_when_its_run_went_on(lab: Lab, page: Any) -> None:
    def ran(executions: int) -> Any:
        found = lab.api("runs?notebook=going.ipynb")["runs"]
        return found and found[0]["executions"] == executions and found[0]

    write_notebook(lab.root / "going.ipynb", "first = 1")
    open_lab(page, lab, "going.ipynb")
    execute(page, "notebook:run-all-cells")
    run = wait_until(lambda: ran(1), "the run")
    comparer = compare_again(page, {"base": "./going.ipynb", "head": run["id"]})
    page.evaluate(
        """() => {
            const [panel] = window.jupyterapp.shell.widgets('main');
            panel.sessionContext.session.kernel.requestExecute({ code: 'second = 2' });
        }"""
    )
    wait_until(lambda: ran(2), "the second execution")
    outdated = comparer.locator(".codesave-Outdated[role=status]")
    outdated.wait_for()
    assert comparer.get_by_text("second = 2").count() == 0
    outdated.get_by_role("button", name="Compare again").click()
    cells(page.locator(READY), "added").locator(".cm-line", has_text="second = 2").wait_for()
    assert page.problems == []


def test_a_run_that_is_renamed_tagged_or_noted_did_not_go_on(
    lab: Lab, page: Any, two_runs: dict[str, Any]
) -> None:
    comparer = compare(page, lab, two_runs)
    head = comparer.locator(".codesave-Sides-side.codesave-mod-head")
    assert "the better one" not in head.inner_text()
    for said in ({"notes": "looked at again"}, {"tags": ["good"]}, {"name": "the better one"}):
        lab.api(f"runs/{two_runs['head']}", "PATCH", said)
    head.filter(has_text="the better one").wait_for()
    captions = page.locator(".lm-TabBar-tab[title*='the better one']")
    captions.wait_for(state="attached")
    assert comparer.locator(".codesave-Outdated").count() == 0
    lab.api(f"runs/{two_runs['head']}", "PATCH", {"name": "", "tags": [], "notes": None})
    assert page.problems == []


def test_formulas_are_typeset_and_text_without_one_loads_nothing_for_it(
    lab: Lab, page: Any
) -> None:
    for name, text in (("plain", "Costs *nothing*."), ("formula", "Costs $x^2$ *much*.")):
        for side in ("before", "after"):
            cells_ = [new_markdown_cell(text, id="text"), new_code_cell(side, id="code")]
            nbformat.write(new_notebook(cells=cells_), lab.root / f"{name}-{side}.ipynb")
    scripts: list[str] = []
    loaded = []
    open_lab(page, lab)
    page.on("request", lambda one: scripts.append(one.url) if "/static/lab/" in one.url else None)
    for name in ("plain", "formula"):
        sides = {"base": f"./{name}-before.ipynb", "head": f"./{name}-after.ipynb"}
        comparer = compare_again(page, sides)
        comparer.locator(".codesave-Markdown em").wait_for()
        if name == "formula":
            comparer.locator(".codesave-Markdown mjx-container").wait_for()
        loaded.append(len(scripts))
    assert loaded[0] + 3 < loaded[1]
    assert page.problems == []


def test_lines_added_behind_one_without_an_end_open_which_stop_nbdimes_page(
    lab: Lab, page: Any
) -> None:
    for side, text in (("before", "l1\nl2"), ("after", "l1\nl2\n\nl4\n")):
        printed = new_output("stream", name="stdout", text=text)
        cell = new_code_cell(text, id="lines", outputs=[printed])
        nbformat.write(new_notebook(cells=[cell]), lab.root / f"lines-{side}.ipynb")
    comparer = compare(page, lab, {"base": "./lines-before.ipynb", "head": "./lines-after.ipynb"})
    (modified,) = cells(comparer, "modified").all()
    for part in (".codesave-Source", ".codesave-Output-text"):
        modified.locator(f"{part} .cm-merge-b", has_text="l4").wait_for()
        assert "l4" not in modified.locator(f"{part} .cm-merge-a").inner_text()
    assert page.problems == []
