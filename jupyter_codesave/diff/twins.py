"""Cells that nothing was done to: equal in all they hold, under the same id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .normalize import DERIVED_ID, Json

TURN = 200  # cells


def find_twins(base: Sequence[Json], head: Sequence[Json]) -> list[int]:
    """For each cell of head the cell of base that is its twin, or -1.

    Where a source repeats, derived ids only count its cells: those have no twins, for without the
    first of them each would be taken for the one before.
    """
    index: dict[str, int] = {}
    twins = [-1] * len(head)
    names: list[str] = []
    # In turns, so that what answers each other is in the processor's cache together.
    for turn in range(0, max(len(base), len(head)), TURN):
        for i, cell in enumerate(base[turn : turn + TURN], turn):
            index[cell["id"]] = i
        for j, cell in enumerate(head[turn : turn + TURN], turn):
            name = cell["id"]
            names.append(name)
            at = index.get(name)
            if at is not None and base[at] == cell:
                twins[j] = at
    for j, name in enumerate(names):
        if twins[j] < 0 and name in index and base[index[name]] == head[j]:
            twins[j] = index[name]
    repeated = _repeated(index) | _repeated(names)
    if not repeated:
        return twins
    return [-1 if name[:16] in repeated else i for name, i in zip(names, twins, strict=True)]


def _repeated(names: Iterable[str]) -> set[str]:
    """What the derived ids of repeated sources begin with."""
    return {name[:16] for name in names if len(name) > 16 and DERIVED_ID.match(name)}
