"""Cells that nothing was done to: equal in all they hold, under the same id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .normalize import DERIVED_ID, Json


def find_twins(base: Sequence[Json], head: Sequence[Json]) -> list[int]:
    """For each cell of head the cell of base that is its twin, or -1.

    Where a source repeats, derived ids only count its cells: those have no twins, for without the
    first of them each would be taken for the one before.
    """
    index = {cell["id"]: i for i, cell in enumerate(base)}
    twins = [-1] * len(head)
    names = []
    for j, cell in enumerate(head):
        name = cell["id"]
        names.append(name)
        i = index.get(name)
        if i is not None and base[i] == cell:
            twins[j] = i
    repeated = _repeated(index) | _repeated(names)
    if not repeated:
        return twins
    return [-1 if name[:16] in repeated else i for name, i in zip(names, twins, strict=True)]


def _repeated(names: Iterable[str]) -> set[str]:
    """What the derived ids of repeated sources begin with."""
    return {name[:16] for name in names if len(name) > 16 and DERIVED_ID.match(name)}
