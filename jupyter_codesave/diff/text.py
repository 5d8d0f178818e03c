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


def diff_lines(base: str, head: str, work: Work) -> list[Op]:
    """What nbdime's string patch needs to make `head` of `base`: lines, and words where alike."""
    if base == head:
        return []
    a, b = base.splitlines(True), head.splitlines(True)
    ops: list[Op] = []
    for i0, i1, j0, j1 in gaps(matching_blocks(a, b, work), len(a), len(b)):
        i, j = i0, j0
        for p, q in _alike(a[i0:i1], b[j0:j1], work):
            ops += replaced(i, i0 + p, b[j : j0 + q])
            words = _word_ops(a[i0 + p], b[j0 + q], work)
            if words is None:
                ops += replaced(i0 + p, i0 + p + 1, [b[j0 + q]])
            elif words:
                ops.append({"op": "patch", "key": i0 + p, "diff": words})
            i, j = i0 + p + 1, j0 + q + 1
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


def word_marks(base: str, head: str, work: Work) -> tuple[list[Span], list[Span]]:
    """What differs in two lines, as character spans of each; whole lines if nothing is alike."""
    ops = _word_ops(base, head, work)
    if ops is None:
        return [(0, len(base))], [(0, len(head))]
    removed, added, shift = [], [], 0
    for op in ops:
        start = op["key"]
        if op["op"] == "removerange":
            removed.append((start, start + op["length"]))
            shift -= op["length"]
        else:
            length = len(op["valuelist"])
            added.append((start + shift, start + shift + length))
            shift += length
    return removed, added


def likeness(base: str, head: str) -> float:
    """From 0 to 1: how many characters stand in words that two lines have in common, in order."""
    if base == head:
        return 1.0
    a, b = words(base), words(head)
    shared = set(a) & set(b)
    a, b = [w for w in a if w in shared], [w for w in b if w in shared]
    if not a or not b:
        return 0.0
    common = sum(sum(map(len, a[i : i + n])) for i, _, n in matching_blocks(a, b, Work(100_000)))
    return 2 * common / (len(base) + len(head))


def likeness_of_texts(base: str, head: str) -> float:
    """From 0 to 1: how many lines of two texts are the same lines, wherever they stand."""
    a, b = Counter(base.splitlines()), Counter(head.splitlines())
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else 0.0


def _alike(a: list[str], b: list[str], work: Work) -> list[tuple[int, int]]:
    """Which changed lines answer which: increasing pairs worth marking by words."""
    n, m = len(a), len(b)
    if not n or not m:
        return []
    if n * m > 256 and n != m:
        return []
    if n * m > 256 or n == 1 == m:
        if not work.spend(100 * n):
            return []
        return [(i, i) for i in range(n) if _worth(a[i], b[i]) >= ALIKE]
    if not work.spend(100 * n * m):
        return []
    best = [[0.0] * (m + 1) for _ in range(n + 1)]
    grid = [[_worth(x, y) for y in b] for x in a]
    for i in range(n - 1, -1, -1):
        for j in range(m - 1, -1, -1):
            match = grid[i][j]
            with_match = best[i + 1][j + 1] + match if match >= ALIKE else 0.0
            best[i][j] = max(with_match, best[i + 1][j], best[i][j + 1])
    pairs = []
    i = j = 0
    while i < n and j < m:
        if grid[i][j] >= ALIKE and best[i][j] == best[i + 1][j + 1] + grid[i][j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _worth(x: str, y: str) -> float:
    shorter, longer = sorted((len(x), len(y)))
    if longer > LONGEST_MARKED or 2 * shorter < ALIKE * (shorter + longer):
        return 0.0
    if longer > 2000:
        return 1.0  # telling how alike would cost as much as the marks themselves
    return likeness(x, y)


def _word_ops(base: str, head: str, work: Work) -> list[Op] | None:
    """Character operations from one line to another; None where the line is better replaced."""
    longer = max(len(base), len(head))
    if longer > LONGEST_MARKED or not work.spend(5 * longer):
        return None
    # Characters beyond U+FFFF count twice in JavaScript: no key within such a line is safe.
    if not (base.isascii() and head.isascii()) and max(base + head, default="") > "\uffff":
        return None
    a, b = words(base), words(head)
    ops: list[Op] = []
    at = 0
    done = 0
    for i0, i1, j0, j1 in gaps(matching_blocks(a, b, work), len(a), len(b)):
        at += sum(map(len, a[done:i0]))
        length = sum(map(len, a[i0:i1]))
        ops += replaced(at, at + length, "".join(b[j0:j1]))
        at += length
        done = i1
    return ops
