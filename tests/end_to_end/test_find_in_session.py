"""JupyterLab's own search in the session viewer: from match to match through what ran."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Lab
from tests.end_to_end.test_comparer import leave
from tests.end_to_end.test_viewer import view
from tests.journal.records import message, stream


@pytest.fixture(scope="module")
def searched(lab: Lab) -> str:
    """Give a session of 400 executions; the needle is in a source, a print and a table."""
    lines = "".join(f"line {n} {'NEEDLE' if n == 150 else 'hay'}\n" for n in range(200))
    table = {"text/html": "<table><tr><td>needle 3</td></tr></table>", "text/plain": "needle 3"}
    found: dict[int, tuple[str, list[Any]]] = {
        7: ("needle = 1", []),
        200: ("print(hay)", [stream(lines)]),
        390: ("frame", [message("display_data", {"data": table, "metadata": {}})]),
    }
    cells = [(f"s{n}", *found.get(n, (f"step_{n} = {n}", []))) for n in range(400)]
    return leave(lab, "searched", cells, notebook="searched.ipynb")


def marked(page: Any) -> str:
    """Give the text that is marked as the match one is at, once it is in view."""
    found: str = page.wait_for_function(
        """() => {
            const [range] = [...(CSS.highlights.get('codesave-found-here') ?? [])];
            const list = document.querySelector('.codesave-SessionCells').getBoundingClientRect();
            const place = range?.getBoundingClientRect();
            const seen = place && place.height && place.top >= list.top
                && place.bottom <= list.bottom;
            return seen && range.startContainer.parentElement.closest('.cm-line, pre, td')
                .textContent.slice(Math.max(0, range.startOffset - 9)).slice(0, 16);
        }"""
    ).json_value()
    return found


def test_ctrl_f_goes_from_match_to_match(lab: Lab, page: Any, searched: str) -> None:
    view(page, lab, searched)
    page.keyboard.press("Control+f")
    field = page.locator(".jp-DocumentSearch-overlay .jp-DocumentSearch-input").first
    field.fill("needle")
    place = page.locator(".jp-DocumentSearch-index-counter")
    place.get_by_text("1/3", exact=True).wait_for()
    assert marked(page).startswith("needle = 1")
    page.keyboard.press("Enter")
    place.get_by_text("2/3", exact=True).wait_for()
    page.wait_for_function("() => document.querySelector('.codesave-SessionCells').scrollTop > 999")
    assert marked(page).startswith("line 150 NEEDLE")
    page.keyboard.press("Enter")
    place.get_by_text("3/3", exact=True).wait_for()
    assert marked(page) == "needle 3"
    page.keyboard.press("Enter")
    place.get_by_text("1/3", exact=True).wait_for()
    assert marked(page).startswith("needle = 1")
    page.keyboard.press("Escape")
    page.wait_for_selector(".jp-DocumentSearch-overlay", state="detached")
    assert page.evaluate("() => CSS.highlights.get('codesave-found').size") == 0
    assert page.problems == []
