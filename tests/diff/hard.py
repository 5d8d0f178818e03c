"""Hard edits of any notebook, made or real, whose true pairing of cells is known.

What `made.EDITS` do to one cell at a time is done here to many that lie together: rewritten by
half, among new neighbours, beside copies of themselves, or so short that little is left to know
them by. New lines and cells come from a pool, so that they are of the same kind as the rest.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .made import NAMES, changed, code_cell, notebook

Json = dict[str, Any]

SHORT = [
    "df.head()",
    "df.info()",
    "df.describe()",
    "plt.show()",
    "len(df)",
    "df.shape",
    "model.summary()",
    "x",
    "df.columns",
]
MANY = 0.15  # of the cells that are edited


class Hard(NamedTuple):
    """Two notebooks, and for each cell of head the cell of base that it was."""

    base: Json
    head: Json
    origin: list[int | None]


class _Desk:
    """A notebook under work; cells know where they came from."""

    def __init__(self, rng: random.Random, base: Json, pool: Sequence[Json]) -> None:
        self.rng = rng
        self.base = base
        self.pool = pool
        self.cells = copy.deepcopy(base["cells"])
        self.origin: list[int | None] = list(range(len(self.cells)))

    def some(self, least_lines: int = 1) -> list[int]:
        """A few of the cells that have so many lines, as ids are: by what they came from."""
        found = [
            n
            for n, cell in enumerate(self.cells)
            if self.origin[n] is not None
            and len(cell["source"].split("\n")) >= least_lines
            and cell["source"].strip()
        ]
        count = min(len(found), max(1, round(MANY * len(found))))
        return sorted(self.rng.sample(found, count))

    def line(self) -> str:
        """A line as cells of the pool have them."""
        for _ in range(20):
            line = self.rng.choice(self.rng.choice(self.pool)["source"].splitlines() or [""])
            if len(line.strip()) > 2:
                return line
        return "pass"

    def new_cell(self) -> Json:
        cell = copy.deepcopy(self.rng.choice(self.pool))
        cell.pop("id", None)
        return cell

    def insert(self, at: int, cell: Json, origin: int | None = None) -> None:
        self.cells.insert(at, cell)
        self.origin.insert(at, origin)

    def remove(self, at: int) -> None:
        del self.cells[at], self.origin[at]

    def rewrite(self, at: int, low: float, high: float) -> None:
        """Other lines in place of this share of a cell's; a word of a short one."""
        lines = self.cells[at]["source"].split("\n")
        if len(lines) < 3:
            self.cells[at]["source"] = changed(self.rng, self.cells[at]["source"])
            return
        for k in self.rng.sample(
            range(len(lines)), round(len(lines) * self.rng.uniform(low, high))
        ):
            lines[k] = self.line()
        self.cells[at]["source"] = "\n".join(lines)

    def rerun(self, at: int) -> None:
        for output in self.cells[at].get("outputs", ()):
            if "text" in output:
                output["text"] = changed(self.rng, output["text"] or "x")


def _half(desk: _Desk) -> None:
    for at in desk.some(3):
        desk.rewrite(at, 0.4, 0.6)


def _renamed(desk: _Desk) -> None:
    """Up to three names of a cell are others now, wherever they stand in it."""
    for at in desk.some():
        source = desk.cells[at]["source"]
        names = sorted(set(re.findall(r"[A-Za-z_]\w{2,}", source))) or ["x"]
        for name in desk.rng.sample(names, min(len(names), desk.rng.randint(1, 3))):
            source = re.sub(rf"\b{name}\b", desk.rng.choice(NAMES) + "_9", source)
        desk.cells[at]["source"] = source


def _half_among_new(desk: _Desk) -> None:
    for at in reversed(desk.some(3)):
        desk.rewrite(at, 0.3, 0.6)
        desk.insert(at + desk.rng.randrange(2), desk.new_cell())


def _half_among_gone(desk: _Desk) -> None:
    for at in reversed(desk.some(3)):
        desk.rewrite(at, 0.3, 0.6)
        beside = at + desk.rng.choice([-1, 1])
        if 0 <= beside < len(desk.cells):
            desk.remove(beside)


def _short(desk: _Desk) -> None:
    """Some of the repeated one-line cells get an argument."""
    for at in range(len(desk.cells)):
        source = desk.cells[at]["source"]
        if source in SHORT and desk.rng.random() < 0.3:
            new = desk.rng.choice(["n", "20", "'a'", "test"])
            desk.cells[at]["source"] = (
                source.replace("()", f"({new})") if "()" in source else f"{source}[{new}]"
            )
            desk.rerun(at)


def _copies(desk: _Desk) -> None:
    """A cell is copied below itself and the copy edited."""
    for at in reversed(desk.some()):
        made = copy.deepcopy(desk.cells[at])
        made.pop("id", None)
        made["source"] = changed(desk.rng, made["source"])
        desk.insert(at + 1, made)
        if desk.rng.random() < 0.5:
            desk.cells[at]["source"] = changed(desk.rng, desk.cells[at]["source"])


def _stretch(desk: _Desk) -> None:
    """A few cells in a row are worked over, one goes and one comes."""
    count = min(len(desk.cells), desk.rng.randint(3, 8))
    start = desk.rng.randrange(len(desk.cells) - count + 1)
    for at in range(start, start + count):
        if desk.cells[at]["source"].strip():
            desk.rewrite(at, 0.15, 0.4)
            desk.rerun(at)
    desk.remove(desk.rng.randrange(start, start + count))
    desk.insert(desk.rng.randrange(start, start + count), desk.new_cell())


def _light(desk: _Desk) -> None:
    for at in desk.some():
        desk.cells[at]["source"] = changed(desk.rng, desk.cells[at]["source"])


def _light_and_moved(desk: _Desk) -> None:
    for at in desk.some(2)[:3]:
        if at >= len(desk.cells):
            continue
        cell, origin = desk.cells[at], desk.origin[at]
        cell["source"] = changed(desk.rng, cell["source"])
        desk.remove(at)
        desk.insert(desk.rng.randrange(len(desk.cells) + 1), cell, origin)


def _everything(desk: _Desk) -> None:
    _light(desk)
    _half_among_new(desk)
    _copies(desk)
    _light_and_moved(desk)
    _half_among_gone(desk)


HARD: dict[str, Callable[[_Desk], None]] = {
    "light": _light,
    "renamed": _renamed,
    "half": _half,
    "half, among new": _half_among_new,
    "half, among gone": _half_among_gone,
    "short": _short,
    "copies": _copies,
    "stretch": _stretch,
    "light and moved": _light_and_moved,
    "everything": _everything,
}


def hardly_edited(rng: random.Random, base: Json, kind: str, pool: Sequence[Json]) -> Hard:
    """`base` and what became of it; for short cells some are put into the base first."""
    if kind == "short":
        cells = list(base["cells"])
        for _ in range(max(4, len(cells) // 8)):
            cells.insert(rng.randrange(len(cells) + 1), code_cell(rng.choice(SHORT)))
        base = notebook(cells)
    desk = _Desk(rng, base, pool)
    HARD[kind](desk)
    return Hard(base, {**base, "cells": desk.cells}, desk.origin)
