from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from jupyter_codesave.catalog import whereabouts
from jupyter_codesave.errors import UnavailableError
from jupyter_codesave.model.manifest import Entry
from jupyter_codesave.store import Store, places
from tests.blobs import servers

from .made import Place, image, make_run, record, told

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 22 0:30 / /home rw,relatime shared:2 - nfs4 server:/home rw,vers=4.2
32 31 0:31 / /home/me/scratch\\040disk rw - xfs /dev/sdb1 rw
33 22 0:32 / /mnt/ssh rw - fuse.sshfs me@host: rw
34 22 0:33 / /homework rw - btrfs /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/data", "ext4"),
        ("/home/me/.local/share", "nfs4"),
        ("/home/me/scratch disk/x", "xfs"),
        ("/mnt/ssh/x", "fuse.sshfs"),
        ("/homework/x", "btrfs"),
        ("/home", "nfs4"),
    ],
)
def test_the_file_system_of_a_folder_is_told(folder: str, kind: str) -> None:
    assert places.file_system(Path(folder), MOUNTS) == kind


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "lustre", "fuse.sshfs", "9p", "vboxsf", "fuse.juicefs"]
)
def test_network_file_systems_are_known(kind: str) -> None:
    assert places.NETWORK.fullmatch(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "apfs", "overlay", "", "zfs"])
def test_local_file_systems_are_not_taken_for_a_network(kind: str) -> None:
    assert not places.NETWORK.fullmatch(kind)


