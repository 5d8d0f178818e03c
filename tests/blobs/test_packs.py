from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_codesave.blobs import packs
from jupyter_codesave.blobs.base import Blobs
from jupyter_codesave.errors import DamagedError
from jupyter_codesave.model.digest import digest_of
from tests.conftest import scale


def member(data: bytes) -> tuple[str, bytes, int]:
    return digest_of(data), data, len(data)


@settings(max_examples=scale(200), deadline=None)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=40, unique=True))
def test_every_member_comes_back_from_its_place(contents: list[bytes]) -> None:
    ((data, index),) = list(packs.pack([member(each) for each in contents]))
    assert packs.members(data) == index
    found = {m.digest: data[m.offset : m.offset + m.length] for m in index}
    assert found == {digest_of(each): each for each in contents}
    assert len(data) == packs.overhead(len(contents)) + sum(map(len, contents))


@settings(max_examples=scale(300), deadline=None)
@given(st.binary(max_size=400))
def test_what_is_no_pack_is_called_damaged(data: bytes) -> None:
    with pytest.raises(DamagedError):
        packs.members(data)


@settings(max_examples=scale(300), deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_in_the_index_is_noticed(place: int, change: int) -> None:
    ((data, index),) = list(packs.pack([member(bytes([n]) * 20) for n in range(20)]))
    start = index[-1].offset + index[-1].length
    place = start + place % (len(data) - start)
    broken = data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]
    with pytest.raises(DamagedError):
        packs.members(broken)


def test_a_pack_that_lost_its_end_is_called_damaged() -> None:
    ((data, _),) = list(packs.pack([member(b"one"), member(b"two")]))
    for length in range(len(data)):
        with pytest.raises(DamagedError):
            packs.members(data[:length])


def test_packs_stay_below_their_limit_and_the_same_blobs_make_the_same_packs() -> None:
    contents = [member(os.urandom(1 << 20)) for _ in range(40)]
    found = list(packs.pack(contents))
    assert len(found) == 3
    assert all(len(data) <= packs.LARGEST for data, _ in found)
    again = list(packs.pack(reversed(contents)))
    assert [digest_of(data) for data, _ in again] == [digest_of(data) for data, _ in found]


def test_an_index_is_read_without_its_members(blobs: Blobs) -> None:
    for count in (1, 10, 3000):  # 3000: the index is longer than what is read at first
        ((data, index),) = list(packs.pack([member(str(n).encode()) for n in range(count)]))
        key = blobs.put(data)
        assert packs.read_members(blobs, key, len(data)) == index
