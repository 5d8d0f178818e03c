"""Journals as kernels leave them, for the commands to find."""

from __future__ import annotations

import base64
import secrets

from tests.conftest import Home
from tests.journal.records import execute_input, idle, message, run, session, stream, write

END = ("session-end", {"ended_by": "shutdown", "exit_code": 0})


def record(
    home: Home,
    number: int,
    notebook: str = "/home/ann/train.ipynb",
    project: str = "p",
    plot: str = "plot()",
) -> str:
    """Leave the journal of a session, as a kernel does; give its run."""
    run_id, name = f"run{number}", f"session{number}"
    picture = base64.b64encode(secrets.token_bytes(4000)).decode()
    shown = {"data": {"image/png": picture}, "metadata": {}, "transient": {}}
    items = [
        session(name),
        (
            "run",
            {
                **run(run_id)[1],
                "notebook": notebook,
                "project": project,
                "config": {"lr": number},
            },
        ),
        execute_input(f"lr = 3e-{number}", 1, f"{name}a"),
        stream("accuracy 0.9\n", key=f"{name}a"),
        idle(f"{name}a"),
        execute_input(plot, 2, f"{name}b"),
        message("display_data", shown, f"{name}b"),
        idle(f"{name}b"),
        END,
    ]
    write(home.data / "journal" / f"{name}.journal", items)
    return run_id
