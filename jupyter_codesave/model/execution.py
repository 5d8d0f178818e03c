"""An execution: one running of one cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "error", "aborted", "running", "unknown"]


@dataclass(frozen=True)
class Execution:
    """One running of one cell, without its outputs (those lie in the run's session notebook).

    `number` counts from 1 within the run; `key` is the msg_id of the execute request (kernels) or
    a session-wide counter (terminals); times are ISO 8601 in UTC.
    """

    run: str
    number: int
    key: str
    source: str
    started: str | None = None
    ended: str | None = None
    status: Status = "running"
    cell_id: str | None = None
    execution_count: int | None = None
    store_history: bool = True
