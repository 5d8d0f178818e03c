from __future__ import annotations

import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_codesave.blobs import envelope
from jupyter_codesave.errors import DamagedError
from jupyter_codesave.model.digest import digest_of
from tests.conftest import scale

_texts = st.one_of(
    st.binary(max_size=2000),
    st.binary(max_size=50).map(lambda data: data * 100),
    st.binary(max_size=50).map(lambda data: envelope.MAGIC + data * 30),
    st.sampled_from([envelope.MAGIC, envelope.MAGIC + b"Z", envelope.MAGIC + b"P" + b"x" * 100]),
)


def absent(digest: str) -> bytes:
    raise AssertionError(digest)


@settings(max_examples=scale(300), deadline=None)
@given(_texts)
def test_any_bytes_come_out_of_their_envelope(data: bytes) -> None:
    for laid_out in (envelope.raw(data), envelope.compressed(data), envelope.recipe([data])):
        assert envelope.decode(laid_out, absent) == data
        assert b"".join(envelope.decode_stream(io.BytesIO(laid_out), absent)) == data


def test_text_shrinks_and_noise_stays_as_it_is() -> None:
    assert len(envelope.compressed(b"hello " * 1000)) < 100
    noise = os.urandom(5000)
    assert envelope.compressed(noise) == noise


def test_a_recipe_joins_its_parts() -> None:
    image = os.urandom(3000)
    steps: list[envelope.Step] = [b"before ", (0, digest_of(image), len(image)), b" after" * 500]
    laid_out = envelope.recipe(steps)
    whole = envelope.decode(laid_out, {digest_of(image): image}.__getitem__)
    assert whole.startswith(b"before ")
    assert whole.endswith(b" after")
    assert len(whole) == envelope.size_of(steps)
    assert envelope.parts(laid_out) == [digest_of(image)]
    assert envelope.steps(laid_out) == steps


@settings(max_examples=scale(200), deadline=None)
@given(st.integers(0, 400), st.integers(1, 255), st.sampled_from(["zstd", "recipe"]))
def test_a_flipped_byte_never_comes_out_as_if_it_were_right(
    place: int, change: int, kind: str
) -> None:
    data = b"".join(f"line {n} of the source\n".encode() for n in range(200))
    laid_out = envelope.compressed(data) if kind == "zstd" else envelope.recipe([data])
    place %= len(laid_out)
    broken = laid_out[:place] + bytes([laid_out[place] ^ change]) + laid_out[place + 1 :]
    try:
        found = envelope.decode(broken, lambda digest: b"")
    except DamagedError:
        return
    # Whatever is decoded is compared with its digest by the store: it must differ or be right.
    assert found == data or digest_of(found) != digest_of(data)


def test_an_unknown_kind_is_damage() -> None:
    with pytest.raises(DamagedError):
        envelope.decode(envelope.MAGIC + b"?" + b"x" * 50, absent)
    with pytest.raises(DamagedError):
        b"".join(envelope.decode_stream(io.BytesIO(envelope.MAGIC + b"?xx"), absent))
