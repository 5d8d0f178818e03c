"""Of many possible pairs between two sequences, those that keep both orders and weigh most."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from .sequences import Block


class Link(NamedTuple):
    """A block that may be kept; `weight` says how much would be lost without it."""

    base: int
    head: int
    weight: float
    length: int = 1


def stretches(blocks: Sequence[Block]) -> Iterator[Sequence[Block]]:
    """Blocks in the order of head, cut wherever none before the cut crosses one behind it."""
    first = list(accumulate((i for i, _, _ in reversed(blocks)), min))
    end = head_end = start = 0
    for k, (i, j, n) in enumerate(blocks):
        if k and end <= first[len(blocks) - 1 - k] and head_end <= j:
            yield blocks[start:k]
            start = k
        end, head_end = max(end, i + n), max(head_end, j + n)
    if blocks:
        yield blocks[start:]


def heaviest_chain(links: Iterable[Link]) -> list[Block]:
    """Of the links, those that increase on both sides and weigh most together.

    No link may begin within the rows or columns of another that is longer than one.
    """
    ordered = sorted(links, key=lambda link: (link.base, -link.head))
    if all(p.base < q.base and p.head < q.head for p, q in pairwise(ordered)):
        return [(link.base, link.head, link.length) for link in ordered]
    # The best chains so far, by where they end in head: a longer reach must weigh more.
    ends: list[int] = []
    weights: list[float] = []
    last: list[int] = []
    before: list[int] = []
    for n, link in enumerate(ordered):
        k = bisect_left(ends, link.head)
        before.append(last[k - 1] if k else -1)
        weight = link.weight + (weights[k - 1] if k else 0.0)
        stop = k
        while stop < len(ends) and weights[stop] <= weight:
            stop += 1
        if stop == k and k < len(ends) and ends[k] == link.head:
            continue
        ends[k:stop] = [link.head]
        weights[k:stop] = [weight]
        last[k:stop] = [n]
    chain = []
    n = last[-1] if last else -1
    while n >= 0:
        chain.append((ordered[n].base, ordered[n].head, ordered[n].length))
        n = before[n]
    return chain[::-1]
