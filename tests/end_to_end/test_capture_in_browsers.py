"""Whatever happens to the browser, the kernel or the server: what ran is recorded."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import pytest

from tests.conftest import Home, Lab, isolated, running_lab, wait_until
from tests.end_to_end.jupyterlab import execute, wait_for_kernel, write_notebook

# The first cell goes on until a file says that the browser is gone; the second one waits for it.
WAITING = (
    "import os, time\nprint('begun', flush=True)\n"
    "while not os.path.exists('{flag}'): time.sleep(0.05)\n"
    "print('after the browser'); display({{'text/html': '<b>x</b>'}}, raw=True)"
)
NEXT = "print('the next cell'); 6 * 7"


@pytest.fixture(scope="module", params=["jupyterlab", "notebook"])
def server(request: pytest.FixtureRequest, start_lab: Callable[..., Lab]) -> tuple[str, Lab]:
    """A server of JupyterLab and one of Notebook 7."""
    return request.param, start_lab(app=request.param)


def open_notebook(page: Any, server: tuple[str, Lab], name: str) -> None:
    app, lab = server
    place = "lab/tree" if app == "jupyterlab" else "notebooks"
    page.goto(f"{lab.url}{place}/{name}?reset&token={lab.token}")
    page.wait_for_function("window.jupyterapp && window.jupyterapp.started", timeout=90_000)
    page.evaluate("() => window.jupyterapp.restored")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
    wait_for_kernel(page)


def run_all(page: Any) -> None:
    """Begin to run every cell, without waiting for their end."""
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")


def runs(lab: Lab, notebook: str) -> list[dict[str, Any]]:
    return [r for r in lab.api(f"runs?notebook={quote(notebook)}")["runs"] if r["executions"]]


def cells(lab: Lab, notebook: str) -> list[dict[str, Any]]:
    """Give the cells of the notebook's newest run."""
    found = runs(lab, notebook)
    if not found:
        return []
    recorded: list[dict[str, Any]] = lab.api(f"runs/{found[0]['id']}/notebook")["cells"]
    return recorded


def printed(lab: Lab, notebook: str) -> str:
    return "".join(o.get("text", "") for cell in cells(lab, notebook) for o in cell["outputs"])


def test_a_browser_closed_in_mid_run_stops_no_recording(server: tuple[str, Lab], page: Any) -> None:
    _, lab = server
    name = "closed.ipynb"
    write_notebook(lab.root / name, WAITING.format(flag="gone"), NEXT)
    open_notebook(page, server, name)
    run_all(page)
    wait_until(lambda: "begun" in printed(lab, name), "the first print")
    page.close()
    (lab.root / "gone").touch()
    wait_until(lambda: "the next cell" in printed(lab, name), "the second cell")
    first, second = wait_until(
        lambda: (found := cells(lab, name)) and len(found[1]["outputs"]) == 2 and found,
        "its result",
    )
    assert [output["output_type"] for output in first["outputs"]] == ["stream", "display_data"]
    assert first["outputs"][0]["text"] == "begun\nafter the browser\n"
    assert second["outputs"][1]["data"]["text/plain"] == "42"
    assert {c["metadata"]["codesave"]["status"] for c in (first, second)} == {"ok"}


def test_interrupt_and_restart_from_the_menu(server: tuple[str, Lab], page: Any) -> None:
    _, lab = server
    name = "menu.ipynb"
    write_notebook(lab.root / name, WAITING.format(flag="never"), NEXT)
    open_notebook(page, server, name)
    run_all(page)
    wait_until(lambda: "begun" in printed(lab, name), "the first print")
    execute(page, "notebook:interrupt-kernel")
    wait_until(
        lambda: cells(lab, name)[0]["metadata"]["codesave"]["status"] == "error", "the interrupt"
    )
    assert cells(lab, name)[0]["outputs"][-1]["ename"] == "KeyboardInterrupt"
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:restart-kernel'); }")
    page.locator(".jp-Dialog .jp-mod-warn").click()
    wait_until(lambda: runs(lab, name)[0]["state"] != "running", "the end of the run")
    assert [(r["state"], r["ended_by"]) for r in runs(lab, name)] == [("finished", "restart")]


def test_the_status_shows_the_state_with_its_reason_and_toggles_it(
    server: tuple[str, Lab], page: Any
) -> None:
    _, lab = server
    name = "toggled.ipynb"
    write_notebook(lab.root / name, "print('canary-' '77')")
    open_notebook(page, server, name)
    page.locator(".codesave-Status[data-state=recording] button").first.click()
    page.locator(".jp-Dialog", has_text=str(lab.home.data)).wait_for()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    off = page.locator(".codesave-Status[data-state=off]").first
    off.wait_for()
    assert off.get_attribute("title") == "user settings"
    run_all(page)
    page.wait_for_selector(".jp-OutputArea-output:has-text('canary-77')")
    off.locator("button").click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    page.locator(".codesave-Status[data-state=recording]").first.wait_for()
    run_all(page)
    wait_until(lambda: runs(lab, name), "the run")
    assert len(cells(lab, name)) == 1


