"""Cells that say of themselves that they are not to be recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SKIP_TAG = "codesave-skip"
# What IPython strips before it looks for a cell magic may stand before ours, too, and so may other
# cell magics (%%time): they have what is below them run as a cell.
_STRIPPED = r"\s*(?:(?:>>> ?|\.\.\. ?|In ?\[\d*\]: ?|\.{3,}: ?)\s*)?"
_SKIP = rf"{_STRIPPED}(?:%%[^\n]*\n{_STRIPPED})*%%codesave[ \t]+skip\b"


def is_skipped(source: str, metadata: Mapping[str, Any]) -> bool:
    """Tell whether a cell says of itself that it is not to be recorded.

    By `%%codesave skip` at the start of its source or below other cell magics there, by the tag,
    or by its own metadata.
    """
    if "codesave" in source and re.match(_SKIP, source):
        return True
    if not metadata:
        return False
    for said in (metadata, metadata.get("cell"), metadata.get("metadata")):
        if not isinstance(said, dict):
            continue
        nested = said.get("metadata")
        for place in (said, nested) if isinstance(nested, dict) else (said,):
            if SKIP_TAG in (place.get("tags") or ()):
                return True
            own = place.get("codesave")
            if isinstance(own, dict) and (own.get("capture") == "off" or own.get("skipped")):
                return True
    return False


def drop_skip_line(lines: list[str]) -> list[str]:
    """Take the line `%%codesave skip` away, so that the rest runs as the cell it is."""
    if lines and "codesave" in lines[0] and re.match(r"%%codesave[ \t]+skip\s*$", lines[0]):
        return lines[1:]
    return lines
