"""Take the README's pictures of the demo: `python -m tests.pictures`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import browser
from tests.conftest import Home, Lab, isolated, running_lab
from tests.end_to_end.jupyterlab import execute, open_lab

PICTURES = Path(__file__).parent.parent / "labextension" / "pictures"


@contextmanager
def demo_lab() -> Iterator[Lab]:
    """Run the demo as a new user, and start JupyterLab on its folder."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), isolated(Path(folder)))
        home.command("demo")
        with running_lab(home, root=home.data / "demo") as lab:
            yield lab


def take(page: Any, lab: Lab, theme: str, suffix: str) -> None:
    """Take every picture in one theme."""
    open_lab(page, lab, theme=theme)
    page.add_style_tag(content=".Toastify { display: none }")  # a notice with a passing path
    head, base = (run["id"] for run in lab.api("runs")["runs"][:2])
    execute(page, "codesave:open-runs")
    page.wait_for_selector(".codesave-RunBrowser[data-state=ready] [data-run]")
    page.locator(f"[data-run={base}]").first.click()
    page.locator(f"[data-run={head}]").first.click(modifiers=["Control"])
    page.wait_for_selector(".jp-Launcher .jp-LauncherCard")
    page.screenshot(path=PICTURES / f"history-{suffix}.png")
    execute(page, "codesave:compare", base=base, head=head, path="_session_history.ipynb")
    page.wait_for_selector(".codesave-Comparer[data-state=ready]")
    page.wait_for_selector(".codesave-CellDiff[data-change=modified] .cm-merge-a")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PICTURES / f"comparer-{suffix}.png")
    execute(page, "codesave:open-session", run=head)
    page.wait_for_selector(".codesave-SessionViewer[data-state=ready] .jp-Cell")
    page.locator(".codesave-SessionViewer .codesave-Timeline li").nth(6).click()
    page.wait_for_selector(".codesave-SessionViewer img:visible")
    page.screenshot(path=PICTURES / f"viewer-{suffix}.png")


def main() -> None:
    """Take the pictures in light and dark."""
    from playwright.sync_api import sync_playwright

    PICTURES.mkdir(exist_ok=True)
    path = browser.executable()
    with demo_lab() as lab, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=browser.FLAGS)
        for theme, suffix in (("JupyterLab Light", "light"), ("JupyterLab Dark", "dark")):
            context = chromium.new_context(viewport={"width": 1280, "height": 800})
            take(context.new_page(), lab, theme, suffix)
            context.close()
        chromium.close()


if __name__ == "__main__":
    main()
