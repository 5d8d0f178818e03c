"""What verify repairs from: the sealed journal of a session, and another copy of a run."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from jupyter_codesave.errors import CodeSaveError
from jupyter_codesave.ingest import Ingest
from jupyter_codesave.model.artifact import SESSION_NOTEBOOK
from jupyter_codesave.store import Store
from tests.journal.records import execute_input, idle, message, run, session, stream, write

from .made import image, record

END = ("session-end", {"ended_by": "shutdown", "exit_code": 0})


def a_session() -> list[Any]:
    picture = base64.b64encode(image(9000, seed=1)).decode()
    shown = {"data": {"image/png": picture}, "metadata": {}, "transient": {}}
    return [
        ("session", {**session()[1], "pid": os.getpid()}),
        run(),
        execute_input("print('one')", 1, "a"),
        stream("one\n", key="a"),
        idle("a"),
        execute_input("plot()", 2, "b"),
        message("display_data", shown, "b"),
        idle("b"),
    ]


def break_blob(store: Store, digest: str) -> None:
    """Flip a byte of a blob where it lies."""
    where = store.contents.where([digest])[digest]
    if where.pack is None:
        path, place = store.contents.loose.path(digest), where.stored // 2
    else:
        path = store.contents.packs.path(where.pack)
        place = (where.place or 0) + where.stored // 2
    data = bytearray(path.read_bytes())
    data[place] ^= 0x10
    path.write_bytes(data)


def notebooks(store: Store) -> list[str]:
    return [
        store.manifest(version.digest).entries[SESSION_NOTEBOOK].digest
        for version in store.versions_of("run1")
    ]


@pytest.mark.parametrize("which", [0, 1], ids=["the last version", "an earlier version"])
def test_a_session_notebook_is_folded_again_from_its_sealed_journal(
    local: Store, which: int
) -> None:
    ingest = Ingest(local)
    path = ingest.journals / "s1.journal"
    ingest.step(write(path, a_session()[:5]), commit=True)
    ingest.step(write(path, [*a_session(), END]))
    assert not path.exists()
    digest = notebooks(local)[which]
    before = local.get(digest)
    break_blob(local, digest)
    found = local.verify()
    assert found["damaged"] == found["missing"] == []
    assert any(digest in name for name in found["repaired"])
    assert local.get(digest) == before
    again = local.verify()
    assert again["repaired"] == again["damaged"] == again["missing"] == []


def test_what_a_journal_cannot_give_back_is_told_and_never_served(local: Store) -> None:
    ingest = Ingest(local)
    ingest.step(write(ingest.journals / "s1.journal", [*a_session(), END]))
    (digest,) = notebooks(local)
    state = local.journal_state("s1")
    assert state is not None
    for each in (digest, state.digest or ""):
        break_blob(local, each)
    found = local.verify()
    assert {name.split(" ")[0] for name in found["damaged"]} == {digest, state.digest}
    for each in (digest, state.digest or ""):
        with pytest.raises(CodeSaveError):
            local.get(each)


@pytest.mark.parametrize("place", ["copy", "copy.zip"])
def test_another_copy_mends_what_is_damaged_here(local: Store, tmp_path: Path, place: str) -> None:
    large, small = os.urandom(2 << 20), os.urandom(900)
    _, version = record(local, picture=image(), saved={"large": large, "small": small})
    where = str(tmp_path / place)
    local.copy_to(where)
    digests = [entry.digest for _, entry in local.manifest(version.digest)]
    digests += [entry.digest for _, entry in local.files(version.run or "")]
    before = {digest: local.get(digest) for digest in digests}
    for digest in digests:
        break_blob(local, digest)
    with local.reading(where) as heal:
        found = local.verify(heal=heal)
    assert found["damaged"] == found["missing"] == []
    assert {digest: local.get(digest) for digest in digests} == before
    assert local.verify()["repaired"] == []
