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
WEIGHED = 4  # cells of a run up to which each is weighed; of more
TYPICAL = 4.0  # each weighs as much, which is 120 characters
COMMON_WORD = 40  # cells a word may be in and still say something in a large gap


class Numbers:
    """A number for each different source of a type, from 0: the same on two sides."""

    def __init__(self) -> None:
        self.by_type: dict[str, dict[str, int]] = {"code": {}, "markdown": {}, "raw": {}}
        self.total = 0


class Look:
    """The words and lines of a cell, each worked out when first asked for."""

    __slots__ = ("_bag", "_lines", "_weight", "kinds", "source", "words")

    def __init__(self, source: str) -> None:
        self.source = source[:LONGEST]
        self.words: list[str] = _WORDS.findall(self.source)  # signs too, without spaces
        self.kinds = frozenset(self.words)
        self._weight: float | None = None
        self._bag: Counter[str] | None = None
        self._lines: frozenset[str] | None = None

    @property
    def weight(self) -> float:
        """How much the different words say together."""
        if self._weight is None:
            self._weight = _weight(self.kinds)
        return self._weight

    @property
    def bag(self) -> Counter[str]:
        """How often each word is there."""
        if self._bag is None:
            self._bag = Counter(self.words)
        return self._bag

    @property
    def lines(self) -> frozenset[str]:
        """The lines that say something, without indentation."""
        if self._lines is None:
            stripped = map(str.strip, self.source.splitlines())
            self._lines = frozenset([line for line in stripped if line.strip(BRACKETS)])
        return self._lines


class Cells:
    """One side of an alignment: what it asks of cells, worked out once.

    A cell without a twin has the number of its source for its key, of which `count` says how often
    it is there. `keys` holds those of the twins already, below zero.
    """

    def __init__(self, cells: Sequence[Json], keys: list[int], numbers: Numbers) -> None:
        self.cells = cells
        self.keys = keys  # equal where type and source are
        self.ids: list[str | None] = [None] * len(cells)  # None also where normalizing gave it
        by_type, total = numbers.by_type, numbers.total
        left = [index for index, key in enumerate(keys) if key >= 0]
        for index in left:  # each cell is looked at once: memory is slower than all the rest
            cell = cells[index]
            key = by_type[cell["cell_type"]].setdefault(cell["source"], total)
            if key == total:
                total += 1
            keys[index] = key
            name = cell["id"]
            if len(name) < 16 or not DERIVED_ID.match(name):
                self.ids[index] = name
        numbers.total = total
        self.count = [0] * total
        for index in left:
            self.count[keys[index]] += 1
        self.index = {name: n for n, name in enumerate(self.ids) if name is not None}
        self._looks: dict[int, Look] = {}

    def cell_type(self, index: int) -> str:
        """Code, markdown or raw."""
        cell_type: str = self.cells[index]["cell_type"]
        return cell_type

    def look(self, index: int) -> Look:
        """A closer look at a cell, kept until it is forgotten."""
        found = self._looks.get(index)
        if found is None:
            found = self._looks[index] = Look(self.cells[index]["source"])
        return found

    def forget(self, index: int) -> None:
        """Free the memory of a look: the next one then takes what is still in the cache."""
        self._looks.pop(index, None)

    def size(self, index: int) -> int:
        """How many characters of a cell are looked at."""
        return min(len(self.cells[index]["source"]), LONGEST)

    def mass(self, index: int, count: int = 1) -> float:
        """How much a pairing of these cells weighs: 1 for an empty one, 11 for a long one."""
        if count > WEIGHED:
            return count * TYPICAL
        sizes = [len(cell["source"]) for cell in self.cells[index : index + count]]
        return count + sum([min(size, 400) for size in sizes]) / 40.0


def likeness(a: Cells, b: Cells, i: int, j: int, work: Work) -> float:
    """From 0 to 1: how much two cells have in common, on the mean of three ways to see it.

    The words and signs in their order; the different words by their lengths, for long ones are
    rarer; and whole lines, so that one long new line does not hide three that stayed.
    """
    if a.cell_type(i) != b.cell_type(j):
        return 0.0
    if not work.spend(COMPARING + (a.size(i) + b.size(j)) // 8):
        return 0.0
    x, y = a.look(i), b.look(j)
    if not x.words or not y.words:
        return 0.0
    shared = x.kinds & y.kinds
    if len(shared) < LEAST * (len(x.kinds) + len(y.kinds)) / 2:
        return 0.0
    sizes = len(x.words), len(y.words)
    if sizes[0] * sizes[1] <= EXACT_WORDS:
        common = common_length(x.words, y.words)
    else:
        common = (x.bag & y.bag).total()
    in_order = 2 * common / sum(sizes)
    weight = x.weight + y.weight
    by_words = 2 * _weight(shared) / weight if weight else in_order
    old, new = x.lines, y.lines
    same_lines = old & new
    if in_order <= ENOUGH:
        # A cell that lies within the other, as after a split or merge, is alike in spite of size.
        within = sum(map(len, same_lines)) / max(1, min(sum(map(len, old)), sum(map(len, new))))
        if min(sizes) >= MANY_WORDS:
            within = max(within, common / min(sizes))
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
        for word in a.look(i).kinds:
            cells_with[word].append(i)
    found = []
    scale = len(rows) / len(columns)
    for n, j in enumerate(columns):
        score: dict[int, int] = defaultdict(int)  # whole numbers: their sum has no order
        for word in b.look(j).kinds:
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
