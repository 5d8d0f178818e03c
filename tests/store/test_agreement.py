"""What the catalog says is compared with the records: a change that nobody made is told of."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_codesave.catalog import runs, versions
from jupyter_codesave.errors import CodeSaveError, DamagedError
from jupyter_codesave.model.execution import Execution
from jupyter_codesave.model.manifest import Entry, Manifest
from jupyter_codesave.store import JournalState, Store, agreement, budget, garbage, records
from tests.conftest import scale

from . import flips
from .made import Place, image, make_run, record, told


def change(store: Store, statement: str) -> None:
    """Change the catalog past the store, as a damaged disk would; some row is changed."""
    with store.catalog.write() as tx:
        assert tx.run(statement).rowcount > 0


def whole(store: Store) -> bool:
    found = store.verify()
    return not found["damaged"] and not found["missing"] and not found["repaired"]


def fill(store: Store) -> None:
    first, _ = record(store, printed="accuracy 1", saved={"m": b"w" * 100}, journal=b"j " * 900)
    gone, _ = record(store, make_run(notebook="/w/other.ipynb"))
    record(store, make_run(session=first.session), saved={"large": image(1_200_000)})
    store.write(commit={"alone": Manifest({"a": Entry(store.put(b"1"), 1)})}, aliases=("best",))
    store.purge(runs=[gone.id])
    store.write(run=make_run(state="running", ended=None, ended_by=None))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET name = 'x' || name WHERE state <> 'running'",
        "UPDATE runs SET project = 'vison' WHERE state <> 'running'",
        "UPDATE runs SET notes = NULL WHERE state <> 'running'",
        "UPDATE runs SET config = '{\"lr\": 1}' WHERE state <> 'running'",
        "UPDATE runs SET config = '{\"lr\": ' WHERE state = 'running'",
        "UPDATE runs SET state = 'crashed' WHERE state <> 'running'",
        "UPDATE runs SET ended = '2026-03-02T00:00:00Z' WHERE state <> 'running'",
        "UPDATE runs SET artifact = 'alone:v0' WHERE state <> 'running'",
        "UPDATE runs SET files = NULL WHERE files IS NOT NULL",
        "UPDATE runs SET missing = NULL WHERE files IS NOT NULL",
        "UPDATE runs SET deleted = started WHERE state <> 'running'",
        "UPDATE runs SET thinned = started WHERE state <> 'running'",
        "UPDATE runs SET revision = revision + 4 WHERE state <> 'running'",
        "UPDATE runs SET record = NULL WHERE state <> 'running'",
        "UPDATE executions SET status = 'oj'",
        "UPDATE executions SET started = ''",
        "UPDATE executions SET ended = started",
        "UPDATE executions SET cell_id = 'c'",
        "UPDATE executions SET number = number + 100",
        "UPDATE executions SET source = (SELECT max(source) FROM executions)",
        "DELETE FROM executions WHERE number = 1",
        "UPDATE versions SET size = size + 1",
        "UPDATE versions SET created = created || '0'",
        "UPDATE versions SET number = 7 WHERE artifact = 'alone'",
        "UPDATE versions SET run = NULL",
        "DELETE FROM versions WHERE artifact <> 'alone'",
        "UPDATE aliases SET number = 9 WHERE alias = 'best'",
        "UPDATE aliases SET number = 0 WHERE alias = 'latest'",
        "UPDATE aliases SET alias = 'rest' WHERE alias = 'best'",
        "UPDATE aliases SET moved = moved || '1'",
        "UPDATE series SET name = 'other'",
        "UPDATE series SET path = 'other.ipynb'",
        "UPDATE purged SET session = 'other'",
        "UPDATE journals SET size = size + 1",
        "UPDATE journals SET sequence = sequence + 1",
        "UPDATE journals SET record = NULL",
        "UPDATE facts SET value = '77' WHERE name = 'ledger revision'",
        "UPDATE blobs SET size = size + 1 WHERE pack IS NULL",
        "UPDATE blobs SET size = size + 1 WHERE pack IS NOT NULL",
        "UPDATE blobs SET stored = stored + 1 WHERE pack IS NULL",
        "UPDATE blobs SET stored = stored + 1 WHERE pack IS NOT NULL",
        "UPDATE blobs SET size = NULL WHERE stored IS NOT NULL",
        "UPDATE blobs SET place = NULL WHERE pack IS NOT NULL",
        "UPDATE packs SET size = size + 1",
        "UPDATE texts SET folded = folded || '!' WHERE text IS NOT NULL",
    ],
)
def test_what_the_catalog_says_otherwise_is_told(store: Store, statement: str) -> None:
    fill(store)
    assert whole(store)
    change(store, statement)
    assert_damage_is_told(store)


def assert_damage_is_told(store: Store) -> None:
    try:
        found = store.verify()["damaged"]
    except CodeSaveError as error:
        found = [str(error)]
    assert any("jupyter codesave rebuild" in each for each in found), found


@pytest.mark.parametrize(
    "changed",
    [
        "size = NULL",
        "size = 'x'",
        "stored = x'ff'",
        "stored = -1",
        "stored = 1 << 62",
        "place = NULL",
        "place = 1.5",
        "place = -1",
        "place = 1 << 62",
    ],
)
def test_a_place_where_nothing_can_lie_is_damage(local: Store, changed: str) -> None:
    digest = local.put(b"small")
    local.flush()
    change(local, f"UPDATE blobs SET {changed}")
    with pytest.raises(DamagedError, match="jupyter codesave"):
        local.get(digest)


# SQLite gives a number for bytes, and Python would make as many of it.
@pytest.mark.parametrize("value", ["'x'", "1.5", "-1", "1 << 40", "x'ff'", "CAST(x'ff' AS TEXT)"])
def test_what_is_no_digest_is_damage(local: Store, value: str) -> None:
    digest = local.put(b"small")
    local.flush()
    change(local, f"UPDATE packs SET digest = {value}")
    for use in (lambda: local.get(digest), local.gc, local.rebuild):
        with pytest.raises(DamagedError, match="jupyter codesave rebuild"):
            use()


@pytest.mark.parametrize("value", ["'x'", "9e999", "x'ff'", "(1 << 62) + (1 << 61)"])
def test_sizes_that_add_up_to_no_number_are_damage(local: Store, value: str) -> None:
    for data in (b"one", b"other"):
        local.put(data)
        local.flush()
    change(local, f"UPDATE packs SET size = {value}")
    for use in (local.size, local.gc):
        with pytest.raises(DamagedError, match="jupyter codesave rebuild"):
            use()


def test_a_pack_stays_as_long_as_the_catalog_is_wrong_about_a_blob_in_it(local: Store) -> None:
    _, kept = record(local)
    change(local, f"UPDATE blobs SET place = 9 WHERE digest = x'{kept.digest[7:]}'")
    garbage.tidy_packs(local, share=1.1)
    local.verify()
    assert local.manifest(kept.digest).digest == kept.digest


def test_a_blob_that_cannot_be_read_keeps_verify_from_no_other(local: Store) -> None:
    first, second = (record(local, saved={"m": data})[1] for data in (b"one", b"other"))
    change(local, f"UPDATE blobs SET stored = 1 << 62 WHERE digest = x'{first.digest[7:]}'")
    change(local, f"UPDATE blobs SET size = 7 WHERE digest = x'{second.digest[7:]}'")
    found = local.verify()
    assert any(first.digest in each for each in found["repaired"])
    assert any(second.digest in each for each in found["damaged"])
    assert local.manifest(first.digest).digest == first.digest


@pytest.mark.parametrize("changed", ["project = 'q' WHERE name = 'alone'", "type = 'c'"])
def test_of_artifacts_that_no_other_host_names_type_and_project_are_told(
    local: Store, changed: str
) -> None:
    fill(local)
    change(local, f"UPDATE artifacts SET {changed}")
    assert_damage_is_told(local)


def test_what_was_printed_and_is_not_in_the_index_is_told(local: Store) -> None:
    fill(local)
    change(local, "UPDATE texts SET folded = 'accuracy 2' WHERE text IS NULL")
    assert any("index of texts" in each for each in local.verify()["damaged"])


@pytest.mark.parametrize("schema", ["0.0", "1.x", "\x10.0"])
def test_a_catalog_of_a_schema_that_never_was_is_called_damaged(
    tmp_path: Path, schema: str
) -> None:
    with Place(tmp_path).open() as store:
        change(store, f"UPDATE alembic_version SET version_num = '{schema}'")
    with pytest.raises(DamagedError, match="jupyter codesave rebuild"):
        Place(tmp_path).open()


def test_a_catalog_that_holds_another_type_is_called_damaged(tmp_path: Path) -> None:
    with Place(tmp_path).open() as store:
        change(store, "UPDATE facts SET value = x'41'")
    with pytest.raises(DamagedError, match="jupyter codesave rebuild"):
        Place(tmp_path).open()


def test_a_catalog_that_is_damaged_mends_no_records(local: Store) -> None:
    run, _ = record(local)
    change(local, "UPDATE runs SET name = 'x'")
    before = sorted(local.folder.glob("blobs/records/??/*"))
    assert any(run.id in each for each in local.verify()["damaged"])
    assert sorted(local.folder.glob("blobs/records/??/*")) == before


def test_moving_the_catalog_away_and_rebuilding_brings_back_what_was(tmp_path: Path) -> None:
    place = Place(tmp_path / "data")
    with place.open() as store:
        record(store)
        before = told(store)
        change(store, "UPDATE runs SET name = 'x', notes = 'y'")
        assert store.verify()["damaged"]
    (tmp_path / "data" / "catalog.sqlite").rename(tmp_path / "aside")
    with place.open() as store:
        store.rebuild()
        assert told(store) == before
        assert whole(store)


def test_an_alias_that_falls_back_is_known_to_rebuild(store: Store) -> None:
    first, version = record(store, sources=("a",))
    second, _ = record(store, sources=("b",))
    store.update_run(first.id, name="renamed")  # its record tells of no alias any more
    store.purge(runs=[second.id])
    assert whole(store)
    before = told(store)
    store.rebuild()
    assert told(store) == before
    assert store.version(version.artifact, "latest").number == version.number


def test_an_alias_that_is_given_to_what_was_there_is_known_to_rebuild(store: Store) -> None:
    one, other = (Manifest({"a": Entry(store.put(each), 1)}) for each in (b"1", b"2"))
    run = make_run()
    store.write(commit={"alone": one}, aliases=("latest", "best"))
    store.write(run=run, commit={"alone": other})
    store.write(commit={"alone": other}, aliases=("best",))
    store.write(run=make_run(), commit={"alone": other}, aliases=("good",))
    assert whole(store)
    store.rebuild()
    assert set(store.version("alone", "v1").aliases) == {"best", "good", "latest"}
    assert whole(store)


def test_a_journal_that_gave_way_to_the_budget_is_known_to_rebuild(local: Store) -> None:
    run, _ = record(local, journal=b"j " * 900)
    budget.thin(local, run.id)
    state = local.journal_state(run.session)
    assert state is not None
    assert (state.sealed, state.digest) == (True, None)
    assert whole(local)
    local.rebuild()
    assert local.journal_state(run.session) == state


def test_versions_that_gave_way_to_another_hosts_are_whole(tmp_path: Path) -> None:
    places = [Place(tmp_path / name) for name in ("one", "two")]
    for place in places:
        with place.open() as store:
            record(store)
            record(store, sources=("y = 2",), printed="accuracy 7")
    with places[0].open() as store:
        store.copy_from(str(places[1].folder))
        assert len(store.artifacts()[0].versions) == 4
        assert whole(store)
        store.rebuild()
        assert whole(store)


def test_nothing_that_writers_do_meanwhile_is_taken_for_damage(place: Place) -> None:
    failed: list[object] = []
    stop = threading.Event()

    def each(work: Callable[[Store], None]) -> None:
        try:
            with place.open() as store:
                while not stop.is_set():
                    work(store)
        except BaseException as error:
            failed.append(error)

    def write(store: Store) -> None:
        run = make_run(state="running", ended=None, ended_by=None)
        store.write(run=run, executions=[Execution(run.id, 1, "k", "x = 1")])
        store.write(
            run=run,
            executions=[Execution(run.id, 2, "l", "x = 2")],
            journal=JournalState(run.session, 9, 1, 9),
        )
        # What is purged is nobody else's: who is about to commit the same would put it again.
        record(store, run.with_(state="finished", ended=run.started), printed=run.id)
        store.update_run(run.id, name="renamed")
        store.forget(run.id, [1])
        store.delete(run.id)
        if random.random() < 0.3:
            store.purge(runs=[run.id])

    def verify(store: Store) -> None:
        wrong, mended = agreement.check(store)
        if wrong or mended:
            failed.append((wrong, mended))

    place.open().close()
    workers = [threading.Thread(target=each, args=(work,)) for work in (write, write, verify)]
    for worker in workers:
        worker.start()
    stop.wait(scale(5))
    stop.set()
    for worker in workers:
        worker.join()
    assert failed == []
    with place.open() as store:
        assert whole(store)


def test_a_record_waits_for_who_is_changing_its_run(place: Place) -> None:
    with place.open() as store, place.open() as other:
        run, _ = record(store)

        def keep() -> None:
            with other.catalog.write() as tx:
                old = records.keep_run(tx, other.contents, run.id)
            other.contents.drop_records([old])

        keeping = threading.Thread(target=keep)
        with store.catalog.write() as tx:
            runs.edit(tx, run.id, {"name": "renamed"})
            keeping.start()
            keeping.join(0.3)  # it waits for us, at its lock or, too late, with its record
            old = records.keep_run(tx, store.contents, run.id)
        keeping.join()
        store.contents.drop_records([old])
        assert agreement.check(store) == ([], [])


def test_the_ledger_waits_for_who_is_adding_to_it(place: Place) -> None:
    with place.open() as store, place.open() as other:
        store.artifact_for("project", "first.ipynb")
        adding = threading.Thread(target=other.artifact_for, args=("project", "other.ipynb"))
        with store.catalog.write() as tx:
            versions.name_for(tx, "project", "mine.ipynb")
            old = records.keep_ledger(tx, store.contents)
            adding.start()
            adding.join(0.3)  # it waits for us, at its lock or, too late, with its record
        adding.join()
        store.contents.drop_records([old])
        assert agreement.check(store) == ([], [])


def test_a_flipped_byte_in_the_catalog_is_found_or_changes_nothing_and_is_never_served(
    tmp_path: Path,
) -> None:
    flips.build(tmp_path)
    assert not flips.is_told(tmp_path / "data")
    counts = flips.flip(tmp_path, scale(60), random.Random())
    assert counts["told of"] > 0
