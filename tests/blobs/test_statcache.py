from __future__ import annotations

import os
import time
from pathlib import Path

from jupyter_codesave.blobs.statcache import StatCache
from jupyter_codesave.model.digest import digest_of


def written(path: Path, text: str, age: float = 60) -> os.stat_result:
    path.write_text(text)
    return aged(path, age)


def aged(path: Path, age: float) -> os.stat_result:
    status = path.stat()
    then = int((time.time() - age) * 1e9)
    # ctime cannot be set: what the cache is told is what an older file's stat would say
    values = list(status[:10])
    fields = {"st_mtime_ns": then, "st_ctime_ns": then}
    return os.stat_result(values, {**_extra(status), **fields})


def _extra(status: os.stat_result) -> dict[str, int]:
    names = ("st_atime_ns", "st_mtime_ns", "st_ctime_ns", "st_blksize", "st_blocks")
    return {name: getattr(status, name) for name in names}


def test_an_unchanged_file_is_known_again(tmp_path: Path) -> None:
    status = written(tmp_path / "a.py", "x = 1")
    cache = StatCache(tmp_path / "spool", tmp_path)
    assert cache.get("a.py", status) is None
    cache.note("a.py", status, digest_of(b"x = 1"))
    cache.save()
    assert StatCache(tmp_path / "spool", tmp_path).get("a.py", status) == digest_of(b"x = 1")


def test_a_file_that_changed_in_any_way_is_hashed_again(tmp_path: Path) -> None:
    status = written(tmp_path / "a.py", "x = 1")
    cache = StatCache(tmp_path / "spool", tmp_path)
    cache.note("a.py", status, digest_of(b"x = 1"))
    cache.save()
    (tmp_path / "b.py").write_text("x = 2")
    for changed in (aged(tmp_path / "a.py", 59), aged(tmp_path / "b.py", 60)):
        assert StatCache(tmp_path / "spool", tmp_path).get("a.py", changed) is None


def test_a_file_written_a_moment_ago_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1")
    status = (tmp_path / "a.py").stat()
    cache = StatCache(tmp_path / "spool", tmp_path)
    cache.note("a.py", status, digest_of(b"x = 1"))
    cache.save()
    assert StatCache(tmp_path / "spool", tmp_path).get("a.py", status) is None


def test_a_damaged_cache_costs_time_and_nothing_else(tmp_path: Path) -> None:
    status = written(tmp_path / "a.py", "x = 1")
    cache = StatCache(tmp_path / "spool", tmp_path)
    cache.note("a.py", status, digest_of(b"x = 1"))
    cache.save()
    (file,) = (tmp_path / "spool" / "stat").iterdir()
    for text in (b"", b"[", b"[1]", b"[9, 9, 9]", b"null"):
        file.write_bytes(text)
        assert StatCache(tmp_path / "spool", tmp_path).get("a.py", status) is None


def test_two_trees_do_not_share_a_cache(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    status = written(tmp_path / "one" / "a.py", "x = 1")
    cache = StatCache(tmp_path / "spool", tmp_path / "one")
    cache.note("a.py", status, digest_of(b"x = 1"))
    cache.save()
    assert StatCache(tmp_path / "spool", tmp_path / "two").get("a.py", status) is None
