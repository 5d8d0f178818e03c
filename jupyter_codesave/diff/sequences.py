"""The longest common subsequence of two sequences, within a budget of work.

One algorithm for lines, words, outputs and cells: equal ends are cut off, elements that only one
side has are left out, then a bit-parallel LCS (Hyyrö 2004) on Python's own big integers, which is
exact. Where that would be too much, elements that occur once on both sides divide the sequences
first (patience), and where there are none, the middle does: coarser, still common.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence

Block = tuple[int, int, int]  # start in base, start in head, length
Gap = tuple[int, int, int, int]  # start and stop in base, start and stop in head

PREPARING = 8  # steps for each element that is not at an equal end
SMALL = 2_500  # product of lengths below which preparing would cost more than the LCS
EXACT = 16_000_000  # product of lengths up to which the exact LCS is taken at once


class Work:
    """A budget in elementary steps (about 0.1 µs each): counted, never timed, so repeatable."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.truncated = False

    def spend(self, steps: int) -> bool:
        """Take `steps` from the budget; False, and `truncated`, if there are not so many left."""
        if steps > self.left:
            self.truncated = True
            return False
        self.left -= steps
        return True


def matching_blocks(base: Sequence[Hashable], head: Sequence[Hashable], work: Work) -> list[Block]:
    """The runs of equal elements that base and head share, in order, maximal and not adjacent."""
    low, top_base, top_head = _trimmed(base, head)
    pairs: list[tuple[int, int]] = []
    if (top_base - low) * (top_head - low) <= SMALL:
        if low < top_base and low < top_head:
            found = _exact(base[low:top_base], head[low:top_head])
            pairs = [(low + i, low + j) for i, j in found]
    elif work.spend(PREPARING * (top_base + top_head - 2 * low)):
        shared = set(base[low:top_base]).intersection(head[low:top_head])
        if shared:
            kept_base = [i for i in range(low, top_base) if base[i] in shared]
            kept_head = [j for j in range(low, top_head) if head[j] in shared]
            numbers = {element: n for n, element in enumerate(shared)}
            a = [numbers[base[i]] for i in kept_base]
            b = [numbers[head[j]] for j in kept_head]
            pairs = [(kept_base[i], kept_head[j]) for i, j in _common(a, b, work)]
    tail = (top_base, top_head, len(base) - top_base)
    return joined([(0, 0, low), *runs(pairs), tail])


def _trimmed(base: Sequence[Hashable], head: Sequence[Hashable]) -> tuple[int, int, int]:
    """Where the first difference is, and where the last one ends on either side."""
    low, top_base, top_head = 0, len(base), len(head)
    # Long equal ends are compared slice by slice, which costs next to nothing.
    longest = 1 << 14 if min(top_base, top_head) > 64 else 1
    stride = longest
    while stride:
        while (
            low + stride <= min(top_base, top_head)
            and base[low : low + stride] == head[low : low + stride]
        ):
            low += stride
        stride >>= 2
    stride = longest
    while stride:
        while (
            stride <= min(top_base, top_head) - low
            and base[top_base - stride : top_base] == head[top_head - stride : top_head]
        ):
            top_base -= stride
            top_head -= stride
        stride >>= 2
    return low, top_base, top_head


def runs(pairs: Iterable[tuple[int, int]]) -> list[Block]:
    """Pairs as blocks: those that follow each other without a gap are one."""
    return joined((i, j, 1) for i, j in pairs)


def joined(blocks: Iterable[Block]) -> list[Block]:
    """The blocks without empty ones, those that follow each other without a gap made one."""
    found: list[Block] = []
    start = head_start = length = 0
    for i, j, n in blocks:
        if i == start + length and j == head_start + length:
            length += n
        else:
            if length:
                found.append((start, head_start, length))
            start, head_start, length = i, j, n
    if length:
        found.append((start, head_start, length))
    return found


def gaps(blocks: Iterable[Block], n: int, m: int) -> Iterator[Gap]:
    """What lies between the blocks."""
    i = j = 0
    for start, head_start, length in [*blocks, (n, m, 0)]:
        if i < start or j < head_start:
            yield i, start, j, head_start
        i, j = start + length, head_start + length


