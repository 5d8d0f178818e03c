"""The catalog's tables (SQLAlchemy Core), as they are once every migration has run.

`SCHEMA` is `MAJOR.MINOR`. A minor step only adds what older packages may leave alone (nullable
columns, tables, indexes), so that packages of one major version share a store; a store of a newer
major version is refused.

SQLite keeps no checksums. There each row of the `CHECKED` tables has the CRC-32 of these columns
in one more, `crc`, which SQLite computes by our `crc` when it writes the row; whoever reads rows
selects `whole` with them, which fails where a row is not as it was written. A minor step's new
columns are not among the summed ones.
"""

from __future__ import annotations

import json
import threading
import zlib
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FromClause, FunctionElement

from ..errors import DamagedError

SCHEMA = "2.0"
_MARK = "\x01"
_number = BigInteger().with_variant(Integer, "sqlite")


def damaged(reason: str) -> DamagedError:
    """Say that the catalog is damaged, and the way out."""
    way_out = "move it away and run `jupyter codesave rebuild`"
    return DamagedError(f"the catalog is damaged ({reason}); {way_out}")


def spell_words(text: str) -> str:
    """Escape what a database cannot hold: NULs and lone surrogates."""
    if text.isascii() and "\0" not in text and text[:1] != _MARK:
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return _MARK + json.dumps(text)
    return _MARK + json.dumps(text) if "\0" in text or text[:1] == _MARK else text


def _read(text: Any) -> Any:
    try:
        if not isinstance(text, str):
            raise TypeError(type(text))
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(f"it holds {str(text)[:60]!r} for text") from error


def read_digest(value: Any) -> str:
    """Spell 32 bytes as a digest."""
    if not isinstance(value, bytes) or len(value) != 32:  # SQLite takes any type
        raise damaged(f"it holds {value!r:.60} for a digest")
    return "sha256:" + value.hex()


