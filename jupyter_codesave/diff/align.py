"""Which cell of head answers which cell of base.

Equal sources and equal ids are candidates; of all candidates the heaviest chain that keeps the
order of both notebooks is kept. What lies between its links is paired by likeness. Equal cells
that no chain can hold have moved. Near linear: only small gaps are compared cell against cell, in
large ones the rarer words of each cell name the few it is compared with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .chains import Link, heaviest_chain
from .likeness import Cells, likeness, numbering, worth_comparing
from .normalize import Json
from .sequences import Work, matching_blocks

ALIKE = 0.25  # likeness from which two cells in a gap are the same cell, edited
ALIKE_AMONG_FEW = 0.2  # the same in a gap of so few that place says something: FEW pairs at most
FEW = 6
ALIKE_ALONE = 0.08  # the same for a gap of one cell on each side
ALIKE_ELSEWHERE = 0.5  # the same for a cell found out of order, or under another id
PLACE = 0.2  # how much less a pair weighs that is at the start of a gap here and at its end there
TELLING = 10  # characters of a source that are not the same by chance
REPEATS = 64  # pairs of equal cells up to which all are candidates


@dataclass(frozen=True)
class Alignment:
    """Increasing pairs of indices, and pairs out of order; no index is in two pairs."""

    pairs: list[tuple[int, int]]
    moves: list[tuple[int, int]]


def align(base: Sequence[Json], head: Sequence[Json], work: Work) -> Alignment:
    """Pair the cells of two notebooks in normal form; the same notebooks always pair the same."""
    numbers = numbering()
    sides = _Sides(Cells(base, numbers), Cells(head, numbers), work)
    low, top_a, top_b = 0, len(base), len(head)
    shorter = min(top_a, top_b)
    while low < shorter and sides.same(low, low):
        low += 1
    while min(top_a, top_b) > low and sides.same(top_a - 1, top_b - 1):
        top_a -= 1
        top_b -= 1
    pairs = [(i, i) for i in range(low)]
    if low < top_a and low < top_b:
        chain = heaviest_chain(sides.candidates(range(low, top_a), range(low, top_b)))
        for rows, columns in _between(chain, range(low, top_a), range(low, top_b)):
            pairs += sides.repeated(rows, columns)
        pairs += chain
        pairs.sort()
    pairs += zip(range(top_a, len(base)), range(top_b, len(head)), strict=True)
    moves = sides.moved(pairs)
    rows_moved, columns_moved = {i for i, _ in moves}, {j for _, j in moves}
    alike = []
    for rows, columns in _between(pairs, range(len(base)), range(len(head))):
        alike += sides.by_likeness(
            [i for i in rows if i not in rows_moved],
            [j for j in columns if j not in columns_moved],
        )
    pairs = sorted(pairs + alike)
    moves += sides.moved_and_edited(pairs + moves)
    return Alignment(pairs, sorted(moves, key=lambda pair: pair[1]))


def _between(
    pairs: Sequence[tuple[int, int]], rows: range, columns: range
) -> Iterator[tuple[range, range]]:
    """The gaps between increasing pairs that have cells on both sides."""
    i, j = rows.start, columns.start
    for p, q in [*pairs, (rows.stop, columns.stop)]:
        if i < p and j < q:
            yield range(i, p), range(j, q)
        i, j = p + 1, q + 1


class _Sides:
    """Two notebooks to align."""

    def __init__(self, a: Cells, b: Cells, work: Work) -> None:
        self.a = a
        self.b = b
        self.work = work
        both = len(a.index.keys() & b.index.keys())
        # Where most cells have kept their ids, another id means another cell.
        self.ids_kept = 2 * both > min(len(a.index), len(b.index))

    def same(self, i: int, j: int) -> bool:
        """Equal sources, and neither an id nor, in a repeated cell, an output says otherwise?"""
        a, b = self.a, self.b
        if a.keys[i] != b.keys[j]:
            return False
        if a.ids[i] is not None and a.ids[i] == b.ids[j]:
            return True
        if a.ids[i] in b.index or b.ids[j] in a.index:
            return False
        return a.count[a.keys[i]] == 1 or a.cells[i].get("outputs") == b.cells[j].get("outputs")

    def likeness(self, i: int, j: int) -> float:
        return likeness(self.a, self.b, i, j, self.work)

    def with_id_of(self, j: int) -> int | None:
        """The cell of base that has the id of this cell of head."""
        name = self.b.ids[j]
        return None if name is None else self.a.index.get(name)

    def candidates(self, rows: range, columns: range) -> list[Link]:
        """Pairs of equal sources or ids; a rerun of a repeated cell weighs less than the same."""
        a, b = self.a, self.b
        by_key: dict[int, list[int]] = defaultdict(list)
        for i in rows:
            by_key[a.keys[i]].append(i)
        links = []
        for j in columns:
            same_id = self.with_id_of(j)
            if same_id is not None and same_id not in rows:
                same_id = None
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
            if len(equal) == 1 == b.count[b.keys[j]] and b.sizes[j] >= TELLING:
                continue  # the same text in one place on either side says more than an id
            if (
                same_id is not None
                and a.keys[same_id] != b.keys[j]
                and a.types[same_id] == b.types[j]
            ):
                alike = self.likeness(same_id, j)
                mass = min(a.mass(same_id), b.mass(j))
                links.append(Link(same_id, j, 0.5 + 2 * alike * mass))
        return links

    def repeated(self, rows: range, columns: range) -> list[tuple[int, int]]:
        """Pairs of equal cells within a gap: those that repeat so often that order decides."""
        keys = self.a.keys[rows.start : rows.stop], self.b.keys[columns.start : columns.stop]
        return [
            (rows.start + i + k, columns.start + j + k)
            for i, j, n in matching_blocks(*keys, self.work)
            for k in range(n)
        ]

    def by_likeness(self, rows: Sequence[int], columns: Sequence[int]) -> list[tuple[int, int]]:
        """Pairs of a gap without equal cells; the fewer cells, the less they must be alike."""
        a, b = self.a, self.b
        if not rows or not columns:
            return []
        pairs = len(rows) * len(columns)
        if pairs == 1 and self.was_filled(rows[0], columns[0]):
            return [(rows[0], columns[0])]
        enough = ALIKE_ALONE if pairs == 1 else ALIKE_AMONG_FEW if pairs <= FEW else ALIKE
        depth = {i: n / len(rows) for n, i in enumerate(rows)}
        depth_in_head = {j: n / len(columns) for n, j in enumerate(columns)}
        links = []
        for i, j in worth_comparing(a, b, rows, columns, self.work):
            alike = self.likeness(i, j)
            if alike >= ALIKE_ELSEWHERE or (alike >= enough and not self.differ_by_id(i, j)):
                apart = abs(depth[i] - depth_in_head[j])
                links.append(Link(i, j, alike * min(a.mass(i), b.mass(j)) * (1 - PLACE * apart)))
        return heaviest_chain(links)

    def was_filled(self, i: int, j: int) -> bool:
        """An empty cell and the one in its place: it was filled, or emptied."""
        a, b = self.a, self.b
        if a.types[i] != b.types[j] or self.differ_by_id(i, j):
            return False
        return not (a.cells[i]["source"].strip() and b.cells[j]["source"].strip())

    def differ_by_id(self, i: int, j: int) -> bool:
        """Do ids say that these are two cells?"""
        old, new = self.a.ids[i], self.b.ids[j]
        return self.ids_kept and old is not None and new is not None and old != new

    def left(self, pairs: Sequence[tuple[int, int]]) -> tuple[set[int], set[int]]:
        """The cells of either side that are in no pair."""
        left = set(range(len(self.a.cells))).difference(i for i, _ in pairs)
        return left, set(range(len(self.b.cells))).difference(j for _, j in pairs)

    def moved(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Cells out of order that have the same source, or the same id and a source alike."""
        a, b = self.a, self.b
        left, right = self.left(pairs)
        moves: list[tuple[int, int]] = []
        if not left or not right:
            return moves

        def take(i: int, j: int) -> None:
            left.discard(i)
            right.discard(j)
            moves.append((i, j))

        by_key: dict[int, list[int]] = defaultdict(list)
        for i in sorted(left, reverse=True):
            if a.cells[i]["source"].strip():
                by_key[a.keys[i]].append(i)
        for j in sorted(right):
            same_id = self.with_id_of(j)
            if same_id in left and a.keys[same_id] == b.keys[j]:
                take(same_id, j)
        for j in sorted(right):
            equal = by_key.get(b.keys[j])
            while equal and equal[-1] not in left:
                equal.pop()
            if equal:
                take(equal.pop(), j)
        for j in sorted(right):
            same_id = self.with_id_of(j)
            if same_id in left and self.likeness(same_id, j) >= ALIKE_AMONG_FEW:
                take(same_id, j)
        return moves

    def moved_and_edited(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Cells out of order that are nearly the same, the most alike first."""
        left, right = self.left(pairs)
        if not left or not right:
            return []
        scored = []
        for i, j in worth_comparing(self.a, self.b, sorted(left), sorted(right), self.work):
            alike = self.likeness(i, j)
            if alike >= ALIKE_ELSEWHERE:
                scored.append((-alike, i, j))
        moves = []
        for _, i, j in sorted(scored):
            if i in left and j in right:
                left.discard(i)
                right.discard(j)
                moves.append((i, j))
        return moves
