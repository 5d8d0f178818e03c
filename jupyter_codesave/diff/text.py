"""Two texts compared: by lines as Python's `splitlines(True)` sees them, by words within lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .sequences import Block, Work, gaps, matching_blocks

Op = dict[str, Any]  # one entry of nbdime's diff format
Span = tuple[int, int]

CONTEXT = 3  # unchanged lines around a change in a unified diff
ALIKE = 0.5  # of two lines' characters that must be common for word marks to help
LONGEST_MARKED = 100_000  # characters; longer lines are replaced as a whole
MARKED = 400  # lines of one text marked by words; what changed more is shown line by line
FEW_MARKS = 4  # a line may have these many, and one more for each so many of its characters;
MARK = 40  # with more a whole new line is shorter, and easier to read
SMALL_GAP = 256  # product of line counts up to which every pair of changed lines is compared
WORDS_COMPARED = 2_000_000  # steps for one pair of lines
BINARY_WINDOW = 8192  # bytes looked at, as git does

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True)
class TextDiff:
    """A unified diff (empty if equal), how many lines it adds and removes, and if it is coarse."""

    diff: str
    added: int
    removed: int
    truncated: bool


def decoded(content: bytes) -> str | None:
    """The text in `content`, or None if it is binary: a NUL near its start, or not UTF-8."""
    if b"\0" in content[:BINARY_WINDOW]:
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def diff_texts(
    base: str,
    head: str,
    work: Work,
    base_name: str = "base",
    head_name: str = "head",
) -> TextDiff:
    """The unified diff of two texts; split it by `splitlines(True)`, as its lines were."""
    if base == head:
        return TextDiff("", 0, 0, False)
    a, b = base.splitlines(True), head.splitlines(True)
    before = work.truncated
    work.truncated = False
    blocks = matching_blocks(a, b, work)
    truncated = work.truncated
    work.truncated = before or truncated
    out = [f"--- {base_name}\n", f"+++ {head_name}\n"]
    for hunk in _hunks(blocks, len(a), len(b)):
        (i0, i1), (j0, j1) = (hunk[0][0], hunk[-1][1]), (hunk[0][2], hunk[-1][3])
        out.append(f"@@ -{_range(i0, i1)} +{_range(j0, j1)} @@\n")
        for start, stop, head_start, head_stop, equal in hunk:
            if equal:
                out += [_line(" ", line) for line in a[start:stop]]
            else:
                out += [_line("-", line) for line in a[start:stop]]
                out += [_line("+", line) for line in b[head_start:head_stop]]
    same = sum(n for _, _, n in blocks)
    return TextDiff("".join(out), len(b) - same, len(a) - same, truncated)


def _line(sign: str, line: str) -> str:
    ended = len(line.splitlines()[0]) < len(line)
    return sign + line if ended else f"{sign}{line}\n\\ No newline at end of file\n"


def _range(start: int, stop: int) -> str:
    if stop - start == 1:
        return str(start + 1)
    return f"{start + 1 if stop > start else start},{stop - start}"


def _hunks(blocks: list[Block], n: int, m: int) -> Iterator[list[tuple[int, int, int, int, bool]]]:
    hunk: list[tuple[int, int, int, int, bool]] = []
    i = j = 0
    for start, head_start, length in [*blocks, (n, m, 0)]:
        if i < start or j < head_start:
            hunk.append((i, start, j, head_start, False))
        i, j = start + length, head_start + length
        if not hunk:
            if i < n or j < m:
                cut = min(length, CONTEXT)
                hunk.append((i - cut, i, j - cut, j, True))
        elif (i == n and j == m) or length > 2 * CONTEXT:
            cut = min(length, CONTEXT)
            if cut:
                hunk.append((start, start + cut, head_start, head_start + cut, True))
            yield hunk
            hunk = []
            if i < n or j < m:
                hunk.append((i - CONTEXT, i, j - CONTEXT, j, True))
        else:
            hunk.append((start, i, head_start, j, True))


def diff_lines(base: str, head: str, work: Work, marks: int = MARKED) -> list[Op]:
    """What nbdime's string patch needs to make `head` of `base`: lines, and words where alike.

    At most `marks` lines are told by their words.
    """
    if base == head:
        return []
    a, b = base.splitlines(True), head.splitlines(True)
    if not work.spend(400):
        return replaced(0, len(a), b)
    ops: list[Op] = []
    for i0, i1, j0, j1 in gaps(matching_blocks(a, b, work), len(a), len(b)):
        i, j = i0, j0
        for p, q, inner in _alike(a[i0:i1], b[j0:j1], marks, work):
            ops += replaced(i, i0 + p, b[j : j0 + q])
            ops.append({"op": "patch", "key": i0 + p, "diff": inner})
            i, j = i0 + p + 1, j0 + q + 1
            marks -= 1
        ops += replaced(i, i1, b[j:j1])
    return ops


def replaced(start: int, stop: int, values: Any) -> list[Op]:
    """nbdime's operations for `values` in the place of `start:stop`; either may be empty."""
    ops: list[Op] = []
    if values:
        ops.append({"op": "addrange", "key": start, "valuelist": values})
    if stop > start:
        ops.append({"op": "removerange", "key": start, "length": stop - start})
    return ops


def words(line: str) -> list[str]:
    """The words, spaces and signs of a line; joined they are the line."""
    return _WORDS.findall(line)