class Words(TypeDecorator[str]):
    """Text that may hold anything a Python string may: NULs and lone surrogates are escaped.

    Compared by code points on every database (collation C), so that both sort alike.
    """

    impl = Text().with_variant(Text(collation="C"), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape what a database cannot hold."""
        return None if value is None else spell_words(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Undo the escaping."""
        if value is not None and not isinstance(value, str):  # SQLite takes any type
            return str(_read(value))
        if value is not None and value.startswith(_MARK):
            return str(_read(value[1:]))
        return None if value is None else str(value)


class Json(TypeDecorator[Any]):
    """A JSON value as ASCII text; NaN, NUL and lone surrogates survive, unlike in PostgreSQL's."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Spell the value; what JSON cannot hold becomes its repr."""
        if value is None:
            return None
        return json.dumps(value, default=repr, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Read the value back."""
        return None if value is None else _read(value)


class Digest(TypeDecorator[str]):
    """A digest (`sha256:` and 64 hex digits) in 32 bytes."""

    impl = LargeBinary(32)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Spell the digest in bytes."""
        return None if value is None else bytes.fromhex(value[7:])

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Spell the bytes as a digest."""
        return None if value is None else read_digest(value)


metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("id", Words, primary_key=True),
    Column("name", Words, nullable=False),
    Column("project", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("session", Words, nullable=False),
    Column("started", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("ended", Words),
    Column("ended_by", Words),
    Column("notebook", Words),
    Column("program", Words),
    Column("kernel_id", Words),
    Column("executions", Integer, nullable=False),
    Column("artifact", Words),
    Column("tags", Json, nullable=False),
    Column("notes", Words),
    Column("error", Words),
    Column("config", Json, nullable=False),
    Column("argv", Json, nullable=False),
    Column("cwd", Words),
    Column("host", Words),
    Column("user", Words),
    Column("by", Words, nullable=False),
    Column("git", Json, nullable=False),
    Column("environment", Json, nullable=False),
    Column("files", Digest),  # manifest of the files that save() kept
    Column("missing", Json),  # [[path, reason]]: what could not be stored
    Column("record", Digest),  # the run record that rebuild reads
    Column("revision", Integer, nullable=False, server_default="0"),  # of the run record
    Column("deleted", Words),  # when; None: not deleted
    Column("edited", Json),  # {field: value} set by hand: the journal does not overrule it
    Column("thinned", Words),  # when its outputs were dropped to save space; None: not
    Index("runs_by_time", "started", "id"),
    Index("runs_by_project", "project", "started", "id"),
    Index("runs_by_notebook", "notebook", "started", "id"),
    Index("runs_by_session", "session"),
)

executions = Table(
    "executions",
    metadata,
    Column("run", Words, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("key", Words, nullable=False),
    Column("source", _number, nullable=False),  # texts.id
    Column("started", Words, nullable=False),  # "": unknown
    Column("ended", Words),
    Column("status", Words, nullable=False),
    Column("cell_id", Words),
    Column("execution_count", Integer),
    Column("store_history", Boolean, nullable=False),
    Column("printed", _number),  # texts.id of the outputs' text
    Index("executions_by_time", "started", "run", "number"),
    Index("executions_by_source", "source"),
    Index("executions_by_printed", "printed"),
)

# Distinct sources, and distinct texts of outputs (`text` is NULL: only the index needs them).
texts = Table(
    "texts",
    metadata,
    Column("id", _number, primary_key=True),
    Column("digest", Digest, nullable=False, unique=True),
    Column("text", Words),
    Column("folded", Text, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("name", Words, primary_key=True),
    Column("type", Words, nullable=False),
    Column("project", Words, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("artifact", Words, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", Digest, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("run", Words),
    Column("created", Words, nullable=False),
    Column("record", Digest),  # only of versions without a run
    Index("versions_by_run", "run"),
)

aliases = Table(
    "aliases",
    metadata,
    Column("artifact", Words, primary_key=True),
    Column("alias", Words, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("moved", Words, nullable=False),
)

series = Table(
    "series",
    metadata,
    Column("project", Words, primary_key=True),
    Column("path", Words, primary_key=True),
    Column("name", Words, nullable=False, index=True),
)

journals = Table(
    "journals",
    metadata,
    Column("session", Words, primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sealed", Boolean, nullable=False),
    Column("digest", Digest),
    Column("version", Integer, nullable=False),
    Column("record", Digest),
)

purged = Table(
    "purged",
    metadata,
    Column("run", Words, primary_key=True),
    Column("session", Words, nullable=False, index=True),
)

facts = Table(
    "facts",
    metadata,
    Column("name", Words, primary_key=True),
    Column("value", Words, nullable=False),
)

# A row is touched before its bytes are counted on. Garbage collection first takes `stored` away
# from untouched rows, then row and bytes in one transaction, if nobody touched them meanwhile.
blobs = Table(
    "blobs",
    metadata,
    Column("digest", Digest, primary_key=True),
    Column("touched", Float, nullable=False),
    Column("size", BigInteger),  # decoded
    Column("stored", BigInteger),  # bytes taken; NULL: not there (yet)
    Column("pack", Integer, index=True),  # packs.id; NULL: a blob of its own
    Column("place", BigInteger),  # its offset in the pack
    sqlite_with_rowid=False,
)

packs = Table(
    "packs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", Digest, nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
)

# Which payloads a recipe leans on.
parts = Table(
    "parts",
    metadata,
    Column("whole", Digest, primary_key=True),
    Column("part", Digest, primary_key=True, index=True),
    sqlite_with_rowid=False,
)

CHECKED = (
    runs,
    executions,
    texts,
    artifacts,
    versions,
    aliases,
    series,
    journals,
    purged,
    facts,
)
_raised = threading.local()


def crc(*values: bytes | None) -> int:
    """Give the CRC-32 of a row's columns, which SQLite hands over as bytes."""
    try:
        # A value cannot pass for its neighbour's end: each has its length before it.
        parts = [b"-" if value is None else b"%d:%b" % (len(value), value) for value in values]
        return zlib.crc32(b"".join(parts))
    except BaseException as error:
        _raised.error = error
        raise


def check(found: int | None, *values: bytes | None) -> int | None:
    """Give `found`, a row's own sum; DamagedError when it is not that of its columns."""
    try:
        # The empty side of an outer join has no sum.
        if found == crc(*values) or (found is None and not any(values)):
            return found
        raise DamagedError("a row is not as it was written")
    except BaseException as error:
        _raised.error = error
        raise


def raised() -> BaseException | None:
    """Give what these raised in this thread since this was asked: SQLite only says that they did.

    None, although SQLite says so: a signal's handler raised before they had begun.
    """
    error: BaseException | None = getattr(_raised, "error", None)
    _raised.error = None
    return error


def as_bytes(column: str) -> str:
    """Spell how a column is handed to `crc`: text that is none would be no argument."""
    return f"CAST({column} AS BLOB)"


class whole(FunctionElement[int]):  # noqa: N801 - reads as a function in a query
    """A column that makes reading a row of `table` fail where it is not as it was written."""

    inherit_cache = True
    type = Integer()

    def __init__(self, table: FromClause) -> None:
        super().__init__(*table.c)


@compiles(whole)
def _nothing(element: whole, compiler: Any, **_: Any) -> str:
    return "NULL"


@compiles(whole, "sqlite")
def _call(element: whole, compiler: Any, **options: Any) -> str:
    columns = [compiler.process(each, **options) for each in element.clauses]
    table = columns[0].rpartition(".")[0]
    values = ", ".join(map(as_bytes, columns))
    return f"codesave_check(CAST({table}.crc AS INTEGER), {values})"
