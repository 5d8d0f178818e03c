from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from jupyter_codesave.catalog import catalog as connections
from jupyter_codesave.catalog import journals, schema, whereabouts
from jupyter_codesave.catalog.catalog import Catalog
from jupyter_codesave.catalog.whereabouts import Placed
from jupyter_codesave.errors import DamagedError, UnavailableError

from .conftest import Place


def set_schema(catalog: Catalog, version: str) -> None:
    with catalog.write() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = :v"), {"v": version})


def test_migrating_an_empty_database_makes_the_tables_that_are_described(catalog: Catalog) -> None:
    def ours(kind: str, name: str | None) -> bool:
        return not (kind == "table" and str(name).startswith("texts_trigrams")) and name != "crc"

    with catalog.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: ours(kind, name), "compare_type": False},
        )
        changes = compare_metadata(context, schema.metadata)
    assert [each for each in changes if "texts_trigrams" not in str(each)] == []


def test_where_the_database_keeps_no_sums_of_rows_we_do(place: Place, catalog: Catalog) -> None:
    kept = {
        table
        for table in schema.metadata.tables
        if "crc" in {column["name"] for column in sa.inspect(catalog.engine).get_columns(table)}
    }
    checked = {table.name for table in schema.CHECKED}
    assert kept == (checked if isinstance(place, Path) else set())
    # Of these the bytes are named by their digests, and whether they are there is seen.
    assert set(schema.metadata.tables) - checked == {"blobs", "packs", "parts"}


