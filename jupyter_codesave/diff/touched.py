"""The part of a notebook diff that a browser needs at first; the rest is fetched when looked at.

A cell with `"partial": true` lacks something: everything but its type, id and count of lines if
it is unchanged and far from any change, else the output values that are too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .normalize import Json
from .text import Op

NEAR = 3  # cells shown around a change
LARGEST = 4_000  # characters of a changed cell's outputs sent without being asked for
LARGEST_NEAR = 1_000  # the same for an unchanged cell near a change
LARGEST_PATCH = 1_000  # characters of a source's patch, or of all those of a cell's outputs
SMALL_KEYS = frozenset({"output_type", "name", "ename", "metadata", "execution_count"})


def touched(
    base: Json, head: Json, cells: Sequence[Json], diff: Sequence[Op]
) -> tuple[dict[str, Json], list[Op]]:
    """`({"base": notebook, "head": notebook}, diff)`, both without what is not looked at yet.

    Of an unchanged cell near a change only head is sent. The diff names added cells and outputs
    without what is in them (`"partial": true`), and so it does where the patch of an output or a
    value is large, or that of a source large beside it: both whole cells tell it.
    """
    near: set[int] = set()
    for n, cell in enumerate(cells):
        if cell["change"] != "unchanged":
            near.update(range(max(0, n - NEAR), min(len(cells), n + NEAR + 1)))
    room: dict[str, dict[int, int]] = {"base": {}, "head": {}}
    for n in near:
        cell = cells[n]
        if cell["change"] != "unchanged":
            room["base"][cell["base"]] = room["head"][cell["head"]] = LARGEST
        else:
            side = "base" if cell["head"] is None else "head"
            room[side][cell[side]] = LARGEST_NEAR
    sides = {"base": _side(base, room["base"]), "head": _side(head, room["head"])}
    light: list[Op] = []
    for op in diff:
        if op["key"] == "cells" and op["op"] == "patch":
            op = {**op, "diff": [_light_cell_op(inner, base["cells"]) for inner in op["diff"]]}
        light.append(op)
    return sides, light


def _side(notebook: Json, room: dict[int, int]) -> Json:
    metadata = {k: v for k, v in notebook["metadata"].items() if _size(v, LARGEST) <= LARGEST}
    cells = [
        _light(cell, room[index])
        if index in room and (room[index] > LARGEST_NEAR or len(cell["source"]) <= LARGEST)
        else _outline(cell)
        for index, cell in enumerate(notebook["cells"])
    ]
    return {**notebook, "cells": cells, "metadata": metadata}


def _outline(cell: Json) -> Json:
    lines = len(cell["source"].splitlines())
    return {"cell_type": cell["cell_type"], "id": cell["id"], "partial": True, "lines": lines}


def _light(cell: Json, room: int) -> Json:
    outputs = _light_outputs(cell.get("outputs", []), room)
    attachments = cell.get("attachments", {})
    if outputs is None and _size(attachments, room) <= room:
        return cell
    light = {**cell, "partial": True}
    if outputs is not None:
        light["outputs"] = outputs
    elif attachments:
        del light["attachments"]
    return light


def _light_outputs(outputs: Sequence[Json], room: int) -> list[Json] | None:
    """The outputs with as many of their values as there is room for; None if that is all."""
    light = []
    left_out = False
    for output in outputs:
        kept: Json = {}
        values = output.get("data", output)
        for key, value in values.items():
            size = _size(value, room)
            if size <= room or key in SMALL_KEYS:
                kept[key] = value
                room -= size
            else:
                left_out = True
        light.append({**output, "data": kept} if "data" in output else kept)
    return light if left_out else None


def _size(value: Any, enough: int) -> int:
    """About how many characters a value has; counting stops once there are more than enough."""
    waiting, size = [value], 0
    while waiting and size <= enough:
        item = waiting.pop()
        size += len(item) if isinstance(item, str) else 8
        if isinstance(item, dict):
            size += sum(map(len, item))
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return size


def _light_cell_op(op: Op, cells: Sequence[Json]) -> Op:
    if op["op"] == "addrange":
        return {**op, "valuelist": [_outline(cell) for cell in op["valuelist"]]}
    if op["op"] != "patch":
        return op
    inner = []
    for entry in op["diff"]:
        if entry["op"] == "patch" and entry["key"] == "outputs":
            entry = {**entry, "diff": _light_ops(entry["diff"])}
        elif entry["op"] == "patch" and entry["key"] == "source":
            enough = min(LARGEST_PATCH, len(cells[op["key"]]["source"]) // 2)
            if _size(entry["diff"], enough) > enough:
                entry = {"op": "patch", "key": "source", "diff": [], "partial": True}
        elif entry["op"] != "patch" and _size(entry.get("value"), LARGEST) > LARGEST:
            entry = {"op": entry["op"], "key": entry["key"], "partial": True}
        inner.append(entry)
    return {**op, "diff": inner}


def _light_ops(ops: Sequence[Op]) -> list[Op]:
    light = []
    room = LARGEST_PATCH
    for op in ops:
        if op["op"] == "patch":
            size = _size(op["diff"], room)
            if size > room:
                op = {"op": "patch", "key": op["key"], "diff": [], "partial": True}
            else:
                room -= size
        elif op["op"] == "addrange":
            stubs = [{"output_type": o["output_type"], "partial": True} for o in op["valuelist"]]
            op = {**op, "valuelist": stubs}
        light.append(op)
    return light
