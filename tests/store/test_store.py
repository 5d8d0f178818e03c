from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jupyter_codesave.errors import DamagedError, NotFoundError, UnavailableError, UsageError
from jupyter_codesave.model.artifact import SESSION_NOTEBOOK
from jupyter_codesave.model.digest import digest_of
from jupyter_codesave.model.execution import Execution
from jupyter_codesave.model.manifest import Entry, Manifest
from jupyter_codesave.store import JournalState, Store

from .made import Place, image, make_run, notebook, record, told


def manifest(store: Store, **files: bytes) -> Manifest:
    return Manifest({path: Entry(store.put(data), len(data)) for path, data in files.items()})


def test_a_run_comes_back_as_it_was_written(store: Store, place: Place) -> None:
    run, version = record(store, printed="accuracy 0.9", saved={"model.pt": b"weights"})
    with place.open() as other:
        found = other.run(run.id)
        assert found == run.with_(artifact=version.reference)
        assert [each.source for each in other.executions(run.id)] == ["x = 1", "plot(x)"]
        assert other.files(run.id).entries == {"model.pt": Entry(digest_of(b"weights"), 7)}
        assert other.missing_files(run.id) == [("gone.txt", "a broken link")]
        assert other.versions_of(run.id) == [version]
        assert other.session_runs(run.session) == [run.id]


def test_names_that_no_database_likes_come_back(store: Store) -> None:
    run = make_run(name="nul\0", notebook="/caf\udce9/Übung.ipynb", notes="\x01", tags=("😀",))
    store.write(run=run, executions=[Execution(run.id, 1, "k", "print('\0')")])
    assert store.run(run.id) == run
    assert store.executions(run.id)[0].source == "print('\0')"


def test_writing_again_updates_what_is_there(store: Store) -> None:
    run = make_run(state="running", ended=None, ended_by=None)
    store.write(run=run, executions=[Execution(run.id, 1, "k", "x", status="running")])
    ended = run.with_(state="finished", ended="2027-01-01T00:00:00Z", ended_by="exit")
    store.write(run=ended, executions=[Execution(run.id, 1, "k", "x", status="ok")])
    assert store.run(run.id) == ended
    assert [each.status for each in store.executions(run.id)] == ["ok"]
    assert len(store.runs().items) == 1


def test_what_a_user_edits_is_not_overruled_by_the_journal(store: Store) -> None:
    run, version = record(store)
    edited = store.update_run(run.id, name="best", tags=["keep"])
    assert (edited.name, edited.tags, edited.notes) == ("best", ("keep",), run.notes)
    store.write(run=run.with_(notes="from the journal"))
    found = store.run(run.id)
    assert (found.name, found.tags, found.notes) == ("best", ("keep",), "from the journal")
    assert found.artifact == version.reference


# -- versions -----------------------------------------------------------------------------------


def test_a_version_is_made_for_each_manifest_that_changed(store: Store) -> None:
    run = make_run()
    first = manifest(store, a=b"1")
    assert [v.reference for v in store.write(run=run, commit={"art": first})] == ["art:v0"]
    assert [v.reference for v in store.write(run=run, commit={"art": first})] == ["art:v0"]
    second = manifest(store, a=b"2")
    (made,) = store.write(run=run, commit={"art": second}, aliases=("latest", "best"))
    assert (made.number, made.size, made.run) == (1, 1, run.id)
    assert made.aliases == ("best", "latest")
    assert store.version("art", "latest").number == 1
    assert store.version("art", "v0").aliases == ()
    assert store.manifest(store.version("art", "v0").digest) == first
    assert store.run(run.id).artifact == "art:v1"
    assert [v.number for v in store.versions_of(run.id)] == [1, 0]
    (artifact,) = store.artifacts()
    assert [v["version"] for v in artifact.summary()["versions"]] == ["v0", "v1"]


def test_a_version_needs_no_run(store: Store) -> None:
    (made,) = store.write(commit={"alone": manifest(store, a=b"1")})
    assert made.run is None
    assert store.version("alone", "latest") == made


def test_a_run_that_changed_nothing_shares_the_version(store: Store) -> None:
    one, two = make_run(), make_run()
    same = manifest(store, a=b"1")
    store.write(run=one, commit={"art": same})
    store.write(run=two, commit={"art": same})
    assert store.versions_of(one.id) == store.versions_of(two.id)
    assert store.run(two.id).artifact == "art:v0"


def test_a_version_whose_bytes_are_not_there_is_refused_and_nothing_is_written(
    store: Store,
) -> None:
    run = make_run()
    absent = Manifest({"lost.py": Entry(digest_of(b"never put"), 9)})
    with pytest.raises(DamagedError, match=r"lost\.py"):
        store.write(run=run, commit={"art": absent})
    with pytest.raises(DamagedError, match=r"lost\.py"):
        store.write(run=run, files=absent.entries)
    assert store.runs().items == ()
    assert store.artifacts() == []