def word_marks(base: str, head: str) -> tuple[list[Span], list[Span]]:
    """What differs in two lines, as character spans of each; whole lines if little is alike."""
    if max(len(base), len(head)) > LONGEST_MARKED:
        return [(0, len(base))], [(0, len(head))]
    removed: list[Span] = []
    added: list[Span] = []
    a, b = words(base), words(head)
    blocks, common = _common_words(a, b)
    if 2 * common < ALIKE * (len(base) + len(head)):
        return [(0, len(base))], [(0, len(head))]
    for start, stop, head_start, head_stop in _spans(a, b, blocks):
        if start < stop:
            removed.append((start, stop))
        if head_start < head_stop:
            added.append((head_start, head_stop))
    return removed, added


def likeness_of_texts(base: str, head: str) -> float:
    """From 0 to 1: how many lines of two texts are the same lines, wherever they stand."""
    a, b = Counter(base.splitlines()), Counter(head.splitlines())
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else 0.0


def _alike(
    a: list[str], b: list[str], most: int, work: Work
) -> Iterator[tuple[int, int, list[Op]]]:
    """Which changed lines answer which, in order, with what makes one of the other by words."""
    n, m = len(a), len(b)
    if not n or not m or most <= 0 or (n * m > SMALL_GAP and n != m):
        return
    if n * m > SMALL_GAP:
        a, b = a[:most], b[:most]
        n = m = len(a)
    if not work.spend((sum(map(len, a)) + sum(map(len, b))) // 2):
        return
    split_a: list[list[str]] = [words(line) if len(line) <= LONGEST_MARKED else [] for line in a]
    split_b: list[list[str]] = [words(line) if len(line) <= LONGEST_MARKED else [] for line in b]
    if not work.spend(2 * sum(map(len, split_a)) + 2 * sum(map(len, split_b)) + 10 * n * m):
        return
    if n == m and (n * m > SMALL_GAP or n == 1):
        pairs = [(i, i) for i in range(min(n, most))]
    else:
        pairs = _best_path(_shared(split_a, split_b, a, b))
    for i, j in pairs[:most]:
        x, y = split_a[i], split_b[j]
        if not x or not y or not work.spend(40 + len(x) * len(y) // 50):
            continue
        blocks, common = _common_words(x, y)
        if 2 * common < ALIKE * (len(a[i]) + len(b[j])):
            continue
        # Characters beyond U+FFFF count twice in JavaScript: no key within such a line is safe.
        if (a[i].isascii() and b[j].isascii()) or max(a[i] + b[j]) <= "\uffff":
            ops: list[Op] = []
            for start, stop, head_start, head_stop in _spans(x, y, blocks):
                ops += replaced(start, stop, b[j][head_start:head_stop])
            if len(ops) <= FEW_MARKS + len(b[j]) // MARK:
                yield i, j, ops


def _shared(
    split_a: list[list[str]], split_b: list[list[str]], a: list[str], b: list[str]
) -> list[list[float]]:
    """How much each line of a has in common with each of b, in words of whatever order."""
    sets_a, sets_b = [frozenset(x) for x in split_a], [frozenset(y) for y in split_b]
    totals = [sum(map(len, y)) for y in sets_b]
    grid = []
    for x, line in zip(sets_a, a, strict=True):
        total = sum(map(len, x))
        row = []
        for j, y in enumerate(sets_b):
            shared = (
                sum(map(len, x & y))
                if 2 * min(len(line), len(b[j])) >= ALIKE * (len(line) + len(b[j]))
                else 0
            )
            row.append(2 * shared / (total + totals[j]) if shared else 0.0)
        grid.append(row)
    return grid


def _best_path(grid: list[list[float]]) -> list[tuple[int, int]]:
    """The increasing pairs of rows and columns whose likeness is enough and the most together."""
    n, m = len(grid), len(grid[0])
    best = [[0.0] * (m + 1) for _ in range(n + 1)]
    for i in range(n - 1, -1, -1):
        row, below, likeness = best[i], best[i + 1], grid[i]
        for j in range(m - 1, -1, -1):
            here = max(below[j], row[j + 1])
            if likeness[j] >= ALIKE and below[j + 1] + likeness[j] > here:
                here = below[j + 1] + likeness[j]
            row[j] = here
    pairs = []
    i = j = 0
    while i < n and j < m:
        if best[i][j] == best[i + 1][j]:
            i += 1
        elif best[i][j] == best[i][j + 1]:
            j += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    return pairs


def _common_words(a: list[str], b: list[str]) -> tuple[list[Block], int]:
    """The blocks of words that two lines share, and how many characters those are."""
    blocks = matching_blocks(a, b, Work(WORDS_COMPARED))
    return blocks, sum(sum(map(len, a[i : i + n])) for i, _, n in blocks)


def _spans(a: list[str], b: list[str], blocks: list[Block]) -> Iterator[tuple[int, int, int, int]]:
    """What differs between two lists of words, in characters: start and stop in each line."""
    at = head_at = done = head_done = 0
    for i0, i1, j0, j1 in gaps(blocks, len(a), len(b)):
        at += sum(map(len, a[done:i0]))
        head_at += sum(map(len, b[head_done:j0]))
        stop = at + sum(map(len, a[i0:i1]))
        head_stop = head_at + sum(map(len, b[j0:j1]))
        yield at, stop, head_at, head_stop
        at, head_at, done, head_done = stop, head_stop, i1, j1
