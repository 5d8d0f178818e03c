"""Two lists of outputs compared: aligned in place, text by lines, everything else as a whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Sequence
from typing import Any

from .normalize import Json
from .sequences import Work, gaps, matching_blocks
from .text import Op, diff_lines, replaced

DEEPEST = 40  # levels of mappings that are diffed key by key; deeper ones are replaced

_TEXT_MIMES = ("text/", "image/svg+xml", "application/javascript", "application/x-latex")


def diff_outputs(base: Sequence[Json], head: Sequence[Json], work: Work) -> list[Op]:
    """nbdime's operations from one list of outputs to another."""
    if base == head:
        return []
    if len(base) == 1 == len(head):
        blocks = []
    else:
        blocks = matching_blocks(
            [output_digest(o) for o in base], [output_digest(o) for o in head], work
        )
    ops: list[Op] = []
    for i0, i1, j0, j1 in gaps(blocks, len(base), len(head)):
        kinds = [_kind(o) for o in base[i0:i1]], [_kind(o) for o in head[j0:j1]]
        i, j = i0, j0
        for p, q, n in matching_blocks(*kinds, work):
            ops += replaced(i, i0 + p, list(head[j : j0 + q]))
            for k in range(n):
                if inner := _diff_output(base[i0 + p + k], head[j0 + q + k], work):
                    ops.append({"op": "patch", "key": i0 + p + k, "diff": inner})
            i, j = i0 + p + n, j0 + q + n
        ops += replaced(i, i1, list(head[j:j1]))
    return ops


def diff_mappings(base: Json, head: Json, depth: int = 0) -> list[Op]:
    """nbdime's operations from one mapping to another; lists and texts are replaced whole."""
    ops: list[Op] = []
    for key in sorted(base.keys() | head.keys()):
        if key not in head:
            ops.append({"op": "remove", "key": key})
        elif key not in base:
            ops.append({"op": "add", "key": key, "value": head[key]})
        elif base[key] != head[key]:
            old, new = base[key], head[key]
            if isinstance(old, dict) and isinstance(new, dict) and depth < DEEPEST:
                ops.append({"op": "patch", "key": key, "diff": diff_mappings(old, new, depth + 1)})
            else:
                ops.append({"op": "replace", "key": key, "value": new})
    return ops


def output_digest(output: Json) -> bytes:
    """What two equal outputs have in common and no others."""
    text = json.dumps(output, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _kind(output: Json) -> Hashable:
    kind = output["output_type"]
    if kind == "stream":
        return kind, output["name"]
    if kind == "error":
        return (kind,)
    return kind, *sorted(output["data"])


def _diff_output(base: Json, head: Json, work: Work) -> list[Op]:
    ops: list[Op] = []
    for key in sorted(base.keys() | head.keys()):
        old, new = base.get(key), head.get(key)
        if old == new:
            continue
        if key == "data":
            inner = _diff_bundles(base["data"], head["data"], work)
        elif key == "text":
            inner = diff_lines(base["text"], head["text"], work)
        elif key == "metadata":
            inner = diff_mappings(base["metadata"], head["metadata"])
        else:
            ops.append({"op": "replace", "key": key, "value": new})
            continue
        ops.append({"op": "patch", "key": key, "diff": inner})
    return ops


def _diff_bundles(base: Json, head: Json, work: Work) -> list[Op]:
    ops: list[Op] = []
    for op in diff_mappings(base, head, DEEPEST):
        mime = op["key"]
        if mime in base and mime in head and is_text(mime, base[mime], head[mime]):
            op = {"op": "patch", "key": mime, "diff": diff_lines(base[mime], head[mime], work)}
        ops.append(op)
    return ops


def is_text(mime: str, *values: Any) -> bool:
    """Are these values of this MIME type text that has lines?"""
    return mime.startswith(_TEXT_MIMES) and all(type(value) is str for value in values)
