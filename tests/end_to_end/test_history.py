"""The code history in a real browser: found, named, tagged, deleted and kept up to date."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import Lab, wait_until
from tests.end_to_end.jupyterlab import execute, open_lab
from tests.end_to_end.test_comparer import is_whole, leave
from tests.store.made import Place, make_run

PAGED = 130


@pytest.fixture(scope="module")
def listed(lab: Lab) -> dict[str, str]:
    """Give three runs of two notebooks: `first` and `second` of one, `other` of another."""
    return {
        name: leave(
            lab,
            f"listed{name}",
            [("a", source, [])],
            notebook=f"listed/{notebook}.ipynb",
            minute=minute,
        )
        for name, notebook, source, minute in (
            ("first", "wheat", "rows = 11", 20),
            ("second", "wheat", "rows = 22", 21),
            ("other", "barley", "rows = 33", 22),
        )
    }


def open_history(page: Any, lab: Lab, needle: str = "listed/") -> Any:
    """Open the history, filtered, so that the runs of other tests are out of the way."""
    open_lab(page, lab)
    execute(page, "codesave:open-runs")
    page.wait_for_selector(".codesave-RunBrowser[data-state=ready]")
    history = page.locator(".codesave-RunBrowser")
    filter_runs(page, history, needle)
    return history


def filter_runs(page: Any, history: Any, needle: str) -> None:
    field = history.get_by_label("Filter runs")
    if field.input_value() != needle:
        with page.expect_response(lambda answer: f"q={quote(needle, safe='')}" in answer.url):
            field.fill(needle)


def row(history: Any, run: str) -> Any:
    return history.locator(f"li[role=option][data-run='{run}']")


def choose(page: Any, history: Any, run: str, label: str) -> None:
    """Choose an entry of a row's context menu."""
    row(history, run).click(button="right")
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{label}")).click()


def answer(page: Any, text: str) -> None:
    """Answer the dialog that asks for a text."""
    page.locator(".jp-Dialog input[type=text]").fill(text)
    page.keyboard.press("Enter")
    page.wait_for_selector(".jp-Dialog", state="detached")


def test_runs_stand_under_their_notebook(lab: Lab, page: Any, listed: dict[str, str]) -> None:
    history = open_history(page, lab)
    wheat = history.locator("section.codesave-RunGroup[aria-label='wheat.ipynb']")
    barley = history.locator("section.codesave-RunGroup[aria-label='barley.ipynb']")
    barley.locator(f"[data-run='{listed['other']}']").wait_for()
    assert [
        found.get_attribute("data-run") for found in wheat.locator("li[role=option]").all()
    ] == [listed["second"], listed["first"]]
    heading = wheat.get_by_role("button")
    heading.click()
    assert wheat.locator("li[role=option]").count() == 0
    assert heading.get_attribute("aria-expanded") == "false"
    heading.click()
    assert wheat.locator("li[role=option]").count() == 2
    assert page.problems == []


def test_nothing_of_a_row_is_cut_in_a_narrow_panel(
    lab: Lab, page: Any, listed: dict[str, str]
) -> None:
    history = open_history(page, lab)
    run = row(history, listed["first"])
    # of another year, so that its date is long; in no more than this a panel can be drawn
    history.evaluate("node => { node.style.width = node.style.minWidth = '215px'; }")
    for part in ("title", "detail"):
        assert run.locator(f".codesave-Run-{part}").evaluate(
            "(node, row) => node.scrollWidth <= node.clientWidth"
            " && node.getBoundingClientRect().right <= row.getBoundingClientRect().right",
            run.element_handle(),
        )
    assert page.problems == []


def test_long_names_are_told_apart_by_their_ends(lab: Lab, page: Any) -> None:
    stem = "measured_in_the_second_week_of_the_third_campaign_and_cleaned_"
    for minute, end in enumerate(("first", "final"), 70):
        run = leave(
            lab,
            f"ends{end}",
            [("a", "x = 1", [])],
            notebook=f"ends/{stem}{end}.ipynb",
            minute=minute,
        )
        lab.api(f"runs/{run}", "PATCH", {"name": f"with everything that was tried before, {end}"})
    history = open_history(page, lab, "ends/")
    history.evaluate("node => { node.style.width = node.style.minWidth = '215px'; }")
    for part in (".codesave-RunGroup-title", ".codesave-Run-name"):
        found = history.locator(part)
        found.nth(1).wait_for()
        assert all(is_whole(text) for text in found.all())
    titles = history.locator(".codesave-RunGroup h3 button")
    assert [each.get_attribute("title") for each in titles.all()] == [
        f"ends/{stem}{end}.ipynb" for end in ("final", "first")
    ]
    assert page.problems == []


