"""Below a base_url, behind a password, and with settings that are changed or locked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.auth import passwd

from tests.conftest import Lab, wait_until
from tests.end_to_end.jupyterlab import execute, open_lab, wait_for_kernel, write_notebook

PASSWORD = "open sesame"


@pytest.fixture(scope="module")
def prefixed(start_lab: Callable[..., Lab]) -> Lab:
    """Start a server below a prefix, whose users come in with a password."""
    hashed = passwd(PASSWORD, algorithm="sha256")
    return start_lab(
        "--ServerApp.base_url=/user/ann%40x.org%20y/",  # as JupyterHub writes `ann@x.org y`
        f"--PasswordIdentityProvider.hashed_password={hashed}",
    )


def log_in(page: Any, lab: Lab, path: str) -> None:
    """Come in with the password, as one who has no token."""
    page.goto(f"{lab.url}{path}")
    page.locator("#password_input").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_function("window.jupyterapp && window.jupyterapp.started", timeout=90_000)
    page.evaluate("() => window.jupyterapp.restored")


def run_cell(page: Any, source: str) -> None:
    """Type into the first cell of the open notebook, run it and wait until it has ended."""
    wait_for_kernel(page)
    cell = page.locator(".jp-NotebookPanel:visible .jp-Cell").first
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.type(source)
    page.keyboard.press("Control+Enter")
    shown = source.split("'")[1]
    cell.locator(".jp-OutputArea-output", has_text=shown).wait_for(timeout=60_000)


def executions(lab: Lab, notebook: str) -> int:
    return sum(run["executions"] for run in lab.api(f"runs?notebook={notebook}")["runs"])


def test_everything_works_below_a_base_url_behind_a_password(prefixed: Lab, page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    write_notebook(prefixed.root / "below.ipynb", "")
    log_in(page, prefixed, "lab/tree/below.ipynb?reset")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
    run_cell(page, "print('one')")
    (run,) = wait_until(lambda: prefixed.api("runs?notebook=below.ipynb")["runs"], "the run")

    execute(page, "codesave:open-runs")
    page.locator(f".codesave-RunBrowser [data-run='{run['id']}'][data-state=running]").wait_for()
    page.evaluate(
        "run => { window.jupyterapp.commands.execute('codesave:open-session', {run}); }", run["id"]
    )
    page.wait_for_selector(".codesave-SessionViewer[data-state=ready]", timeout=30_000)
    page.locator(".codesave-SessionViewer .jp-OutputArea-output", has_text="one").wait_for()

    wait_until(lambda: executions(prefixed, "below.ipynb") == 1, "the execution's ingest")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        "args => { window.jupyterapp.commands.execute('codesave:compare', args); }",
        {"base": run["id"], "head": "./below.ipynb"},
    )
    page.wait_for_selector(".codesave-Comparer[data-state=ready]", timeout=30_000)
    page.get_by_role("button", name="Copy link to this comparison").click()
    link = page.evaluate("() => navigator.clipboard.readText()")
    assert link.startswith(prefixed.url)
    page.goto(link)
    page.wait_for_selector(".codesave-Comparer[data-state=ready]", timeout=60_000)
    assert [
        url for url in asked if "codesave/api" in url and not url.startswith(prefixed.url)
    ] == []
    assert page.problems == []


def open_settings(page: Any) -> Any:
    """Open the settings editor and give the field "What is recorded"."""
    execute(page, "settingeditor:open", query="Code saving")
    found = field(page, "capture")
    found.wait_for()
    return found


def field(page: Any, name: str) -> Any:
    return page.locator(f"[name='jp-SettingsEditor-jupyter-codesave:plugin_{name}']")


def test_a_setting_takes_effect_in_a_running_kernel(prefixed: Lab, page: Any) -> None:
    write_notebook(prefixed.root / "switched.ipynb", "")
    open_lab(page, prefixed, "switched.ipynb")
    notebook = page.evaluate("() => window.jupyterapp.shell.currentWidget.id")
    run_cell(page, "print('kept')")
    wait_until(lambda: executions(prefixed, "switched.ipynb") == 1, "the first execution")

    open_settings(page).select_option(label="off")
    wait_until(lambda: prefixed.api("settings")["capture"]["value"] == "off", "off on the server")
    page.evaluate("id => window.jupyterapp.shell.activateById(id)", notebook)
    run_cell(page, "print('secret')")

    open_settings(page).select_option(label="all")
    wait_until(lambda: prefixed.api("settings")["capture"]["value"] == "all", "all on the server")
    page.evaluate("id => window.jupyterapp.shell.activateById(id)", notebook)
    run_cell(page, "print('kept again')")
    wait_until(lambda: executions(prefixed, "switched.ipynb") == 2, "the third execution")
    (run,) = prefixed.api("runs?notebook=switched.ipynb")["runs"]
    cells = prefixed.api(f"runs/{run['id']}/notebook")["cells"]
    assert [cell["source"] for cell in cells] == ["print('kept')", "print('kept again')"]
    assert prefixed.api("search?q=secret")["results"] == []
    assert page.problems == []


def test_what_an_administrator_locked_is_shown_as_locked(
    start_lab: Callable[..., Lab], page: Any, tmp_path: Path
) -> None:
    config = {"CodeSave": {"capture": "sources", "locked": ["capture"]}}
    (tmp_path / "jupyter_codesave_config.json").write_text(json.dumps(config))
    lab = start_lab(JUPYTER_CONFIG_PATH=str(tmp_path))
    assert lab.api("settings")["capture"]["locked"] is True
    open_lab(page, lab)
    capture = open_settings(page)
    assert capture.locator("option:checked").inner_text() == "sources"
    assert capture.is_disabled()
    page.get_by_text(re.compile("Locked: .*jupyter_codesave_config")).wait_for()
    assert field(page, "automatic").is_enabled()
    assert page.get_by_text("notice").count() == 0  # which were shown is not a person's to set
    assert page.problems == []
