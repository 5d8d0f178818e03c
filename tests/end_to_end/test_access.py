"""axe-core finds no serious fault in our views, light or dark."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.conftest import Lab
from tests.end_to_end.jupyterlab import execute, open_lab
from tests.end_to_end.test_comparer import leave
from tests.journal.records import message, stream

THEMES = ("JupyterLab Light", "JupyterLab Dark")


@pytest.fixture(scope="module")
def accessible(lab: Lab) -> tuple[str, str]:
    """Give two runs with prints, an error, Markdown and a table, one added and one removed cell."""
    table = "<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>{}</td></tr></tbody></table>"

    gone = ("gone", "for each in range(9):\n    remove(each)", [])
    new = ("new", "import statistics", [])

    def run(name: str, changed: int, minute: int) -> str:
        html = {"text/html": table.format(changed), "text/plain": str(changed)}
        error = {"ename": "ValueError", "evalue": "no", "traceback": [f"ValueError: {changed}"]}
        return leave(
            lab,
            name,
            [
                *([gone] if changed == 1 else []),
                ("same", "import os\nprint('same')", [stream("same\n")]),
                ("changed", f"# counted\nx = {changed}\nprint(x)", [stream(f"x = {changed}\n")]),
                ("table", "show(x)", [message("display_data", {"data": html, "metadata": {}})]),
                ("failed", f"fail({changed})", [message("error", error)]),
                *([new] if changed == 2 else []),
            ],
            notebook="accessible.ipynb",
            minute=minute,
            facts=[("environment", {"python": "3.11", "packages": {"numpy": str(changed)}})],
            config={"x": changed},
        )

    return run("accessa", 1, 60), run("accessb", 2, 61)


def serious_faults(page: Any, view: str) -> list[str]:
    """Give what axe calls serious or critical in a view, with where it is."""
    found = Axe().run(page, context=view).response["violations"]
    return [
        f"{fault['id']}: {fault['help']} {node['target']} {node['html'][:200]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("theme", THEMES)
def test_the_history_has_no_serious_fault(
    lab: Lab, page: Any, accessible: tuple[str, str], theme: str
) -> None:
    open_lab(page, lab, theme=theme)
    lab.api(f"runs/{accessible[0]}", "PATCH", {"name": "a name", "tags": ["tagged"]})
    execute(page, "codesave:open-runs")
    row = page.locator(f".codesave-RunBrowser [data-run='{accessible[0]}']")
    row.click()
    row.get_by_text("tagged").wait_for()
    assert serious_faults(page, ".codesave-RunBrowser") == []
    assert page.problems == []


@pytest.mark.parametrize("theme", THEMES)
def test_the_viewer_has_no_serious_fault(
    lab: Lab, page: Any, accessible: tuple[str, str], theme: str
) -> None:
    open_lab(page, lab, theme=theme)
    page.evaluate(
        "run => { window.jupyterapp.commands.execute('codesave:open-session', {run}); }",
        accessible[0],
    )
    viewer = page.locator(".codesave-SessionViewer[data-state=ready]")
    viewer.locator(".codesave-Timeline li").nth(1).click()
    viewer.locator(".jp-OutputArea-output", has_text="x = 1").wait_for()
    assert serious_faults(page, ".codesave-SessionViewer") == []
    viewer.get_by_role("button", name="Details", exact=True).click()
    viewer.locator(".codesave-RunDetails table").first.wait_for()
    assert serious_faults(page, ".codesave-SessionViewer") == []
    assert page.problems == []


@pytest.mark.parametrize("theme", THEMES)
def test_the_comparer_has_no_serious_fault(
    lab: Lab, page: Any, accessible: tuple[str, str], theme: str
) -> None:
    open_lab(page, lab, theme=theme)
    page.evaluate(
        "([base, head]) => { window.jupyterapp.commands.execute('codesave:compare', "
        "{base, head}); }",
        list(accessible),
    )
    comparer = page.locator(".codesave-Comparer[data-state=ready]")
    for change in ("modified", "added", "removed"):
        place = comparer.locator(f".codesave-CellDiff[data-change={change}]").first
        place.scroll_into_view_if_needed()
        place.locator(".codesave-CellDiff-content").wait_for()
    assert serious_faults(page, ".codesave-Comparer") == []
    comparer.get_by_role("button", name="Inline", exact=True).click()
    comparer.locator(".cm-deletedChunk").first.wait_for()
    assert serious_faults(page, ".codesave-Comparer") == []
    comparer.locator("[data-path='requirements.txt']").click()
    comparer.locator(".codesave-FileDiff .cm-content").first.wait_for()
    assert serious_faults(page, ".codesave-Comparer") == []
    comparer.locator(".codesave-FileTree-facts").click()
    comparer.locator("table[data-facts=packages]").wait_for()
    assert serious_faults(page, ".codesave-Comparer") == []
    assert page.problems == []


@pytest.mark.parametrize("theme", THEMES)
def test_the_picker_has_no_serious_fault(
    lab: Lab, page: Any, accessible: tuple[str, str], theme: str
) -> None:
    open_lab(page, lab, theme=theme)
    page.evaluate(
        "base => { window.jupyterapp.commands.execute('codesave:compare', {base}); }",
        accessible[0],
    )
    page.locator(f".codesave-Picker [data-ref={accessible[0]}][aria-selected=true]").wait_for()
    assert serious_faults(page, ".codesave-Picker") == []
    assert page.problems == []


def test_the_comparer_is_walked_through_by_keyboard(
    lab: Lab, page: Any, accessible: tuple[str, str]
) -> None:
    """Tab reaches every button of a view, in the order in which they stand, each with a ring."""
    open_lab(page, lab)
    page.evaluate(
        "([base, head]) => { window.jupyterapp.commands.execute('codesave:compare', "
        "{base, head}); }",
        list(accessible),
    )
    comparer = page.locator(".codesave-Comparer[data-state=ready]")
    comparer.locator(".cm-merge-a").first.wait_for()
    assert walked(page, comparer, 14) == [
        "Base",
        "Swap base and head",
        "Head",
        "Side by side",
        "Inline",
        "Outputs",
        "Metadata",
        "Sources only",
        "Next change",
        "Copy link to this comparison",
        "What ran",
        "Environment",
        "Cells",
        "Source",
    ]
    assert page.problems == []


def walked(page: Any, view: Any, steps: int) -> list[str]:
    """Press Tab and say what has the focus each time; what has no ring is told apart."""
    view.focus()
    found = []
    for _ in range(steps):
        page.keyboard.press("Tab")
        found.append(
            page.evaluate(
                """() => {
                    const node = document.activeElement;
                    const ring = node.querySelector('.codesave-mod-active') ?? node;
                    const words = node.getAttribute('aria-label') ??
                        node.querySelector('.codesave-Sides-label, .codesave-FileTree-name')
                            ?.textContent ?? node.firstChild.textContent;
                    const style = getComputedStyle(ring);
                    return style.outlineStyle === 'none' ? `${words}, without a ring` : words;
                }"""
            )
        )
    return found