def test_a_list_that_could_not_be_had_says_so_above_what_was_there(
    lab: Lab, page: Any, listed: dict[str, str]
) -> None:
    history = open_history(page, lab)
    page.route("**/codesave/api/runs?*", lambda route: route.abort())
    history.get_by_role("searchbox").fill("listed/w")
    fault = history.get_by_role("alert")
    fault.get_by_text("does not answer").wait_for()
    first = history.locator(".codesave-RunGroup").first
    assert fault.bounding_box()["y"] < first.bounding_box()["y"]
    page.unroute("**/codesave/api/runs?*")
    fault.get_by_role("button", name="Try again").click()
    fault.wait_for(state="detached")
    assert page.problems == []


def test_runs_without_a_notebook_are_not_those_of_an_open_one(lab: Lab, page: Any) -> None:
    alone: dict[str, Any] = {"project": "alone/one two", "notebook": None, "program": None}
    with Place(lab.home.data).open() as store:
        for kind, started in (("kernel", "2025-02-01T01"), ("script", "2025-02-01T02")):
            store.write(run=make_run(**alone, kind=kind, started=f"{started}:00:00.000000Z"))
    leave(lab, "alonenewest", [("a", "x = 1", [])], notebook="alone/newest.ipynb", minute=40)
    history = open_history(page, lab, "alone/")
    history.get_by_text("newest.ipynb", exact=True).wait_for()
    assert history.locator(".codesave-RunGroup-title").all_inner_texts() == [
        "newest.ipynb",
        "alone/one two · scripts",
        "alone/one two · kernels",
    ]
    assert history.get_by_text("open", exact=True).count() == 0
    assert page.problems == []


def test_the_filter_finds_notebooks_and_projects(
    lab: Lab, page: Any, listed: dict[str, str]
) -> None:
    history = open_history(page, lab)
    for needle, runs in (
        ("listed/barley", {"other"}),
        ("LISTEDFIRST", {"first"}),  # the project
    ):
        filter_runs(page, history, needle)
        for name, run in listed.items():
            found = row(history, run)
            found.wait_for(state="visible" if name in runs else "detached")
    filter_runs(page, history, "nowhere to be found")
    history.get_by_text("nowhere to be found").wait_for()
    assert history.locator("li[role=option]").count() == 0
    assert page.problems == []


def test_a_run_is_renamed_and_tagged(lab: Lab, page: Any, listed: dict[str, str]) -> None:
    history = open_history(page, lab)
    run = listed["first"]
    choose(page, history, run, "Rename run")
    answer(page, "the good one")
    row(history, run).get_by_text("the good one").wait_for()
    row(history, run).focus()
    page.keyboard.press("F2")
    answer(page, "the better one")
    row(history, run).get_by_text("the better one").wait_for()
    choose(page, history, run, "Tag run")
    answer(page, "paper, slow, paper")
    row(history, run).get_by_text("slow").wait_for()
    assert lab.api(f"runs/{run}")["tags"] == ["paper", "slow"]
    assert lab.api(f"runs/{run}")["name"] == "the better one"
    filter_runs(page, history, "better one")
    row(history, listed["other"]).wait_for(state="detached")
    row(history, run).wait_for()
    assert page.problems == []


def test_a_deleted_run_comes_back_with_undo(lab: Lab, page: Any, listed: dict[str, str]) -> None:
    history = open_history(page, lab)
    run = listed["other"]
    choose(page, history, run, "Delete run")
    row(history, run).wait_for(state="detached")
    assert run not in [found["id"] for found in lab.api("runs?q=barley")["runs"]]
    page.get_by_role("button", name="Undo").click()
    row(history, run).wait_for()
    assert run in [found["id"] for found in lab.api("runs?q=barley")["runs"]]
    assert page.problems == []