def test_this_machines_own_folder_is_told(tmp_path: Path) -> None:
    assert places.file_system(tmp_path)


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a shared home, and pretend to be one host after the other."""
    monkeypatch.setattr(places, "file_system", lambda folder, mounts=None: "nfs4")
    monkeypatch.setattr(places, "local_folder", lambda folder: tmp_path / os.environ["TEST_HOST"])
    monkeypatch.setenv("TEST_HOST", "host-a")
    return tmp_path / "home"


def test_on_a_network_the_catalog_lies_on_a_local_disk_and_it_is_said(
    network: Path, tmp_path: Path
) -> None:
    with Place(network).open() as store:
        record(store)
        assert not list(network.glob("catalog.sqlite*"))
        assert (tmp_path / "host-a" / "catalog.sqlite").exists()
        assert any("network file system" in line for line in store.explain())


def test_another_host_makes_its_catalog_from_the_blobs(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Place(network).open() as store:
        record(store, picture=image(), printed="accuracy")
        before = told(store)
    monkeypatch.setenv("TEST_HOST", "host-b")
    with Place(network).open() as store:
        assert told(store) == before


def test_the_collector_of_one_host_spares_what_another_host_wrote(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Place(network).open() as first:
        record(first, sources=("a",))
    monkeypatch.setenv("TEST_HOST", "host-b")
    with Place(network).open() as second:
        record(second, sources=("b",), picture=image(), saved={"big": os.urandom(2 << 20)})
        before = told(second)
    monkeypatch.setenv("TEST_HOST", "host-a")
    with Place(network).open() as first:
        first.gc(grace=-1)
        assert first.verify()["missing"] == []
    monkeypatch.setenv("TEST_HOST", "host-b")
    with Place(network).open() as second:
        found = second.verify()
        assert found["damaged"] == found["missing"] == []
        assert told(second) == before


def on(host: str, network: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("TEST_HOST", host)
    return Place(network).open()


def test_what_another_host_collected_is_stored_again_when_it_is_wanted(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = image(2 << 20), b"small" * 99
    with on("host-a", network, monkeypatch) as first:
        digests = [first.put(data) for data in contents]
        first.flush()
        with on("host-b", network, monkeypatch) as second:
            assert all(map(second.has, digests))
            first.gc(grace=-1)
            for data in contents:
                second.put(data)
            sizes = {d: Entry(d, len(data)) for d, data in zip(digests, contents, strict=True)}
            second.write(run=make_run(), files=sizes)
            found = second.verify()
            assert found["damaged"] == found["missing"] == []
            assert [second.get(digest) for digest in digests] == list(contents)


def test_what_another_host_has_just_wanted_is_not_collected(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = image(2 << 20)
    with on("host-a", network, monkeypatch) as first:
        digest = first.put(data)
        first.flush()
        with first.catalog.write() as tx:
            whereabouts.age(tx, [digest])
        with on("host-b", network, monkeypatch) as second:
            os.utime(second.contents.loose.path(digest), (0, 0))
            second.put(data)
            second.flush()
            first.gc()
            second.write(run=make_run(), files={"a": Entry(digest, len(data))})
            assert second.get(digest) == data


def test_what_another_host_put_into_another_pack_is_found_there(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on("host-a", network, monkeypatch) as first:
        for _ in range(40):
            first.put(os.urandom(3000))
        digest = first.put(b"keep" * 500)
        first.write(run=make_run(), files={"k": Entry(digest, 2000)})
        with on("host-b", network, monkeypatch) as second:
            assert len(second.get(digest)) == 2000
            assert first.gc(grace=-1)["rewritten"] == 1
            assert len(second.get(digest)) == 2000


def test_what_each_host_noted_of_series_and_purges_comes_together(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on("host-a", network, monkeypatch) as first, on("host-b", network, monkeypatch) as second:
        names = [first.artifact_for("p", "a.ipynb"), first.artifact_for("p", "c.ipynb")]
        names.append(second.artifact_for("p", "b.ipynb"))
        run, _ = record(first)
        first.purge(runs=[run.id])
        for store in (first, second):
            store.rebuild()
            assert store.is_purged(run.id)
            paths = ("a.ipynb", "c.ipynb", "b.ipynb")
            assert [store.artifact_for("p", path) for path in paths] == names


def test_versions_that_two_hosts_numbered_alike_are_both_kept(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on("host-a", network, monkeypatch) as first, on("host-b", network, monkeypatch) as second:
        made = [record(store, sources=(f"x = {n}",)) for n, store in enumerate((first, second))]
        for store in (first, second):
            store.rebuild()
            kept = {run.id: store.versions_of(run.id) for run, _ in made}
            assert {run: [v.digest for v in found] for run, found in kept.items()} == {
                run.id: [version.digest] for run, version in made
            }


def test_folders_with_catalogs_of_their_own_share_a_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = servers.rclone()
    for name, value in storage.environ.items():
        monkeypatch.setenv(name, value)
    values = {"artifact_url": f"{storage.url}/{secrets.token_hex(6)}"}
    one, two = Place(tmp_path / "one", values), Place(tmp_path / "two", values)
    with one.open() as store:
        record(store, sources=("a",), picture=image())
        before = told(store)
    with two.open() as store:
        assert {**told(store), "size": 0} == {**before, "size": 0}
        record(store, sources=("b",), saved={"big": os.urandom(2 << 20)})
        before = told(store)
    with one.open() as store:
        store.gc(grace=-1)
        assert store.verify()["missing"] == []
        assert not store.needs_gc()
    with two.open() as store:
        found = store.verify()
        assert found["damaged"] == found["missing"] == []
        assert told(store) == before
    with one.open() as store:
        store.rebuild()
        assert len(store.runs().items) == 2


def test_a_local_folder_is_private(tmp_path: Path) -> None:
    folder = places.local_folder(tmp_path)
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert folder != places.local_folder(tmp_path / "other")


@pytest.mark.parametrize("url", ["ftp://host/x", "nonsense"])
def test_an_artifact_url_that_is_none_is_explained(tmp_path: Path, url: str) -> None:
    with pytest.raises(UnavailableError, match="begins with s3://"):
        Place(tmp_path / "data", {"artifact_url": url}).open()


def test_a_shared_store_says_who_can_read_it(place: Place) -> None:
    with place.open() as store:
        said = " ".join(store.explain())
    assert ("whoever has its credentials" in said) == bool(place.values)
