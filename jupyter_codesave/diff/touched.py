"""The part of a notebook diff that a browser needs at first; the rest is fetched when looked at.

A cell with `"partial": true` lacks something: everything but its type, id and count of lines if
it is unchanged and far from any change, else the output values that are too large.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import UsageError
from .normalize import Json
from .text import Op

NEAR = 3  # cells shown around a change
LARGEST = 8_000  # characters of an output value sent without being asked for


def touched(
    base: Json, head: Json, cells: Sequence[Json], diff: Sequence[Op]
) -> tuple[dict[str, Json], list[Op]]:
    """`({"base": notebook, "head": notebook}, diff)`, both without what is not looked at yet.

    In the diff the same values are missing: cells and outputs in a `valuelist` are partial, and
    an operation whose `value` is too large has `"partial": true` in its place.
    """
    wanted = [n for n, cell in enumerate(cells) if cell["change"] != "unchanged"]
    near: set[int] = set()
    for n in wanted:
        near.update(range(max(0, n - NEAR), min(len(cells), n + NEAR + 1)))
    sides = {}
    for side, notebook in (("base", base), ("head", head)):
        whole = {cells[n][side] for n in near}
        sides[side] = {
            **notebook,
            "cells": [
                _light(cell) if index in whole else _outline(cell)
                for index, cell in enumerate(notebook["cells"])
            ],
        }
    light: list[Op] = []
    for op in diff:
        if op["key"] == "cells" and op["op"] == "patch":
            op = {**op, "diff": [_light_cell_op(inner) for inner in op["diff"]]}
        light.append(op)
    return sides, light


def whole_cells(notebook: Json, indices: Iterable[int]) -> dict[str, Json]:
    """`{index: cell}` of a notebook in normal form, the indices as text for JSON."""
    cells = notebook["cells"]
    found = {}
    for index in indices:
        if not 0 <= index < len(cells):
            raise UsageError(f"No cell {index}: the notebook has cells 0 to {len(cells) - 1}.")
        found[str(index)] = cells[index]
    return found


def _outline(cell: Json) -> Json:
    lines = len(cell["source"].splitlines())
    return {"cell_type": cell["cell_type"], "id": cell["id"], "partial": True, "lines": lines}


def _light(cell: Json) -> Json:
    light = dict(cell)
    if cell.get("outputs"):
        outputs = [_light_output(output) for output in cell["outputs"]]
        if any(new is not old for new, old in zip(outputs, cell["outputs"], strict=True)):
            light["outputs"] = outputs
            light["partial"] = True
    return light


def _light_output(output: Json) -> Json:
    if output["output_type"] == "stream":
        if len(output["text"]) <= LARGEST:
            return output
        return {k: v for k, v in output.items() if k != "text"}
    if "data" not in output:
        return output
    data = {mime: value for mime, value in output["data"].items() if not _large(value)}
    return output if len(data) == len(output["data"]) else {**output, "data": data}


def _large(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) > LARGEST
    waiting, size = [value], 0
    while waiting and size <= LARGEST:
        item = waiting.pop()
        size += len(item) if isinstance(item, str) else 8
        if isinstance(item, dict):
            size += sum(map(len, item))
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return size > LARGEST


def _light_cell_op(op: Op) -> Op:
    if op["op"] == "addrange":
        return {**op, "valuelist": [_light(cell) for cell in op["valuelist"]]}
    if op["op"] != "patch":
        return op
    inner = [
        {**entry, "diff": [_light_output_op(o) for o in entry["diff"]]}
        if entry["key"] == "outputs" and entry["op"] == "patch"
        else entry
        for entry in op["diff"]
    ]
    return {**op, "diff": inner}


def _light_output_op(op: Op) -> Op:
    if op["op"] == "addrange":
        return {**op, "valuelist": [_light_output(output) for output in op["valuelist"]]}
    if op["op"] != "patch":
        return op
    inner = []
    for entry in op["diff"]:
        if entry["key"] == "data" and entry["op"] == "patch":
            entry = {**entry, "diff": [_light_value_op(o) for o in entry["diff"]]}
        inner.append(entry)
    return {**op, "diff": inner}


def _light_value_op(op: Op) -> Op:
    if op["op"] in ("add", "replace") and _large(op["value"]):
        return {"op": op["op"], "key": op["key"], "partial": True}
    return op
