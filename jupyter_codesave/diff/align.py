"""Which cell of head answers which cell of base.

Equal sources and equal ids are candidates; of all candidates the heaviest chain that keeps the
order of both notebooks is kept. What lies between its links is paired by likeness. Equal cells
that no chain can hold have moved. Near linear: only small gaps are compared cell against cell, in
large ones the rarer words of each cell name the few it is compared with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from .chains import Link, heaviest_chain, stretches
from .likeness import Cells, Numbers, likeness, worth_comparing
from .normalize import Json
from .sequences import Block, Gap, Work, gaps, joined, matching_blocks
from .twins import find_twins

ALIKE = 0.25  # likeness from which two cells in a gap are the same cell, edited
ALIKE_AMONG_FEW = 0.2  # the same in a gap of so few that place says something: FEW pairs at most
FEW = 6
ALIKE_ELSEWHERE = 0.5  # the same for a cell found out of order, or under another id
PLACE = 0.2  # how much less a pair weighs that is at the start of a gap here and at its end there
TELLING = 10  # characters of a source that are not the same by chance
REPEATS = 64  # pairs of equal cells up to which all are candidates


@dataclass(frozen=True)
class Alignment:
    """Blocks of cells that answer each other in order, and pairs out of order; none twice."""

    blocks: list[Block]
    moves: list[tuple[int, int]]
    twins: list[int]  # for each cell of head one of base that is equal to it, or -1

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The pairs in order, one by one."""
        return [(i + k, j + k) for i, j, n in self.blocks for k in range(n)]


def align(base: Sequence[Json], head: Sequence[Json], work: Work) -> Alignment:
    """Pair the cells of two notebooks in normal form; the same notebooks always pair the same."""
    n, m = len(base), len(head)
    sides = _Sides(base, head, work)
    low, tail, shorter = 0, 0, min(n, m)
    while low < shorter and sides.same(low, low):
        low += 1
    while tail < shorter - low and sides.same(n - 1 - tail, m - 1 - tail):
        tail += 1
    chain = sides.chain(range(low, n - tail), range(low, m - tail))
    blocks = joined([(0, 0, low), *chain, (n - tail, m - tail, tail)])
    blocks += [again for gap in gaps(blocks, n, m) for again in sides.repeated(*gap)]
    blocks.sort()
    moves = sides.moved(list(gaps(blocks, n, m)))
    rows_moved, columns_moved = {i for i, _ in moves}, {j for _, j in moves}
    for start, stop, head_start, head_stop in list(gaps(blocks, n, m)):
        rows = [i for i in range(start, stop) if i not in rows_moved]
        columns = [j for j in range(head_start, head_stop) if j not in columns_moved]
        if rows and columns:
            for i, j, _ in (found := sides.by_likeness(rows, columns)):
                sides.a.forget(i)
                sides.b.forget(j)
            blocks += found
    blocks = joined(sorted(blocks))
    moves += sides.moved_and_edited(list(gaps(blocks, n, m)), moves)
    return Alignment(blocks, sorted(moves, key=lambda pair: pair[1]), sides.twins)


def _left(between: Sequence[Gap]) -> tuple[set[int], set[int]]:
    """The cells of either side that lie in gaps."""
    return (
        {i for start, stop, _, _ in between for i in range(start, stop)},
        {j for _, _, start, stop in between for j in range(start, stop)},
    )


