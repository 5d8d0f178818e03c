"""What a session notebook's executions printed, for search."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ..catalog.search import PRINTED

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def printed(notebook: bytes) -> dict[int, str]:
    """Map execution numbers to the text of their outputs, at most PRINTED characters each.

    Anything that is no session notebook gives nothing: what is stored is not trusted.
    """
    try:
        cells = json.loads(notebook)["cells"]
        return dict(_of_cells(cells))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _of_cells(cells: list[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    for cell in cells:
        number = cell["metadata"].get("codesave", {}).get("execution")
        if not isinstance(number, int) or not cell.get("outputs"):
            continue
        text, room = [], PRINTED
        for output in cell["outputs"]:
            piece = _ANSI.sub("", _text_of(output, room * 2))[:room]
            text.append(piece)
            room -= len(piece)
            if room <= 0:
                break
        if found := "\n".join(filter(None, text)):
            yield number, found


def _text_of(output: dict[str, Any], room: int) -> str:
    if output.get("output_type") == "stream":
        return _joined(output.get("text"), room)
    if output.get("output_type") == "error":
        return f"{output.get('ename')}: {output.get('evalue')}"[:room]
    return _joined((output.get("data") or {}).get("text/plain"), room)


def _joined(text: Any, room: int) -> str:
    if isinstance(text, list):
        text = "".join(part for part in text if isinstance(part, str))
    return text[:room] if isinstance(text, str) else ""
