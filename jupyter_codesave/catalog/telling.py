"""What the catalog tells of many runs at once, laid out as their records lay it out."""

from __future__ import annotations

from collections.abc import Sequence
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
    """Map runs to their columns, executions, and versions with the aliases that these have."""
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
    by_place: dict[tuple[str, int], dict[str, Any]] = {}
    for run, *row in tx.execute(query):
        version = {
            **{column.name: value for column, value in zip(_VERSION, row, strict=True)},
            "aliases": {},
        }
        by_place[version["artifact"], version["number"]] = version
        told[run]["versions"].append(version)
    here = sa.and_(
        _versions.c.artifact == _aliases.c.artifact, _versions.c.number == _aliases.c.number
    )
    aliases = sa.select(_aliases).join_from(_aliases, _versions, here)
    for found in tx.execute(aliases.where(_versions.c.run.in_(told))):
        if (whose := by_place.get((found.artifact, found.number))) is not None:
            whose["aliases"][found.alias] = found.moved


def moved(tx: Transaction, artifact: str, alias: str) -> str | None:
    """Tell when an alias was moved last; None when there is none of that name."""
    here = sa.and_(_aliases.c.artifact == artifact, _aliases.c.alias == alias)
    found: str | None = tx.execute(sa.select(_aliases.c.moved).where(here)).scalar()
    return found
