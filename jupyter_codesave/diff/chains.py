"""Of many possible pairs between two sequences, those that keep both orders and weigh most."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple


class Link(NamedTuple):
    """Item `base` may be item `head`; `weight` says how much would be lost without it."""

    base: int
    head: int
    weight: float


def heaviest_chain(links: Iterable[Link]) -> list[tuple[int, int]]:
    """Of the links, those that increase on both sides and weigh most together."""
    ordered = sorted(links, key=lambda link: (link.base, -link.head))
    if all(p.base < q.base and p.head < q.head for p, q in pairwise(ordered)):
        return [(link.base, link.head) for link in ordered]
    columns = {head: n for n, head in enumerate(sorted({link.head for link in ordered}), 1)}
    tree = [(0.0, -1)] * (len(columns) + 1)  # Fenwick: the best chain ending at or before
    before = [-1] * len(ordered)
    best, last = 0.0, -1
    for n, link in enumerate(ordered):
        column = columns[link.head]
        weight, previous = 0.0, -1
        k = column - 1
        while k > 0:
            if tree[k][0] > weight:
                weight, previous = tree[k]
            k &= k - 1
        before[n] = previous
        weight += link.weight
        if weight > best:
            best, last = weight, n
        k = column
        while k < len(tree):
            if weight > tree[k][0]:
                tree[k] = (weight, n)
            k += k & -k
    chain = []
    while last >= 0:
        chain.append((ordered[last].base, ordered[last].head))
        last = before[last]
    return chain[::-1]
