from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_codesave.blobs import packs
from jupyter_codesave.blobs.batch import Batch
from jupyter_codesave.blobs.local import LocalBlobs


def test_many_small_files_become_one_pack(tmp_path: Path) -> None:
    spool = LocalBlobs(tmp_path)
    with Batch(spool) as batch:
        digests = {batch.put(f"file {n}".encode()) for n in range(500)}
        assert batch.put(b"file 1") in digests
    (kept,) = spool.area("packs").listing()
    found = packs.members(spool.area("packs").get(kept.key))
    assert {each.digest for each in found} == digests
    assert list(spool.listing()) == []


def test_a_large_batch_is_written_as_it_grows(tmp_path: Path) -> None:
    spool = LocalBlobs(tmp_path)
    with Batch(spool) as batch:
        for _ in range(5):
            batch.put(os.urandom(5 << 20))
        assert list(spool.area("packs").listing())
    sizes = [kept.size for kept in spool.area("packs").listing()]
    assert max(sizes) <= packs.LARGEST
    assert sum(sizes) > 25 << 20


def test_a_batch_that_fails_leaves_nothing_half(tmp_path: Path) -> None:
    spool = LocalBlobs(tmp_path)

    def break_off() -> None:
        with Batch(spool) as batch:
            batch.put(b"data")
            raise ValueError("broken off")

    with pytest.raises(ValueError, match="broken off"):
        break_off()
    assert list(spool.area("packs").listing()) == []
