"""`demo`: a bundled notebook, run twice with one change, saved by itself and compared."""

from __future__ import annotations

import argparse
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..errors import UnavailableError
from ..settings import data_dir, resolve
from .output import console, opened

PROJECT = "codesave-demo"
NOTEBOOK = "training.ipynb"
CHANGE = ("learning_rate = 0.05", "learning_rate = 0.5")


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("demo", help="run a bundled notebook twice and compare the runs")
    command.set_defaults(command=demo)


def demo(_: argparse.Namespace) -> None:
    """Run the demo notebook twice, save both runs, and show how they differ."""
    import nbformat

    settings = resolve()
    if settings["capture"].value != "all":
        raise UnavailableError(
            f"recording is {settings['capture'].value}, says {settings['capture'].source}; "
            "the demo needs it on: undo that first (`jupyter codesave on`)"
        )
    folder = data_dir() / "demo"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("chart.py", NOTEBOOK):
        source = files("jupyter_codesave.cli").joinpath("demo_project").joinpath(name)
        (folder / name).write_bytes(source.read_bytes())
    path = folder / NOTEBOOK
    out, err = console(), console(stderr=True)
    notebook = nbformat.read(path, as_version=4)
    with opened() as ingest:
        before = {run.id for run in ingest.store.runs(project=PROJECT, limit=1000).items}
    for turn, change in enumerate((None, CHANGE), 1):
        if change is not None:
            for cell in notebook.cells:
                cell.source = cell.source.replace(*change)
        with err.status(f"running {NOTEBOOK} in a kernel, {turn} of 2 …"):
            _run(notebook, path)
            with opened():  # brings the run in while its notebook file is as it left it
                pass
    with opened() as ingest:
        page = ingest.store.runs(project=PROJECT, limit=1000)
        runs = [run for run in page.items if run.id not in before]
        if len(runs) < 2:
            raise UnavailableError(
                f"the kernel ran the notebook, but {len(runs)} of 2 runs were recorded; "
                "`jupyter codesave status` says why"
            )
        head, base = runs[:2]
        _show(ingest, base.id, head.id, out)
    out.print(
        "\n[bold]To look at it in the browser:[/bold]\n"
        f"  jupyter lab {_quoted(folder)}\n"
        "and click [bold]Code history[/bold] in the left sidebar; ctrl-click two runs and "
        "[bold]Compare[/bold].\n"
        f"Again in this terminal: jupyter codesave diff {base.id} {head.id}\n"
        f"To remove it all: jupyter codesave purge --project {PROJECT}\n"
        f"and delete the folder {_quoted(folder)}",
        soft_wrap=True,
    )


def _run(notebook: Any, path: Path) -> None:
    """Run every cell in a kernel of this environment, then save the notebook with its outputs."""
    import nbformat
    from nbclient import NotebookClient

    environment = {
        **os.environ,
        "JPY_SESSION_NAME": str(path),
        "CODESAVE_PROJECT": PROJECT,
    }
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        coalesce_streams=True,  # as JupyterLab saves what is printed
        resources={"metadata": {"path": str(path.parent)}},
        # loads us where automatic loading does not reach (`pip install --user` …)
        extra_arguments=[
            "--IPKernelApp.extra_extensions=jupyter_codesave",
            "--IPKernelApp.log_level=ERROR",
        ],
    )
    with client.setup_kernel(env=environment):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        nbformat.write(notebook, path)


def _show(ingest: Any, base: str, head: str, out: Any) -> None:
    from ..diff.printing import print_comparison
    from ..diff.trees import Side, compare

    sides = []
    for run in (base, head):
        code = ingest.code(run)
        sides.append(Side(run, code, code.kind, code.title, code.run))
    print_comparison(compare(*sides, notebooks="full"), out)


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
