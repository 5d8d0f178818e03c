"""Archives and records from people who mean harm, or whose disk does."""

from __future__ import annotations

import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_codesave.errors import CodeSaveError, DamagedError, UnavailableError
from jupyter_codesave.model.digest import digest_of
from jupyter_codesave.store import Store, copy, records
from tests.conftest import scale

from .made import Place, image, make_run, record, told


def archive(store: Store, tmp_path: Path) -> Path:
    record(store, picture=image(3000), saved={"a.txt": b"hello"}, journal=b"journal " * 99)
    where = tmp_path / "there.zip"
    store.copy_to(str(where))
    return where


def forge(where: Path, change: Callable[[dict[str, Any]], None], kind: str = "run") -> Path:
    """Change the records of an archive, as somebody who knows their form can."""
    forged = where.with_name("forged.zip")
    with zipfile.ZipFile(where) as old, zipfile.ZipFile(forged, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.startswith("records/"):
                told_ = json.loads(data)
                if told_["kind"] == kind:
                    change(told_)
                data = records.dump(told_)
                name = f"records/{digest_of(data)[7:]}"
            new.writestr(name, data)
    return forged


def paths_into(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Name every place in a record."""
    found = [at] if at else []
    pairs = value.items() if isinstance(value, dict) else ()
    pairs = enumerate(value) if isinstance(value, list) else pairs
    for key, inner in pairs:
        found += paths_into(inner, (*at, key))
    return found


def put_at(value: Any, at: tuple[Any, ...], odd: Any) -> None:
    for key in at[:-1]:
        value = value[key]
    value[at[-1]] = odd


ODD: list[Any] = [None, 7, -1, 1 << 70, "", "\0", "../../x", [], {}, [7], {"a": 7}, True, "*" * 99]


def test_no_odd_value_in_a_record_does_harm(local: Store, tmp_path: Path) -> None:
    where = archive(local, tmp_path)
    before = told(local)
    chance = random.Random()
    with zipfile.ZipFile(where) as there:
        whole = [json.loads(there.read(n)) for n in there.namelist() if n.startswith("records/")]
    places = [(each["kind"], at) for each in whole for at in paths_into(each)]
    assert len(places) > 60
    with Place(tmp_path / "back").open() as store:
        for kind, at in chance.sample(places, k=min(scale(60), len(places))):
            odd = chance.choice(ODD)
            forged = forge(where, lambda r, at=at, odd=odd: put_at(r, at, odd), kind)
            try:
                store.copy_from(str(forged))
            except CodeSaveError:
                pass
            told(store)
            assert store.verify()["damaged"] == []
            store.rebuild()
        store.copy_from(str(where))
    assert told(local) == before


def test_a_flipped_byte_anywhere_in_an_archive_is_damage_or_does_nothing(
    local: Store, tmp_path: Path
) -> None:
    where = archive(local, tmp_path)
    whole = where.read_bytes()
    chance = random.Random()
    broken = tmp_path / "broken.zip"
    for number in range(scale(60)):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        broken.write_bytes(data if number % 3 else data[: chance.randrange(len(data))])
        with Place(tmp_path / f"back{number}").open() as store:
            try:
                store.copy_from(str(broken))
            except CodeSaveError:
                continue
            found = store.verify()
            assert found["damaged"] == found["missing"] == []


def test_an_archive_that_grows_without_end_is_refused(local: Store, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target,
        target.open("records/" + "0" * 64, "w", force_zip64=True) as sink,
    ):
        for _ in range(600):
            sink.write(bytes(1 << 20))
    with pytest.raises(DamagedError, match="would grow"):
        local.copy_from(str(bomb))


def test_a_run_that_has_no_room_is_refused_before_it_is_copied(
    local: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = archive(local, tmp_path)
    full = type("Usage", (), {"free": 100})
    monkeypatch.setattr(copy.shutil, "disk_usage", lambda _: full)
    with Place(tmp_path / "back").open() as store:
        with pytest.raises(UnavailableError, match="has room for 100 bytes"):
            store.copy_from(str(where))
        assert store.runs().items == ()


def test_nobody_deletes_a_run_by_sending_it(local: Store, tmp_path: Path) -> None:
    where = archive(local, tmp_path)
    forged = forge(where, lambda r: r.update(deleted="2001-01-01T00:00:00Z"))
    local.copy_from(str(forged))
    assert len(local.runs().items) == 1
    assert local.gc()["runs"] == 0


def test_a_session_that_is_called_like_a_pattern_purges_no_other_journal(local: Store) -> None:
    run, _ = record(local, make_run(session="*"))
    other = local.folder / "journal" / "other.journal"
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(b"records")
    local.purge(runs=[run.id])
    assert other.read_bytes() == b"records"


def test_links_in_a_folder_that_is_copied_from_are_not_followed(
    local: Store, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(2 << 20))
    with Place(tmp_path / "gpu").open() as other:
        record(other, saved={"big": os.urandom(2 << 20)})
        (path,) = other.folder.glob("blobs/content/??/*")
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(CodeSaveError):
        local.copy_from(str(tmp_path / "gpu"))
    assert local.runs().items == ()
    assert not local.has(digest_of(secret.read_bytes()))


def test_a_blob_that_is_another_one_in_the_source_is_refused(local: Store, tmp_path: Path) -> None:
    with Place(tmp_path / "gpu").open() as other:
        record(other, saved={"big": os.urandom(2 << 20)})
        (path,) = other.folder.glob("blobs/content/??/*")
    path.write_bytes(os.urandom(2 << 20))
    with pytest.raises(CodeSaveError):
        local.copy_from(str(tmp_path / "gpu"))
    assert local.runs().items == ()
    assert local.verify()["damaged"] == []


ODD_TEXTS = ["\0", "\ud800", "\U0010ffff", "a" * 5000, "'\"\\%_", "v9999999999999", "v²", "~~", ""]
ODD_CURSORS = ["a~b~99999999999999999999", "\0~x~1", "\ud800~x~1", "x", "~~1", "a~b~-1", "a~b~c"]


@pytest.mark.parametrize("odd", [*ODD_TEXTS, *ODD_CURSORS])
def test_odd_words_get_an_answer_or_a_clear_no(store: Store, odd: str) -> None:
    run, version = record(store)
    for ask in (
        lambda: store.run(odd),
        lambda: store.version(version.artifact, odd),
        lambda: store.version(odd, "latest"),
        lambda: store.runs(q=odd),
        lambda: store.runs(notebook=odd, project=odd, state=odd),
        lambda: store.runs(cursor=odd),
        lambda: store.search(odd),
        lambda: store.search("x", cursor=odd),
    ):
        try:
            ask()
        except UnavailableError as error:
            raise AssertionError(odd) from error
        except CodeSaveError:
            pass
    assert store.run(run.id).id == run.id


def test_numbers_no_database_holds_are_no_record(local: Store, tmp_path: Path) -> None:
    where = archive(local, tmp_path)
    for name in ("executions", "revision"):
        forged = forge(
            where, lambda r, n=name: (r["run"] if n in r["run"] else r).update({n: 1 << 40})
        )
        with Place(tmp_path / name).open() as store, pytest.raises(DamagedError):
            store.copy_from(str(forged))


@pytest.mark.parametrize("what", ["fifo", "link", "folder"])
def test_what_is_no_file_is_no_blob(local: Store, what: str) -> None:
    record(local, picture=image(3000))
    before = told(local)
    for area in ("content", "packs", "records"):
        odd = local.folder / "blobs" / area / "ab" / ("0" * 62)
        odd.parent.mkdir(parents=True, exist_ok=True)
        make: dict[str, Callable[[], Any]] = {
            "fifo": lambda odd=odd: os.mkfifo(odd),
            "link": lambda odd=odd: odd.symlink_to("/dev/zero"),
            "folder": odd.mkdir,
        }
        make[what]()
    assert local.rebuild()["damaged"] == 0
    found = local.verify()
    assert found["damaged"] == found["missing"] == found["repaired"] == []
    local.gc(grace=-1)
    assert told(local) == before
    with pytest.raises(CodeSaveError):
        local.get("sha256:ab" + "0" * 62)


def test_a_run_that_is_damaged_keeps_no_other_from_being_copied(
    local: Store, tmp_path: Path
) -> None:
    broken, _ = record(local, saved={"big": os.urandom(2 << 20)})
    fine, _ = record(local, sources=("b",))
    (path,) = local.folder.glob("blobs/content/??/*")
    path.write_bytes(b"broken")
    for place in ("there", "there.zip"):
        with pytest.raises(DamagedError, match=broken.id):
            local.copy_to(str(tmp_path / place))
    with Place(tmp_path / "there").open() as there:
        assert [run.id for run in there.runs().items] == [fine.id]
    with Place(tmp_path / "back").open() as back:
        back.copy_from(str(tmp_path / "there.zip"))
        assert [run.id for run in back.runs().items] == [fine.id]
