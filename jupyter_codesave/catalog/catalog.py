"""The catalog's connections, transactions and schema version; where both databases are made alike.

SQLite writers take the write lock at once (`BEGIN IMMEDIATE`) and wait for each other; PostgreSQL
writers lock rows. A transaction that comes back has reached the disk.
"""

from __future__ import annotations

import functools
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError

from ..disk import sync_folder
from ..errors import CodeSaveError, DamagedError, UnavailableError
from .schema import SCHEMA, check, crc, damaged, raised

_TELLING = ("texts", "executions", "runs", "versions", "series", "journals", "aliases", "artifacts")
_WAIT = 60  # seconds that a writer waits for another
_DAMAGED = (
    *("malformed", "not a database", "could not decode", "can't decode"),
    "integer overflow",  # of a sum of sizes
)
_READ_ONLY = ("readonly", "read-only", "unable to open")
_REFUSED = (*_READ_ONLY, "locked", "is full", "disk i/o error")  # no damage
_OURS = "user-defined function raised"  # schema.crc or schema.check
_SCHEMAS = re.compile(r"[1-9][0-9]{0,3}\.[0-9]{1,4}", re.ASCII)
_MIGRATION_LOCK = 0x636F6465  # any number of ours; PostgreSQL's advisory lock
_LEDGER_LOCK = _MIGRATION_LOCK + 1


