"""What every place that keeps blobs promises, whichever it is."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from jupyter_codesave.blobs.base import Blobs
from jupyter_codesave.errors import NotFoundError
from jupyter_codesave.model.digest import digest_of

ABSENT = digest_of(b"nobody put this")


def test_bytes_come_back_as_they_went_in(blobs: Blobs) -> None:
    for data in (b"", b"x", os.urandom(70_000), b"\0" * 5_000_000):
        key = blobs.put(data)
        assert key == digest_of(data)
        assert blobs.get(key) == data


def test_a_file_is_kept_under_the_digest_of_its_bytes(blobs: Blobs, tmp_path: Path) -> None:
    for size in (0, 1000, 20 << 20):
        path = tmp_path / "file"
        path.write_bytes(os.urandom(size))
        key, found = blobs.put_file(path)
        assert (key, found) == (digest_of(path.read_bytes()), size)
        with blobs.open(key) as file:
            assert file.read() == path.read_bytes()


def test_a_key_that_is_given_is_used(blobs: Blobs, tmp_path: Path) -> None:
    key = digest_of(b"decoded")
    assert blobs.put(b"encoded", key) == key
    assert blobs.get(key) == b"encoded"
    other = digest_of(b"decoded too")
    path = tmp_path / "file"
    path.write_bytes(b"encoded too")
    assert blobs.put_file(path, other) == (other, 11)
    assert blobs.get(other) == b"encoded too"


def test_a_part_is_what_a_slice_is(blobs: Blobs) -> None:
    data = os.urandom(100_000)
    key = blobs.put(data)
    for start, length in ((0, 10), (7, 0), (500, 50_000), (99_990, 10), (99_990, 500)):
        assert blobs.part(key, start, length) == data[start : start + length]


def test_what_is_not_there_is_not_found(blobs: Blobs) -> None:
    assert not blobs.has(ABSENT)
    with pytest.raises(NotFoundError, match=ABSENT):
        blobs.get(ABSENT)
    with pytest.raises(NotFoundError, match=ABSENT):
        blobs.open(ABSENT).read()
    with pytest.raises(NotFoundError):
        blobs.part(ABSENT, 0, 5)
    blobs.delete(ABSENT)


def test_a_key_that_is_no_digest_is_refused(blobs: Blobs) -> None:
    for key in ("", "sha256:", "../../etc/passwd", "sha256:../" + "a" * 61, ABSENT.upper()):
        with pytest.raises(NotFoundError):
            blobs.put(b"x", key or "nothing")


def test_putting_twice_is_putting_once(blobs: Blobs) -> None:
    key = blobs.put(b"the same")
    assert blobs.put(b"the same") == key
    assert [kept.key for kept in blobs.listing()] == [key]


def test_replacing_mends_what_is_there(blobs: Blobs) -> None:
    key = blobs.put(b"right")
    blobs.replace(b"damaged", key)
    assert blobs.get(key) == b"damaged"
    blobs.replace(b"right", key)
    assert blobs.get(key) == b"right"


def test_a_deleted_blob_is_gone(blobs: Blobs) -> None:
    key = blobs.put(b"here")
    assert blobs.has(key)
    blobs.delete(key)
    assert not blobs.has(key)
    assert list(blobs.listing()) == []


def test_a_listing_names_size_and_time_of_every_blob(blobs: Blobs) -> None:
    began = time.time()
    sizes = {blobs.put(bytes([n]) * n): n for n in range(1, 30)}
    listed = {kept.key: kept for kept in blobs.listing()}
    assert {key: kept.size for key, kept in listed.items()} == sizes
    assert all(abs(kept.modified - began) < 60 for kept in listed.values())


def test_areas_have_keys_of_their_own(blobs: Blobs) -> None:
    key = blobs.area("one").put(b"data")
    assert blobs.area("one").has(key)
    assert not blobs.area("two").has(key)
    assert [kept.key for kept in blobs.area("one").listing()] == [key]
    assert [kept.key for kept in blobs.area("two").listing()] == []


def test_threads_may_put_the_same_blob_at_once(blobs: Blobs) -> None:
    data = os.urandom(300_000)
    threads = [threading.Thread(target=blobs.put, args=(data,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert blobs.get(digest_of(data)) == data
