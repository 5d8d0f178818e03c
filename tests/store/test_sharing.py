"""Packages of two versions and disks that fill up: the store stays whole."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from jupyter_codesave.errors import UnavailableError
from jupyter_codesave.store import Store, records

from .made import Place, image, make_run, record, told


def make_newer(store: Store, version: str) -> None:
    """Turn a store into one that a package of `version` has used."""
    with store.catalog.write() as tx:
        tx.execute(sa.text("ALTER TABLE runs ADD COLUMN mood TEXT"))
        tx.execute(sa.text("UPDATE alembic_version SET version_num = :v"), {"v": version})


def grow_records(store: Store) -> None:
    """Let records say more than this version knows, as a newer minor version's do."""
    area = store.contents.records
    for kept in list(area.listing()):
        told_ = records.load(area.get(kept.key))
        assert told_ is not None
        told_["mood"] = "good"
        for name in ("run", "journal"):
            if name in told_:
                told_[name]["mood"] = "good"
        for row in told_.get("executions", ()):
            row.append("more")
        data = json.dumps(told_).encode()
        area.delete(kept.key)
        store.contents.put_record(data)


def test_packages_of_two_minor_versions_share_a_store(place: Place) -> None:
    with place.open() as store:
        record(store, picture=image(3000), printed="accuracy", journal=b"journal " * 99)
        make_newer(store, "2.99")
    with place.open() as store:
        record(store, make_run(), sources=("x = 2",))
        before = told(store)
        grow_records(store)
        store.rebuild()
        assert told(store) == before
        assert store.verify()["missing"] == []
        assert store.gc()["runs"] == 0


def test_a_store_of_a_newer_major_version_is_refused_and_left_as_it_is(place: Place) -> None:
    with place.open() as store:
        record(store)
        make_newer(store, "3.0")
    with pytest.raises(UnavailableError, match="newer jupyter_codesave"):
        place.open()


WRITES: list[str] = ["write", "fsync", "open", "replace"]


@pytest.mark.parametrize("call", WRITES)
def test_a_disk_that_fills_up_at_any_moment_leaves_a_whole_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    real: Callable[..., Any] = getattr(os, call)
    refused = 0
    for moment in range(1, 12):
        with Place(tmp_path / "data").open() as store:
            before = told(store)["runs"]
            left = [moment]

            def full(*arguments: Any, left: list[int] = left, **options: Any) -> Any:
                left[0] -= call != "open" or bool(arguments[1] & os.O_CREAT)
                if left[0] <= 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return real(*arguments, **options)

            monkeypatch.setattr(os, call, full)
            try:
                record(store, picture=image(3000), saved={"big": os.urandom(1_200_000)})
            except UnavailableError:
                refused += 1
                monkeypatch.undo()
                assert told(store)["runs"] == before
            monkeypatch.undo()
            found = store.verify()
            assert found["damaged"] == found["missing"] == found["repaired"] == []
            record(store, picture=image(3000))
    assert refused > 0


def test_a_large_text_that_finds_no_room_is_told(local: Store, tmp_path: Path) -> None:
    words = b" ".join(os.urandom(9).hex().encode() for _ in range(900_000))
    (tmp_path / "large.json").write_bytes(b"{" + words)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, limits[1]))
        with pytest.raises(UnavailableError, match="make room"):
            local.put_file(tmp_path / "large.json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert not list(local.folder.glob(".incoming-*"))
    assert local.get(local.put_file(tmp_path / "large.json")[0]) == b"{" + words
