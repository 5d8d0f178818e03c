"""Runs, notebooks and stores as the tests of the store need them."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_codesave.blobs.base import Blobs
from jupyter_codesave.catalog.catalog import Catalog
from jupyter_codesave.model.artifact import SESSION_NOTEBOOK, Version
from jupyter_codesave.model.execution import Execution
from jupyter_codesave.model.manifest import Entry, Manifest
from jupyter_codesave.model.run import Run, new_id
from jupyter_codesave.settings import Setting
from jupyter_codesave.store import JournalState, Store

_time = iter(range(1 << 30))


def settings(**values: Any) -> dict[str, Setting]:
    """Give settings, independent of the machine's."""
    known: dict[str, Any] = {"database_url": "", "artifact_url": "", "budget": 0}
    known |= {"retention_days": 0, "version_interval": 600}
    return {name: Setting(value, "test") for name, value in {**known, **values}.items()}


@dataclass
class Place:
    """Where a store lies: it may be opened again and again."""

    folder: Path
    values: dict[str, Any] = field(default_factory=dict)

    def open(self, **values: Any) -> Store:
        """Open the store that lies here."""
        return Store.open(self.folder, settings(**{**self.values, **values}))


def memory_store(folder: Path, blobs: Blobs) -> Store:
    """Make a store over blobs that are given."""
    return Store(folder, blobs, Catalog(folder / "catalog.sqlite"), settings())


def moment() -> str:
    """Give a time after all given before."""
    count = next(_time)
    clock = f"{count // 3600 % 24:02}:{count // 60 % 60:02}:{count % 60:02}"
    return f"2026-03-{1 + count // 86400:02}T{clock}.000000Z"


def make_run(**changes: Any) -> Run:
    """Give a run that has ended, with every field filled in."""
    run = Run(
        id=new_id(),
        name="train.ipynb",
        project="vision",
        kind="kernel",
        session=new_id(),
        started=moment(),
        state="finished",
        ended=moment(),
        ended_by="exit",
        notebook="/home/ann/vision/train.ipynb",
        kernel_id="1234",
        executions=2,
        tags=("first", "Zweiter"),
        notes="some notes",
        config={"lr": 3e-4, "layers": [1, 2], "nan": float("inf")},
        argv=("python", "-m", "ipykernel"),
        cwd="/home/ann/vision",
        host="host",
        user="me",
        git={"commit": "abc", "branch": "main", "remote": None, "dirty": True},
        environment={"python": "3.11", "packages": {"numpy": "2.0"}},
    )
    return run.with_(**changes)


def image(size: int = 20_000, seed: int | None = None) -> bytes:
    """Give bytes that do not compress, as a picture's."""
    return random.Random(seed).randbytes(size)


def notebook(sources: list[str], printed: str = "", picture: bytes | None = None) -> bytes:
    """Give a session notebook; its first cell prints and shows a picture."""
    cells: list[dict[str, Any]] = []
    for number, source in enumerate(sources, 1):
        outputs: list[dict[str, Any]] = []
        if number == 1 and printed:
            outputs.append({"output_type": "stream", "name": "stdout", "text": [printed]})
        if number == 1 and picture is not None:
            data = {"image/png": base64.b64encode(picture).decode()}
            outputs.append({"output_type": "display_data", "data": data, "metadata": {}})
        cells.append(
            {
                "cell_type": "code",
                "execution_count": number,
                "id": f"c{number}",
                "metadata": {"codesave": {"execution": number}},
                "source": [source],
                "outputs": outputs,
            }
        )
    whole = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(whole, indent=1) + "\n").encode()


def record(
    store: Store,
    run: Run | None = None,
    *,
    sources: tuple[str, ...] = ("x = 1", "plot(x)"),
    printed: str = "",
    picture: bytes | None = None,
    saved: dict[str, bytes] | None = None,
    journal: bytes | None = None,
) -> tuple[Run, Version]:
    """Write a whole run, as ingest does; give it and its version."""
    run = run or make_run()
    data = notebook(list(sources), printed, picture)
    entries = {SESSION_NOTEBOOK: Entry(store.put(data), len(data))}
    files = {p: Entry(store.put(content), len(content)) for p, content in (saved or {}).items()}
    state = None
    if journal is not None:
        path = store.folder / f"{run.session}.journal"
        path.write_bytes(journal)
        digest = store.seal(run.session, path)
        state = JournalState(run.session, len(journal), 9, len(journal), True, digest or None)
        path.unlink()
    name = store.artifact_for(run.project, (run.notebook or "script.py").rpartition("/")[2])
    (version,) = store.write(
        run=run,
        executions=[
            Execution(run.id, n, f"{run.id}-{n}", source, started=run.started, status="ok")
            for n, source in enumerate(sources, 1)
        ],
        files=files,
        missing=[("gone.txt", "a broken link")] if saved else (),
        journal=state,
        commit={name: Manifest(entries)},
    )
    return run, version


def told(store: Store) -> dict[str, Any]:
    """Give all that the command line's --json would tell of a store."""
    runs = store.runs(limit=1000).items
    return {
        "runs": [run.details() for run in runs],
        "deleted": [run.details() for run in store.runs(limit=1000, deleted=True).items],
        "executions": {run.id: store.executions(run.id) for run in runs},
        "files": {run.id: list(store.files(run.id)) for run in runs},
        "missing": {run.id: store.missing_files(run.id) for run in runs},
        "versions": {run.id: store.versions_of(run.id) for run in runs},
        "artifacts": [artifact.summary() for artifact in store.artifacts()],
        "found": [hit.summary() for hit in store.search("x").items],
        "printed": [hit.summary() for hit in store.search("accuracy").items],
        "journals": {run.id: store.journal_state(run.session) for run in runs},
        "size": store.size(),
    }