def test_a_deleted_run_is_found_among_the_deleted_and_restored(
    lab: Lab, page: Any, listed: dict[str, str]
) -> None:
    history = open_history(page, lab)
    run = row(history, listed["first"])
    choose(page, history, listed["first"], "Delete run")
    run.wait_for(state="detached")

    history.get_by_label("State of the runs").select_option("deleted")
    row(history, listed["second"]).wait_for(state="detached")
    run.click()
    history.get_by_role("button", name="Restore").click()
    run.wait_for(state="detached")
    history.get_by_text("No run matches").wait_for()

    history.get_by_label("State of the runs").select_option("finished")
    run.wait_for()
    row(history, listed["second"]).wait_for()
    assert page.problems == []


def test_two_runs_are_picked_and_compared_by_keyboard(
    lab: Lab, page: Any, listed: dict[str, str]
) -> None:
    history = open_history(page, lab)
    row(history, listed["second"]).click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    for name in ("first", "second"):
        history.locator(f"[data-run='{listed[name]}'][aria-selected=true]").wait_for()
    history.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_selector(".codesave-Comparer[data-state=ready]", timeout=30_000)
    cell = page.locator(".codesave-CellDiff[data-change=modified]").first
    cell.locator(".cm-merge-a", has_text="rows = 11").first.wait_for()
    cell.locator(".cm-merge-b", has_text="rows = 22").first.wait_for()

    row(history, listed["other"]).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(f"#codesave-session-{listed['other']}[data-state=ready]", timeout=30_000)
    assert page.problems == []


def test_a_run_is_compared_from_its_menu(lab: Lab, page: Any, listed: dict[str, str]) -> None:
    history = open_history(page, lab)
    choose(page, history, listed["second"], "Compare with previous run")
    page.wait_for_selector(".codesave-Comparer[data-state=ready]", timeout=30_000)
    comparer = page.locator(".codesave-Comparer:visible")
    comparer.locator(".cm-merge-a", has_text="rows = 11").first.wait_for()

    choose(page, history, listed["other"], "Select for compare")
    choose(page, history, listed["first"], "Compare with selected")
    comparer = page.locator("#codesave-comparer-2[data-state=ready]")
    comparer.locator(".cm-merge-a", has_text="rows = 11").first.wait_for()
    comparer.locator(".cm-merge-b", has_text="rows = 33").first.wait_for()
    assert page.problems == []


def test_more_runs_come_as_the_list_is_scrolled(lab: Lab, page: Any) -> None:
    with Place(lab.home.data).open() as store:
        for n in range(PAGED):
            started = f"2025-01-01T{n // 60:02}:{n % 60:02}:00.000000Z"
            store.write(run=make_run(name=f"paged {n}", project="paging", started=started))
    history = open_history(page, lab, "paging")
    rows = history.locator("li[role=option]")
    history.get_by_text(f"paged {PAGED - 1}", exact=True).wait_for()
    assert rows.count() < PAGED
    while rows.count() < PAGED:
        before = rows.count()
        rows.last.scroll_into_view_if_needed()
        page.wait_for_function(
            "n => document.querySelectorAll('.codesave-RunBrowser li[data-run]').length > n",
            arg=before,
        )
    history.get_by_text("paged 0", exact=True).wait_for()
    history.get_by_text("Loading more").wait_for(state="detached")
    assert rows.count() == PAGED
    assert page.problems == []


def test_what_others_do_to_runs_is_seen_at_once(lab: Lab, page: Any) -> None:
    history = open_history(page, lab, "livelisted")
    history.get_by_text("livelisted").wait_for()
    run = leave(lab, "livelisted", [("a", "x = 1", [])], notebook="live.ipynb", minute=30)
    row(history, run).wait_for()
    lab.api(f"runs/{run}", "PATCH", {"name": "named elsewhere"})
    row(history, run).get_by_text("named elsewhere").wait_for()
    lab.api(f"runs/{run}", "DELETE")
    row(history, run).wait_for(state="detached")
    lab.api(f"runs/{run}/restore", "POST", {})
    row(history, run).wait_for()
    wait_until(lambda: lab.api("status")["waiting"] == 0, "the journals' ingest")
    assert page.problems == []