class Transaction:
    """A connection within a transaction; every query module takes one."""

    def __init__(self, connection: sa.Connection, memory: dict[str, Any]) -> None:
        self.connection = connection
        self.memory = memory  # what queries remember between transactions, to be faster
        self.sqlite = connection.dialect.name == "sqlite"
        self._driver: Any = connection.connection.dbapi_connection
        self.mark = "?" if self.sqlite else "%s"  # of a value in a statement of the database's own

    def execute(self, statement: Any, rows: Any = None) -> Any:
        """Run a statement, once for each of `rows` when there are several."""
        return self.connection.execute(statement, rows)

    def run(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Run a statement in the database's own words; gives the driver's cursor."""
        # Past SQLAlchemy, which takes longer than SQLite over what an autosave writes.
        cursor = self._driver.cursor()
        cursor.execute(statement, values)
        return cursor

    def run_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement in the database's own words, once for each row."""
        self._driver.cursor().executemany(statement, rows)

    def insert(self, table: sa.Table) -> Any:
        """Start an INSERT that knows ON CONFLICT."""
        return sqlite.insert(table) if self.sqlite else postgresql.insert(table)

    def upsert(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows; where their primary key is there, set the other columns."""
        if rows:
            names = tuple(rows[0])
            statement, spell = _upsert(table, names, self.connection.dialect)
            self.run_many(statement, [spell(row) for row in rows])

    def walk(self) -> None:
        """Let the queries of this transaction walk an index until their page is full.

        PostgreSQL would often rather find everything and sort it: it cannot know how soon the
        page will be full.
        """
        if not self.sqlite:
            for way in ("sort", "seqscan", "bitmapscan"):
                self.connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")

    def keep_blobs(self) -> None:
        """Hold garbage collection off until this transaction ends."""
        if not self.sqlite:
            self.connection.exec_driver_sql("LOCK TABLE blobs IN ROW EXCLUSIVE MODE")

    def alone(self) -> None:
        """Hold off every writer until this transaction ends."""
        if not self.sqlite:
            tables = (
                "blobs, runs, executions, versions, aliases, artifacts, series, journals, facts"
            )
            self.connection.exec_driver_sql(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")

    def hold_ledger(self) -> None:
        """Let nobody else write the ledger until this transaction ends; wait for whoever does."""
        if not self.sqlite:
            self.connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LEDGER_LOCK})")

    def take_blobs(self) -> None:
        """Hold off every transaction that touches blobs until this one ends."""
        if not self.sqlite:
            self.connection.exec_driver_sql("LOCK TABLE blobs IN SHARE ROW EXCLUSIVE MODE")


class Catalog:
    """A catalog that is open: SQLite by its file, PostgreSQL by its URL."""

    def __init__(self, place: Path | str, *, wal: bool = True) -> None:
        self.place = place
        self._memory: dict[str, Any] = {}
        try:
            self.engine = _sqlite(place, wal) if isinstance(place, Path) else _postgresql(place)
            driver: Any = self.engine.dialect.dbapi
            self._fault: type[Exception] = driver.Error
            self._writing = self.engine.execution_options(codesave_writes=True)
            self._settle_schema()
        # What SQLite says of a damaged file may be no text.
        except (DBAPIError, UnicodeDecodeError) as error:
            raise self._explain(error) from error

    @property
    def name(self) -> str:
        """Where the catalog is, without a password."""
        return str(self.place) if isinstance(self.place, Path) else repr(self.engine.url)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Read one state of the catalog."""
        with self._begin(self.engine) as transaction:
            yield transaction

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Write in one transaction: all of it is there afterwards, or nothing is."""
        with self._begin(self._writing) as transaction:
            yield transaction

    def compact(self) -> None:
        """Leave nothing of deleted rows in free pages, in the index, or in the WAL."""
        with self._guard(), self.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            if connection.dialect.name == "sqlite":
                cursor = raw.cursor()
                for statement in (
                    "INSERT INTO texts_trigrams(texts_trigrams) VALUES('rebuild')",
                    "VACUUM",
                    "PRAGMA wal_checkpoint(TRUNCATE)",
                ):
                    cursor.execute(statement).fetchall()
                cursor.close()
            else:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                for table in _TELLING:
                    connection.exec_driver_sql(f"VACUUM FULL {table}")

    def checkpoint(self) -> None:
        """Empty SQLite's WAL into the catalog, so that what was overwritten is gone from both."""
        if not isinstance(self.place, Path):
            return
        with self._guard(), self.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _begin(self, engine: sa.Engine) -> Iterator[Transaction]:
        with self._guard(), engine.begin() as connection:
            yield Transaction(connection, self._memory)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, self._fault, UnicodeDecodeError) as error:
            raise self._find_cause(error) from error

    def _find_cause(self, error: Exception) -> BaseException:
        if _OURS not in str(error):
            return self._explain(error)
        cause = raised()
        if isinstance(cause, DamagedError):
            return DamagedError(self._damaged(str(cause)))
        return cause or KeyboardInterrupt()

    def _damaged(self, reason: str) -> str:
        return (
            f"the catalog {self.name} is damaged ({reason}); move it away and run "
            "`jupyter codesave rebuild`"
        )

    def _explain(self, error: Exception) -> CodeSaveError:
        said = str(getattr(error, "orig", error)).strip()
        reason = said.splitlines()[0] if said else "no reason given"
        lower = reason.lower()
        if any(each in lower for each in _DAMAGED):
            return DamagedError(self._damaged(reason))
        if "locked" in lower or "lock timeout" in lower:
            return UnavailableError(
                f"the catalog {self.name} has been locked for {_WAIT} s by another process; "
                "end that process or try again"
            )
        if any(each in lower for each in _READ_ONLY):
            return UnavailableError(_unwritable(self.name, reason))
        if "full" in lower:
            return UnavailableError(f"the disk of the catalog {self.name} is full; make room")
        if "disk i/o error" in lower:
            return UnavailableError(
                f"the disk of the catalog {self.name} could not read or write ({reason}); make "
                "room if it is full, else copy the folder to another disk and set CODESAVE_DIR to "
                "the copy"
            )
        if (
            isinstance(error, OperationalError)
            or type(error).__name__ == "OperationalError"
            or "server closed" in lower
        ):
            return UnavailableError(
                f"the catalog cannot be reached ({reason}); check database_url and the server"
            )
        return UnavailableError(f"the catalog refused a statement ({reason}); please report it")

    def _settle_schema(self) -> None:
        with self.engine.connect() as connection:
            found = _schema_of(connection)
        if not _older(found):
            return
        with self._writing.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            if _older(_schema_of(connection)):
                _migrate(connection)


@functools.lru_cache(maxsize=64)
def _upsert(
    table: sa.Table, names: tuple[str, ...], dialect: sa.Dialect
) -> tuple[str, Callable[[dict[str, Any]], tuple[Any, ...]]]:
    """Put together a statement, and what spells a row for it.

    In the database's own words: SQLAlchemy takes ten times as long over each row.
    """
    quote = dialect.identifier_preparer.quote
    keys = [column.name for column in table.primary_key]
    changes = ", ".join(f"{quote(n)} = excluded.{quote(n)}" for n in names if n not in keys)
    mark = "?" if dialect.name == "sqlite" else "%s"
    statement = (
        f"INSERT INTO {quote(table.name)} ({', '.join(map(quote, names))}) "
        f"VALUES ({', '.join([mark] * len(names))}) "
        f"ON CONFLICT ({', '.join(map(quote, keys))}) "
        + (f"DO UPDATE SET {changes}" if changes else "DO NOTHING")
    )
    spellings = [
        (name, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names
    ]

    def spell(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] if each is None else each(row[name]) for name, each in spellings)

    return statement, spell


def _migrate(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, SCHEMA)


def _schema_of(connection: sa.Connection) -> str | None:
    """Give the schema's version, None for an empty database; refuse a newer major version."""
    if connection.dialect.name == "sqlite":
        there = "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
    else:
        there = "SELECT count(*) FROM pg_tables WHERE tablename = 'alembic_version' "
        there += "AND schemaname = ANY (current_schemas(false))"
    if not connection.exec_driver_sql(there).scalar():
        return None
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    found = str(row[0]) if row else None
    if found is not None and not _SCHEMAS.fullmatch(found):
        raise damaged(f"it says to have schema {found!r}")
    if found is not None and _major(found) > _major(SCHEMA):
        raise UnavailableError(
            f"the store has schema {found}, written by a newer jupyter_codesave; this one knows "
            f"{SCHEMA}: run `pip install -U jupyter_codesave`"
        )
    return found


def _older(found: str | None) -> bool:
    if found is None:
        return True
    own, other = ([int(part) for part in each.split(".")] for each in (SCHEMA, found))
    return other < own


def _major(version: str) -> int:
    head = version.split(".")[0]
    return int(head) if head.isdigit() else 1 << 30


def is_refusal(error: Exception) -> bool:
    """Say whether a database was refused by its folder, its disk or a lock: that is no damage."""
    return any(each in str(error).lower() for each in _REFUSED)


def _unwritable(place: str, reason: str) -> str:
    return (
        f"the catalog {place} cannot be written ({reason}); make its folder and what is in it "
        "writable for you, or copy the folder and set CODESAVE_DIR to the copy"
    )


def _sqlite(file: Path, wal: bool) -> sa.Engine:
    if sqlite3.sqlite_version_info < (3, 35):
        raise UnavailableError(
            f"this Python has SQLite {sqlite3.sqlite_version} and the catalog needs 3.35: use a "
            "newer Python, or PostgreSQL through database_url"
        )
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
            sync_folder(file.parent)
    except OSError as error:
        raise UnavailableError(_unwritable(str(file), str(error.strerror))) from error
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(file)),
        connect_args={"timeout": _WAIT, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for name, function in (("codesave_crc", crc), ("codesave_check", check)):
            connection.create_function(name, -1, function, deterministic=True)
        mode = "WAL" if wal else "DELETE"
        # Of two processes that make the catalog at once, one may be refused the WAL for a moment.
        for pragma in (
            f"busy_timeout={_WAIT * 1000}",
            f"journal_mode={mode}",
            "synchronous=FULL",
            "secure_delete=ON",
            "cache_size=-32000",
            "temp_store=MEMORY",
            "trusted_schema=ON",  # its own columns and triggers call functions of ours
            "journal_size_limit=67108864",
        ):
            for attempt in range(50):
                try:
                    connection.execute(f"PRAGMA {pragma}")
                    break
                except sqlite3.OperationalError as error:
                    if attempt == 49 or "locked" not in str(error):
                        raise
                    time.sleep(0.02)

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("codesave_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: str) -> sa.Engine:
    try:
        engine = sa.create_engine(
            url,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": 15,
                "options": f"-c lock_timeout={_WAIT * 1000} -c timezone=UTC -c jit=off",
            },
        )
    except ImportError:
        raise UnavailableError(
            "database_url needs psycopg, which is not installed; "
            "run `pip install jupyter_codesave[team]`"
        ) from None
    except sa.exc.ArgumentError as error:
        raise UnavailableError(
            f"database_url is no SQLAlchemy URL ({error}); it reads "
            "postgresql+psycopg://USER@HOST/DATABASE"
        ) from None
    if engine.dialect.name != "postgresql":
        raise UnavailableError(
            f"database_url names {engine.dialect.name}; only postgresql+psycopg:// is supported"
        )
    return engine
