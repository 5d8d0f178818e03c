"""What the catalog tells of many runs at once, laid out as their records lay it out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from . import schema
from .catalog import Transaction
from .runs import from_row, to_row

_runs, _executions, _texts = schema.runs, schema.executions, schema.texts
_versions, _artifacts, _aliases = schema.versions, schema.artifacts, schema.aliases
_OWN = ("record", "revision", "files", "missing", "deleted", "thinned", "edited")
_EXECUTION = (
    _executions.c.number,
    _executions.c.key,
    _texts.c.text,
    sa.func.nullif(_executions.c.started, "", type_=schema.Words),
    _executions.c.ended,
    _executions.c.status,
    _executions.c.cell_id,
    _executions.c.execution_count,
    _executions.c.store_history,
)
_VERSION = (
    _versions.c.artifact,
    _artifacts.c.type,
    _artifacts.c.project,
    _versions.c.number,
    _versions.c.digest,
    _versions.c.size,
    _versions.c.created,
)


def of_runs(tx: Transaction, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Map runs to their columns, executions and versions."""
    query = sa.select(_runs).where(_runs.c.id.in_(run_ids))
    told: dict[str, dict[str, Any]] = {}
    for row in tx.execute(query).mappings():
        own = {name: row[name] for name in _OWN}
        told[row["id"]] = {**own, "run": to_row(from_row(row)), "executions": [], "versions": []}
    _add_executions(tx, told)
    _add_versions(tx, told)
    return told


def _add_executions(tx: Transaction, told: dict[str, dict[str, Any]]) -> None:
    query = (
        sa.select(_executions.c.run, *_EXECUTION)
        .join_from(_executions, _texts, _texts.c.id == _executions.c.source)
        .where(_executions.c.run.in_(told))
        .order_by(_executions.c.run, _executions.c.number)
    )
    for run, *row in tx.execute(query):
        told[run]["executions"].append(row)


def _add_versions(tx: Transaction, told: dict[str, dict[str, Any]]) -> None:
    query = (
        sa.select(_versions.c.run, *_VERSION)
        .join_from(_versions, _artifacts, _artifacts.c.name == _versions.c.artifact)
        .where(_versions.c.run.in_(told))
    )
    for run, *row in tx.execute(query):
        names = (column.name for column in _VERSION)
        told[run]["versions"].append(dict(zip(names, row, strict=True)))


def aliases(tx: Transaction, artifacts: Iterable[str]) -> dict[str, dict[str, tuple[int, str]]]:
    """Map artifacts and their aliases to the version's number, and to when it was moved there."""
    found: dict[str, dict[str, tuple[int, str]]] = {name: {} for name in artifacts}
    for row in tx.execute(sa.select(_aliases).where(_aliases.c.artifact.in_(found))):
        found[row.artifact][row.alias] = row.number, row.moved
    return found
