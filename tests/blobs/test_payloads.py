from __future__ import annotations

import base64
import io
import json
import os

from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyter_codesave.blobs.payloads import (
    LARGEST,
    SMALLEST,
    Payload,
    cut,
    cut_stream,
    join,
    spelled_size,
)
from tests.conftest import scale

IMAGE = os.urandom(9_000)
PLAIN = base64.b64encode(IMAGE)
WRAPPED = base64.encodebytes(IMAGE).rstrip(b"\n").replace(b"\n", b"\\n")

_fragments = st.one_of(
    st.binary(max_size=300),
    st.sampled_from([PLAIN, WRAPPED, PLAIN[:-1], b"\\n", b"=", b"==", b"\\", b'"', b"A" * 2048]),
    st.binary(min_size=1400, max_size=6000).map(base64.b64encode),
    st.binary(min_size=1400, max_size=6000).map(
        lambda data: base64.encodebytes(data).replace(b"\n", b"\\n")
    ),
    st.integers(0, 5000).map(lambda count: b"abcd" * count),
)


def joined(pieces: object) -> bytes:
    return b"".join(p if isinstance(p, bytes) else join(p) for p in pieces)


def payloads(data: bytes) -> list[bytes]:
    return [piece.data for piece in cut(data) if isinstance(piece, Payload)]


@settings(max_examples=scale(300), deadline=None)
@given(st.lists(_fragments, max_size=8).map(b"".join))
@example(b"")
@example(b"\\n" * 4000)
@example((b"A" * 76 + b"\\n") * 30 + b"A" * 77)
@example(b"A" * 2047)
def test_any_bytes_come_back(data: bytes) -> None:
    assert joined(cut(data)) == data
    assert joined(cut_stream(io.BytesIO(data))) == data


@settings(max_examples=scale(300), deadline=None)
@given(st.binary(max_size=5000), st.sampled_from([0, 1]))
def test_the_length_of_a_payload_is_known_without_spelling_it(data: bytes, spelling: int) -> None:
    assert spelled_size(spelling, len(data)) == len(join(Payload(spelling, data)))


def test_an_image_is_one_blob_however_a_notebook_spells_it() -> None:
    for spelled in (PLAIN, WRAPPED, PLAIN + b"\\n", WRAPPED + b"\\n"):
        for before in (b'{"image/png": "', b'"text\\n', b"data:image/png;base64,"):
            assert payloads(before + spelled + b'"}') == [IMAGE], (before, spelled[:100])


def test_an_image_in_real_json_is_found() -> None:
    notebook = {"cells": [{"outputs": [{"data": {"image/png": PLAIN.decode() + "\n"}}]}]}
    assert payloads(json.dumps(notebook, indent=1).encode()) == [IMAGE]


def test_small_payloads_stay_where_they_are() -> None:
    data = b'"' + base64.b64encode(os.urandom(SMALLEST // 2)) + b'"'
    assert cut(data) == [data]


def test_a_payload_longer_than_a_window_is_cut_whole_while_streaming() -> None:
    image = os.urandom(5 << 20)
    data = b'{"a": "' + base64.b64encode(image) + b'"}'
    found = [p.data for p in cut_stream(io.BytesIO(data)) if isinstance(p, Payload)]
    assert found == [image]


def test_a_payload_longer_than_the_memory_allowed_comes_in_several() -> None:
    data = base64.b64encode(os.urandom(3 * LARGEST))
    pieces = list(cut_stream(io.BytesIO(data)))
    assert joined(pieces) == data
    assert max(len(p) if isinstance(p, bytes) else len(p.data) for p in pieces) < 2 * LARGEST
