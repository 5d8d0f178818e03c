"""Flipped bytes in the catalog: told of by `verify` or of no effect, and never served."""

from __future__ import annotations

import random
import shutil
import sqlite3
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from jupyter_codesave.catalog import schema
from jupyter_codesave.errors import CodeSaveError
from jupyter_codesave.model.artifact import Version
from jupyter_codesave.model.digest import digest_of, digest_stream
from jupyter_codesave.model.execution import Execution
from jupyter_codesave.model.manifest import Entry, Manifest
from jupyter_codesave.store import Store, budget
from tests.store.blows import NotWholeError
from tests.store.made import Place, image, make_run, record

FILE = "catalog.sqlite"
RUNNING = "runningrun"
_EXECUTION = ("run", "number", "source")
_TOLD = 20  # of the flips that were missed


def build(folder: Path) -> None:
    """Make a store in which everything happened that a store lets happen."""
    with Place(folder / "elsewhere").open() as other:
        foreign, _ = record(other, make_run(name="from elsewhere"), printed="accuracy 3")
    place = Place(folder / "data")
    with place.open() as store:
        for n in range(6):
            run = make_run(name=f"run number {n}", error="it failed" if n % 2 else None)
            sources = tuple(f"x{n} = {k}  # a comment" for k in range(8))
            saved = {"model.pt": image(2000, seed=n)} if n % 2 else None
            journal = b"a journal's records " * 200 if n < 4 else None
            given: dict[str, Any] = {"saved": saved, "journal": journal}
            given["picture"] = image(3000, seed=n)
            record(store, run, sources=sources, printed=f"accuracy {n}", **given)
        one, two, three, four, five, _ = reversed([each.id for each in store.runs().items])
        store.forget(one, [2, 3])
        store.delete(two)
        store.delete(three)
        store.restore(three)
        store.update_run(three, name="by hand", notes="noted", tags=["keep"])
        budget.thin(store, four, files=True)
        store.purge(runs=[five])
        for text in (b"1", b"2"):
            manifest = Manifest({"a.py": Entry(store.put(text), 1)})
            store.write(commit={"alone": manifest})
        store.write(commit={"alone": manifest}, aliases=("best",))
        store.rename_series("train.ipynb", "renamed.ipynb")
        large = image(1_200_000, seed=9)
        record(store, make_run(notebook="/w/renamed.ipynb"), saved={"large": large})
        running = make_run(id=RUNNING, state="running", ended=None, ended_by=None)
        store.write(run=running, executions=[Execution(running.id, 1, "k", "y = 1")])
        store.copy_from(str(folder / "elsewhere"), [foreign.id])
        store.gc(grace=-1)
        store.catalog.checkpoint()


def flip(folder: Path, count: int, chance: random.Random) -> dict[str, int]:
    """Flip a byte of a copy of what `build` made, again and again.

    NotWholeError names the flips that changed what the catalog says and were not told of, and
    those that were served: every answer must be a CodeSaveError, or what would have been given
    before. To see one again, flip that byte of `folder`'s `data`.
    """
    whole = (folder / "data" / FILE).read_bytes()
    said, before = dump(folder / "data" / FILE), served(folder / "data")
    places = [at for at, byte in enumerate(whole) if byte]
    counts: Counter[str] = Counter({"flips": count, "told of": 0, "changed nothing": 0})
    trial = folder / "trial"
    missed = []
    for _ in range(count):
        # Of most pages much is empty: there little can be found.
        at = chance.choice(places) if chance.random() < 0.9 else chance.randrange(len(whole))
        mask = 1 << chance.randrange(8) if chance.random() < 0.7 else chance.randrange(1, 256)
        shutil.rmtree(trial, ignore_errors=True)
        shutil.copytree(folder / "data", trial)
        data = bytearray(whole)
        data[at] ^= mask
        (trial / FILE).write_bytes(data)
        try:
            wrong = served(trial) - before
            is_found = is_told(trial)
        except Exception:
            missed.append(f"byte {at} ^ {mask:#x} broke off: {traceback.format_exc()}")
            continue
        if wrong:
            missed.append(f"byte {at} ^ {mask:#x} served {sorted(wrong)[:2]}")
        if is_found:
            counts["told of"] += 1
            continue
        shutil.copytree(folder / "data", trial, dirs_exist_ok=True)
        (trial / FILE).write_bytes(data)
        if differences := _differing(said, dump(trial / FILE)):
            missed.append(f"byte {at} ^ {mask:#x}: {differences}")
        else:
            counts["changed nothing"] += 1
    if missed:
        found = "\n".join(missed[:_TOLD])
        raise NotWholeError(f"{len(missed)} of {dict(counts)} were missed in {folder}:\n{found}")
    return dict(counts)


