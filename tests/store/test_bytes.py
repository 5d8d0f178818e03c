from __future__ import annotations

import base64
import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_codesave.blobs import envelope
from jupyter_codesave.blobs.batch import Batch
from jupyter_codesave.blobs.local import LocalBlobs
from jupyter_codesave.errors import DamagedError, NotFoundError
from jupyter_codesave.model.digest import digest_of
from jupyter_codesave.store import Store
from jupyter_codesave.store import contents as contents_
from jupyter_codesave.store import spool as spool_
from tests.conftest import scale

from .made import Place, image, notebook

SAMPLES = [
    b"",
    b"x",
    b"text " * 1000,
    os.urandom(5000),
    os.urandom(2 << 20),
    envelope.MAGIC + b"Zlooks like ours",
    envelope.MAGIC + b"P" + b"text " * 1000,
    notebook(["x"], "printed", image()),
    notebook(["x"], "printed\n" * 300_000, image(3 << 20)),
]


def test_bytes_come_back_before_and_after_they_are_written(store: Store, place: Place) -> None:
    digests = [store.put(data) for data in SAMPLES]
    for data, digest in zip(SAMPLES, digests, strict=True):
        assert digest == digest_of(data)
        assert store.has(digest)
        assert store.get(digest) == data
    store.flush()
    with place.open() as other:
        for data, digest in zip(SAMPLES, digests, strict=True):
            assert other.has(digest)
            assert other.get(digest) == data
            with other.open_blob(digest) as file:
                assert file.read() == data


def test_what_is_not_there_is_not_found(store: Store) -> None:
    absent = digest_of(b"never put")
    assert not store.has(absent)
    with pytest.raises(NotFoundError, match="verify"):
        store.get(absent)
    with pytest.raises(NotFoundError):
        store.open_blob(absent)


@settings(
    max_examples=scale(100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=3000),
            st.binary(min_size=1500, max_size=9000).map(base64.b64encode),
            st.just(envelope.MAGIC),
        ),
        max_size=5,
    ).map(b"".join)
)
def test_any_bytes_come_back(local: Store, data: bytes) -> None:
    digest = local.put(data)
    assert local.get(digest) == data
    local.flush()
    assert local.get(digest) == data


def test_an_image_in_three_places_is_stored_once(local: Store) -> None:
    picture = image(100_000)
    local.put(notebook(["a = 1"], "out", picture))
    local.flush()
    before = local.size()
    for data in (notebook(["b = 2"], "other", picture), picture):
        assert local.get(local.put(data)) == data
    local.flush()
    assert local.has(digest_of(picture))
    assert local.size() - before < 2000


def test_text_is_compressed(local: Store) -> None:
    local.put(b"a line that comes again\n" * 10_000)
    local.flush()
    assert local.size() < 1000


@pytest.mark.parametrize("kind", ["noise", "text", "json", "ours"])
def test_large_files_stream_in_and_out(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(contents_, "WHOLE", 1 << 20)
    monkeypatch.setattr(spool_, "WHOLE", 1 << 20)
    data = {
        "noise": os.urandom(3 << 20),
        "text": b"a line of text\n" * 200_000,
        "json": json.dumps({"data": base64.b64encode(os.urandom(3 << 20)).decode()}).encode(),
        "ours": envelope.MAGIC + os.urandom(3 << 20),
    }[kind]
    path = tmp_path / "file"
    path.write_bytes(data)
    digest, size = store.put_file(path)
    assert (digest, size) == (digest_of(data), len(data))
    assert store.put_file(path) == (digest, size)
    with store.open_blob(digest) as file:
        assert file.read(10) == data[:10]
        assert file.read() == data[10:]
    assert store.get(digest) == data
    assert not list(store.folder.glob(".incoming-*"))


def test_a_large_file_needs_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        for _ in range(20):
            file.write(os.urandom(10 << 20))
    text = tmp_path / "large.json"
    with text.open("wb") as file:
        file.write(b'{"a": [')
        for _ in range(30):
            file.write(b'"' + base64.b64encode(os.urandom(5 << 20)) + b'",\n')
        file.write(b"0]}")
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from tests.store.made import Place\n"
        "store = Place(Path(sys.argv[1])).open(); store.put(b'x' * 5000); store.flush()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sys.argv[2:]:\n"
        "    digest, size = store.put_file(path)\n"
        "    with store.open_blob(digest) as file:\n"
        "        while file.read(1 << 20): pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "data"), str(path), str(text)]
    found = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(found.stdout) * unit < 64 << 20
    assert resource.RUSAGE_SELF == 0


def test_a_blob_that_was_changed_on_disk_is_never_served(local: Store) -> None:
    small, large = b"some text " * 500, os.urandom(3 << 20)
    digests = [local.put(small), local.put(large)]
    local.flush()
    for path in [*local.folder.glob("blobs/packs/??/*"), *local.folder.glob("blobs/content/??/*")]:
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 1
        path.write_bytes(data)
    for digest in digests:
        with pytest.raises(DamagedError):
            local.get(digest)
        with pytest.raises(DamagedError):
            local.open_blob(digest).read()


# -- the spool ----------------------------------------------------------------------------------


def test_a_large_file_with_a_flipped_byte_gives_none_of_its_bytes(local: Store) -> None:
    digest = local.put(os.urandom(3 << 20))
    local.flush()
    (path,) = local.folder.glob("blobs/content/??/*")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedError):
        local.open_blob(digest)


