from __future__ import annotations

import fcntl
import io
import os
import random
import secrets
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from jupyter_codesave.errors import CodeSaveError, DamagedError, NotFoundError, UsageError
from jupyter_codesave.model.digest import digest_of
from jupyter_codesave.store import Store, archive, part
from tests.blobs import servers
from tests.conftest import scale

from .made import Place, image, make_run, record, told


def fill(store: Store) -> None:
    one, _ = record(store, picture=image(), printed="accuracy", journal=b"journal " * 500)
    record(store, sources=("x = 2",), saved={"model.pt": os.urandom(2 << 20)})
    store.update_run(one.id, name="edited")


def without_size(store: Store) -> dict[str, object]:
    return {**told(store), "size": None}


@pytest.mark.parametrize("place", ["folder", "archive", "team"])
def test_runs_come_and_go_through_any_place(
    local: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    fill(local)
    if place == "team":
        storage = servers.rclone()
        for name, value in storage.environ.items():
            monkeypatch.setenv(name, value)
        where = f"{servers.postgresql()},{storage.url}/{secrets.token_hex(6)}"
    else:
        where = str(tmp_path / ("there.zip" if place == "archive" else "there"))
    before = told(local)
    counts = local.copy_to(where)
    assert (counts["runs"], counts["unchanged"]) == (2, 0)
    assert told(local) == before, "the source is left alone"
    again = local.copy_to(where)
    assert (again["runs"], again["blobs"], again["unchanged"]) == (0, 0, 2)
    with Place(tmp_path / "back").open() as store:
        assert store.copy_from(where)["runs"] == 2
        assert without_size(store) == {**before, "size": None}
        assert store.copy_from(where)["unchanged"] == 2
        assert without_size(store) == {**before, "size": None}
        assert store.verify()["missing"] == []


def test_some_runs_are_copied_by_their_ids(local: Store, tmp_path: Path) -> None:
    one, _ = record(local, make_run(id="aaaa000000"))
    record(local, make_run(id="bbbb000000"))
    local.copy_to(str(tmp_path / "there.zip"), ["aaaa"])
    with Place(tmp_path / "back").open() as store:
        store.copy_from(str(tmp_path / "there.zip"), ["aa"])
        assert [run.id for run in store.runs().items] == [one.id]
        with pytest.raises(NotFoundError, match="bbbb"):
            store.copy_from(str(tmp_path / "there.zip"), ["bbbb"])


def test_what_changed_is_copied_again(local: Store, tmp_path: Path) -> None:
    run, _ = record(local)
    for where in (str(tmp_path / "there"), str(tmp_path / "there.zip")):
        local.copy_to(where)
        local.update_run(run.id, notes=where)
        assert local.copy_to(where)["runs"] == 1
        with Place(tmp_path / f"back{len(where)}").open() as store:
            store.copy_from(where)
            assert store.run(run.id).notes == where
            assert len(store.artifacts()[0].versions) == 1


def test_versions_of_two_machines_share_a_series(local: Store, tmp_path: Path) -> None:
    here, _ = record(local, sources=("here",))
    with Place(tmp_path / "gpu").open() as other:
        there, _ = record(other, sources=("there",))
    assert local.copy_from(str(tmp_path / "gpu"))["runs"] == 1
    (artifact,) = local.artifacts()
    assert [(v.number, v.run) for v in artifact.versions] == [(0, here.id), (1, there.id)]
    assert local.run(there.id).artifact == f"{artifact.name}:v1"
    before = told(local)
    local.rebuild()
    assert told(local) == before


def test_a_copy_that_breaks_off_goes_on(
    local: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        record(local, sources=(f"x = {n}",))

    def broken(items: object) -> object:
        for number, item in enumerate(items):
            if number == 2:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        local.copy_to(str(tmp_path / "there"), progress=broken)
    counts = local.copy_to(str(tmp_path / "there"))
    assert (counts["runs"], counts["unchanged"]) == (2, 2)


def test_a_broken_off_archive_leaves_the_old_one(local: Store, tmp_path: Path) -> None:
    run, _ = record(local)
    where = tmp_path / "there.zip"
    local.copy_to(str(where))
    before = where.read_bytes()
    local.update_run(run.id, name="changed")

    def broken(items: object) -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local.copy_to(str(where), progress=broken)
    assert where.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if "there" in p.name] == ["there.zip"]


@pytest.mark.parametrize("end", ["interrupted", "killed"])
def test_a_broken_off_archive_is_gone_on_with(
    local: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    where = tmp_path / "there.zip"
    record(local, saved={"first": os.urandom(2000)})
    local.copy_to(str(where))
    for _ in range(4):
        record(local, saved={"more": os.urandom(2000)}, printed=secrets.token_hex(9))
    monkeypatch.setattr(part, "_EVERY", 0)
    monkeypatch.setattr(part, "_SHARE", 0)
    before = where.read_bytes()

    def broken(items: Iterable[str]) -> Iterator[str]:
        for number, item in enumerate(items):
            if number == 3:
                os._exit(9) if end == "killed" else interrupt()
            yield item

    def interrupt() -> None:
        raise KeyboardInterrupt

    if end == "killed":
        pid = os.fork()
        if pid == 0:
            with Place(local.folder).open() as store:
                store.copy_to(str(where), progress=broken)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    else:
        with pytest.raises(KeyboardInterrupt):
            local.copy_to(str(where), progress=broken)
    assert where.read_bytes() == before
    (left,) = tmp_path.glob(".there.zip.*.part")
    with left.open("ab") as file:
        file.write(b"half an entry" * 999)
    counts = local.copy_to(str(where))
    assert (counts["runs"], counts["unchanged"]) == (2, 3)
    assert [p.name for p in tmp_path.iterdir() if "there" in p.name] == ["there.zip"]
    assert where.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(where) as there:
        assert there.testzip() is None
        assert len(set(there.namelist())) == len(there.namelist())
    with Place(tmp_path / "back").open() as store:
        assert store.copy_from(str(where))["runs"] == 5
        assert without_size(store) == without_size(local)
        assert store.verify()["missing"] == []


def test_rebuild_knows_what_runs_printed_that_share_a_version(place: Place) -> None:
    with place.open() as store:
        for n in (3, 1, 2):  # whose the version is did not begin first
            moment = f"2026-03-02T00:00:0{n}.000000Z"
            record(store, make_run(started=moment, ended=moment), printed="accuracy")
        before = told(store)
        assert len(before["printed"]) == 3
        assert len(before["artifacts"][0]["versions"]) == 1
        store.rebuild()
        assert told(store) == before


def broken_off(store: Store, where: Path, monkeypatch: pytest.MonkeyPatch, *ids: str) -> Path:
    """Break a copy off before the last run, when those before it are marked; give the part."""
    monkeypatch.setattr(part, "_EVERY", 0)
    monkeypatch.setattr(part, "_SHARE", 0)

    def broken(items: Iterable[str]) -> Iterator[str]:
        yield from list(items)[:-1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.copy_to(str(where), ids, progress=broken)
    (left,) = where.parent.glob(f".{where.name}.*.part")
    return left


def test_a_part_that_somebody_writes_is_left_to_them(
    local: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(local)
    record(local, printed="accuracy")
    left = broken_off(local, tmp_path / "there.zip", monkeypatch)
    with left.open("r+b") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        before = left.read_bytes()
        assert local.copy_to(str(tmp_path / "there.zip"))["runs"] == 2
        assert left.read_bytes() == before


def test_what_was_purged_does_not_come_back_with_a_part(
    local: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, _ = record(local, saved={"secret": b"TOPSECRET"})
    other, _ = record(local, printed="accuracy")
    where = tmp_path / "there.zip"
    broken_off(local, where, monkeypatch)
    local.purge(runs=[gone.id])
    assert local.copy_to(str(where))["runs"] == 1
    with archive.Archive(where) as there:
        assert there.runs() == [other.id]
        assert f"blobs/{digest_of(b'TOPSECRET')[7:]}" not in there.names
    assert [p.name for p in tmp_path.iterdir() if "there" in p.name] == ["there.zip"]


def test_a_mark_that_is_damaged_is_not_gone_on_from(
    local: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        record(local, printed=f"accuracy {n}")
    left = broken_off(local, tmp_path / "there.zip", monkeypatch)
    part_, mark = left.read_bytes(), left.with_suffix(".mark").read_bytes()
    chance = random.Random()
    for n in range(scale(20)):
        wrong = bytearray(mark)
        wrong[chance.randrange(len(mark))] ^= 1 << chance.randrange(8)
        left.write_bytes(part_)
        left.with_suffix(".mark").write_bytes(wrong if n % 4 else mark[: n * 3])
        where = tmp_path / f"{n}.zip"
        for each in (left, left.with_suffix(".mark")):
            each.rename(each.with_name(each.name.replace("there", str(n))))
        assert local.copy_to(str(where))["unchanged"] == 0
        with zipfile.ZipFile(where) as there:
            assert there.testzip() is None


def test_an_entry_that_is_broken_off_is_not_in_the_archive(
    local: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(3 << 20)
    record(local, saved={"large": data})
    record(local, printed="accuracy")
    real = local.open_blob

    class Torn(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 1 << 20:
                raise DamagedError("the disk fails in the middle")
            return super().read(size)

    def open_blob(digest: str) -> BinaryIO:
        return Torn(data) if digest == digest_of(data) else real(digest)

    monkeypatch.setattr(local, "open_blob", open_blob)
    where = tmp_path / "there.zip"
    with pytest.raises(DamagedError, match="in the middle"):
        local.copy_to(str(where))
    with zipfile.ZipFile(where) as there:
        assert there.testzip() is None
        assert f"blobs/{digest_of(data)[7:]}" not in there.namelist()
    monkeypatch.undo()
    assert local.copy_to(str(where))["runs"] == 1
    with Place(tmp_path / "back").open() as store:
        assert store.copy_from(str(where))["runs"] == 2


def test_an_archive_is_private_and_any_zip_tool_reads_it(local: Store, tmp_path: Path) -> None:
    record(local, saved={"a.txt": b"hello"})
    where = tmp_path / "there.zip"
    local.copy_to(str(where))
    assert where.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(where) as there:
        assert there.testzip() is None
        assert there.read(f"blobs/{digest_of(b'hello')[7:]}") == b"hello"


def test_a_damaged_archive_is_refused(local: Store, tmp_path: Path) -> None:
    record(local, saved={"a.txt": b"hello"})
    where = tmp_path / "there.zip"
    local.copy_to(str(where))
    forged = tmp_path / "forged.zip"
    with zipfile.ZipFile(where) as old, zipfile.ZipFile(forged, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data.replace(b"hello", b"hacks"))
    (tmp_path / "no.zip").write_bytes(b"not a zip")
    with Place(tmp_path / "back").open() as store:
        with pytest.raises(DamagedError, match="damaged"):
            store.copy_from(str(forged))
        with pytest.raises(DamagedError, match="cannot be read"):
            store.copy_from(str(tmp_path / "no.zip"))
        assert store.runs().items == ()


@pytest.mark.parametrize("change", [b'"id":"../../etc"', b'"id":7', b'"id":null'])
def test_a_hostile_record_is_refused(local: Store, tmp_path: Path, change: bytes) -> None:
    run, _ = record(local)
    where, forged = tmp_path / "there.zip", tmp_path / "forged.zip"
    local.copy_to(str(where))
    with zipfile.ZipFile(where) as old, zipfile.ZipFile(forged, "w") as new:
        for name in old.namelist():
            own = f'"id":"{run.id}"'.encode()
            new.writestr(name, old.read(name).replace(own, change))
    with Place(tmp_path / "back").open() as store:
        with pytest.raises(CodeSaveError):
            store.copy_from(str(forged))
        assert store.runs().items == ()


def test_a_purged_run_may_be_copied_back(local: Store, tmp_path: Path) -> None:
    run, _ = record(local)
    local.copy_to(str(tmp_path / "there.zip"))
    local.purge(runs=[run.id])
    local.copy_from(str(tmp_path / "there.zip"))
    assert [each.id for each in local.runs().items] == [run.id]


def test_a_place_that_is_none_is_explained(local: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no folder"):
        local.copy_from(str(tmp_path / "absent"))
    with pytest.raises(NotFoundError, match="no archive"):
        local.copy_from(str(tmp_path / "absent.zip"))
    with pytest.raises(UsageError, match="half a store"):
        local.copy_to("postgresql+psycopg://host/db")


def test_an_archive_is_private_while_it_is_written_and_leaves_no_parts(
    local: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(local, saved={"a": b"1"})
    left, young = tmp_path / ".there.zip.7-ab.part", tmp_path / ".there.zip.8-ab.part"
    for each in (left, young):
        each.write_bytes(b"half")
    os.utime(left, (0, 0))
    modes: set[int] = set()
    real = archive._entry

    def entry(target: zipfile.ZipFile, name: str) -> BinaryIO:
        parts = [each for each in tmp_path.glob(".there.zip.*.part") if each != young]
        modes.update(each.stat().st_mode & 0o777 for each in parts)
        return real(target, name)

    monkeypatch.setattr(archive, "_entry", entry)
    local.copy_to(str(tmp_path / "there.zip"))
    assert modes == {0o600}
    assert list(tmp_path.glob(".there.zip.*.part")) == [young]
