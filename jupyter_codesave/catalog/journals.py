"""Queries over journals, over purged runs, and over the few facts about the whole store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from . import schema
from .catalog import Transaction
from .rows import JournalState
from .schema import whole

_journals, _purged, _facts = schema.journals, schema.purged, schema.facts
_EVERY = sa.select(_journals, whole(_journals))
_FIELDS = tuple(JournalState.__dataclass_fields__)


def put(tx: Transaction, state: JournalState, record: str | None = None) -> None:
    """Note how far a journal is ingested; a sealed one keeps its record."""
    row = {name: getattr(state, name) for name in _FIELDS}
    if record is not None:
        row["record"] = record
    tx.upsert(_journals, [row])


def get(tx: Transaction, session: str) -> JournalState | None:
    """Give how far a session's journal is ingested."""
    row = columns(tx, session)
    return None if row is None else JournalState(**{name: row[name] for name in _FIELDS})


def columns(tx: Transaction, session: str) -> dict[str, Any] | None:
    """Give every column of a session's journal."""
    query = _EVERY.where(_journals.c.session == session)
    row = tx.execute(query).mappings().first()
    return _columns(row) if row else None


def every(tx: Transaction) -> list[dict[str, Any]]:
    """Give the columns of every journal."""
    return [_columns(row) for row in tx.execute(_EVERY).mappings()]


def drop(tx: Transaction, session: str) -> None:
    """Forget a journal."""
    tx.execute(sa.delete(_journals).where(_journals.c.session == session))


def forget_runs(tx: Transaction, runs: Iterable[tuple[str, str]]) -> None:
    """Note runs (id, session) as purged: their journals must not bring them back."""
    tx.upsert(_purged, [{"run": run, "session": session} for run, session in runs])


def purged(tx: Transaction) -> list[tuple[str, str]]:
    """Give the purged runs (id, session)."""
    return [(row.run, row.session) for row in tx.execute(sa.select(_purged, whole(_purged)))]


def is_purged(tx: Transaction, run_id: str) -> bool:
    """Tell whether a run was purged."""
    return (
        tx.execute(sa.select(_purged, whole(_purged)).where(_purged.c.run == run_id)).first()
        is not None
    )


def welcome(tx: Transaction, run_id: str) -> None:
    """Let a purged run back in: somebody copies it here on purpose."""
    tx.execute(sa.delete(_purged).where(_purged.c.run == run_id))


def fact(tx: Transaction, name: str) -> str | None:
    """Give a fact about the whole store."""
    found = tx.execute(
        sa.select(_facts.c.value, whole(_facts)).where(_facts.c.name == name)
    ).scalar()
    return None if found is None else str(found)


def set_fact(tx: Transaction, name: str, value: str) -> None:
    """Set a fact about the whole store."""
    tx.upsert(_facts, [{"name": name, "value": value}])


def _columns(row: Any) -> dict[str, Any]:
    return {column.name: row[column.name] for column in _journals.c}
