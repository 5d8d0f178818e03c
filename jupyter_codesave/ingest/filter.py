"""The one filter through which every byte passes on its way into the store."""

from __future__ import annotations

import json
from typing import Any

from ..journal.notebook import dump_notebook
from ..model.digest import digest_of

SKIPPED = "codesave-skip"


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
                changed = True
                cell["source"] = []
                cell["metadata"] = {"codesave": {"skipped": True}}
                if cell["cell_type"] == "code":
                    cell["outputs"] = []
                cell.pop("attachments", None)
            elif not outputs and cell.get("outputs"):
                changed = True
                cell["outputs"] = []
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not changed:
        return data
    return dump_notebook(notebook)


def _is_skipped(cell: dict[str, Any], ids: set[str], sources: set[str]) -> bool:
    source = cell.get("source", "")
    text = source if isinstance(source, str) else "".join(source)
    return (
        SKIPPED in (cell.get("metadata", {}).get("tags") or ())
        or cell.get("id") in ids
        or (cell.get("cell_type") == "code" and text.lstrip().startswith("%%codesave skip"))
        or digest_of(text.encode("utf-8", "replace")) in sources
    )