def served(folder: Path) -> set[str]:
    """Give all that a store answers with, piece by piece; a CodeSaveError is no answer."""
    pieces: set[str] = set()

    def ask(name: str, answer: Callable[[], Iterable[Any]]) -> list[Any]:
        try:
            found = list(answer())
        except CodeSaveError:
            return []
        pieces.update(f"{name} {each!r}" for each in found)
        return found

    try:
        store = Place(folder).open()
    except CodeSaveError:
        return pieces
    with store:
        runs = ask("run", lambda: store.runs(limit=1000).items)
        deleted = ask("deleted", lambda: store.runs(limit=1000, deleted=True).items)
        for run in [*runs, *deleted]:
            ask(f"{run.id} is", lambda run=run: [store.run(run.id)])
            ask(f"{run.id} executed", lambda run=run: store.executions(run.id))
            ask(f"{run.id} lacks", lambda run=run: store.missing_files(run.id))
            ask(f"{run.id} kept", lambda run=run: _read(store, store.files(run.id)))
            ask(f"{run.id} is beside", lambda run=run: store.session_runs(run.session))
            ask(f"{run.id} made", lambda run=run: map(_told, store.versions_of(run.id)))
            ask(f"{run.id} journal", lambda run=run: _there(store.journal_state(run.session)))
        for artifact in ask("artifact", lambda: (each.name for each in store.artifacts())):
            ask(f"{artifact} is", lambda name=artifact: _described(store, name))
        for text in ("x", "accuracy", "x2 = 3"):
            ask(f"{text} found", lambda text=text: store.search(text).items)
    return pieces


def _there(found: Any) -> list[Any]:
    """Leave out what is not there: of what an index lost nothing is said, and `verify` tells."""
    return [] if found is None else [found]


def _described(store: Store, name: str) -> Iterable[tuple[Any, ...]]:
    """Give what is said of an artifact, and of each of its versions and aliases."""
    artifact = next(each for each in store.artifacts() if each.name == name)
    yield artifact.name, artifact.type, artifact.project
    for version in artifact.versions:
        yield _told(version)
        for selector in (f"v{version.number}", *version.aliases):
            yield selector, _told(store.version(name, selector))
        for file in _read(store, store.manifest(version.digest)):
            yield version.reference, *file


def _told(version: Version) -> tuple[Any, ...]:
    """Give what is said of a version, but for its aliases: one may be missing."""
    return tuple(value for key, value in vars(version).items() if key != "aliases")


def _read(store: Store, manifest: Manifest) -> Iterable[tuple[Any, ...]]:
    """Give the files of a manifest with what is read of them, at once and as a stream."""
    for path, entry in manifest:
        with store.open_blob(entry.digest) as stream:
            yield path, entry, digest_of(store.get(entry.digest)), digest_stream(stream)


def is_told(folder: Path) -> bool:
    """Tell whether `verify`, or opening the store, says that something is wrong."""
    try:
        with Place(folder).open() as store:
            found = store.verify()
    except CodeSaveError:
        return True
    return bool(found["damaged"] or found["missing"] or found["repaired"])


def dump(file: Path) -> dict[str, list[Any]]:
    """Give all that a catalog says, of every table and of the index of texts; but see `_spared`."""
    connection = sqlite3.connect(file)
    connection.text_factory = bytes
    tables = ["alembic_version", *schema.metadata.tables]
    connection.execute(
        "CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, texts_trigrams, instance)"
    )
    said: dict[str, list[Any]] = {}
    for table in [*tables, "words"]:
        try:
            cursor = connection.execute(f"SELECT * FROM {table}")
            names = [each[0].lower() for each in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
        except sqlite3.Error as error:
            rows = [{"error": str(error)}]
        said[table] = sorted((_spared(table, row) for row in rows), key=repr)
    connection.close()
    return said


def _spared(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Leave out what nothing but the catalog says, and what is harmless."""
    is_short = len(str(row.get("folded"))) < len("b'abc'")
    kept = {
        # Of what runs, the journal tells until it ends; then it is written anew.
        "runs": ("id", "session") if row.get("id") == RUNNING.encode() else row.keys(),
        "executions": _EXECUTION if row.get("run") == RUNNING.encode() else row.keys(),
        "journals": row.keys() if row.get("sealed") else ("session",),
        # For how long it stays once it is garbage, and what is done again once too often.
        "blobs": row.keys() - {"touched"},
        "facts": row.keys() if str(row.get("name")).startswith("b'ledger") else ("name",),
        # Of what was printed only the index is kept, and that is of three characters at a time.
        "texts": ("id", "digest") if row.get("text") is None and is_short else row.keys(),
    }
    return {name: row[name] for name in sorted(kept.get(table, row)) if name in row}


def _differing(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> list[str]:
    """Name what differs between two dumps."""
    found = []
    for table in before.keys() | after.keys():
        old, new = before.get(table, []), after.get(table, [])
        gone = [row for row in old if row not in new]
        come = [row for row in new if row not in old]
        found += [f"{table}: {row} became {other}" for row, other in zip(gone, come, strict=False)]
        if len(gone) != len(come):
            found.append(f"{table}: {len(gone)} rows became {len(come)}")
    return found
