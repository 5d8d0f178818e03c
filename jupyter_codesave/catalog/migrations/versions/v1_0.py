"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "1.0"
down_revision = None

_WORDS = (
    "lower(id || '\n' || name || '\n' || project || '\n' || coalesce(notebook, '') || '\n' || "
    "coalesce(program, '') || '\n' || tags || '\n' || coalesce(notes, '') || '\n' || state)"
)


def upgrade() -> None:
    """Create every table, its indexes, and the trigram index over texts."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    words = sa.Text(collation="C") if postgresql else sa.Text()
    binary = sa.LargeBinary(32)
    number = sa.BigInteger() if postgresql else sa.Integer()
    key: dict[str, Any] = {"primary_key": True}
    needed: dict[str, Any] = {"nullable": False}
    op.create_table(
        "runs",
        sa.Column("id", words, **key),
        *(
            sa.Column(name, words, **needed)
            for name in ("name", "project", "kind", "session", "started", "state")
        ),
        *(
            sa.Column(name, words)
            for name in ("ended", "ended_by", "notebook", "program", "kernel_id")
        ),
        sa.Column("executions", sa.Integer, **needed),
        sa.Column("artifact", words),
        sa.Column("tags", sa.Text, **needed),
        sa.Column("notes", words),
        sa.Column("error", words),
        sa.Column("config", sa.Text, **needed),
        sa.Column("argv", sa.Text, **needed),
        sa.Column("cwd", words),
        sa.Column("host", words),
        sa.Column("user", words),
        sa.Column("by", words, **needed),
        sa.Column("git", sa.Text, **needed),
        sa.Column("environment", sa.Text, **needed),
        sa.Column("files", binary),
        sa.Column("missing", sa.Text),
        sa.Column("record", binary),
        sa.Column("revision", sa.Integer, server_default="0", **needed),
        sa.Column("deleted", words),
        sa.Column("edited", sa.Text),
        sa.Column("thinned", words),
    )
    op.create_index("runs_by_time", "runs", ["started", "id"])
    op.create_index("runs_by_project", "runs", ["project", "started", "id"])
    op.create_index("runs_by_notebook", "runs", ["notebook", "started", "id"])
    op.create_index("runs_by_session", "runs", ["session"])
    if not postgresql:  # rows are long; filtering reads this instead
        op.execute(
            f"CREATE INDEX runs_by_words ON runs (started, id, {_WORDS}) WHERE deleted IS NULL"
        )
    op.create_table(
        "executions",
        sa.Column("run", words, **key),
        sa.Column("number", sa.Integer, autoincrement=False, **key),
        sa.Column("key", words, **needed),
        sa.Column("source", number, **needed),
        sa.Column("started", words, **needed),
        sa.Column("ended", words),
        sa.Column("status", words, **needed),
        sa.Column("cell_id", words),
        sa.Column("execution_count", sa.Integer),
        sa.Column("store_history", sa.Boolean, **needed),
        sa.Column("printed", number),
    )
    op.create_index("executions_by_time", "executions", ["started", "run", "number"])
    for column in ("source", "printed"):
        op.create_index(f"executions_by_{column}", "executions", [column])
    op.create_table(
        "texts",
        sa.Column("id", number, **key),
        sa.Column("digest", binary, unique=True, **needed),
        sa.Column("text", words),
        sa.Column("folded", sa.Text, **needed),
    )
    op.create_table(
        "artifacts",
        sa.Column("name", words, **key),
        sa.Column("type", words, **needed),
        sa.Column("project", words, **needed),
    )
    op.create_table(
        "versions",
        sa.Column("artifact", words, **key),
        sa.Column("number", sa.Integer, autoincrement=False, **key),
        sa.Column("digest", binary, **needed),
        sa.Column("size", sa.BigInteger, **needed),
        sa.Column("run", words),
        sa.Column("created", words, **needed),
        sa.Column("record", binary),
    )
    op.create_index("versions_by_run", "versions", ["run"])
    op.create_table(
        "aliases",
        sa.Column("artifact", words, **key),
        sa.Column("alias", words, **key),
        sa.Column("number", sa.Integer, **needed),
        sa.Column("moved", words, **needed),
    )
    op.create_table(
        "series",
        sa.Column("project", words, **key),
        sa.Column("path", words, **key),
        sa.Column("name", words, **needed),
    )
    op.create_index("ix_series_name", "series", ["name"])
    op.create_table(
        "journals",
        sa.Column("session", words, **key),
        *(sa.Column(name, sa.BigInteger, **needed) for name in ("offset", "sequence", "size")),
        sa.Column("sealed", sa.Boolean, **needed),
        sa.Column("digest", binary),
        sa.Column("version", sa.Integer, **needed),
        sa.Column("record", binary),
    )
    op.create_table(
        "purged",
        sa.Column("run", words, **key),
        sa.Column("session", words, **needed),
    )
    op.create_index("ix_purged_session", "purged", ["session"])
    op.create_table("facts", sa.Column("name", words, **key), sa.Column("value", words, **needed))
    op.create_table(
        "blobs",
        sa.Column("digest", binary, **key),
        sa.Column("touched", sa.Float, **needed),
        sa.Column("size", sa.BigInteger),
        sa.Column("stored", sa.BigInteger),
        sa.Column("pack", sa.Integer),
        sa.Column("place", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_blobs_pack", "blobs", ["pack"])
    op.create_table(
        "packs",
        sa.Column("id", sa.Integer, **key),
        sa.Column("digest", binary, unique=True, **needed),
        sa.Column("size", sa.BigInteger, **needed),
    )
    op.create_table(
        "parts",
        sa.Column("whole", binary, **key),
        sa.Column("part", binary, **key),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_parts_part", "parts", ["part"])
    if postgresql:
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        op.execute(
            "CREATE INDEX texts_trigrams ON texts USING gin (folded gin_trgm_ops) "
            "WITH (gin_pending_list_limit = 512)"
        )
    else:
        op.execute(
            "CREATE VIRTUAL TABLE texts_trigrams USING fts5("
            "folded, content='texts', content_rowid='id', tokenize='trigram', detail=none)"
        )
