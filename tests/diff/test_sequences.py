"""The longest common subsequence, exact where it can be afforded and valid everywhere."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from jupyter_codesave.diff.sequences import (
    Work,
    common_length,
    gaps,
    increasing,
    matching_blocks,
)

SMALL = st.lists(st.integers(0, 4), max_size=14)


def longest(a: list[int], b: list[int]) -> int:
    row = [0] * (len(b) + 1)
    for x in a:
        before = row
        row = [0]
        for j, y in enumerate(b):
            row.append(before[j] + 1 if x == y else max(row[j], before[j + 1]))
    return row[-1]


def held(a: list[int], b: list[int], work: Work) -> int:
    """Check that blocks are common, in order and maximal; their total length."""
    blocks = matching_blocks(a, b, work)
    end = (0, 0)
    for i, j, n in blocks:
        assert n > 0
        assert a[i : i + n] == b[j : j + n]
        assert (i, j) == (0, 0) or (i > end[0] and j >= end[1]) or (i >= end[0] and j > end[1])
        end = i + n, j + n
    kept = sum(n for _, _, n in blocks)
    between = list(gaps(blocks, len(a), len(b)))
    assert sum(i1 - i0 for i0, i1, _, _ in between) == len(a) - kept
    assert sum(j1 - j0 for _, _, j0, j1 in between) == len(b) - kept
    return kept


@given(SMALL, SMALL)
def test_the_blocks_are_a_longest_common_subsequence(a: list[int], b: list[int]) -> None:
    assert held(a, b, Work(10**6)) == common_length(a, b) == longest(a, b)


def test_long_sequences_are_matched_exactly_too() -> None:
    rng = random.Random(5)
    a = [rng.randrange(40) for _ in range(700)]
    b = [x for x in a if rng.random() < 0.8] + [rng.randrange(40) for _ in range(90)]
    assert held(a, b, Work(10**7)) == longest(a, b)


def test_very_long_ones_are_divided_by_what_occurs_once() -> None:
    a = list(range(30_000))
    b = [-x if x % 100 == 0 else x for x in a]
    work = Work(10**7)
    assert held(a, b, work) == 29_701
    assert not work.truncated


def test_without_work_left_equal_ends_still_match() -> None:
    work = Work(0)
    a = [1, 2, *range(100, 200), 8, 9]
    b = [1, 2, *range(150, 250), 8, 9]
    assert held(a, b, work) == 4
    assert work.truncated


def test_repeated_elements_beyond_the_exact_limit_are_matched_coarsely() -> None:
    rng = random.Random(5)
    a = [rng.randrange(9) for _ in range(9000)]
    b = [rng.randrange(9) for _ in range(9000)]
    work = Work(10**8)
    assert held(a, b, work) > 3000
    assert work.truncated


@given(st.lists(st.integers(0, 9), max_size=12))
def test_the_increasing_positions_are_the_most_there_can_be(values: list[int]) -> None:
    chosen = [values[at] for at in increasing(values)]
    assert chosen == sorted(set(chosen))
    assert len(chosen) == longest(sorted(set(values)), values)
