"""Two at once, and what was cut short: nobody takes away what another one counts on."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jupyter_codesave.blobs.local import LocalBlobs
from jupyter_codesave.catalog import runs
from jupyter_codesave.model.artifact import SESSION_NOTEBOOK
from jupyter_codesave.model.execution import Execution
from jupyter_codesave.model.manifest import Entry, Manifest
from jupyter_codesave.store import Store, budget, forgetting, garbage, reach, rebuild, records
from tests.conftest import scale

from .made import Place, image, make_run, notebook, record, told


def whole(store: Store) -> bool:
    found = store.verify()
    return not found["damaged"] and not found["missing"] and not found["repaired"]


def afterwards(work: Callable[..., Any], also: Callable[[], Any]) -> Callable[..., Any]:
    """Let somebody else do something once, right after `work`."""
    left = [also]

    def both(*arguments: Any, **options: Any) -> Any:
        found = work(*arguments, **options)
        if left:
            left.pop()()
        return found

    return both


def test_a_purge_spares_what_another_run_commits_meanwhile(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = image(3000)
    with place.open() as store, place.open() as other:
        gone, _ = record(store, picture=picture)
        late = afterwards(reach.live, lambda: record(other, picture=picture))
        monkeypatch.setattr(reach, "live", late)
        store.purge(runs=[gone.id])
        assert len(store.runs().items) == 1
        assert whole(store)


def test_a_purge_spares_what_another_run_is_about_to_commit(place: Place) -> None:
    picture = image(3000)
    with place.open() as store, place.open() as other:
        gone, _ = record(store, picture=picture)
        data = notebook(["y"], "", picture)
        entry = Entry(other.put(data), len(data))
        other.flush()
        store.purge(runs=[gone.id])
        other.write(run=make_run(), commit={"late": Manifest({"a.ipynb": entry})})
        assert whole(store)


def test_nobody_finds_a_whole_whose_payload_is_gone(
    local: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, spool = image(3000), LocalBlobs(local.folder / "other")
    data = notebook(["y"], "", picture)
    digest = local.put(data)
    local.flush()
    monkeypatch.setattr(garbage, "_BATCH", 1)
    real, left = local.catalog.write, [1, 1, 1]

    @contextmanager
    def write() -> Iterator[Any]:
        with real() as tx:
            yield tx
        if left:
            left.pop()
        if not left:
            monkeypatch.undo()
            spool.put(data)
            local.adopt(spool, [digest])
            local.write(run=make_run(), files={"a.ipynb": Entry(digest, len(data))})

    monkeypatch.setattr(local.catalog, "write", write)
    local.gc(grace=-1)
    assert local.get(digest) == data
    assert whole(local)


def test_payloads_of_payloads_are_no_garbage(store: Store) -> None:
    inner = json.dumps({"image": base64.b64encode(image(9000)).decode()}).encode()
    local_digest = store.put(inner)
    store.flush()
    outer = notebook(["y"], "", inner)
    run, _ = record(store, sources=("y",), picture=inner)
    store.gc(grace=-1)
    assert whole(store)
    store.write(run=run, files={"o": Entry(store.put(outer), len(outer))})
    store.rebuild()
    store.gc(grace=-1)
    assert store.get(local_digest) == inner
    assert whole(store)


@pytest.mark.parametrize("how", ["gc", "purge", "forget"])
def test_what_a_journal_names_waits_for_it_when_the_ingest_was_killed(
    local: Store, how: str
) -> None:
    spool = LocalBlobs(local.folder / "spool")
    digest = spool.put(image(3000))
    journal = local.folder / "journal" / "waits.journal"
    journal.parent.mkdir(exist_ok=True)
    journal.write_text(digest)
    run, _ = record(local)
    assert local.adopt(spool, [digest]) == []
    with local.catalog.write() as tx:
        tx.connection.exec_driver_sql("UPDATE blobs SET touched = 7")
    if how == "gc":
        local.gc(grace=-1)
    elif how == "purge":
        local.purge(runs=[run.id])
    else:
        local.forget(run.id, [1])
    assert local.adopt(spool, [digest]) == []
    journal.unlink()
    local.gc(grace=-1)
    assert local.adopt(spool, [digest]) == [digest]


def test_outputs_that_are_dropped_bring_no_forgotten_cell_back(
    local: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Place(local.folder).open() as other:
        run, _ = record(local, sources=("secret = 1", "b = 2"), printed="out")
        late = afterwards(forgetting._slimmed, lambda: other.forget(run.id, [1]))
        monkeypatch.setattr(forgetting, "_slimmed", late)
        budget.thin(local, run.id)
    (version,) = local.versions_of(run.id)
    kept = local.get(local.manifest(version.digest).entries[SESSION_NOTEBOOK].digest)
    assert b"secret" not in kept
    assert b"b = 2" in kept


def test_a_run_that_begins_while_the_catalog_is_made_anew_is_in_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(state="running", ended=None, ended_by=None)
    first = [Execution(run.id, 1, "a", "x = 1", started=run.started)]
    with place.open() as store, place.open() as other:
        late = afterwards(rebuild.find_blobs, lambda: other.write(run=run, executions=first))
        monkeypatch.setattr(rebuild, "find_blobs", late)
        store.rebuild()
        assert store.executions(run.id) == first


def test_runs_made_after_the_catalog_was_lost_take_no_version_away(tmp_path: Path) -> None:
    with Place(tmp_path / "data").open() as store:
        old = [record(store, sources=(f"old = {n}",)) for n in range(2)]
    for path in (tmp_path / "data").glob("catalog.sqlite*"):
        path.unlink()
    with Place(tmp_path / "data").open() as store:
        new = [record(store, sources=(f"new = {n}",)) for n in range(2)]
        store.rebuild()
        made = {run.id: store.versions_of(run.id) for run, _ in (*old, *new)}
        assert {run: [v.digest for v in found] for run, found in made.items()} == {
            run.id: [version.digest] for run, version in (*old, *new)
        }
        name = old[0][1].artifact
        assert store.version(name, "latest").run == new[1][0].id
        before = told(store)
        store.rebuild()
        assert told(store) == before


def test_a_run_that_goes_back_to_what_it_had_keeps_each_version(store: Store) -> None:
    run = make_run()
    for data in (b"a", b"b", b"a"):
        store.write(run=run, commit={"tree": Manifest({"f": Entry(store.put(data), 1)})})
    before = told(store)
    assert len(before["artifacts"][0]["versions"]) == 3
    store.rebuild()
    assert told(store) == before


def killed_before_it_commits(store: Store, run_id: str) -> None:
    with store.catalog.write() as tx:
        runs.set_columns(tx, run_id, notes="never")
        records.keep_run(tx, store.contents, run_id)
        raise KeyboardInterrupt


def test_what_was_never_committed_is_not_what_a_rebuild_finds(local: Store) -> None:
    run, _ = record(local)
    for number in range(6):
        with pytest.raises(KeyboardInterrupt):
            killed_before_it_commits(local, run.id)
        local.update_run(run.id, notes=f"committed {number}")
        local.rebuild()
        assert local.run(run.id).notes == f"committed {number}"


def test_copying_what_gave_way_to_space_takes_nothing_from_the_copy(
    local: Store, tmp_path: Path
) -> None:
    run, _ = record(local, picture=image(3000), saved={"big": image(5000)})
    local.copy_to(str(tmp_path / "there"))
    budget.thin(local, run.id, files=True)
    assert local.copy_to(str(tmp_path / "there"))["unchanged"] == 1
    with Place(tmp_path / "there").open() as there:
        assert there.files(run.id).entries.keys() == {"big"}
        (version,) = there.versions_of(run.id)
        assert there.manifest(version.digest).size > 3000


def test_a_cell_that_was_forgotten_is_forgotten_where_the_run_is_copied_again(
    local: Store, tmp_path: Path
) -> None:
    run, _ = record(local, sources=("secret = 1", "b = 2"))
    local.copy_to(str(tmp_path / "there"))
    local.forget(run.id, [1])
    local.copy_to(str(tmp_path / "there"))
    with Place(tmp_path / "there").open() as there:
        (version,) = there.versions_of(run.id)
        kept = there.get(there.manifest(version.digest).entries[SESSION_NOTEBOOK].digest)
        assert b"secret" not in kept
        assert [each.source for each in there.executions(run.id)] == ["b = 2"]


def test_writers_of_the_same_artifacts_in_any_order_do_not_wait_for_each_other(
    place: Place,
) -> None:
    place.open().close()
    failed: list[BaseException] = []

    def write(names: str) -> None:
        try:
            with place.open() as store:
                for number in range(scale(15)):
                    data = f"{names}{number}".encode()
                    same = Manifest({"a": Entry(store.put(data), len(data))})
                    store.write(commit=dict.fromkeys(names, same))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(names,)) for names in ("abcd", "dcba", "cadb")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with place.open() as store:
        assert {len(artifact.versions) for artifact in store.artifacts()} == {3 * scale(15)}
