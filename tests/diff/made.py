"""Notebooks made on purpose, and edits of them whose true pairing of cells is known."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
Edited = tuple[Json, list[int | None]]  # head, and for each of its cells the cell of base

NAMES = [
    "data",
    "frame",
    "model",
    "train",
    "test",
    "score",
    "loss",
    "batch",
    "layer",
    "image",
    "label",
    "index",
    "value",
    "result",
    "weight",
    "sample",
    "feature",
    "column",
    "row",
    "total",
    "mean",
    "price",
    "date",
    "user",
    "item",
    "query",
    "token",
    "vector",
    "matrix",
    "graph",
    "node",
    "edge",
    "path",
    "config",
    "plot",
    "axis",
    "figure",
    "color",
    "width",
    "height",
    "size",
    "step",
    "rate",
    "error",
    "signal",
    "noise",
]
CALLS = [
    "load",
    "read_csv",
    "fit",
    "predict",
    "transform",
    "merge",
    "groupby",
    "reshape",
    "concat",
    "plot",
    "describe",
    "head",
    "drop",
    "fillna",
    "apply",
    "astype",
    "sort_values",
    "append",
    "split",
    "join",
    "normalize",
    "evaluate",
    "compile",
    "save",
    "scatter",
]
PROSE = [
    "the",
    "of",
    "and",
    "we",
    "can",
    "see",
    "that",
    "this",
    "model",
    "shows",
    "how",
    "values",
    "change",
    "with",
    "time",
    "because",
    "each",
    "row",
    "has",
    "its",
    "own",
    "label",
    "which",
    "is",
    "why",
    "training",
    "takes",
    "longer",
    "than",
    "expected",
    "for",
    "larger",
    "samples",
]


def statement(rng: random.Random) -> str:
    """One line of code."""
    a, b, c = (rng.choice(NAMES) + rng.choice(["", "", "s", "_2", "_new"]) for _ in range(3))
    f, g = rng.choice(CALLS), rng.choice(CALLS)
    n = rng.choice([1, 2, 5, 10, 0.1, 0.5, 100, 42, 256])
    return rng.choice(
        [
            f"{a} = {b}.{f}({c}, {n})",
            f"{a}_{b} = {f}({c}[{n!r}:])",
            f"print({a}.{f}({n}))",
            f"{a}['{b}'] = {c}['{rng.choice(NAMES)}'] * {n}",
            f"assert {a}.shape[0] == {n}",
            f"for {a} in {b}.{g}():\n    {c}.{f}({a}, {rng.choice(NAMES)}={n})",
            f"import {a} as {b}",
            f"def {f}_{a}({b}, {c}={n}):\n    return {b}.{g}({c})",
        ]
    )


def source(rng: random.Random, code: bool = True) -> str:
    """The source of one cell, one to a dozen lines."""
    if code:
        return "\n".join(statement(rng) for _ in range(rng.choice([1, 1, 2, 3, 4, 5, 8])))
    length = rng.choice([4, 8, 15, 40])
    return rng.choice(["# ", "## ", "", ""]) + " ".join(rng.choice(PROSE) for _ in range(length))


def stream(text: str, name: str = "stdout") -> Json:
    """A stream output."""
    return {"output_type": "stream", "name": name, "text": text}


def cell(rng: random.Random, cell_id: str | None = None) -> Json:
    """One cell, two of three with code, half of those with an output."""
    code = rng.random() < 0.67
    made: Json = {
        "cell_type": "code" if code else "markdown",
        "metadata": {},
        "source": source(rng, code),
    }
    if code:
        outputs = [stream(" ".join(rng.choice(PROSE) for _ in range(12)) + "\n")]
        made["outputs"] = outputs if rng.random() < 0.5 else []
        made["execution_count"] = rng.randrange(200)
    if cell_id is not None:
        made["id"] = cell_id
    return made


def code_cell(text: str, *outputs: Json, **more: Any) -> Json:
    """A code cell of this source and these outputs."""
    made = {"cell_type": "code", "metadata": {}, "source": text, "outputs": list(outputs)}
    return {**made, "execution_count": None, **more}


def notebook(cells: list[Json]) -> Json:
    """A notebook of these cells."""
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def some_notebook(rng: random.Random, count: int, ids: bool = True) -> Json:
    """A notebook of `count` cells."""
    return notebook([cell(rng, fresh_id(rng) if ids else None) for _ in range(count)])


def fresh_id(rng: random.Random) -> str:
    """An id as JupyterLab gives."""
    return f"{rng.randrange(16**8):08x}"


def changed(rng: random.Random, text: str) -> str:
    """The text with a small edit: a word, a number, a line more or less."""
    lines = text.splitlines(True) or [""]
    at = rng.randrange(len(lines))
    kind = rng.random()
    if kind < 0.3:
        lines.insert(at, statement(rng) + "\n")
    elif kind < 0.45 and len(lines) > 2:
        del lines[at]
    else:
        name = rng.choice(list(re.finditer(r"[A-Za-z0-9]+|^", lines[at])))
        new = rng.choice(NAMES) + str(rng.randrange(10))
        lines[at] = lines[at][: name.start()] + new + lines[at][name.end() :]
    return "".join(lines)


def _insert(rng: random.Random, cells: list[Json], origin: list[int | None]) -> None:
    at = rng.randrange(len(cells) + 1)
    cells.insert(at, cell(rng, fresh_id(rng)))
    origin.insert(at, None)


def _remove(rng: random.Random, cells: list[Json], origin: list[int | None]) -> None:
    at = rng.randrange(len(cells))
    del cells[at], origin[at]


def _move(rng: random.Random, cells: list[Json], origin: list[int | None]) -> None:
    at = rng.randrange(len(cells))
    moved, was = cells.pop(at), origin.pop(at)
    to = rng.randrange(len(cells) + 1)
    cells.insert(to, moved)
    origin.insert(to, was)


def _edit(rng: random.Random, cells: list[Json], origin: list[int | None]) -> None:
    at = rng.randrange(len(cells))
    cells[at]["source"] = changed(rng, cells[at]["source"])


def _rewrite(rng: random.Random, cells: list[Json], origin: list[int | None]) -> None:
    at = rng.choice([n for n, c in enumerate(cells) if "\n" in c["source"]])
    lines = cells[at]["source"].splitlines(True)
    kept = lines[: max(1, (2 * len(lines)) // 3)]
    cells[at]["source"] = "".join(kept).rstrip("\n") + "\n" + statement(rng)


def _split(rng: random.Random, cells: list[Json], origin: list[int | None]) -> None:
    long = [n for n, c in enumerate(cells) if c["source"].count("\n") > 2]
    if not long:
        return
    at = rng.choice(long)
    lines = cells[at]["source"].splitlines(True)
    cut = next(
        n for n in range(len(lines)) if 5 * len("".join(lines[:n])) > 3 * len("".join(lines))
    )
    if cut == len(lines):
        return
    second = {**copy.deepcopy(cells[at]), "id": fresh_id(rng), "source": "".join(lines[cut:])}
    cells[at]["source"] = "".join(lines[:cut]).rstrip("\n")
    cells.insert(at + 1, second)
    origin.insert(at + 1, None)


def _merge(rng: random.Random, cells: list[Json], origin: list[int | None]) -> None:
    at = rng.randrange(len(cells) - 1)
    first, second = cells[at], cells[at + 1]
    if first["cell_type"] != second["cell_type"]:
        return
    longer = 0 if len(first["source"]) >= len(second["source"]) else 1
    text = first["source"].rstrip("\n") + "\n" + second["source"]
    kept = (first, second)[longer]
    cells[at : at + 2] = [{**kept, "source": text}]
    origin[at : at + 2] = [origin[at + longer]]


def _rerun(rng: random.Random, cells: list[Json], origin: list[int | None]) -> None:
    for one in cells:
        if one["cell_type"] == "code":
            one["execution_count"] = rng.randrange(1000)
            one["outputs"] = [stream(f"took {rng.random()} s\n")] if one["outputs"] else []


def _new_ids(rng: random.Random, cells: list[Json], origin: list[int | None]) -> None:
    for one in cells:
        one["id"] = fresh_id(rng)


def _permuted_ids(rng: random.Random, cells: list[Json], origin: list[int | None]) -> None:
    ids = [one["id"] for one in cells]
    rng.shuffle(ids)
    for one, new in zip(cells, ids, strict=True):
        one["id"] = new


EDITS: dict[str, Callable[[random.Random, list[Json], list[int | None]], None]] = {
    "insert": _insert,
    "remove": _remove,
    "move": _move,
    "edit": _edit,
    "rewrite": _rewrite,
    "split": _split,
    "merge": _merge,
    "rerun": _rerun,
    "new ids": _new_ids,
    "permuted ids": _permuted_ids,
}


def edited(rng: random.Random, base: Json, *kinds: str, times: int = 1) -> Edited:
    """`base` after edits of these kinds, and from which of its cells each cell of head comes."""
    cells = copy.deepcopy(base["cells"])
    origin: list[int | None] = list(range(len(cells)))
    for _ in range(times):
        for kind in kinds:
            EDITS[kind](rng, cells, origin)
    return {**base, "cells": cells}, origin


def session(rng: random.Random, count: int) -> Json:
    """A session notebook: `count` executions of a few dozen cells, edited and run again."""
    sources = [source(rng) for _ in range(40)]
    ids = [fresh_id(rng) for _ in sources]
    runs = [0] * len(sources)
    cells = []
    for n in range(1, count + 1):
        at = min(rng.randrange(n), 39) if n > 40 else n - 1
        if rng.random() < 0.3:
            sources[at] = changed(rng, sources[at])
        runs[at] += 1
        name = ids[at] if runs[at] == 1 else f"{ids[at]}-{runs[at]}"
        noted = {"execution": n, "cell_id": ids[at], "status": "ok", "store_history": True}
        output = stream("".join(f"epoch {k} loss {rng.random():.4f}\n" for k in range(8)))
        made = code_cell(sources[at], output, id=name, metadata={"codesave": noted})
        cells.append({**made, "execution_count": n})
    return notebook(cells)
