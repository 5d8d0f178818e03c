"""The one filter through which every byte passes on its way into the store."""

from __future__ import annotations

import json
from typing import Any

from ..journal.notebook import ODD, dump_notebook
from ..model.digest import digest_of
from ..model.skip import is_skipped

_MARK = {"codesave": {"skipped": True}}


def keep(data: bytes) -> bytes:
    """Give what may be kept of `data`: the one place where redaction would happen."""
    return data


def blank_skipped(
    data: bytes, ids: set[str], sources: set[str], *, outputs: bool = True
) -> bytes | None:
    """Give a notebook file with the cells blanked and marked that the user asked not to keep.

    The very bytes come back when there is nothing to blank. None when nothing of the notebook may
    be kept, or when something would have to be blanked in a file that is no notebook.
    """
    suspicious = b"codesave" in data
    if not suspicious and not ids and not sources and outputs:
        return data
    try:
        notebook = json.loads(data)
        said = (notebook["metadata"].get("codesave") or {}).get("capture", "all")
        if said == "off":
            return None
        outputs = outputs and said == "all"
        changed = False
        for cell in notebook["cells"]:
            if _is_skipped(cell, ids, sources):
                changed = _blank(cell) or changed
            elif not outputs and cell.get("outputs"):
                changed = True
                cell["outputs"] = []
    except ODD:
        return None
    if not changed:
        return data
    return dump_notebook(notebook)


def _is_skipped(cell: dict[str, Any], ids: set[str], sources: set[str]) -> bool:
    source = cell.get("source", "")
    text = source if isinstance(source, str) else "".join(source)
    return (
        is_skipped(text if cell.get("cell_type") == "code" else "", cell.get("metadata") or {})
        or cell.get("id") in ids
        or digest_of(text.encode("utf-8", "replace")) in sources
    )


def _blank(cell: dict[str, Any]) -> bool:
    """Blank and mark a cell; False if it was blank already."""
    before = {**cell, "source": cell.get("source") or []}
    cell |= {"source": [], "metadata": _MARK}
    if cell["cell_type"] == "code":
        cell["outputs"] = []
    cell.pop("attachments", None)
    return cell != before
