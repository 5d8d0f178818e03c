"""What differs between two runs of the same code without meaning anything to a person.

Noise is execution counts, timestamps of executing, ids, trust, text that a progress bar wrote over
by `\r`, and memory addresses. It stays in a diff; it is not called a change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .normalize import Json, is_json_mime

CELL_METADATA = frozenset(
    {
        "codesave",
        "execution",  # JupyterLab: when each message came
        "ExecuteTime",  # the notebook extension of that name
        "executionInfo",  # Colab: time and user
        "papermill",  # start, end, duration
        "trusted",
        "id",  # Colab and Kaggle keep ids of their own here
        "outputId",
        "_cell_guid",
        "_uuid",
    }
)
NOTEBOOK_METADATA = frozenset(
    {
        "codesave",
        "orig_nbformat",
        "orig_nbformat_minor",
        "papermill",
        "signature",
        "trusted",
        "widgets",  # state under ids that are new in every run
    }
)

# Each pattern begins with plain text, which `re` finds much faster than a choice of beginnings.
_HIDDEN = (
    (" at 0x", re.compile(r" at 0x[0-9a-fA-F]+"), " at 0x…"),
    ("0x", re.compile(r"0x[0-9a-fA-F]{8,16}\b"), "0x…"),
    # Names of cells in tracebacks hold an execution count or the id of a process.
    ("<ipython-input-", re.compile(r"<ipython-input-\d+-[0-9a-f]+>"), "<cell>"),
    ("ell In", re.compile(r"ell In ?\[\d+\]"), "ell In […]"),
    ("nput In", re.compile(r"nput In ?\[\d+\]"), "nput In […]"),
    ("/ipykernel_", re.compile(r"/ipykernel_\d+/\d+\.py"), "/ipykernel/cell.py"),
)


def plain(text: str) -> str:
    """The text as a person sees it at the end: nothing overwritten, addresses all alike."""
    if "\r" in text:
        text = "\n".join(map(_last_written, text.split("\n")))
    for sign, pattern, instead in _HIDDEN:
        if sign in text:
            text = pattern.sub(instead, text)
    return text


def _last_written(line: str) -> str:
    return line[line.rstrip("\r").rfind("\r") + 1 :]


def visible_metadata(metadata: Mapping[str, Any], noise: frozenset[str]) -> Json:
    """The metadata without what is noise."""
    return {k: v for k, v in metadata.items() if k not in noise}


def visible_outputs(outputs: Sequence[Json]) -> list[Any]:
    """The outputs as values to compare: without counts, streams joined as they are seen."""
    seen: list[Any] = []
    for output in outputs:
        kind = output["output_type"]
        if kind == "stream":
            name, text = output["name"], output["text"]
            if seen and seen[-1][0] == "stream" and seen[-1][1] == name:
                text = seen.pop()[2] + text
            seen.append(("stream", name, text))
        elif kind == "error":
            trace = plain("\n".join(output["traceback"]))
            seen.append((kind, output["ename"], plain(output["evalue"]), trace))
        else:
            data = {mime: _visible_value(mime, v) for mime, v in output["data"].items()}
            seen.append((kind, data, output["metadata"]))
    return [("stream", s[1], plain(s[2])) if s[0] == "stream" else s for s in seen]


def _visible_value(mime: str, value: Any) -> Any:
    if type(value) is not str:
        if mime.startswith("application/vnd.jupyter.widget") and isinstance(value, dict):
            return {k: v for k, v in value.items() if k != "model_id"}
        return value
    return plain(value) if mime.startswith("text/") and not is_json_mime(mime) else value
