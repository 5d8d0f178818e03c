"""Two notebooks compared: a complete diff in nbdime's format, and what of it a person sees.

The law: `patch_notebook(base, diff) == head` for normal forms, noise included. Aligning and
diffing are our own for every input; nbdime is imported only to apply a diff.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from .align import Alignment, align
from .noise import NOTEBOOK_METADATA, visible_metadata
from .normalize import Json
from .outputs import diff_mappings, diff_outputs
from .pause import without_collecting
from .sequences import Work, runs
from .text import Op, diff_lines, replaced
from .view import View

LANGUAGE = ("kernelspec", "language_info")  # stays when metadata is left out: colours need it


@dataclass(frozen=True)
class Options:
    """What is compared, what counts as a change, and how much work may be done.

    `work` is in elementary steps of about 0.1 µs, not in seconds: the same result everywhere.
    """

    outputs: bool = True
    metadata: bool = True
    noise: bool = False
    work: int = 10_000_000


@dataclass(frozen=True)
class NotebookDiff:
    """How two notebooks differ.

    `diff`: complete, in nbdime's format. `cells`: `[{"change", "base", "head", "fields"}]` in
    display order, with `"superseded": True` for an earlier execution of a cell. `counts`: cells
    added, removed, modified, moved. `metadata`: the notebook's own metadata changed. `changed`:
    a person sees a change. `session`: a session is compared with a notebook. `truncated`: the
    work ran out, so that the diff is coarser than it could be.
    """

    diff: list[Op]
    cells: list[Json]
    counts: dict[str, int]
    metadata: bool
    changed: bool
    session: bool
    truncated: bool


def select(notebook: Json, options: Options) -> Json:
    """The notebook without what the options leave out; itself if they leave out nothing."""
    if options.outputs and options.metadata:
        return notebook
    left_out: Json = {} if options.metadata else {"metadata": {}}
    left_out_of_code = (
        left_out if options.outputs else {**left_out, "outputs": [], "execution_count": None}
    )
    metadata = notebook["metadata"]
    if not options.metadata:
        metadata = {k: metadata[k] for k in LANGUAGE if k in metadata}
    cells = [
        {**cell, **(left_out_of_code if cell["cell_type"] == "code" else left_out)}
        for cell in notebook["cells"]
    ]
    return {**notebook, "cells": cells, "metadata": metadata}


@without_collecting
def diff_notebooks(
    base: Json, head: Json, options: Options | None = None, work: Work | None = None
) -> NotebookDiff:
    """Compare two notebooks in normal form; neither is altered, the diff shares their values.

    If exactly one of them is a session notebook, the last execution of each of its cells is
    paired with that cell of the other, earlier ones are superseded, and order is no change.
    """
    options = options or Options()
    work = work or Work(options.work)
    exhausted = work.truncated
    work.truncated = False
    sides = is_session(base), is_session(head)  # metadata tells, so ask before it is left out
    session = sides[0] != sides[1]
    noted = [_codesave(cell) for cell in (base if sides[0] else head)["cells"]] if session else []
    base, head = select(base, options), select(head, options)
    if session:
        alignment, superseded = _align_session(base["cells"], head["cells"], noted, sides[0], work)
    else:
        alignment, superseded = align(base["cells"], head["cells"], work), frozenset[int]()
    diff: list[Op] = []
    if cells_diff := _diff_cells(base["cells"], head["cells"], alignment, work):
        diff.append({"op": "patch", "key": "cells", "diff": cells_diff})
    if metadata_diff := diff_mappings(base["metadata"], head["metadata"]):
        diff.append({"op": "patch", "key": "metadata", "diff": metadata_diff})
    differing = frozenset(op["key"] for op in cells_diff if op["op"] == "patch")
    view = View(
        base["cells"], head["cells"], differing, options.noise, session, sides[0], superseded
    )
    cells = view.cells(alignment)
    counts = dict.fromkeys(("added", "removed", "modified", "moved"), 0)
    for cell in cells:
        if cell["change"] != "unchanged":
            name = "superseded" if cell.get("superseded") else cell["change"]
            counts[name] = counts.get(name, 0) + 1
    metadata = (
        bool(metadata_diff)
        and not session
        and (
            options.noise
            or visible_metadata(base["metadata"], NOTEBOOK_METADATA)
            != visible_metadata(head["metadata"], NOTEBOOK_METADATA)
        )
    )
    changed = metadata or any(n for name, n in counts.items() if name != "superseded")
    truncated = work.truncated
    work.truncated = exhausted or truncated
    return NotebookDiff(diff, cells, counts, metadata, changed, session, truncated)


def patch_notebook(base: Json, diff: Sequence[Mapping[str, Any]]) -> Json:
    """What nbdime makes of `base` and `diff`: `head`, or there is a fault in this package."""
    from nbdime.diff_utils import to_diffentry_dicts
    from nbdime.patching import patch

    patched: Json = patch(base, to_diffentry_dicts(list(diff)))
    return patched


def whole_cells(notebook: Json, indices: Iterable[int]) -> dict[str, Json]:
    """`{index: cell}` of a notebook in normal form, the indices as text for JSON."""
    cells = notebook["cells"]
    found = {}
    for index in indices:
        if not 0 <= index < len(cells):
            raise UsageError(f"No cell {index}: the notebook has cells 0 to {len(cells) - 1}.")
        found[str(index)] = cells[index]
    return found


def is_session(notebook: Json) -> bool:
    """Is this the notebook of a session, each cell one execution?"""
    cells = notebook["cells"]
    return bool(cells) and all("execution" in _codesave(cell) for cell in cells)


def _codesave(cell: Json) -> Json:
    noted = cell["metadata"].get("codesave")
    return noted if isinstance(noted, dict) else {}


def _diff_cells(base: list[Json], head: list[Json], alignment: Alignment, work: Work) -> list[Op]:
    ops: list[Op] = []
    i = j = 0
    for p, q, n in alignment.blocks:
        if i < p or j < q:
            ops += replaced(i, p, head[j:q])
        i, j = p + n, q + n
        for k, twin in enumerate(alignment.twins[q:j], p):
            if twin != k and base[k] != head[q - p + k]:
                inner = _diff_cell(base[k], head[q - p + k], work)
                ops.append({"op": "patch", "key": k, "diff": inner})
    return ops + replaced(i, len(base), head[j:])


def _diff_cell(base: Json, head: Json, work: Work) -> list[Op]:
    ops = []
    for op in diff_mappings(base, head):
        key = op["key"]
        if key == "source":
            op = {"op": "patch", "key": key, "diff": diff_lines(base[key], head[key], work)}
        elif key == "outputs":
            op = {"op": "patch", "key": key, "diff": diff_outputs(base[key], head[key], work)}
        ops.append(op)
    return ops


def _align_session(
    base: Sequence[Json],
    head: Sequence[Json],
    noted: Sequence[Json],
    session_is_base: bool,
    work: Work,
) -> tuple[Alignment, frozenset[int]]:
    """Pair the last execution of each cell with that cell; earlier ones are superseded.

    `noted` is what each of the session's cells says of its execution.
    """
    session, notebook = (base, head) if session_is_base else (head, base)
    last: dict[tuple[str, str], int] = {}
    for index, cell in enumerate(session):
        cell_id = noted[index].get("cell_id")
        last[("id", cell_id) if isinstance(cell_id, str) else ("source", cell["source"])] = index
    kept = sorted(last.values())
    names = {index: key[1] if key[0] == "id" else None for key, index in last.items()}
    executed = [{**session[i], "id": names[i] or session[i]["id"]} for i in kept]
    code = [j for j, cell in enumerate(notebook) if cell["cell_type"] == "code"]
    written = [notebook[j] for j in code]
    if session_is_base:
        found = align(executed, written, work)
        rows, columns = kept, code
    else:
        found = align(written, executed, work)
        rows, columns = code, kept
    alignment = Alignment(
        runs((rows[i], columns[j]) for i, j in found.pairs),
        [(rows[i], columns[j]) for i, j in found.moves],
        [-1] * len(head),
    )
    return alignment, frozenset(range(len(session))).difference(kept)
