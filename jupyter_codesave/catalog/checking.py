"""Checking the catalog itself: its pages, its types, its indexes, and the code in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import sqlalchemy as sa

from ..model.digest import digest_of
from . import schema
from .catalog import Transaction, is_refusal
from .search import fold

_BATCH = 5000
_KINDS = {
    schema.Digest: "blob",
    sa.Integer: "integer",
    sa.BigInteger: "integer",
    sa.Boolean: "integer",
    sa.Float: "real",
}
_HANGING = {
    "a version has no record": "SELECT 1 FROM versions WHERE run IS NULL AND record IS NULL",
    "a run that ended has no record": (
        "SELECT 1 FROM runs WHERE state <> 'running' AND record IS NULL"
    ),
    "a sealed journal has no record": (
        "SELECT 1 FROM journals WHERE sealed AND digest IS NOT NULL AND record IS NULL"
    ),
    "an alias names no version": (
        "SELECT 1 FROM aliases LEFT JOIN versions ON versions.artifact = aliases.artifact "
        "AND versions.number = aliases.number WHERE versions.artifact IS NULL"
    ),
    "a blob that is there has no size, or no place in its pack": (
        "SELECT 1 FROM blobs WHERE stored IS NOT NULL "
        "AND (size IS NULL OR (pack IS NOT NULL AND place IS NULL))"
    ),
}


def faults(tx: Transaction) -> Iterator[str]:
    """Say what is wrong with a catalog that can be read at all."""
    if tx.sqlite:
        for (said,) in tx.connection.exec_driver_sql("PRAGMA integrity_check(3)"):
            if said != "ok":
                yield str(said).splitlines()[0]
        yield from _odd_values(tx)
        for table in schema.CHECKED:
            tx.execute(sa.select(sa.func.count(schema.whole(table)))).all()  # DamagedError
    for said, query in _HANGING.items():
        if tx.run(f"{query} LIMIT 1").fetchone() is not None:
            yield said
    texts = schema.texts
    kept = sa.select(texts.c.digest, texts.c.text, texts.c.folded).where(texts.c.text.is_not(None))
    for row in tx.execute(kept.execution_options(yield_per=_BATCH)):
        if digest_of(row.text.encode("utf-8", "surrogatepass")) != row.digest:
            yield f"the text of a cell is not {row.digest}"
        elif fold(row.text) != row.folded:
            yield f"what search knows of the text {row.digest} is not its text"

    printed = sa.select(texts.c.folded).where(texts.c.text.is_(None))
    for row in tx.execute(printed.execution_options(yield_per=_BATCH)):
        if row.folded != row.folded.casefold():  # the index takes capitals for small letters
            yield "what search knows of a printed text is not what it knew"
    if tx.sqlite and _has_wrong_words(tx):
        yield "the index of texts holds what they do not"


def _has_wrong_words(tx: Transaction) -> bool:
    """Look the first and the last text of each trigram up: FTS5's own sum may come out alike.

    Texts are listed by their distances: where one is wrong, so is the last text.
    """
    tx.run(
        "CREATE VIRTUAL TABLE IF NOT EXISTS temp.words "
        "USING fts5vocab(main, texts_trigrams, instance)"
    )
    query = (
        "SELECT 1 FROM (SELECT term, min(doc) AS first, max(doc) AS last FROM temp.words "
        "GROUP BY term) LEFT JOIN texts AS a ON a.id = first LEFT JOIN texts AS b ON b.id = last "
        "WHERE a.id IS NULL OR b.id IS NULL OR instr(a.folded, term) = 0 "
        "OR instr(b.folded, term) = 0 LIMIT 1"
    )
    return tx.run(query).fetchone() is not None


def index_faults(tx: Transaction) -> Iterator[str]:
    """Say whether the trigram index is that of the texts; in a transaction that may write."""
    if tx.sqlite:
        try:
            tx.run("INSERT INTO texts_trigrams(texts_trigrams, rank) VALUES ('integrity-check', 1)")
        except sqlite3.DatabaseError as error:
            if is_refusal(error):
                raise
            yield f"the index of texts: {error}"


def _odd_values(tx: Transaction) -> Iterator[str]:
    """Name the columns that hold values of another type than they should: SQLite takes any."""
    for table in schema.metadata.sorted_tables:
        for column in table.columns:
            name = f'"{column.name}"'
            kind = next((_KINDS[each] for each in _KINDS if type(column.type) is each), "text")
            fits = f"typeof({name}) = '{kind}'"
            if isinstance(column.type, schema.Digest):
                fits += f" AND length({name}) = 32"
            if isinstance(column.type, sa.Boolean):
                fits += f" AND {name} IN (0, 1)"
            if column.nullable:
                fits = f"{name} IS NULL OR {fits}"
            query = f'SELECT 1 FROM "{table.name}" WHERE NOT ({fits}) LIMIT 1'
            if tx.run(query).fetchone() is not None:
                yield f"{table.name}.{column.name} holds what it cannot hold"