def test_what_the_spool_holds_is_taken_and_leaves_it(store: Store, tmp_path: Path) -> None:
    spool = LocalBlobs(tmp_path / "spool")
    datas = [b"small", b"text " * 10_000, os.urandom(200_000), os.urandom(2 << 20), b""]
    digests = [spool.put(data) for data in datas]
    absent = digest_of(b"absent")
    assert store.adopt(spool, [*digests, absent]) == [absent]
    assert [store.get(digest) for digest in digests] == datas
    assert list(spool.listing()) == []
    assert store.adopt(spool, digests) == []


def test_what_nobody_asked_for_stays_in_the_spool(store: Store, tmp_path: Path) -> None:
    spool = LocalBlobs(tmp_path / "spool")
    wanted, other = spool.put(b"wanted"), spool.put(b"other")
    assert store.adopt(spool, [wanted]) == []
    assert [kept.key for kept in spool.listing()] == [other]


def test_a_batch_of_the_spool_is_taken_whole(store: Store, tmp_path: Path) -> None:
    spool = LocalBlobs(tmp_path / "spool")
    store.put(b"file 3")
    store.flush()
    with Batch(spool) as batch:
        digests = [batch.put(f"file {n}".encode()) for n in range(50)]
    assert store.adopt(spool, digests) == []
    assert [store.get(digest) for digest in digests] == [f"file {n}".encode() for n in range(50)]
    assert list(spool.area("packs").listing()) == []
    assert store.verify()["damaged"] == []


def test_a_large_file_is_moved_from_the_spool_not_copied(
    local: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents_, "WHOLE", 1 << 20)
    monkeypatch.setattr(spool_, "WHOLE", 1 << 20)
    spool = LocalBlobs(local.folder / "spool")
    data = os.urandom(3 << 20)
    digest = spool.put(data)
    inode = spool.path(digest).stat().st_ino
    assert local.adopt(spool, [digest]) == []
    assert local.contents.loose.path(digest).stat().st_ino == inode
    assert local.get(digest) == data


@pytest.mark.parametrize("size", [100, 3 << 20])
def test_what_is_damaged_in_the_spool_is_missing(
    local: Store, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(contents_, "WHOLE", 1 << 20)
    monkeypatch.setattr(spool_, "WHOLE", 1 << 20)
    spool = LocalBlobs(local.folder / "spool")
    digest = spool.put(os.urandom(size))
    spool.replace(os.urandom(size), digest)
    assert local.adopt(spool, [digest]) == [digest]
    assert not local.has(digest)


def test_a_damaged_batch_is_missing(local: Store) -> None:
    spool = LocalBlobs(local.folder / "spool")
    with Batch(spool) as batch:
        digest = batch.put(b"data " * 50)
    (kept,) = spool.area("packs").listing()
    spool.area("packs").replace(b"broken", kept.key)
    assert local.adopt(spool, [digest]) == [digest]


def test_reading_in_small_steps_gives_the_same_bytes(local: Store) -> None:
    data = os.urandom(2 << 20)
    digest = local.put(data)
    local.flush()
    sink = io.BytesIO()
    with local.open_blob(digest) as file:
        while chunk := file.read(77_777):
            sink.write(chunk)
    assert sink.getvalue() == data
