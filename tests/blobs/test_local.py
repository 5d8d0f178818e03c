from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_codesave.blobs.local import LocalBlobs
from jupyter_codesave.errors import UnavailableError
from jupyter_codesave.model.digest import digest_of


def test_files_are_private_and_folders_too(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "a" / "blobs")
    old = os.umask(0)
    try:
        blobs.put(b"secret")
    finally:
        os.umask(old)
    for path in (tmp_path / "a").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_nothing_is_left_behind_by_a_put_that_fails(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    with pytest.raises(FileNotFoundError):
        blobs.put_file(tmp_path / "absent")
    blobs.put(b"x")
    with pytest.raises(IsADirectoryError):
        blobs.put_file(tmp_path)
    assert [p.name for p in (tmp_path / "blobs" / "incoming").iterdir()] == []


def test_a_blob_is_synced_before_its_name_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    key = digest_of(b"data")
    target = blobs.path(key)
    target.parent.mkdir(parents=True)
    told: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_sync(handle: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        same = kind == "folder" and os.path.samestat(os.fstat(handle), target.parent.stat())
        told.append("its folder" if same else kind)
        fsync(handle)

    def note_replace(source: Path, to: Path) -> None:
        told.append("rename")
        replace(source, to)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    blobs.put(b"data")
    assert [each for each in told if each != "folder"] == ["file", "rename", "its folder"]


def test_a_full_or_read_only_disk_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    with pytest.raises(UnavailableError, match="cannot be written"):
        LocalBlobs(file / "blobs").put(b"x")


def test_a_file_of_ours_is_moved_not_copied(tmp_path: Path) -> None:
    spool, blobs = LocalBlobs(tmp_path / "spool"), LocalBlobs(tmp_path / "blobs")
    key = spool.put(b"data")
    inode = spool.path(key).stat().st_ino
    blobs.move(spool.path(key), key)
    assert blobs.path(key).stat().st_ino == inode
    assert not spool.has(key)


def test_a_symlink_in_the_place_of_a_blob_is_never_listed_as_another(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    key = blobs.put(b"data")
    (tmp_path / "blobs" / key[7:9] / "link").symlink_to("/etc/passwd")
    assert [kept.key for kept in blobs.listing()] == [key]


def test_leftovers_of_killed_writers_are_swept_once_they_are_old(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    blobs.put(b"x")
    left = tmp_path / "blobs" / "incoming" / "1-2-abc"
    left.write_bytes(b"half")
    assert blobs.sweep(left.stat().st_mtime - 1) == 0
    assert blobs.sweep(left.stat().st_mtime + 1) == 1
    assert not left.exists()


def test_kernels_import_the_spool_and_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); import jupyter_codesave.blobs.local, "
        "jupyter_codesave.blobs.statcache; new = set(sys.modules) - before; "
        "third = {n.split('.')[0] for n in new} - set(sys.stdlib_module_names); "
        "print(sorted(third))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['jupyter_codesave']"