def increasing(values: Sequence[int]) -> list[int]:
    """Positions of a longest strictly increasing subsequence of `values`."""
    tails: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for position, value in enumerate(values):
        k = bisect_left(tails, value)
        before.append(at[k - 1] if k else -1)
        if k == len(tails):
            tails.append(value)
            at.append(position)
        else:
            tails[k] = value
            at[k] = position
    chain = []
    position = at[-1] if at else -1
    while position >= 0:
        chain.append(position)
        position = before[position]
    return chain[::-1]


def _common(a: Sequence[int], b: Sequence[int], work: Work) -> list[tuple[int, int]]:
    """Pairs of equal elements, increasing; the longest such list wherever it can be afforded."""
    pairs: list[tuple[int, int]] = []
    waiting = [(0, len(a), 0, len(b))]
    while waiting:  # a stack, topmost the leftmost: no recursion however long the input
        a0, a1, b0, b1 = waiting.pop()
        while a0 < a1 and b0 < b1 and a[a0] == b[b0]:
            pairs.append((a0, b0))
            a0 += 1
            b0 += 1
        tail = 0
        while a0 < a1 - tail and b0 < b1 - tail and a[a1 - 1 - tail] == b[b1 - 1 - tail]:
            tail += 1
        if tail:
            waiting.append((a1 - tail, a1, b1 - tail, b1))
            a1 -= tail
            b1 -= tail
        if a0 == a1 or b0 == b1:
            continue
        if tail:
            waiting.append((a0, a1, b0, b1))
            continue
        n, m = a1 - a0, b1 - b0
        if n * m <= EXACT and work.spend(m * (20 + n // 50)):
            pairs += [(a0 + i, b0 + j) for i, j in _exact(a[a0:a1], b[b0:b1])]
            continue
        count_a, count_b = Counter(a[a0:a1]), Counter(b[b0:b1])
        once = {x: j for j, x in enumerate(b[b0:b1], b0) if count_b[x] == 1 == count_a[x]}
        anchors = [(i, once[a[i]]) for i in range(a0, a1) if a[i] in once]
        if not work.spend(n + m):
            continue
        if anchors:
            anchors = [anchors[k] for k in increasing([j for _, j in anchors])]
        else:
            work.truncated = True
            if n < 2 or m < 2:
                continue
            middle = (a0 + n // 2, b0 + m // 2)
            waiting.append((middle[0], a1, middle[1], b1))
            waiting.append((a0, middle[0], b0, middle[1]))
            continue
        gaps = []
        for i, j in anchors:
            gaps.append((a0, i, b0, j))
            gaps.append((i, i + 1, j, j + 1))
            a0, b0 = i + 1, j + 1
        gaps.append((a0, a1, b0, b1))
        waiting += reversed(gaps)
    return pairs


def _exact(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    where: dict[Hashable, int] = {}
    for i, x in enumerate(a):
        where[x] = where.get(x, 0) | (1 << i)
    full = (1 << len(a)) - 1
    row = full
    rows = []
    for y in b:
        matches = row & where.get(y, 0)
        row = ((row + matches) | (row - matches)) & full
        rows.append(row)
    pairs = []
    i, j = len(a), len(b)
    while i and j:
        # A zero bit i-1 in row j: the LCS grows there by one element.
        if rows[j - 1] >> (i - 1) & 1:
            i -= 1
        elif j > 1 and not rows[j - 2] >> (i - 1) & 1:
            j -= 1
        else:
            i -= 1
            j -= 1
            pairs.append((i, j))
    return pairs[::-1]


def common_length(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """The length of the longest common subsequence; exact, `len(a) * len(b) / 30` steps."""
    if len(a) > len(b):
        a, b = b, a
    where: dict[Hashable, int] = {}
    for i, x in enumerate(a):
        where[x] = where.get(x, 0) | (1 << i)
    full = (1 << len(a)) - 1
    row = full
    for y in b:
        matches = where.get(y)
        if matches:
            matches &= row
            row = ((row + matches) | (row - matches)) & full
    return len(a) - row.bit_count()
