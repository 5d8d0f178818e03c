"""Which cell of head answers which cell of base.

Equal sources and equal ids are candidates; of all candidates the heaviest chain that keeps the
order of both notebooks is kept. What lies between its links is paired by likeness. Equal cells
that no chain can hold have moved. Near linear: only small gaps are compared cell against cell, in
large ones the rarer words of each cell name the few it is compared with.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from .normalize import DERIVED_ID, Json
from .sequences import Work, common_length, matching_blocks
from .text import words

SMALL_GAP = 400  # product of cell counts up to which every pair of a gap is compared
NEAREST = 6  # cells of base that each cell of a larger gap is compared with
COMMON_WORD = 40  # cells a word may be in and still say something in a large gap
ALIKE = 0.42  # likeness from which two cells in a gap are the same cell, edited
ALIKE_AMONG_FEW = 0.28  # the same in a gap of so few that place says something: FEW pairs at most
FEW = 6
ALIKE_ALONE = 0.12  # the same for a gap of one cell on each side
ALIKE_ELSEWHERE = 0.6  # the same for a cell found out of order
EXACT_WORDS = 10_000  # product of word counts up to which their order counts in likeness
MANY_WORDS = 60  # words of a cell that do not all turn up in another by chance
REPEATS = 64  # pairs of equal cells up to which all are candidates


class Link(NamedTuple):
    """Cell `base` may be cell `head`; `weight` says how much would be lost without it."""

    base: int
    head: int
    weight: float


@dataclass(frozen=True)
class Alignment:
    """Increasing pairs of indices, and pairs out of order; no index is in two pairs."""

    pairs: list[tuple[int, int]]
    moves: list[tuple[int, int]]


class _Cells:
    """One side: what alignment asks of its cells, worked out once."""

    def __init__(self, cells: Sequence[Json], numbers: dict[tuple[str, str], int]) -> None:
        self.cells = cells
        self.keys = [
            numbers.setdefault((cell["cell_type"], cell["source"]), len(numbers)) for cell in cells
        ]
        ids = [cell["id"] for cell in cells]
        self.ids = [None if len(i) >= 16 and DERIVED_ID.match(i) else i for i in ids]
        self.count = Counter(self.keys)
        self.known = set(self.ids)
        self._words: dict[int, list[str]] = {}
        self._bags: dict[int, Counter[str]] = {}
        self._lines: dict[int, frozenset[str]] = {}

    def words(self, index: int) -> list[str]:
        found = self._words.get(index)
        if found is None:
            found = [w for w in words(self.cells[index]["source"]) if not w.isspace()]
            self._words[index] = found
        return found

    def lines(self, index: int) -> frozenset[str]:
        found = self._lines.get(index)
        if found is None:
            stripped = map(str.strip, self.cells[index]["source"].splitlines())
            found = self._lines[index] = frozenset(stripped)
        return found

    def bag(self, index: int) -> Counter[str]:
        found = self._bags.get(index)
        if found is None:
            found = self._bags[index] = Counter(self.words(index))
        return found

    def mass(self, index: int) -> float:
        return 1.0 + min(len(self.cells[index]["source"]), 400) / 40.0


def align(base: Sequence[Json], head: Sequence[Json], work: Work) -> Alignment:
    """Pair the cells of two notebooks in normal form; the same notebooks always pair the same."""
    numbers: dict[tuple[str, str], int] = {}
    a, b = _Cells(base, numbers), _Cells(head, numbers)
    low, top_a, top_b = 0, len(base), len(head)
    shorter = min(top_a, top_b)
    while low < shorter and _same(a, b, low, low):
        low += 1
    while min(top_a, top_b) > low and _same(a, b, top_a - 1, top_b - 1):
        top_a -= 1
        top_b -= 1
    pairs = [(i, i) for i in range(low)]
    if low < top_a and low < top_b:
        chain = heaviest_chain(_candidates(a, b, range(low, top_a), range(low, top_b), work))
        i, j = low, low
        for p, q in [*chain, (top_a, top_b)]:
            pairs += _gap(a, b, range(i, p), range(j, q), work)
            if p < top_a:
                pairs.append((p, q))
            i, j = p + 1, q + 1
    pairs += zip(range(top_a, len(base)), range(top_b, len(head)), strict=True)
    return Alignment(pairs, _moves(a, b, pairs, work))


def _same(a: _Cells, b: _Cells, i: int, j: int) -> bool:
    """Equal sources, and no id that says otherwise."""
    if a.keys[i] != b.keys[j]:
        return False
    return a.ids[i] == b.ids[j] or (a.ids[i] not in b.known and b.ids[j] not in a.known)


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


def _candidates(a: _Cells, b: _Cells, rows: range, columns: range, work: Work) -> list[Link]:
    by_id = {a.ids[i]: i for i in rows if a.ids[i] is not None}
    by_key: dict[int, list[int]] = defaultdict(list)
    for i in rows:
        by_key[a.keys[i]].append(i)
    links = []
    for j in columns:
        same_id = by_id.get(b.ids[j]) if b.ids[j] is not None else None
        equal = by_key.get(b.keys[j], ())
        if len(equal) * b.count[b.keys[j]] <= REPEATS:
            for i in equal:
                weight = 2 * a.mass(i)
                if i == same_id:
                    weight += 1
                elif len(equal) > 1 and a.cells[i].get("outputs") != b.cells[j].get("outputs"):
                    weight -= 0.5
                links.append(Link(i, j, weight))
        elif same_id is not None and a.keys[same_id] == b.keys[j]:
            links.append(Link(same_id, j, 2 * a.mass(same_id) + 1))
        if (
            same_id is not None
            and a.keys[same_id] != b.keys[j]
            and a.cells[same_id]["cell_type"] == b.cells[j]["cell_type"]
        ):
            likeness = _likeness(a, b, same_id, j, work)
            mass = min(a.mass(same_id), b.mass(j))
            links.append(Link(same_id, j, 0.5 + 2 * likeness * mass))
    return links


def _gap(a: _Cells, b: _Cells, rows: range, columns: range, work: Work) -> list[tuple[int, int]]:
    """Pairs within a gap: repeated cells first, by order, then by likeness what is left."""
    if not rows or not columns:
        return []
    pairs = []
    keys = a.keys[rows.start : rows.stop], b.keys[columns.start : columns.stop]
    blocks = matching_blocks(*keys, work)
    i, j = rows.start, columns.start
    for p, q, n in [*blocks, (len(rows), len(columns), 0)]:
        p, q = rows.start + p, columns.start + q
        pairs += _by_likeness(a, b, range(i, p), range(j, q), work)
        pairs += [(p + k, q + k) for k in range(n)]
        i, j = p + n, q + n
    return pairs


def _by_likeness(
    a: _Cells, b: _Cells, rows: range, columns: range, work: Work
) -> list[tuple[int, int]]:
    if not rows or not columns:
        return []
    pairs = len(rows) * len(columns)
    enough = ALIKE_ALONE if pairs == 1 else ALIKE_AMONG_FEW if pairs <= FEW else ALIKE
    links = []
    for i, j in _compared(a, b, rows, columns):
        if a.cells[i]["cell_type"] != b.cells[j]["cell_type"]:
            continue
        likeness = _likeness(a, b, i, j, work)
        if likeness >= enough:
            links.append(Link(i, j, likeness * min(a.mass(i), b.mass(j))))
    return heaviest_chain(links)


def _nearest(
    a: _Cells, b: _Cells, rows: Sequence[int], columns: Sequence[int]
) -> Iterable[tuple[int, int]]:
    """The pairs of a large gap worth comparing: those that share the most of their rarer words."""
    cells_with: dict[str, list[int]] = defaultdict(list)
    for i in rows:
        for word in set(a.words(i)):
            cells_with[word].append(i)
    found = []
    scale = len(rows) / len(columns)
    for n, j in enumerate(columns):
        score: dict[int, float] = defaultdict(float)
        for word in set(b.words(j)):
            holders = cells_with.get(word)
            if holders and len(holders) <= COMMON_WORD:
                for i in holders:
                    score[i] += len(word) / len(holders)
        nearest = sorted(score, key=lambda i: (-score[i], i))[:NEAREST]
        level = rows[min(len(rows) - 1, int(n * scale))]
        found += [(i, j) for i in nearest]
        if level not in nearest:
            found.append((level, j))
    return found


def _likeness(a: _Cells, b: _Cells, i: int, j: int, work: Work) -> float:
    """From 0 to 1: how much of two cells is common, as words in order or as whole lines."""
    x, y = a.words(i), b.words(j)
    if not x or not y:
        return 0.0
    if not work.spend(20 + min(len(x) * (1 + len(y) // 30), len(x) + len(y))):
        return 0.0
    total = len(x) + len(y)
    if len(x) * len(y) > EXACT_WORDS:
        ratio = 2 * (a.bag(i) & b.bag(j)).total() / total
    elif 2 * min(len(x), len(y)) < 0.2 * total:
        ratio = 0.0
    else:
        ratio = 2 * common_length(x, y) / total
    if ratio > ALIKE_ELSEWHERE:
        return ratio
    # A cell that lies within the other, as after a split or a merge, is alike in spite of its size.
    lines, others = a.lines(i), b.lines(j)
    within = sum(map(len, lines & others)) / min(sum(map(len, lines)), sum(map(len, others)))
    shorter = min(len(x), len(y))
    if shorter >= MANY_WORDS:
        within = max(within, ratio * total / 2 / shorter)
    return max(ratio, (ratio + within) / 2)


def _moves(
    a: _Cells, b: _Cells, pairs: Sequence[tuple[int, int]], work: Work
) -> list[tuple[int, int]]:
    """Cells out of order: the same source or id, or nearly the same source, on both sides."""
    left = set(range(len(a.cells))).difference(i for i, _ in pairs)
    right = sorted(set(range(len(b.cells))).difference(j for _, j in pairs))
    if not left or not right:
        return []
    by_id = {a.ids[i]: i for i in left if a.ids[i] is not None}
    by_key: dict[int, list[int]] = defaultdict(list)
    for i in sorted(left, reverse=True):
        if a.cells[i]["source"].strip():
            by_key[a.keys[i]].append(i)
    moves = []
    rest = []
    for j in right:
        equal = by_key.get(b.keys[j])
        while equal and equal[-1] not in left:
            equal.pop()
        same_id = by_id.get(b.ids[j]) if b.ids[j] is not None else None
        if same_id in left and a.keys[same_id] == b.keys[j]:
            i = same_id
        elif equal:
            i = equal.pop()
        else:
            rest.append(j)
            continue
        left.discard(i)
        moves.append((i, j))
    scored = []
    for i, j in _compared(a, b, sorted(left), rest):
        if a.cells[i]["cell_type"] == b.cells[j]["cell_type"]:
            likeness = _likeness(a, b, i, j, work)
            same_id = a.ids[i] is not None and a.ids[i] == b.ids[j]
            if likeness >= (ALIKE_AMONG_FEW if same_id else ALIKE_ELSEWHERE):
                scored.append((not same_id, -likeness, i, j))
    waiting = set(rest)
    for _, _, i, j in sorted(scored):
        if i in left and j in waiting:
            left.discard(i)
            waiting.discard(j)
            moves.append((i, j))
    return sorted(moves, key=lambda pair: pair[1])


def _compared(
    a: _Cells, b: _Cells, rows: Sequence[int], columns: Sequence[int]
) -> Iterable[tuple[int, int]]:
    """Every pair of a small gap, the likely pairs of a large one."""
    if len(rows) * len(columns) <= SMALL_GAP:
        return ((i, j) for i in rows for j in columns)
    return _nearest(a, b, rows, columns)