def test_a_catalog_of_the_first_schema_keeps_what_it_holds(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SCHEMA", "1.0")
    old = Catalog(place)
    values = {"id": "r", "text": 'é"x', "digest": bytes(range(32))}
    with old.write() as tx:
        tx.execute(
            sa.text("INSERT INTO texts (id, digest, text, folded) VALUES (7, :digest, :text, 'x')"),
            values,
        )
        tx.execute(sa.text("INSERT INTO facts (name, value) VALUES (:id, :text)"), values)
    old.close()
    monkeypatch.undo()
    catalog = Catalog(place)
    with catalog.write() as tx:
        assert journals.fact(tx, "r") == 'é"x'
        found = sa.select(schema.texts.c.id, schema.texts.c.text, schema.whole(schema.texts))
        assert tx.execute(found).all()[0][:2] == (7, 'é"x')
        journals.set_fact(tx, "r", "new")
        indexes = {each["name"] for each in sa.inspect(tx.connection).get_indexes("runs")}
    assert indexes >= {index.name for index in schema.runs.indexes}
    catalog.close()


def test_a_row_that_is_not_as_it_was_written_is_neither_read_nor_written_over(
    tmp_path: Path,
) -> None:
    catalog = Catalog(tmp_path / "catalog.sqlite")
    with catalog.write() as tx:
        journals.set_fact(tx, "name", "a value of its own")
        journals.set_fact(tx, "other", "untouched")
    catalog.close()
    file = tmp_path / "catalog.sqlite"
    data = file.read_bytes()
    assert data.count(b"a value of its own") == 1
    file.write_bytes(data.replace(b"a value of its own", b"a value of ITS own"))
    damaged = Catalog(file)
    with damaged.read() as tx:
        assert journals.fact(tx, "other") == "untouched"
    with pytest.raises(DamagedError, match="not as it was written"), damaged.read() as tx:
        journals.fact(tx, "name")
    with pytest.raises(DamagedError, match="jupyter codesave rebuild"), damaged.write() as tx:
        journals.set_fact(tx, "name", "new")
    damaged.close()


@pytest.mark.parametrize("crc", ["NULL", "x'ff'", "CAST(x'ff' AS TEXT)", "'12'", "1.5"])
def test_a_sum_that_is_damaged_is_damage(tmp_path: Path, crc: str) -> None:
    file = tmp_path / "catalog.sqlite"
    catalog = Catalog(file)
    with catalog.write() as tx:
        journals.set_fact(tx, "name", "value")
    catalog.close()
    plain = (
        "UPDATE sqlite_master SET type = 'table', sql = replace(sql, substr(sql, "
        "instr(sql, 'GENERATED'), instr(sql, 'STORED') + 6 - instr(sql, 'GENERATED')), '') "
        "WHERE name = 'facts'"
    )
    for statement in ("PRAGMA writable_schema=ON", "DROP TRIGGER facts_whole", plain, ""):
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA writable_schema=ON")
            connection.execute(statement or f"UPDATE facts SET crc = {crc}")
    damaged = Catalog(file)
    with pytest.raises(DamagedError, match="not as it was written"), damaged.read() as tx:
        journals.fact(tx, "name")
    damaged.close()


def test_a_row_that_is_given_for_another_is_damage(tmp_path: Path) -> None:
    file = tmp_path / "catalog.sqlite"
    names = ["sha256:" + digit * 64 for digit in "1234"]
    catalog = Catalog(file)
    with catalog.write() as tx:
        whereabouts.placed(tx, [Placed(name, 5, 5) for name in names])
    catalog.close()
    # Rows out of order: where the second should lie, SQLite finds the first and gives it for it.
    first = bytes.fromhex("11" * 32)
    file.write_bytes(file.read_bytes().replace(first, b"\x99" + first[1:]))
    damaged = Catalog(file)
    with pytest.raises(DamagedError, match="for another digest"), damaged.read() as tx:
        whereabouts.locate(tx, [names[1]])
    with pytest.raises(DamagedError, match="jupyter codesave rebuild"), damaged.write() as tx:
        whereabouts.touch(tx, [names[1]], 0)
    damaged.close()


def test_an_interrupt_is_no_damage(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, threading, time\n"
        "from pathlib import Path\n"
        "from jupyter_codesave.catalog import journals\n"
        "from jupyter_codesave.catalog.catalog import Catalog\n"
        "catalog = Catalog(Path(sys.argv[1]))\n"
        "with catalog.write() as tx:\n"
        "    journals.forget_runs(tx, [(f'run {n}', 'x' * 99) for n in range(2000)])\n"
        "def interrupt():\n"
        "    time.sleep(0.03)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "interrupted = 0\n"
        "while interrupted < 10:\n"
        "    thread = threading.Thread(target=interrupt)\n"
        "    try:\n"
        "        thread.start()\n"
        "        while True:\n"
        "            with catalog.read() as tx: journals.purged(tx)\n"
        "    except KeyboardInterrupt: interrupted += 1\n"
        "    thread.join()\n"
        "with catalog.read() as tx: print(len(journals.purged(tx)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "catalog.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout.strip(), done.stderr) == ("2000", "")


def test_the_schema_is_the_newest_migration() -> None:
    folder = Path(connections.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_heads() == [schema.SCHEMA]


def test_a_newer_major_version_is_refused_and_named(place: Place, catalog: Catalog) -> None:
    set_schema(catalog, "3.0")
    with pytest.raises(UnavailableError, match=r"schema 3\.0.*pip install -U"):
        Catalog(place)


def test_a_newer_minor_version_is_used_as_it_is(place: Place, catalog: Catalog) -> None:
    set_schema(catalog, "2.99")
    with catalog.write() as tx:
        tx.execute(sa.text("ALTER TABLE runs ADD COLUMN mood TEXT"))
    newer = Catalog(place)
    with newer.read() as tx:
        assert tx.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == "2.99"
    newer.close()


def test_opening_what_is_up_to_date_imports_no_alembic(tmp_path: Path) -> None:
    Catalog(tmp_path / "catalog.sqlite").close()
    code = (
        "import sys; from pathlib import Path; "
        "from jupyter_codesave.catalog.catalog import Catalog; "
        f"Catalog(Path({str(tmp_path / 'catalog.sqlite')!r})); print('alembic' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_many_processes_may_make_the_catalog_at_once(place: Place) -> None:
    code = (
        "import sys; from pathlib import Path; "
        "from jupyter_codesave.catalog.catalog import Catalog; "
        "place = sys.argv[1]; Catalog(place if '://' in place else Path(place)).close()"
    )
    command = [sys.executable, "-c", code, str(place)]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in started:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error


def test_a_migration_that_fails_leaves_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate = connections._migrate

    def fail(connection: sa.Connection) -> None:
        migrate(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr(connections, "_migrate", fail)
    with pytest.raises(KeyboardInterrupt):
        Catalog(place)
    monkeypatch.undo()
    engine = sa.create_engine(f"sqlite:///{place}" if isinstance(place, Path) else place)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()
    Catalog(place).close()


def test_a_transaction_that_fails_writes_nothing(catalog: Catalog) -> None:
    def fail() -> None:
        with catalog.write() as tx:
            journals.set_fact(tx, "name", "value")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    with catalog.read() as tx:
        assert journals.fact(tx, "name") is None


def test_writers_wait_for_each_other(catalog: Catalog) -> None:
    def count() -> None:
        for _ in range(25):
            with catalog.write() as tx:
                if not tx.sqlite:
                    tx.connection.exec_driver_sql("LOCK TABLE facts")
                now = int(journals.fact(tx, "count") or 0)
                journals.set_fact(tx, "count", str(now + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with catalog.read() as tx:
        assert journals.fact(tx, "count") == "100"


def test_any_text_comes_back(catalog: Catalog) -> None:
    texts = ["", "plain", "Ä€😀", "nul\0inside", "\udcff lone", "\x01", "\x01json", "a" * 100_000]
    with catalog.write() as tx:
        for number, text in enumerate(texts):
            journals.set_fact(tx, str(number), text)
    with catalog.read() as tx:
        assert [journals.fact(tx, str(number)) for number in range(len(texts))] == texts


def test_a_file_that_is_no_database_is_called_damaged(tmp_path: Path) -> None:
    file = tmp_path / "catalog.sqlite"
    file.write_bytes(b"this is not SQLite at all, whatever its name says" * 100)
    with pytest.raises(DamagedError, match="rebuild"):
        Catalog(file)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="CODESAVE_DIR"):
        Catalog(tmp_path / "file" / "catalog.sqlite")


def test_a_disk_that_is_full_is_no_damage(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.sqlite")

    def fill() -> None:
        with catalog.write() as tx:
            tx.run("PRAGMA max_page_count = 1")  # SQLite says the same as of a full disk
            for number in range(100):
                journals.set_fact(tx, str(number), "x" * 10_000)

    with pytest.raises(UnavailableError, match=r"disk of the catalog .* is full; make room"):
        fill()
    catalog.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "no SQLAlchemy URL"),
        ("mysql+pymysql://host/db", "only postgresql|not installed|cannot"),
        ("postgresql+psycopg://nobody@127.0.0.1:1/none", "cannot be reached"),
    ],
)
def test_a_url_that_leads_nowhere_is_explained(url: str, reason: str) -> None:
    with pytest.raises(UnavailableError, match=reason):
        Catalog(url)


def test_the_catalog_is_private(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "catalog.sqlite"
    catalog = Catalog(file)
    with catalog.write() as tx:
        journals.set_fact(tx, "a", "b")
    modes = {each.name: each.stat().st_mode & 0o777 for each in file.parent.iterdir()}
    assert len(modes) == 3, "the catalog, its WAL and its shared memory"
    assert set(modes.values()) == {0o600}
    assert file.parent.stat().st_mode & 0o777 == 0o700
    catalog.close()
