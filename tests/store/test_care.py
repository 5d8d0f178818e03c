"""Verify, rebuild, garbage collection, purge: the store over years."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_codesave.blobs.local import LocalBlobs
from jupyter_codesave.errors import DamagedError, NotFoundError
from jupyter_codesave.model.artifact import SESSION_NOTEBOOK
from jupyter_codesave.model.digest import digest_of
from jupyter_codesave.model.execution import Execution
from jupyter_codesave.model.manifest import Entry, Manifest
from jupyter_codesave.store import JournalState, Store, garbage, records
from tests.conftest import scale

from .made import Place, image, make_run, notebook, record, settings, told

JOURNAL = b"a journal's records " * 2000


def whole(store: Store) -> bool:
    found = store.verify()
    return not found["damaged"] and not found["missing"]


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x40
    path.write_bytes(data)


def blob_files(store: Store) -> list[Path]:
    areas = ("content", "packs")
    return [p for area in areas for p in sorted(store.folder.glob(f"blobs/{area}/??/*"))]


# -- verify -------------------------------------------------------------------------------------


def test_a_whole_store_is_called_whole(store: Store) -> None:
    record(store, picture=image(), saved={"big": os.urandom(2 << 20)}, journal=JOURNAL)
    store.write(commit={"alone": Manifest({"a": Entry(store.put(b"1"), 1)})})
    found = store.verify()
    assert (found["versions"], found["journals"]) == (2, 1)
    assert found["blobs"] >= 6
    assert found["damaged"] == found["missing"] == found["repaired"] == []


def test_a_flipped_byte_in_any_file_is_found(tmp_path: Path) -> None:
    with Place(tmp_path / "data").open() as store:
        record(store, picture=image(3000), saved={"big": os.urandom(2 << 20)}, journal=JOURNAL)
        files = [path.relative_to(store.folder) for path in blob_files(store)]
    assert len(files) >= 3
    for number, name in enumerate(files):
        size = (tmp_path / "data" / name).stat().st_size
        for place in {0, size // 2, size - 1, size // 3, 20}:
            folder = tmp_path / f"copy{number}-{place}"
            shutil.copytree(tmp_path / "data", folder)
            flip(folder / name, place)
            with Place(folder).open() as store:
                found = store.verify()
            told_of = found["damaged"] + found["missing"] + found["repaired"]
            assert told_of, (name, place)


def test_a_missing_file_is_named_with_what_leads_to_it(local: Store) -> None:
    _, version = record(local, saved={"model.pt": os.urandom(2 << 20)})
    for path in blob_files(local):
        path.unlink()
    found = local.verify()
    assert any(version.reference in name for name in found["missing"])
    assert any("the saved files of run" in name for name in found["missing"])


def test_what_is_put_again_mends_what_was_damaged(local: Store) -> None:
    data = os.urandom(2 << 20)
    run, _ = record(local, saved={"model.pt": data})
    (path,) = local.folder.glob("blobs/content/??/*")
    flip(path, 1000)
    with pytest.raises(DamagedError):
        local.get(digest_of(data))
    assert len(local.verify()["damaged"]) == 1
    with pytest.raises(NotFoundError):
        local.get(digest_of(data))
    local.put(data)
    local.flush()
    assert local.get(digest_of(data)) == data
    assert whole(local)
    assert local.files(run.id).size == len(data)


def test_what_is_damaged_is_set_aside_not_thrown_away(local: Store) -> None:
    record(local, saved={"model.pt": os.urandom(2 << 20)})
    (path,) = local.folder.glob("blobs/content/??/*")
    flip(path, 1000)
    broken = path.read_bytes()
    local.verify()
    (aside,) = local.folder.glob("blobs/damaged/??/*")
    assert aside.read_bytes() == broken


def test_verify_repairs_from_the_spool_and_from_who_asks(local: Store) -> None:
    spooled, healed = os.urandom(2 << 20), os.urandom(2 << 20)
    record(local, saved={"a": spooled, "b": healed})
    for path in local.folder.glob("blobs/content/??/*"):
        flip(path, 5)
    LocalBlobs(local.folder / "spool").put(spooled)
    found = local.verify(heal=lambda digest: healed if digest == digest_of(healed) else None)
    assert len(found["repaired"]) == 2
    assert found["damaged"] == []
    assert local.get(digest_of(spooled)) == spooled
    assert local.get(digest_of(healed)) == healed
    assert whole(local)


def test_a_damaged_record_is_named_and_written_anew(local: Store) -> None:
    record(local, journal=JOURNAL)
    local.write(commit={"alone": Manifest({"a": Entry(local.put(b"1"), 1)})})
    before = told(local)
    broken = list(local.folder.glob("blobs/records/??/*"))
    assert len(broken) == 4  # of the run, its journal, the version without a run, the ledger
    for path in broken:
        flip(path, path.stat().st_size // 2)
    assert len(local.verify()["repaired"]) == 4
    assert local.verify()["repaired"] == []
    local.catalog.close()
    (local.folder / "catalog.sqlite").unlink()
    with Place(local.folder).open() as store:
        assert store.rebuild()["damaged"] == 0
        assert told(store) == before


def test_a_catalog_that_is_damaged_is_told_and_made_anew(tmp_path: Path) -> None:
    place = Place(tmp_path / "data")
    with place.open() as store:
        fill(store)
        before = told(store)
    file = place.folder / "catalog.sqlite"
    whole_file = file.read_bytes()
    source = whole_file.index(b"plot(x)")
    index = whole_file.index(b"sqlite_autoindex_runs_1")
    for at in (source, index, len(whole_file) // 2 // 4096 * 4096):
        file.write_bytes(whole_file)
        flip(file, at)
        said: list[str] = []
        try:
            with place.open() as store:
                said = store.verify()["damaged"]
        except DamagedError as error:
            said = [str(error)]
        assert any("rebuild" in each for each in said)
    for path in place.folder.glob("catalog.sqlite*"):
        path.unlink()
    with place.open() as store:
        store.rebuild()
        assert told(store) == before


# -- rebuild ------------------------------------------------------------------------------------


def fill(store: Store) -> None:
    one, _ = record(store, picture=image(), printed="accuracy 1", journal=JOURNAL)
    two, _ = record(store, make_run(session=one.session), sources=("x = 2",), printed="accuracy 2")
    three, _ = record(store, make_run(notebook="/w/other.ipynb"), saved={"m": b"w" * 3_000_000})
    store.write(run=two.with_(name="finished again"))
    store.update_run(one.id, name="edited", notes="by hand", tags=["keep"])
    store.delete(three.id)
    store.write(commit={"alone": Manifest({"a.py": Entry(store.put(b"x"), 1)})}, aliases=("best",))
    store.rename_series("train.ipynb", "renamed.ipynb")
    record(store, make_run(notebook="/w/renamed.ipynb"), sources=("x = 3",))


def test_a_catalog_made_anew_tells_what_the_old_one_told(tmp_path: Path) -> None:
    with Place(tmp_path / "data").open() as store:
        fill(store)
        before = told(store)
    for path in (tmp_path / "data").glob("catalog.sqlite*"):
        path.unlink()
    with Place(tmp_path / "data").open() as store:
        assert store.runs().items == ()
        counts = store.rebuild()
        assert counts["runs"] == 4
        assert counts["damaged"] == 0
        assert told(store) == before
        assert whole(store)
        assert store.artifact_for("vision", "renamed.ipynb") == "source-vision-train.ipynb"


def test_rebuilding_a_whole_catalog_changes_nothing(store: Store) -> None:
    fill(store)
    before = told(store)
    store.rebuild()
    assert told(store) == before
    store.rebuild()
    assert told(store) == before


def test_rebuilding_keeps_what_running_sessions_told_so_far(local: Store) -> None:
    run, _ = record(local, make_run(state="running", ended=None, ended_by=None))
    local.write(
        run=run,
        executions=[Execution(run.id, 3, "later", "x = 3", started=run.started)],
        journal=JournalState(run.session, 10, 1, 10),
    )
    before = told(local)
    local.rebuild()
    assert told(local) == before
    assert len(local.executions(run.id)) == 3


def test_a_saved_file_cannot_pass_for_a_record(tmp_path: Path) -> None:
    with Place(tmp_path / "data").open() as store:
        record(store)
        (path,) = [p for p in store.folder.glob("blobs/records/??/*") if p.stat().st_size > 400]
        forged = path.read_bytes().replace(b"vision", b"forged")
        run, _ = record(store, saved={"forged": forged})
    (tmp_path / "data" / "catalog.sqlite").unlink()
    with Place(tmp_path / "data").open() as store:
        store.rebuild()
        assert len(store.runs().items) == 2
        assert all(each.project == "vision" for each in store.runs().items)
        assert store.files(run.id).entries.keys() == {"forged"}


# -- garbage ------------------------------------------------------------------------------------


def test_what_nobody_names_goes_and_the_rest_stays(store: Store) -> None:
    fill(store)
    before = told(store)
    for _ in range(3):
        store.put(image(5000))
        store.put(os.urandom(2 << 20))
        store.flush()
    garbage_size = store.size() - before["size"]
    counts = store.gc(grace=-1)
    assert counts["blobs"] == 6
    assert counts["packs"] == 3
    assert counts["bytes"] >= garbage_size
    after = told(store)
    assert {**after, "size": 0} == {**before, "size": 0}
    assert after["size"] <= before["size"]
    assert whole(store)


def test_what_was_wanted_a_moment_ago_stays(store: Store) -> None:
    digest = store.put(b"young")
    store.flush()
    assert store.gc()["blobs"] == 0
    assert store.get(digest) == b"young"


def test_what_is_put_again_is_young_again(store: Store) -> None:
    old, payload = store.put(b"old"), image()
    whole_ = store.put(notebook(["x"], "", payload))
    store.flush()
    time.sleep(1.1)
    store.put(b"old")
    store.put(notebook(["x"], "", payload))
    store.flush()
    assert store.gc(grace=1)["blobs"] == 0
    assert store.get(old) == b"old"
    assert store.has(whole_)
    assert store.has(digest_of(payload))


def test_a_pack_with_few_living_members_is_written_anew(store: Store) -> None:
    keep = {f"keep{n}": os.urandom(1000) for n in range(3)}
    for data in keep.values():
        store.put(data)
    for _ in range(40):
        store.put(os.urandom(1000))
    run = make_run()
    store.write(run=run, files={p: Entry(digest_of(d), 1000) for p, d in keep.items()})
    counts = store.gc(grace=-1)
    assert counts["rewritten"] == 1
    assert store.size() < 10_000
    for data in keep.values():
        assert store.get(digest_of(data)) == data
    assert whole(store)


def test_leftovers_of_killed_processes_are_removed(local: Store) -> None:
    record(local)
    contents = local.contents
    for area in (contents.loose, contents.packs, contents.records):
        area.put(b"nobody's")
    left, folder = local.folder / ".incoming-x", local.folder / ".incoming-y"
    left.write_bytes(b"half")
    folder.mkdir()
    (folder / "session.journal").write_bytes(b"half")
    local.gc()
    assert left.exists()
    assert folder.exists()
    local.gc(grace=-1)
    assert not left.exists()
    assert not folder.exists()
    for area in (contents.loose, contents.packs, contents.records):
        assert not area.has(digest_of(b"nobody's"))
    assert whole(local)


@pytest.mark.parametrize("how", ["gc", "purge"])
def test_a_lost_catalog_makes_no_garbage_of_what_it_named(tmp_path: Path, how: str) -> None:
    with Place(tmp_path / "data").open() as store:
        fill(store)
        runs = {run.id for run in store.runs().items}
    for path in (tmp_path / "data").glob("catalog.sqlite*"):
        path.unlink()
    with Place(tmp_path / "data").open() as store:
        new, _ = record(store)
        if how == "gc":
            store.gc(grace=-1)
            runs.add(new.id)
        else:
            store.purge(runs=[new.id])
        assert {run.id for run in store.runs().items} == runs
        assert whole(store)


def test_garbage_is_left_alone_while_a_manifest_cannot_be_read(local: Store) -> None:
    record(local)
    for path in blob_files(local):
        flip(path, 30)
    with pytest.raises(DamagedError, match="verify"):
        local.gc(grace=-1)
    assert blob_files(local)


def test_writers_and_the_collector_do_not_harm_each_other(place: Place) -> None:
    shared = [image(2000, seed=n) for n in range(6)]
    stop = threading.Event()
    failed: list[BaseException] = []

    def write(number: int) -> None:
        try:
            with place.open() as store:
                n = 0
                while not stop.is_set():
                    n += 1
                    picture = shared[n % len(shared)]
                    data = notebook([f"{number} {n}"], "", picture)
                    entries = {
                        SESSION_NOTEBOOK: Entry(store.put(data), len(data)),
                        "p.png": Entry(store.put(picture), len(picture)),
                    }
                    store.write(commit={f"art{number}": Manifest(entries)})
        except BaseException as error:
            failed.append(error)

    def collect() -> None:
        try:
            with place.open() as store:
                while not stop.is_set():
                    store.gc(grace=2)
        except BaseException as error:
            failed.append(error)

    place.open().close()
    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    threads.append(threading.Thread(target=collect))
    for thread in threads:
        thread.start()
    stop.wait(scale(4))
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []
    with place.open() as store:
        assert whole(store)
        assert store.artifacts()


# -- budget and retention -----------------------------------------------------------------------


def test_the_oldest_outputs_go_when_the_budget_is_exceeded(tmp_path: Path) -> None:
    with Place(tmp_path / "data", {"budget": 300_000}).open() as store:
        made = [
            record(store, sources=(f"x = {n}",), picture=image(60_000), journal=image(60_000))
            for n in range(6)
        ]
        kept, _ = record(
            store, make_run(tags=("keep",)), sources=("pinned",), picture=image(60_000)
        )
        counts = store.gc(grace=-1)
        assert counts["thinned"] >= 1
        assert store.size() <= 300_000
        newest, oldest = made[-1][1], made[0][1]
        nb = [
            store.get(
                store.manifest(store.version(v.artifact, f"v{v.number}").digest)
                .entries[SESSION_NOTEBOOK]
                .digest
            )
            for v in (newest, oldest)
        ]
        assert b"image/png" in nb[0]
        assert b"image/png" not in nb[1]
        assert b"x = 0" in nb[1]
        assert [each.source for each in store.executions(made[0][0].id)] == ["x = 0"]
        assert store.versions_of(kept.id)[0].size > 60_000
        assert whole(store)


def test_large_files_of_old_runs_go_before_outputs_of_newer_ones(tmp_path: Path) -> None:
    with Place(tmp_path / "data", {"budget": 2_000_000}).open() as store:
        old, _ = record(store, saved={"model.pt": os.urandom(1_500_000)}, picture=image(50_000))
        new, version = record(store, saved={"m": os.urandom(1_200_000)}, picture=image(50_000))
        young = make_run(started="2999-01-01T00:00:00.000000Z")
        record(store, young, saved={"y": os.urandom(600_000)})
        store.gc(grace=-1)
        assert store.files(old.id).entries == {}
        assert ("model.pt", "dropped to keep within the budget") in store.missing_files(old.id)
        assert store.files(new.id).entries.keys() == {"m"}
        assert b"image/png" in store.get(
            store.manifest(version.digest).entries[SESSION_NOTEBOOK].digest
        )
        assert store.files(young.id).entries.keys() == {"y"}
        assert whole(store)


def test_files_that_a_retention_left_go_when_the_budget_is_exceeded(tmp_path: Path) -> None:
    place = Place(tmp_path / "data", {"retention_days": 30})
    with place.open() as store:
        old, _ = record(store, saved={"model.pt": os.urandom(1_500_000)}, picture=image(5000))
        assert store.gc(grace=-1)["thinned"] == 1
        assert store.files(old.id).entries.keys() == {"model.pt"}
    with place.open(budget=1_000_000) as store:
        store.gc(grace=-1)
        assert store.files(old.id).entries == {}
        assert store.size() < 1_000_000


def test_outputs_go_by_age_when_a_retention_is_set(tmp_path: Path) -> None:
    with Place(tmp_path / "data", {"retention_days": 30}).open() as store:
        old, _ = record(store, make_run(started="2020-01-01T00:00:00.000000Z"), printed="accuracy")
        new, _ = record(store, make_run(started="2999-01-01T00:00:00.000000Z"), printed="accuracy")
        assert store.gc()["thinned"] == 1
        assert store.gc()["thinned"] == 0
        assert [hit.run for hit in store.search("accuracy").items] == [new.id]
        assert store.run(old.id).executions == 2


def test_a_run_deleted_long_ago_is_purged(local: Store) -> None:
    run, _ = record(local)
    local.delete(run.id)
    assert local.gc()["runs"] == 0
    with local.catalog.write() as tx:
        tx.connection.exec_driver_sql("UPDATE runs SET deleted = '2020-01-01T00:00:00Z'")
    assert local.gc()["runs"] == 1
    with pytest.raises(NotFoundError):
        local.run(run.id)


# -- purge --------------------------------------------------------------------------------------

CANARY = "canary_Zq83hfX91"


def leaky(store: Store, run: Any = None) -> Any:
    """Record a run that says the canary wherever it can."""
    run = run or make_run(
        name=CANARY,
        notes=CANARY,
        tags=(CANARY,),
        config={"k": CANARY},
        error=CANARY,
        notebook=f"/w/{CANARY}.ipynb",
    )
    text = CANARY.encode()
    record(
        store,
        run,
        sources=(f"print('{CANARY}')",),
        printed=CANARY + "\n",
        picture=text * 300,
        saved={f"{CANARY}.txt": text, "large": text + os.urandom(2 << 20)},
        journal=text + JOURNAL,
    )
    folder = store.folder / "runs" / run.id / "files"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(text)
    return run


def holds_canary(folder: Path) -> list[str]:
    """Name the files of a folder that hold the canary, decoded where they are encoded."""
    from jupyter_codesave.blobs import envelope, packs
    from jupyter_codesave.errors import CodeSaveError

    found = []
    needle, low = CANARY.encode(), CANARY.lower().encode()
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        texts = [data, os.fsencode(path.name)]
        pieces = [data]
        if path.parent.parent.name == "packs":
            pieces = [data[m.offset : m.offset + m.length] for m in packs.members(data)]
        for piece in pieces:
            try:
                texts += [s for s in envelope.steps(piece) if isinstance(s, bytes)]
            except CodeSaveError:
                pass
        if any(needle in text or low in text.lower() for text in texts):
            found.append(str(path))
    return found


def test_nothing_of_a_purged_run_is_left_on_the_disk(tmp_path: Path) -> None:
    with Place(tmp_path / "data").open() as store:
        other, _ = record(store, picture=image(), saved={"a": b"stays"})
        run = leaky(store)
        store.write(run=run.with_(notes=CANARY * 2))
        store.delete(run.id)
        store.restore(run.id)
        store.update_run(run.id, name=CANARY)
        assert holds_canary(store.folder)
        counts = store.purge(runs=[run.id])
        assert counts["runs"] == 1
        assert holds_canary(store.folder) == []
        assert whole(store)
        assert [each.id for each in store.runs().items] == [other.id]
        assert store.get(digest_of(b"stays")) == b"stays"
        with pytest.raises(NotFoundError):
            store.run(run.id)
    assert holds_canary(tmp_path / "data") == []


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_killed_writers_and_verify_left_of_a_run_goes_with_it(tmp_path: Path) -> None:
    with Place(tmp_path / "data").open() as store:
        other, _ = record(store, picture=image(), saved={"a": b"stays"})
        run = leaky(store)
        with store.catalog.read() as tx:
            store.contents.put_record(records.dump(records.of_run(tx, run.id, 99)))
        store.contents.loose.put(CANARY.encode() * 9)
        spool = LocalBlobs(store.folder / "spool")
        spool.put(CANARY.encode() * 7)
        for folder in ("blobs/content/incoming", "blobs/packs/incoming", "spool/incoming"):
            killed = store.folder / folder / f"{ended_process()}-1-ab"
            killed.parent.mkdir(parents=True, exist_ok=True)
            killed.write_text(CANARY)
        (store.folder / f".incoming-{ended_process()}-ab").write_text(CANARY)
        writing = store.folder / f".incoming-{os.getpid()}-ab"
        writing.write_text("another one's")
        journal = store.folder / "journal" / f"{run.session}.journal"
        journal.parent.mkdir(exist_ok=True)
        journal.write_text(digest_of(CANARY.encode() * 7))
        for path in blob_files(store):
            if path.stat().st_size > 1 << 20:
                flip(path, path.stat().st_size - 1)
        store.verify()
        assert list(store.folder.glob("blobs/damaged/??/*"))
        store.purge(runs=[run.id])
        journal.unlink(missing_ok=True)
        assert writing.exists()
        assert holds_canary(store.folder) == []
        assert store.get(digest_of(b"stays")) == b"stays"
        assert [each.id for each in store.runs().items] == [other.id]


def test_a_forgotten_source_is_not_left_in_the_catalog(tmp_path: Path) -> None:
    with Place(tmp_path / "data").open() as store:
        run = make_run(state="running", ended=None, ended_by=None)
        store.write(run=run, executions=[Execution(run.id, 1, "k", f"x = '{CANARY}'")])
        store.forget(run.id, [1])
        assert holds_canary(store.folder) == []


@pytest.mark.parametrize("how", ["project", "notebook", "all"])
def test_runs_are_purged_by_what_they_have_in_common(store: Store, how: str) -> None:
    gone = [record(store, make_run(project="p", notebook="/w/x.ipynb"))[0] for _ in range(2)]
    stays, _ = record(store, make_run(project="q", notebook="/w/y.ipynb"))
    options: dict[str, Any] = {
        "project": {"project": "p"},
        "notebook": {"notebook": "/w/x.ipynb"},
        "all": {"all": True},
    }[how]
    assert store.purge(**options)["runs"] == len(gone) + (how == "all")
    left = [] if how == "all" else [stays.id]
    assert [each.id for each in store.runs().items] == left
    assert whole(store)
    if how == "all":
        assert store.size() == 0


def test_a_purged_run_stays_purged(store: Store) -> None:
    run, _ = record(store)
    store.purge(runs=[run.id])
    assert store.write(run=run, journal=JournalState(run.session, 5, 1, 5)) == []
    assert store.runs().items == ()
    assert store.journal_state(run.session) == JournalState(run.session, 5, 1, 5)


def test_a_journal_with_a_purged_run_is_not_kept(store: Store, tmp_path: Path) -> None:
    run = make_run()
    store.write(run=run, journal=JournalState(run.session, 5, 1, 5))
    journal = store.folder / "journal" / f"{run.session}.journal"
    journal.parent.mkdir(exist_ok=True)
    journal.write_bytes(b"records")
    assert store.purge(runs=[run.id])["waiting"] == 1
    assert store.seal(run.session, journal) == ""
    store.write(journal=JournalState(run.session, 7, 1, 7, True, ""))
    state = store.journal_state(run.session)
    assert state is not None
    assert (state.sealed, state.digest) == (True, None)


def test_a_version_that_another_run_shares_outlives_its_maker(store: Store) -> None:
    one, two = make_run(), make_run()
    same = Manifest({"a": Entry(store.put(b"1"), 1)})
    store.write(run=one, commit={"art": same})
    store.write(run=two, commit={"art": same})
    store.purge(runs=[one.id])
    (version,) = store.versions_of(two.id)
    assert version.run == two.id
    assert whole(store)
    before = told(store)
    store.rebuild()
    assert told(store) == before


def test_latest_falls_back_when_its_version_is_purged(store: Store) -> None:
    _, first = record(store, sources=("a",))
    run, _ = record(store, sources=("b",))
    store.purge(runs=[run.id])
    assert store.version(first.artifact, "latest").number == first.number


def test_a_collector_killed_between_its_steps_leaves_a_whole_store(
    local: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(local)
    digest = local.put(os.urandom(2 << 20))
    data = local.get(digest)
    local.flush()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(garbage.whereabouts, "drop", killed)
    with pytest.raises(KeyboardInterrupt):
        local.gc(grace=-1)
    monkeypatch.undo()
    assert whole(local)
    assert local.put(data) == digest
    local.flush()
    assert local.get(digest) == data
    assert settings()["budget"].value == 0
