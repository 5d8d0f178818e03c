"""Where blobs and catalog of a store lie: on local disks, on network file systems, with servers."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..blobs.base import Blobs
from ..blobs.local import LocalBlobs
from ..catalog.catalog import Catalog

if TYPE_CHECKING:
    from .store import Store

CATALOG_FILE = "catalog.sqlite"
# Where locks and shared memory cannot be relied on between hosts.
NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|afpfs|afs|9p|lustre|gpfs|beegfs|ceph|glusterfs|orangefs|pvfs2|"
    r"davfs|webdav|panfs|wekafs|ocfs2|gfs2|vboxsf|vmhgfs|prl_fs|"
    r"fuse\.(sshfs|glusterfs|s3fs|gcsfuse|rclone|blobfuse2?|ceph|cephfs|davfs2?|goofys|juicefs|"
    r"mount-s3|lizardfs|moosefs|vmhgfs-fuse)"
)


def blobs_at(artifact_url: str | None, folder: Path) -> Blobs:
    """Give the place of blobs: what `artifact_url` names, else the data folder's `blobs`."""
    if not artifact_url:
        return LocalBlobs(folder / "blobs")
    from ..blobs.remote import RemoteBlobs

    return RemoteBlobs(artifact_url)


def catalog_at(database_url: str | None, folder: Path) -> tuple[Catalog, bool]:
    """Open the catalog; tell whether it lies elsewhere because the folder is on a network.

    SQLite's WAL needs memory that all its processes share, which no network file system gives:
    there the catalog lies on a local disk of this host and is made from the blobs.
    """
    if database_url:
        return Catalog(database_url), False
    file = folder / CATALOG_FILE
    if not NETWORK.fullmatch(file_system(folder)):
        return Catalog(file), False
    return Catalog(local_folder(folder) / CATALOG_FILE), True


def local_folder(folder: Path) -> Path:
    """Give a folder on a local disk of this host for the catalog of a folder on a network."""
    owner = os.getuid() if hasattr(os, "getuid") else 0
    mark = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    root = Path("/var/tmp") if os.name == "posix" else Path(tempfile.gettempdir())
    own = root / f"codesave-{owner}"
    own.mkdir(mode=0o700, exist_ok=True)
    if os.name == "posix" and (own.is_symlink() or own.stat().st_uid != owner):
        own = Path(tempfile.mkdtemp(prefix="codesave-"))
    return own / mark


def file_system(folder: Path, mounts: str | None = None) -> str:
    """Name the type of file system that a folder is on; empty where it cannot be told.

    `mounts` is the text of /proc/self/mountinfo.
    """
    if mounts is None:
        if sys.platform != "linux":
            return _from_psutil(folder)
        try:
            mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
        except OSError:
            return ""
    where = os.path.realpath(folder)
    best, found = "", ""
    for line in mounts.splitlines():
        own, _, rest = line.partition(" - ")
        fields = own.split(" ")
        if len(fields) < 5 or not rest:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        inside = where == point or where.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, found = point, rest.split(" ")[0]
    return found


def explain(store: Store) -> list[str]:
    """Say what a user should know of where a store lies."""
    said = []
    if store.shared:
        said.append(
            f"{_where(store)}: its catalog is kept on this host, in {store.catalog.name}, and "
            "`jupyter codesave rebuild` takes in what other hosts recorded"
        )
    if store.is_team:
        said.append(
            "this store is shared, one trust domain: whoever has its credentials can read all of "
            "it; gc and purge are its administrator's commands"
        )
    budget, size = store.budget(), store.size()
    if budget is not None and size > budget:
        said.append(
            f"{size:,} bytes are stored and the budget is {budget:,}: `jupyter codesave gc` drops "
            "the oldest outputs (sources stay; runs tagged `keep` are left alone)"
        )
    return said


def _where(store: Store) -> str:
    if store.is_team:
        return "the blobs are in object storage and no database_url is set"
    return f"{store.folder} is on a network file system"


def _from_psutil(folder: Path) -> str:
    import psutil

    where = os.path.realpath(folder)
    inside = [
        each
        for each in psutil.disk_partitions(all=True)
        if where == each.mountpoint or where.startswith(each.mountpoint.rstrip("/") + os.sep)
    ]
    return max(inside, key=lambda each: len(each.mountpoint)).fstype if inside else ""