def test_a_notebook_that_its_metadata_switch_off_is_shown_as_not_recorded(
    server: tuple[str, Lab], page: Any
) -> None:
    _, lab = server
    name = "unrecorded.ipynb"
    path = write_notebook(lab.root / name, "print('canary-' '88')")
    written = nbformat.read(path, as_version=4)
    written.metadata["codesave"] = {"capture": "off"}
    nbformat.write(written, path)
    open_notebook(page, server, name)
    off = page.locator(".codesave-Status[data-state=off]").first
    off.wait_for()
    assert off.get_attribute("title") == f"the metadata of {name}"
    off.locator("button").click()
    dialog = page.locator(".jp-Dialog", has_text=f"Decided by: the metadata of {name}")
    dialog.get_by_role("button", name="Close").click()
    change = "said => window.jupyterapp.shell.currentWidget.context.model.setMetadata(...said)"
    page.evaluate(change, ["codesave", {"capture": "sources"}])
    page.locator(".codesave-Status[data-state=recording] button").first.click()
    page.locator(".jp-Dialog", has_text="Only the sources of cells are kept").wait_for()


@pytest.mark.parametrize("app", ["jupyterlab", "notebook"])
def test_the_first_start_says_once_what_is_kept_where_and_how_to_stop(
    start_lab: Callable[..., Lab], page: Any, app: str
) -> None:
    lab = start_lab(app=app)
    server = (app, lab)
    write_notebook(lab.root / "first.ipynb", "1")
    open_notebook(page, server, "first.ipynb")
    notice = page.locator(".Toastify__toast", has_text=str(lab.home.data))
    notice.wait_for(timeout=30_000)
    assert "recorded" in notice.inner_text()
    notice.get_by_text("Settings").wait_for()
    own = Path(lab.home.environment["JUPYTER_CONFIG_DIR"]) / "lab/user-settings/jupyter-codesave"
    wait_until((own / "welcome.jupyterlab-settings").exists, "the note that it was shown")
    open_notebook(page, server, "first.ipynb")
    page.wait_for_selector(".codesave-Status[data-state=recording]")
    assert page.locator(".Toastify__toast", has_text=str(lab.home.data)).count() == 0


def test_a_killed_server_loses_nothing_and_the_next_one_has_it(tmp_path: Path, page: Any) -> None:
    home = Home(tmp_path, isolated(tmp_path))
    name = "killed.ipynb"
    with running_lab(home) as lab:
        write_notebook(lab.root / name, "print('whole')", WAITING.format(flag="never"))
        open_notebook(page, ("jupyterlab", lab), name)
        run_all(page)
        wait_until(lambda: "begun" in printed(lab, name), "the first print")
        os.kill(lab.process.pid, signal.SIGKILL)
        lab.process.wait()
    with running_lab(home) as lab:
        wait_until(lambda: runs(lab, name) and runs(lab, name)[0]["state"] == "crashed", "the run")
        assert printed(lab, name) == "whole\nbegun\n"
        assert runs(lab, name)[0]["ended_by"] == "killed"
        assert not list((home.data / "journal").glob("*.journal"))


def test_a_culled_kernel_was_shut_down(start_lab: Callable[..., Lab], page: Any) -> None:
    lab = start_lab(
        "--MappingKernelManager.cull_idle_timeout=2",
        "--MappingKernelManager.cull_interval=1",
        "--MappingKernelManager.cull_connected=True",
    )
    write_notebook(lab.root / "culled.ipynb", "print('seen')")
    open_notebook(page, ("jupyterlab", lab), "culled.ipynb")
    run_all(page)
    wait_until(lambda: runs(lab, "culled.ipynb"), "the run")
    wait_until(lambda: runs(lab, "culled.ipynb")[0]["state"] != "running", "its end")
    (run,) = runs(lab, "culled.ipynb")
    assert (run["state"], run["ended_by"]) == ("finished", "shutdown")
    assert printed(lab, "culled.ipynb") == "seen\n"


def test_a_notebook_renamed_while_it_runs_is_one_run_under_its_new_name(
    server: tuple[str, Lab], page: Any
) -> None:
    _, lab = server
    write_notebook(lab.root / "before.ipynb", WAITING.format(flag="renamed"), NEXT)
    open_notebook(page, server, "before.ipynb")
    run_all(page)
    wait_until(lambda: "begun" in printed(lab, "before.ipynb"), "the first print")
    page.evaluate(
        "async () => { const panel = window.jupyterapp.shell.currentWidget;"
        "await panel.context.rename('later.ipynb'); }"
    )
    (lab.root / "renamed").touch()
    wait_until(lambda: "the next cell" in printed(lab, "later.ipynb"), "the second cell")
    (run,) = runs(lab, "later.ipynb")
    assert run["executions"] == 2
    assert runs(lab, "before.ipynb") == []
