"""SQLite: rows carry the CRC-32 of their columns, and a row that is damaged is not written over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2.0"
down_revision = "1.0"

_TABLES = (
    "runs",
    "executions",
    "texts",
    "artifacts",
    "versions",
    "aliases",
    "series",
    "journals",
    "purged",
    "facts",
)


def upgrade() -> None:
    """Give tables a generated column `crc`; SQLite adds a stored one only to a new table."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for table in _TABLES:
            _add_crc(connection, table)


def _add_crc(connection: sa.Connection, table: str) -> None:
    run = connection.exec_driver_sql
    names = [row[1] for row in run(f"PRAGMA table_info({table})")]
    columns = ", ".join(f'"{name}"' for name in names)
    new, old = (", ".join(f'CAST({row}"{name}" AS BLOB)' for name in names) for row in ("", "OLD."))
    query = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type = ? AND sql IS NOT NULL"
    create = str(run(query, (table, "table")).scalar())
    indexes = [str(row[0]) for row in run(query, (table, "index"))]
    crc = f"crc INTEGER GENERATED ALWAYS AS (codesave_crc({new})) STORED"
    run(f"CREATE TABLE {table}_new ({crc}, {create.partition('(')[2]}")
    run(f"INSERT INTO {table}_new ({columns}) SELECT {columns} FROM {table}")
    run(f"DROP TABLE {table}")
    run(f"ALTER TABLE {table}_new RENAME TO {table}")
    for index in indexes:
        run(index)
    # What is written anew gets a new sum: damage would pass for what was meant.
    run(
        f"CREATE TRIGGER {table}_whole BEFORE UPDATE ON {table} "
        f"BEGIN SELECT codesave_check(CAST(OLD.crc AS INTEGER), {old}); END"
    )
