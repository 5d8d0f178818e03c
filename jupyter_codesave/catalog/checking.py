"""Checking the catalog itself: its pages, and the code in it."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from ..model.digest import digest_of
from . import schema
from .catalog import Transaction

_BATCH = 5000


def faults(tx: Transaction) -> Iterator[str]:
    """Say what is wrong with a catalog that can be read at all."""
    if tx.sqlite:
        for (said,) in tx.connection.exec_driver_sql("PRAGMA integrity_check(3)"):
            if said != "ok":
                yield str(said).splitlines()[0]
    texts = schema.texts
    query = sa.select(texts.c.digest, texts.c.text).where(texts.c.text.is_not(None))
    for row in tx.execute(query.execution_options(yield_per=_BATCH)):
        if digest_of(row.text.encode("utf-8", "surrogatepass")) != row.digest:
            yield f"the text of a cell is not {row.digest}"
