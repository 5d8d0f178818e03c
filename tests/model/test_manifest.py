"""Manifests have one canonical form, and refuse every path that could do harm."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_codesave.errors import DamagedError, UsageError
from jupyter_codesave.model.digest import digest_of
from jupyter_codesave.model.manifest import (
    EXECUTABLE,
    FILE,
    SYMLINK,
    Entry,
    Manifest,
    check_path,
    collisions,
)
from tests.conftest import scale

EMPTY = digest_of(b"")

NAMES = st.text(
    st.characters(min_codepoint=32, exclude_characters="/\\:", exclude_categories=["Cs"]),
    min_size=1,
    max_size=12,
)


def test_the_digest_of_a_manifest_never_changes() -> None:
    manifest = Manifest(
        {
            "b/ünï.py": Entry(digest_of(b"x"), 1, FILE),
            "a.sh": Entry(EMPTY, 0, EXECUTABLE),
            "a": Entry(digest_of(b"a.sh"), 4, SYMLINK),
        }
    )
    assert manifest.digest == (
        "sha256:5a13de6ef27754b3af8a27b124621fc06518d94c0e7b4e14a4f38a6107301ad8"
    )
    assert Manifest().digest == EMPTY


def test_the_order_in_which_files_were_found_does_not_count() -> None:
    entries = {name: Entry(EMPTY, 0) for name in ("z", "a/b", "a", "B", "é")}
    backwards = dict(reversed(entries.items()))
    assert Manifest(entries).dump() == Manifest(backwards).dump()


@settings(max_examples=scale(100))
@given(st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.integers(0, 9)))
def test_what_is_dumped_is_loaded_or_was_refused_before(sizes: dict[str, int]) -> None:
    try:
        manifest = Manifest({path: Entry(EMPTY, size) for path, size in sizes.items()})
    except UsageError:
        return
    assert dict(Manifest.load(manifest.dump())) == dict(manifest)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../up",
        "a/../../up",
        "a/./b",
        "a//b",
        "a/",
        "C:/windows",
        "c:evil",
        "a\\..\\b",
        "nul\0byte",
        "line\nbreak",
        "CON",
        "folder/aux.txt",
        "LPT1.log",
        "trailing.",
        "trailing ",
        "x" * 256,
        "é" * 128,
    ],
)
def test_a_path_that_could_do_harm_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="cannot be stored"):
        check_path(path)
    with pytest.raises(UsageError):
        Manifest({path: Entry(EMPTY, 0)})


@settings(max_examples=scale(200))
@given(st.text(max_size=40))
def test_whatever_is_accepted_stays_below_its_folder(path: str) -> None:
    import os

    try:
        check_path(path)
    except UsageError:
        return
    assert os.path.normpath(os.path.join("/base", path)) == "/base/" + path


@pytest.mark.parametrize("path", [".hidden", "a b/c d.txt", "..name", "ünï/é.py", "x" * 255])
def test_an_ordinary_path_is_accepted(path: str) -> None:
    assert check_path(path) == path


def test_names_that_some_file_systems_fold_into_one_are_told() -> None:
    assert collisions(["a.py", "A.py", "b.py"]) == [("a.py", "A.py")]
    assert collisions(["\u00e9", "e\u0301"]) == [("\u00e9", "e\u0301")]
    assert collisions(["a", "b"]) == []


@pytest.mark.parametrize(
    "data",
    [
        b"not json\n",
        b"[]\n",
        b'{"path":"../x","digest":"%s","size":0,"mode":"100644"}\n' % EMPTY.encode(),
        b'{"path":"x","digest":"sha256:short","size":0,"mode":"100644"}\n',
        b'{"path":"x","digest":"%s","size":"0","mode":"100644"}\n' % EMPTY.encode(),
        b'{"path":"x","digest":"%s","size":0,"mode":"040000"}\n' % EMPTY.encode(),
        b'{"path":"x","digest":"%s","size":0,"mode":"100644"}\n' % EMPTY.encode() * 2,
    ],
)
def test_a_manifest_that_is_not_canonical_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedError, match="canonical"):
        Manifest.load(data)