class _Sides:
    """Two notebooks to align."""

    def __init__(self, base: Sequence[Json], head: Sequence[Json], work: Work) -> None:
        self.twins = find_twins(base, head)
        keys, head_keys = [0] * len(base), [0] * len(head)
        for j, i in enumerate(self.twins):
            if i >= 0:
                keys[i] = head_keys[j] = ~j
        numbers = Numbers()
        self.a = Cells(base, keys, numbers)
        self.b = Cells(head, head_keys, numbers)
        self.work = work
        both = len(self.a.index.keys() & self.b.index.keys())
        twins = sum([key < 0 for key in keys])
        # Where most cells have kept their ids, another id means another cell.
        self.ids_kept = twins + 2 * both > min(len(self.a.index), len(self.b.index))

    def same(self, i: int, j: int) -> bool:
        """Equal sources, and neither an id nor, in a repeated cell, an output says otherwise?"""
        a, b = self.a, self.b
        if a.keys[i] != b.keys[j]:
            return False
        if a.keys[i] < 0 or (a.ids[i] is not None and a.ids[i] == b.ids[j]):
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

    def chain(self, rows: range, columns: range) -> list[Block]:
        """The heaviest chain of equal sources or ids; they are weighed only where they cross."""
        found: list[Block] = []
        for crossing in stretches(self.candidates(rows, columns)):
            if len(crossing) > 1:
                crossing = heaviest_chain(
                    Link(i, j, self.weight(i, j, n), n) for i, j, n in crossing
                )
            found += crossing
        return found

    def candidates(self, rows: range, columns: range) -> list[Block]:
        """Equal sources or ids, by head: each pair alone, or runs of cells without another."""
        a, b = self.a, self.b
        equal: dict[int, list[int]] = defaultdict(list)
        for i in rows:
            if a.keys[i] >= 0:
                equal[a.keys[i]].append(i)
        asked = ((j, self.with_id_of(j)) for j in columns)
        with_id = {j: i for j, i in asked if i is not None and i in rows}
        edited = {i for j, i in with_id.items() if a.keys[i] != b.keys[j]}
        found: list[Block] = []
        start = head_start = n = 0
        for j in columns:
            key, same_id = b.keys[j], with_id.get(j)
            answers = equal.get(key, []) if key >= 0 else [self.twins[j]]
            once = key < 0 or len(answers) == 1 == b.count[key]
            if once and answers[0] not in edited and same_id in (None, answers[0]):
                if answers[0] - start == n == j - head_start:
                    n += 1
                else:
                    found.append((start, head_start, n))
                    start, head_start, n = answers[0], j, 1
                continue
            if len(answers) * b.count[key] > REPEATS:
                answers = [same_id] if same_id is not None and a.keys[same_id] == key else []
            # The same text in one place on either side says more than an id.
            if not (once and len(b.cells[j]["source"]) >= TELLING) and (
                same_id in edited and a.cell_type(same_id) == b.cell_type(j)
            ):
                answers = [*answers, same_id]
            found += [(start, head_start, n), *((i, j, 1) for i in answers)]
            n = 0
        return [block for block in [*found, (start, head_start, n)] if block[2]]

    def weight(self, i: int, j: int, n: int) -> float:
        """What a candidate weighs; a rerun of a repeated cell weighs less than the same."""
        a, b = self.a, self.b
        if a.keys[i] != b.keys[j]:
            return 0.5 + 2 * self.likeness(i, j) * min(a.mass(i), b.mass(j))
        said: float = sum(
            [
                a.keys[i + k] < 0 or (a.ids[i + k] is not None and a.ids[i + k] == b.ids[j + k])
                for k in range(n)
            ]
        )
        if not said and n == 1 and a.count[a.keys[i]] > 1:
            said = -0.5 * (a.cells[i].get("outputs") != b.cells[j].get("outputs"))
        return 2 * a.mass(i, n) + said

    def repeated(self, start: int, stop: int, head_start: int, head_stop: int) -> list[Block]:
        """Equal cells within a gap: those that repeat so often that order decides."""
        keys = self.a.keys[start:stop], self.b.keys[head_start:head_stop]
        return [(start + i, head_start + j, n) for i, j, n in matching_blocks(*keys, self.work)]

    def by_likeness(self, rows: Sequence[int], columns: Sequence[int]) -> list[Block]:
        """Pairs of a gap without equal cells; the fewer cells, the less they must be alike."""
        a, b = self.a, self.b
        pairs = len(rows) * len(columns)
        if pairs == 1 and self.was_filled(rows[0], columns[0]):
            return [(rows[0], columns[0], 1)]
        enough = ALIKE_AMONG_FEW if pairs <= FEW else ALIKE
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
        if a.cell_type(i) != b.cell_type(j) or self.differ_by_id(i, j):
            return False
        return not (a.cells[i]["source"].strip() and b.cells[j]["source"].strip())

    def differ_by_id(self, i: int, j: int) -> bool:
        """Do ids say that these are two cells?"""
        old, new = self.a.ids[i], self.b.ids[j]
        return self.ids_kept and old is not None and new is not None and old != new

    def moved(self, between: Sequence[Gap]) -> list[tuple[int, int]]:
        """Cells out of order that have the same source, or the same id and a source alike."""
        a, b = self.a, self.b
        left, right = _left(between)
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

    def moved_and_edited(
        self, between: Sequence[Gap], moved: Sequence[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """Cells out of order that are nearly the same, the most alike first."""
        left, right = _left(between)
        left.difference_update(i for i, _ in moved)
        right.difference_update(j for _, j in moved)
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
