"""Any notebook a person may have on disk → one normal form, so that a diff meets no odd cases.

The normal form is nbformat 4.5: sources, stream texts and multi-line MIME values are one string,
each cell has a valid id that no other cell has, outputs have exactly the keys their type asks for.
Parsing is `json` alone. Versions 2 and 3 are rewritten here: nbformat's own upgrade gives random
ids and checks a schema, which costs more than the whole diff.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from ..errors import UsageError
from .pause import without_collecting

Json = dict[str, Any]

VALID_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
DERIVED_ID = re.compile(r"[0-9a-f]{16}(-[0-9]+)?\Z")

DEEPEST = 100  # levels of lists and mappings in one value; what lies deeper becomes JSON text

_CELL_TYPES = {"code": "code", "markdown": "markdown", "heading": "markdown", "html": "markdown"}
KEYS_OF_CELL = frozenset(
    {"attachments", "cell_type", "execution_count", "id", "metadata", "outputs", "source"}
)
_OUTPUT_TYPES = {"pyout": "execute_result", "pyerr": "error"}
_KEYS_OF_OUTPUT = {"output_type", "metadata", "execution_count", "prompt_number"}
_MIME_TYPES = {  # the aliases of nbformat 2 and 3
    "text": "text/plain",
    "html": "text/html",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "latex": "text/latex",
    "json": "application/json",
    "javascript": "application/javascript",
}


@without_collecting
def normalize(text: str | bytes) -> Json:
    """The notebook in `text` in normal form; the same text gives the same form, always.

    Normalizing what `json.dumps` makes of a normal form changes nothing. `NaN` and infinite
    numbers, which JSON does not have, become strings, and so does what is nested more than
    `DEEPEST` levels deep, which programs that recurse could not handle. Raises `UsageError` if
    `text` is not JSON or not a notebook of nbformat 2 to 4.
    """
    try:
        if isinstance(text, str):
            text = text.removeprefix("\ufeff")
        return normal_form(json.loads(text, parse_constant=str, parse_float=_finite))
    except RecursionError:
        raise UsageError("Not a notebook: its JSON is nested too deeply to be read.") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise UsageError(
            f"Not a notebook: the text is not JSON ({error}). Is the file complete?"
        ) from None


def normal_form(data: Any) -> Json:
    """The normal form of a notebook already parsed; `data` stays as it is."""
    if not isinstance(data, dict) or not ({"cells", "worksheets", "nbformat"} & data.keys()):
        raise UsageError(
            "Not a notebook: the JSON has neither cells nor worksheets. Compare it as a text file."
        )
    major = data.get("nbformat", 4)
    if not isinstance(major, int) or not 1 < major < 5:
        raise UsageError(
            f"Not a notebook this version can read: nbformat {major!r}, known are 2 to 4. "
            "Save it as nbformat 4 first."
        )
    metadata = _shallow(_mapping(data.get("metadata")))
    cells = _items(data.get("cells"))
    if major < 4:
        metadata = {k: v for k, v in metadata.items() if k not in ("name", "signature")}
        sheets = (_mapping(sheet) for sheet in _items(data.get("worksheets")))
        cells = cells + [cell for sheet in sheets for cell in _items(sheet.get("cells"))]
    normal = [_cell(cell) for cell in cells]
    _give_ids(normal)
    return {"cells": normal, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def derived_id(source: str) -> str:
    """The id of a cell that has none of its own: 16 hexadecimal digits of its source's SHA-256."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _give_ids(cells: list[Json]) -> None:
    used: set[str] = set()
    without = []
    for cell in cells:
        given = cell.get("id")
        if isinstance(given, str) and given not in used and VALID_ID.match(given):
            used.add(given)
        else:
            without.append(cell)
    occurrences: dict[str, int] = {}
    for cell in without:
        stem = derived_id(cell["source"])
        number = occurrences.get(stem, 0) + 1
        while (name := stem if number == 1 else f"{stem}-{number}") in used:
            number += 1
        occurrences[stem] = number
        used.add(name)
        cell["id"] = name


