"""Emptying the catalog before it is made anew."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from . import runs as queries
from . import schema
from .catalog import Transaction


def clear(tx: Transaction, recorded: Iterable[str]) -> None:
    """Remove what records will bring back: every run but those that are running without a record.

    Journals that are not sealed stay as far as they are ingested, for the runs that stay.
    """
    coming = set(recorded)
    columns = schema.runs.c
    for row in tx.execute(sa.select(columns.id, columns.state, columns.record)).all():
        if row.id in coming or row.state != "running" or row.record is not None:
            queries.drop(tx, row.id)
    for table in (schema.aliases, schema.versions, schema.artifacts, schema.series):
        tx.execute(sa.delete(table))
    tx.execute(sa.delete(schema.journals).where(schema.journals.c.sealed))
