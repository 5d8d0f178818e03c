"""Stored outputs are untrusted: they neither run, nor fetch, nor cover the page."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Lab, wait_until
from tests.end_to_end.jupyterlab import execute, open_lab
from tests.journal.records import execute_input, idle, message, session, write

HOSTILE: dict[str, dict[str, str]] = {
    "script": {"text/html": "<script>window.hacked = 1</script>script"},
    "onerror": {"text/html": "<img src=x onerror='window.hacked = 1'>onerror"},
    "link": {"text/html": "<a id=trap href='javascript:window.hacked = 1'>link</a>"},
    "svg": {
        "image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg' onload='window.hacked = 1'>"
        "<script>window.hacked = 1</script></svg>",
        "text/plain": "svg",
    },
    "iframe": {"text/html": "<iframe srcdoc='<script>parent.hacked = 1</script>'></iframe>iframe"},
    "javascript": {"application/javascript": "window.hacked = 1", "text/plain": "javascript"},
    "style": {
        "text/html": "<style>body, #main { display: none !important }</style>"
        "<div style='position: fixed; inset: 0; z-index: 99999; background: red'>style</div>"
    },
    "markdown": {"text/markdown": "[click](javascript:window.hacked=1) <script>hacked=1</script>"},
    "remote": {"text/html": "<img src='http://127.0.0.1:9/pixel.png'>remote"},
    "table": {"text/html": f"<table><tr>{'<td>wide</td>' * 2000}</tr></table>"},
}


@pytest.fixture(scope="module")
def hostile(lab: Lab) -> tuple[str, str]:
    for name, change in (("hostilea", ""), ("hostileb", "!")):
        run = ("run", {"run": f"{name}run", "project": "hostile", "notebook": None})
        items: list[Any] = [session(name), run]
        for n, (word, data) in enumerate(HOSTILE.items(), 1):
            bundle = {mime: text + change for mime, text in data.items()}
            key = f"{name}{n}"
            items += [
                execute_input(word, n, key),
                message("display_data", {"data": bundle, "metadata": {"trusted": True}}, key),
                idle(key),
            ]
        end = ("session-end", {"ended_by": "exit", "exit_code": 0})
        write(lab.home.data / "journal" / f"{name}.journal", [*items, end])
        wait_until(
            lambda: [r for r in lab.api("runs?project=hostile")["runs"] if r["session"] == name],  # noqa: B023
            "the run",
        )
    return "hostilearun", "hostilebrun"


def watch(page: Any, lab: Lab) -> list[str]:
    outside: list[str] = []
    page.on(
        "request",
        lambda request: (
            outside.append(request.url)
            if not request.url.startswith(
                (lab.url, lab.url.replace("http", "ws"), "data:", "blob:")
            )
            else None
        ),
    )
    return outside


def is_unharmed(page: Any) -> bool:
    found = page.evaluate(
        """() => {
            document.querySelectorAll('#trap').forEach(link => link.click());
            const menu = document.querySelector('#jp-menu-panel, #jp-MainMenu');
            const box = menu.getBoundingClientRect();
            const top = document.elementFromPoint(box.x + 20, box.y + box.height / 2);
            return window.hacked === undefined && menu.contains(top) &&
                document.querySelector('#main').offsetHeight > 300;
        }"""
    )
    return bool(found)


def scroll_through(page: Any, selector: str) -> None:
    page.evaluate(
        """async selector => {
            const scroller = document.querySelector(selector);
            for (let top = 0; top <= scroller.scrollHeight; top += 300) {
                scroller.scrollTop = top;
                await new Promise(done => requestAnimationFrame(() => setTimeout(done, 30)));
            }
        }""",
        selector,
    )


def test_hostile_outputs_do_nothing_in_the_viewer(
    lab: Lab, page: Any, hostile: tuple[str, str]
) -> None:
    outside = watch(page, lab)
    open_lab(page, lab)
    execute(page, "codesave:open-session", run=hostile[0])
    page.wait_for_selector(".codesave-SessionViewer[data-state=ready] .jp-Cell", timeout=30_000)
    scroll_through(
        page,
        ".codesave-SessionViewer .jp-WindowedPanel-outer, .codesave-SessionViewer .jp-Notebook",
    )
    assert is_unharmed(page)
    assert outside == []


def test_hostile_outputs_do_nothing_in_the_comparer(
    lab: Lab, page: Any, hostile: tuple[str, str]
) -> None:
    outside = watch(page, lab)
    open_lab(page, lab)
    execute(page, "codesave:compare", base=hostile[0], head=hostile[1])
    page.wait_for_selector(
        ".codesave-Comparer[data-state=ready] .codesave-CellDiff", timeout=30_000
    )
    for cell in page.locator(".codesave-CellDiff").all():
        cell.scroll_into_view_if_needed()
    page.wait_for_function(
        "() => document.querySelectorAll('.codesave-CellDiff-content').length >= 8", timeout=30_000
    )
    assert is_unharmed(page)
    assert outside == []