def _cell(given: Any) -> Json:
    if not isinstance(given, dict):
        given = {"cell_type": "raw", "source": "" if given is None else given}
    kind = given.get("cell_type")
    cell_type = _CELL_TYPES.get(kind, "raw") if isinstance(kind, str) else "raw"
    if given.keys() <= KEYS_OF_CELL:
        cell: Json = dict(given)
    else:
        cell = {k: v if k in KEYS_OF_CELL else _shallow(v) for k, v in given.items()}
    cell["cell_type"] = cell_type
    cell["metadata"] = _shallow(_mapping(given.get("metadata")))
    source = given.get("source")
    if source is None:
        source = cell.pop("input", None)
    source = _text(source)
    if kind == "heading":
        level = cell.pop("level", 1)
        hashes = "#" * (level if isinstance(level, int) and 0 < level < 7 else 1)
        source = f"{hashes} {' '.join(source.splitlines())}"
    cell["source"] = source
    if cell_type == "code":
        number = cell.pop("prompt_number", None)
        if "collapsed" in cell:
            cell["metadata"] = {"collapsed": cell.pop("collapsed"), **cell["metadata"]}
        cell.pop("language", None)
        cell["execution_count"] = _count(given.get("execution_count", number))
        cell["outputs"] = [_output(output) for output in _items(given.get("outputs"))]
    else:
        for key in ("outputs", "execution_count", "prompt_number", "language", "collapsed"):
            cell.pop(key, None)
    if "attachments" in cell:
        attachments = _mapping(cell["attachments"])
        cell["attachments"] = {k: _bundle(_mapping(v)) for k, v in attachments.items()}
    return cell


def _output(given: Any) -> Json:
    if not isinstance(given, dict):
        given = {"output_type": "display_data", "data": {"application/json": given}}
    kind = given.get("output_type")
    output_type = _OUTPUT_TYPES.get(kind, kind) if isinstance(kind, str) else None
    if output_type == "stream" or (output_type is None and "data" not in given and "text" in given):
        name = given.get("name", given.get("stream"))
        name = name if isinstance(name, str) else "stdout"
        return {"name": name, "output_type": "stream", "text": _text(given.get("text"))}
    if output_type == "error":
        return {
            "ename": _text(given.get("ename")),
            "evalue": _text(given.get("evalue")),
            "output_type": "error",
            "traceback": [_text(line) for line in _items(given.get("traceback"))],
        }
    if "data" in given:
        data = _mapping(given["data"])
    else:
        data = {k: v for k, v in given.items() if k not in _KEYS_OF_OUTPUT}
        data = {_MIME_TYPES.get(k, k): v for k, v in data.items()}
        if isinstance(packed := data.get("application/json"), str):
            data["application/json"] = _unpacked(packed)
    output: Json = {
        "data": _bundle(data),
        "metadata": _shallow(_mapping(given.get("metadata"))),
        "output_type": "display_data",
    }
    if output_type == "execute_result":
        output["output_type"] = "execute_result"
        number = given.get("execution_count", given.get("prompt_number"))
        output["execution_count"] = _count(number)
    return output


def is_json_mime(mime: str) -> bool:
    """Is the value of this MIME type JSON itself, to be left as it is?"""
    return mime == "application/json" or (
        mime.startswith("application/") and mime.endswith("+json")
    )


def _bundle(data: Json) -> Json:
    return {
        mime: value
        if type(value) is str
        else _shallow(value)
        if is_json_mime(mime)
        else _text(value)
        for mime, value in data.items()
    }


def _shallow(value: Any) -> Any:
    """The value, nothing in it nested too deeply; itself if nothing was, which is quickly seen."""
    level = [value] if value and type(value) in (dict, list) else []
    for _ in range(DEEPEST):
        if not level:
            return value
        within = [held.values() if type(held) is dict else held for held in level]
        level = [v for values in within for v in values if v and type(v) in (dict, list)]
    return _cut(value)


def _cut(value: Any) -> Any:
    """A copy with text at the deepest level; in loops, for it may be all that a stack can bear."""
    top = value.copy()
    level = [top]
    for depth in range(1, DEEPEST + 1):
        below = []
        for held in level:
            for key, inner in list(held.items() if type(held) is dict else enumerate(held)):
                if not inner or type(inner) not in (dict, list):
                    continue
                if depth == DEEPEST:
                    held[key] = json.dumps(inner, sort_keys=True)
                else:
                    held[key] = inner.copy()
                    below.append(held[key])
        level = below
    return top


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return json.dumps(value, sort_keys=True)


def _mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _unpacked(packed: str) -> Any:
    try:
        return json.loads(packed, parse_constant=str, parse_float=_finite)
    except (ValueError, RecursionError):
        return packed


def _finite(digits: str) -> float | str:
    value = float(digits)
    return value if value - value == 0.0 else digits
