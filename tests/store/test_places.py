from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from jupyter_codesave.errors import UnavailableError
from jupyter_codesave.store import places
from tests.blobs import servers

from .made import Place, image, record, told

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


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "lustre", "fuse.sshfs", "9p"])
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
