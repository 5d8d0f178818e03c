"""How alike two cells are, by the words and the lines of their sources."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from .normalize import DERIVED_ID, Json
from .sequences import Work, common_length

_WORDS = re.compile(r"\w+|[^\w\s]")
BRACKETS = "()[]{},:;"  # a line of these alone says nothing
LONGEST = 20_000  # characters of a source that are looked at
COMPARING = 300  # steps that comparing two cells takes, and one for each 8 of their characters
LEAST = 0.12  # of the different words of two cells that must be common to look any closer
EXACT_WORDS = 10_000  # product of word counts up to which their order counts
MANY_WORDS = 60  # words of a cell that do not all turn up in another by chance
ENOUGH = 0.6  # likeness above which nobody asks how it came about
SMALL_GAP = 400  # product of cell counts up to which every pair is compared
NEAREST = 6  # cells of base that each cell of a larger gap is compared with
COMMON_WORD = 40  # cells a word may be in and still say something in a large gap


class Numbers:
    """A number for each different source of a type, from 0: the same on two sides."""

    def __init__(self) -> None:
        self.by_type: dict[str, dict[str, int]] = {"code": {}, "markdown": {}, "raw": {}}
        self.total = 0


class Cells:
    """One side of an alignment: what it asks of cells, worked out once."""

    def __init__(self, cells: Sequence[Json], numbers: Numbers) -> None:
        self.cells = cells
        self.keys: list[int] = []  # equal where type and source are
        self.ids: list[str | None] = []  # None where normalizing gave the id
        by_type, total = numbers.by_type, numbers.total
        for cell in cells:  # each cell is looked at once: memory is slower than all the rest
            name = cell["id"]
            key = by_type[cell["cell_type"]].setdefault(cell["source"], total)
            if key == total:
                total += 1
            self.keys.append(key)
            self.ids.append(None if len(name) >= 16 and DERIVED_ID.match(name) else name)
        numbers.total = total
        self.count = [0] * total
        for key in self.keys:
            self.count[key] += 1
        self.index = {name: n for n, name in enumerate(self.ids) if name is not None}
        self._words: dict[int, list[str]] = {}
        self._kinds: dict[int, frozenset[str]] = {}
        self._weights: dict[int, float] = {}
        self._bags: dict[int, Counter[str]] = {}
        self._lines: dict[int, frozenset[str]] = {}

    def cell_type(self, index: int) -> str:
        """Code, markdown or raw."""
        cell_type: str = self.cells[index]["cell_type"]
        return cell_type

    def words(self, index: int) -> list[str]:
        """The words and signs of a cell, without spaces."""
        found = self._words.get(index)
        if found is None:
            found = self._words[index] = _WORDS.findall(self.cells[index]["source"][:LONGEST])
        return found

    def kinds(self, index: int) -> frozenset[str]:
        """The different words of a cell."""
        found = self._kinds.get(index)
        if found is None:
            found = self._kinds[index] = frozenset(self.words(index))
        return found

    def weight(self, index: int) -> float:
        """How much the different words of a cell say together."""
        found = self._weights.get(index)
        if found is None:
            found = self._weights[index] = _weight(self.kinds(index))
        return found

    def bag(self, index: int) -> Counter[str]:
        """How often each word is in a cell."""
        found = self._bags.get(index)
        if found is None:
            found = self._bags[index] = Counter(self.words(index))
        return found

    def lines(self, index: int) -> frozenset[str]:
        """The lines of a cell that say something, without indentation."""
        found = self._lines.get(index)
        if found is None:
            stripped = map(str.strip, self.cells[index]["source"][:LONGEST].splitlines())
            found = frozenset([line for line in stripped if line.strip(BRACKETS)])
            self._lines[index] = found
        return found

    def size(self, index: int) -> int:
        """How many characters of a cell are looked at."""
        return min(len(self.cells[index]["source"]), LONGEST)

    def mass(self, index: int) -> float:
        """How much a pairing of this cell weighs: 1 for an empty one, 11 for a long one."""
        return 1.0 + min(len(self.cells[index]["source"]), 400) / 40.0


def likeness(a: Cells, b: Cells, i: int, j: int, work: Work) -> float:
    """From 0 to 1: how much two cells have in common, on the mean of three ways to see it.

    The words and signs in their order; the different words by their lengths, for long ones are
    rarer; and whole lines, so that one long new line does not hide three that stayed.
    """
    if a.cell_type(i) != b.cell_type(j):
        return 0.0
    if not work.spend(COMPARING + (a.size(i) + b.size(j)) // 8):
        return 0.0
    x, y = a.words(i), b.words(j)
    if not x or not y:
        return 0.0
    kinds, others = a.kinds(i), b.kinds(j)
    shared = kinds & others
    if len(shared) < LEAST * (len(kinds) + len(others)) / 2:
        return 0.0
    shorter = min(len(x), len(y))
    if len(x) * len(y) <= EXACT_WORDS:
        common = common_length(x, y)
    else:
        common = (a.bag(i) & b.bag(j)).total()
    in_order = 2 * common / (len(x) + len(y))
    weight = a.weight(i) + b.weight(j)
    by_words = 2 * _weight(shared) / weight if weight else in_order
    old, new = a.lines(i), b.lines(j)
    same_lines = old & new
    if in_order <= ENOUGH:
        # A cell that lies within the other, as after a split or merge, is alike in spite of size.
        within = sum(map(len, same_lines)) / max(1, min(sum(map(len, old)), sum(map(len, new))))
        if shorter >= MANY_WORDS:
            within = max(within, common / shorter)
        in_order = max(in_order, (in_order + within) / 2)
    if min(len(old), len(new)) <= 1:  # of one line alone an edit leaves no whole line
        return (in_order + by_words) / 2
    return (in_order + by_words + 2 * len(same_lines) / (len(old) + len(new))) / 3


def _weight(kinds: Iterable[str]) -> float:
    """How much different words say: names by their length, signs next to nothing."""
    return sum([len(kind) if kind.isidentifier() else 0.5 for kind in kinds])


def worth_comparing(
    a: Cells, b: Cells, rows: Sequence[int], columns: Sequence[int], work: Work
) -> Iterable[tuple[int, int]]:
    """Every pair of a small gap; of a large one those that share the most of their rarer words."""
    if len(rows) * len(columns) <= SMALL_GAP:
        return ((i, j) for i in rows for j in columns)
    characters = sum(a.size(i) for i in rows) + sum(b.size(j) for j in columns)
    if not work.spend(3 * characters):
        return []
    cells_with: dict[str, list[int]] = defaultdict(list)
    for i in rows:
        for word in a.kinds(i):
            cells_with[word].append(i)
    found = []
    scale = len(rows) / len(columns)
    for n, j in enumerate(columns):
        score: dict[int, int] = defaultdict(int)  # whole numbers: their sum has no order
        for word in b.kinds(j):
            holders = cells_with.get(word)
            if holders and len(holders) <= COMMON_WORD:
                worth = 1000 * len(word) // len(holders)
                for i in holders:
                    score[i] += worth
        nearest = sorted(score, key=lambda i: (-score[i], i))[:NEAREST]
        level = rows[min(len(rows) - 1, int(n * scale))]
        if level not in nearest:
            nearest.append(level)
        found += [(i, j) for i in nearest]
    return found
