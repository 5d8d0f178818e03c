"""Driving a real JupyterLab in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.conftest import Lab


def write_notebook(path: Path, *sources: str) -> Path:
    """Write a notebook of code cells (Markdown where a source starts with `# `).

    JupyterLab goes on after a cell that raises.
    """
    tags = {"tags": ["raises-exception"]}
    cells = [
        new_markdown_cell(source)
        if source.startswith("# ")
        else new_code_cell(source, metadata=tags if "1 / 0" in source or "raise " in source else {})
        for source in sources
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
    return path


def open_lab(page: Any, lab: Lab, notebook: str = "", theme: str = "") -> None:
    """Open JupyterLab, with a notebook when one is named, and wait until it can be used."""
    tree = f"/tree/{notebook}" if notebook else ""
    page.goto(f"{lab.url}lab{tree}?reset&token={lab.token}")
    page.wait_for_function("window.jupyterapp && window.jupyterapp.started", timeout=90_000)
    page.evaluate("() => window.jupyterapp.restored")
    if theme:
        page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme
        )
    if notebook:
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
        wait_for_kernel(page)


def wait_for_kernel(page: Any) -> None:
    """Wait until the open notebook's kernel is idle: what is run before that is dropped."""
    page.wait_for_function(
        """() => {
            const session = window.jupyterapp.shell.currentWidget?.sessionContext?.session;
            return session?.kernel?.status === 'idle';
        }""",
        timeout=90_000,
    )


def execute(page: Any, command: str, **args: Any) -> Any:
    """Execute one of JupyterLab's commands and wait for it."""
    return page.evaluate(
        "([command, args]) => { "
        "const done = window.jupyterapp.commands.execute(command, args);"
        "return Promise.resolve(done).then(() => null); }",
        [command, args],
    )


def run_all_and_save(page: Any) -> None:
    """Run every cell of the open notebook, wait until the kernel is idle, and save."""
    execute(page, "notebook:run-all-cells")
    page.wait_for_function(
        """() => {
            const panel = window.jupyterapp.shell.currentWidget;
            const cells = panel.content.widgets.filter(cell => cell.model.type === 'code');
            return panel.sessionContext.session.kernel.status === 'idle' &&
                cells.every(cell => cell.model.executionCount !== null);
        }""",
        timeout=120_000,
    )
    execute(page, "docmanager:save")