def test_a_version_that_is_not_there_is_named(store: Store) -> None:
    store.write(commit={"art": manifest(store, a=b"1")})
    for selector in ("v1", "v99", "best"):
        with pytest.raises(NotFoundError, match=f"art:{selector}.*v0"):
            store.version("art", selector)
    with pytest.raises(NotFoundError, match="no such artifact"):
        store.version("other", "v0")


def test_versions_made_at_once_get_numbers_of_their_own(place: Place) -> None:
    place.open().close()

    def commit(worker: int) -> None:
        with place.open() as store:
            for n in range(5):
                store.write(commit={"art": manifest(store, a=f"{worker} {n}".encode())})

    threads = [threading.Thread(target=commit, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with place.open() as store:
        (artifact,) = store.artifacts()
        assert [v.number for v in artifact.versions] == list(range(20))
        assert len({v.digest for v in artifact.versions}) == 20
        assert store.verify()["missing"] == []


def test_processes_write_at_the_same_time(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.store.made import Place, record, image\n"
        "with Place(Path(sys.argv[1])).open() as store:\n"
        "    for n in range(10): record(store, sources=(f'{sys.argv[2]} {n}',), picture=image())\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    root = Path(__file__).parents[2]
    started = [
        subprocess.Popen([*command, str(n)], cwd=root, stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    for process in started:
        _, error = process.communicate(timeout=200)
        assert process.returncode == 0, error
    with Place(tmp_path / "data").open() as store:
        assert len(store.runs(limit=100).items) == 40
        (artifact,) = store.artifacts()
        assert [v.number for v in artifact.versions] == list(range(40))
        found = store.verify()
    assert found["damaged"] == found["missing"] == []


# -- series -------------------------------------------------------------------------------------


def test_a_notebook_keeps_its_series(store: Store) -> None:
    assert store.artifact_for("p", "a/b.ipynb") == "source-p-a-b.ipynb"
    assert store.artifact_for("p", "a/b.ipynb") == "source-p-a-b.ipynb"


def test_two_paths_never_share_a_series(store: Store) -> None:
    names = {store.artifact_for("p", path) for path in ("a/b.py", "a-b.py", "a b.py", "a_b.py")}
    assert len(names) == 4
    assert all(name.startswith("source-p-a") for name in names)
    long = {store.artifact_for("p", f"{'d' * 200}/{n}.py") for n in range(3)}
    assert len(long) == 3
    assert all(len(name) <= 128 for name in long)


def test_a_renamed_notebook_goes_on_with_its_series(store: Store) -> None:
    name = store.artifact_for("p", "old.ipynb")
    store.rename_series("old.ipynb", "new.ipynb")
    assert store.artifact_for("p", "new.ipynb") == name
    assert store.artifact_for("p", "old.ipynb") != name


# -- runs ---------------------------------------------------------------------------------------


def test_runs_are_listed_newest_first_page_by_page(store: Store) -> None:
    made = [make_run() for _ in range(12)]
    for run in made:
        store.write(run=run)
    found, cursor = [], None
    while True:
        page = store.runs(limit=5, cursor=cursor)
        found += [run.id for run in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert found == [run.id for run in reversed(made)]


def test_runs_are_filtered(store: Store) -> None:
    one = make_run(project="a", notebook="/w/x/train.ipynb", notes="Hunderte", state="crashed")
    two = make_run(project="b", notebook="/w/y/train.ipynb", tags=("100%_sure",))
    three = make_run(project="b", notebook=None, program="/w/train.py", name="train.py")
    for run in (one, two, three):
        store.write(run=run)

    def ids(**options: object) -> list[str]:
        return [run.id for run in store.runs(**options).items]

    assert ids(project="b") == [three.id, two.id]
    assert ids(notebook="/w/x/train.ipynb") == [one.id]
    assert ids(notebook="train.ipynb") == [two.id, one.id]
    assert ids(notebook="y/train.ipynb") == [two.id]
    assert ids(notebook="rain.ipynb") == []
    assert ids(state="crashed") == [one.id]
    assert ids(q="hundert") == [one.id]
    assert ids(q="100%_") == [two.id]
    assert ids(q="1000") == []
    assert ids(q="train.py") == [three.id]


def test_a_run_is_found_by_a_prefix_that_only_one_has(store: Store) -> None:
    for run_id in ("abc1000000", "abc2000000", "abd1000000"):
        store.write(run=make_run(id=run_id))
    assert store.run("abd").id == "abd1000000"
    assert store.run("abc1").id == "abc1000000"
    with pytest.raises(UsageError, match=r"abc2000000, abc1000000"):
        store.run("abc")
    for reference in ("x", "abe", "abc10000000", ""):
        with pytest.raises(NotFoundError):
            store.run(reference)


def test_the_nth_run_counts_from_the_newest(store: Store) -> None:
    made = [make_run(notebook=f"/w/{name}.ipynb") for name in ("a", "b", "a")]
    for run in made:
        store.write(run=run)
    assert store.nth_run(1).id == made[2].id
    assert store.nth_run(2, "a.ipynb").id == made[0].id
    assert store.nth_run(1, "/w/b.ipynb").id == made[1].id
    with pytest.raises(NotFoundError, match=r"b\.ipynb@2"):
        store.nth_run(2, "b.ipynb")


def test_a_deleted_run_is_hidden_until_it_is_restored(store: Store) -> None:
    run, _ = record(store)
    before = told(store)
    store.delete(run.id)
    assert store.runs().items == ()
    assert store.search("plot").items == ()
    assert [each.id for each in store.runs(deleted=True).items] == [run.id]
    assert store.run(run.id).id == run.id
    store.restore(run.id)
    after = told(store)
    assert {**after, "size": 0} == {**before, "size": 0}
    with pytest.raises(NotFoundError):
        store.delete("nobody0000")


def test_printed_output_is_found_after_a_version(store: Store) -> None:
    run, _ = record(store, printed="\x1b[31mfinal accuracy: 0.93\x1b[0m", picture=image())
    (hit,) = store.search("final accuracy").items
    assert (hit.run, hit.execution, hit.source) == (run.id, 1, "x = 1")


def test_forgotten_executions_are_gone(store: Store) -> None:
    run, _ = record(store, sources=("keep = 1", "secret_key = 2"))
    store.forget(run.id, [2])
    assert [each.number for each in store.executions(run.id)] == [1]
    assert store.search("secret_key").items == ()


def test_forgotten_cells_are_gone_from_earlier_versions_too(store: Store) -> None:
    run = make_run()
    own = notebook(["keep = 1", "secret_key = 2"])
    data = notebook(["keep = 1", "secret_key = 2"], "printed")
    entries = {
        SESSION_NOTEBOOK: Entry(store.put(data), len(data)),
        "train.ipynb": Entry(store.put(own), len(own)),
    }
    executions = [
        Execution(run.id, n, f"k{n}", s) for n, s in ((1, "keep = 1"), (2, "secret_key = 2"))
    ]
    (version,) = store.write(run=run, executions=executions, commit={"art": Manifest(entries)})
    store.forget(run.id, [2])
    (after,) = store.versions_of(run.id)
    assert after.number == version.number
    for path, entry in store.manifest(after.digest):
        assert b"secret_key" not in store.get(entry.digest), path
        assert b"keep = 1" in store.get(entry.digest), path
    for digest in (entries[SESSION_NOTEBOOK].digest, entries["train.ipynb"].digest):
        assert not store.has(digest)
    assert store.verify()["missing"] == []
    before = told(store)
    store.rebuild()
    assert told(store) == before


# -- journals -----------------------------------------------------------------------------------


def test_how_far_a_journal_is_read_is_remembered(store: Store) -> None:
    assert store.journal_state("s") is None
    state = JournalState("s", 100, 5, 200)
    store.write(journal=state)
    assert store.journal_state("s") == state
    store.write(journal=JournalState("s", 200, 9, 200))
    assert store.journal_state("s") == JournalState("s", 200, 9, 200)


def test_a_sealed_journal_comes_back_byte_for_byte(store: Store, tmp_path: Path) -> None:
    data = os.urandom(1000) + b"records " * 5000 + image()
    path = tmp_path / "s.journal"
    path.write_bytes(data)
    digest = store.seal("s", path)
    store.write(journal=JournalState("s", len(data), 9, len(data), True, digest))
    assert path.exists()
    assert store.get(digest) == data
    state = store.journal_state("s")
    assert state is not None
    assert (state.sealed, state.digest) == (True, digest)


def test_a_journal_that_is_not_in_the_store_cannot_be_called_sealed(store: Store) -> None:
    with pytest.raises(DamagedError, match="seal it again"):
        store.write(journal=JournalState("s", 1, 1, 1, True, digest_of(b"never put")))
    assert store.journal_state("s") is None


# -- opening ------------------------------------------------------------------------------------


def test_the_data_folder_is_private(local: Store) -> None:
    record(local, saved={"a": b"x" * 2_000_000})
    local.flush()
    for path in [local.folder, *local.folder.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="CODESAVE_DIR"):
        Place(tmp_path / "file" / "data").open()


def test_the_default_is_the_data_folder_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODESAVE_DIR", str(tmp_path / "here"))
    monkeypatch.setenv("CODESAVE_BUDGET", "12345")
    monkeypatch.chdir(tmp_path)
    with Store.open() as store:
        assert store.folder == tmp_path / "here"
        assert store.budget() == 12345


def test_the_budget_is_a_tenth_of_the_disk_or_ten_gigabytes(local: Store) -> None:
    assert 0 < local.budget() <= 10 << 30


def test_a_manifest_in_the_golden_form_has_its_golden_digest(local: Store) -> None:
    data = local.put(b"print(1)\n")
    golden = Manifest({"b.py": Entry(data, 9, "100755"), SESSION_NOTEBOOK: Entry(data, 9)})
    assert local.put(golden.dump()) == golden.digest
    assert golden.digest == (
        "sha256:b8bc643d7b2eabc6ef88d717bc986ff5223a346591437e30d4f9ca6cb003aa0f"
    )
