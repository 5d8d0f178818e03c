"""Two lists of outputs compared: aligned in place, text by lines, everything else as a whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from .chains import Link, heaviest_chain
from .normalize import Json
from .sequences import Block, Work, gaps, matching_blocks
from .text import Op, diff_lines, likeness_of_texts, replaced

MARKED = 40  # lines of an output told by their words: a rerun changes many, and nobody reads them
SMALL_GAP = 100  # product of output counts up to which every pair of a gap is compared
DEEPEST = 40  # levels of mappings that are diffed key by key; deeper ones are replaced

_TEXT_MIMES = ("text/", "image/svg+xml", "application/javascript", "application/x-latex")


def diff_outputs(base: Sequence[Json], head: Sequence[Json], work: Work) -> list[Op]:
    """nbdime's operations from one list of outputs to another."""
    if base == head:
        return []
    if not work.spend(100 * (len(base) + len(head))):
        return replaced(0, len(base), list(head))
    if len(base) == 1 == len(head):
        blocks = []
    else:
        blocks = matching_blocks(
            [output_digest(o) for o in base], [output_digest(o) for o in head], work
        )
    ops: list[Op] = []
    i = j = 0
    for i0, i1, j0, j1 in gaps(blocks, len(base), len(head)):
        i, j = i0, j0
        for p, q, n in _answers(base[i0:i1], head[j0:j1], work):
            ops += replaced(i, i0 + p, list(head[j : j0 + q]))
            i, j = i0 + p + n, j0 + q + n
            for k in range(n):
                inner = _diff_output(base[i0 + p + k], head[j0 + q + k], work)
                ops.append({"op": "patch", "key": i0 + p + k, "diff": inner})
        ops += replaced(i, i1, list(head[j:j1]))
    return ops


def _answers(base: Sequence[Json], head: Sequence[Json], work: Work) -> list[Block]:
    """Which output of head answers which of base: of one kind, the more alike the better."""
    kinds = [_kind(o) for o in base], [_kind(o) for o in head]
    if len(base) == 1 == len(head):
        return [(0, 0, 1)] if kinds[0] == kinds[1] else []
    if len(base) * len(head) > SMALL_GAP:
        return matching_blocks(*kinds, work)
    links = []
    for i, kind in enumerate(kinds[0]):
        for j, other in enumerate(kinds[1]):
            common = _content(kind) & _content(other)
            if kind[0] == other[0] and common:
                alike = sum(_alike(base[i], head[j], key, work) for key in common)
                links.append(Link(i, j, (0.1 if kind == other else 0.0) + alike / len(common)))
    return heaviest_chain(link for link in links if link.weight)


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


def _kind(output: Json) -> tuple[str, ...]:
    kind = output["output_type"]
    if kind == "stream":
        return kind, output["name"]
    if kind == "error":
        return kind, "traceback"
    return kind, *sorted(output["data"])


def _content(kind: tuple[str, ...]) -> set[str]:
    return set(kind[1:]) if kind[0] != "stream" else {"text"}


def _alike(base: Json, head: Json, key: str, work: Work) -> float:
    old = base.get(key) or base.get("data", {}).get(key)
    new = head.get(key) or head.get("data", {}).get(key)
    if old == new:
        return 1.0
    if type(old) is str and type(new) is str and work.spend((len(old) + len(new)) // 40):
        return likeness_of_texts(old, new)
    return 0.0


def _diff_output(base: Json, head: Json, work: Work) -> list[Op]:
    ops: list[Op] = []
    for key in sorted(base.keys() | head.keys()):
        old, new = base.get(key), head.get(key)
        if old == new:
            continue
        if key == "data":
            inner = _diff_bundles(base["data"], head["data"], work)
        elif key == "text":
            inner = diff_lines(base["text"], head["text"], work, MARKED)
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
            op = {
                "op": "patch",
                "key": mime,
                "diff": diff_lines(base[mime], head[mime], work, MARKED),
            }
        ops.append(op)
    return ops


def is_text(mime: str, *values: Any) -> bool:
    """Are these values of this MIME type text that has lines?"""
    return mime.startswith(_TEXT_MIMES) and all(type(value) is str for value in values)
