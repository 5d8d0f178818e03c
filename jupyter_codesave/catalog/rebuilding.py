"""Emptying the catalog before it is made anew."""

from __future__ import annotations

import sqlalchemy as sa

from . import schema, search
from .catalog import Transaction


def clear(tx: Transaction) -> None:
    """Remove what records will bring back.

    Stays: where blobs lie, which runs were purged, and how far unsealed journals are ingested.
    """
    texts = set(tx.execute(sa.select(schema.texts.c.id)).scalars())
    for table in (
        schema.runs,
        schema.executions,
        schema.aliases,
        schema.versions,
        schema.artifacts,
        schema.series,
    ):
        tx.execute(sa.delete(table))
    search.drop_unused_texts(tx, texts)
    tx.execute(sa.delete(schema.journals).where(schema.journals.c.sealed))
