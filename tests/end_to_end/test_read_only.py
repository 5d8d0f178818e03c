"""The history over a data folder that cannot be written: what is readable, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Home, Lab, isolated, running_lab
from tests.end_to_end.jupyterlab import execute, open_lab, write_notebook
from tests.store.made import Place, make_run

RUN = "keptrun"


@pytest.fixture
def closed_lab(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Run JupyterLab over a store with one run, whose catalog or folder is closed to it."""
    home, closed = Home(tmp_path, isolated(tmp_path)), request.param
    with Place(home.data).open() as store:
        store.write(run=make_run(id=RUN, name="kept", notebook=str(home.work / "kept.ipynb")))
    catalog = home.data / "catalog.sqlite"
    write_notebook(home.work / "another.ipynb", "print('not listed')")
    catalog.chmod(0o400)
    home.data.chmod({"catalog": 0o700, "folder": 0o500, "unreadable": 0}[closed])
    try:
        app = "tests.end_to_end.unprivileged"
        with running_lab(home, app=app, healthy=closed == "catalog") as lab:
            yield lab
    finally:
        home.data.chmod(0o700)
        catalog.chmod(0o600)


def open_history(page: Any, lab: Lab) -> Any:
    open_lab(page, lab, "another.ipynb")
    execute(page, "codesave:open-runs")
    return page.locator(".codesave-RunBrowser")


@pytest.mark.parametrize("closed_lab", ["catalog"], indirect=True)
def test_what_cannot_be_listed_yet_is_told_with_the_reason_and_the_way_out(
    closed_lab: Lab, page: Any
) -> None:
    history = open_history(page, closed_lab)
    history.locator(f"[data-run={RUN}]").wait_for()
    assert history.get_by_role("status").count() == 0
    page.locator(".jp-NotebookPanel .jp-Cell .cm-content").first.click()
    page.keyboard.press("Control+Enter")
    told = history.get_by_role("status")
    told.filter(has_text="Not all that is recorded is listed yet").wait_for(timeout=60_000)
    assert "catalog.sqlite cannot be written" in told.inner_text()
    assert "writable for you, or copy the folder and set CODESAVE_DIR" in told.inner_text()
    assert history.locator("[data-run]").count() == 1
    assert closed_lab.api("status")["behind"] in told.inner_text()
    assert page.problems == []


@pytest.mark.parametrize("closed_lab", ["catalog"], indirect=True)
def test_a_change_that_a_read_only_store_refuses_says_why(closed_lab: Lab, page: Any) -> None:
    history = open_history(page, closed_lab)
    history.locator(f"[data-run={RUN}]").click(button="right")
    page.locator(".lm-Menu-itemLabel", has_text="Delete run").click()
    dialog = page.locator(".jp-Dialog", has_text="catalog.sqlite cannot be written")
    dialog.wait_for()
    assert "writable for you, or copy the folder and set CODESAVE_DIR" in dialog.inner_text()
    dialog.get_by_role("button").click()
    assert history.locator(f"[data-run={RUN}]").count() == 1
    assert page.problems == []


# SQLite reads no catalog where it cannot write the index of its write-ahead log beside it.
@pytest.mark.parametrize("closed_lab", ["folder", "unreadable"], indirect=True)
def test_a_folder_that_cannot_be_read_is_named_whole_with_the_way_out(
    closed_lab: Lab, page: Any
) -> None:
    history = open_history(page, closed_lab)
    fault = history.get_by_role("alert")
    fault.get_by_text("set CODESAVE_DIR").wait_for()
    assert str(closed_lab.home.data) in fault.inner_text()
    assert fault.evaluate("node => node.scrollWidth <= node.clientWidth")
    assert page.problems == []
