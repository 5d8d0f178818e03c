"""What a person sees of an execution before its outputs are fetched."""

from __future__ import annotations

from typing import Any

_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_LINE = 160  # characters of a source's first line


def outline(cell: dict[str, Any]) -> dict[str, Any]:
    """Give one cell of a session notebook in a few hundred bytes.

    `line` is the first line that is not blank, `error` the name of what was raised, `size` the
    characters of all outputs, `images` the indices of outputs that are shown as an image.
    """
    own = cell["metadata"].get("codesave") or {}
    times = cell["metadata"].get("execution") or {}
    source, outputs = _text(cell.get("source")), cell.get("outputs") or []
    raised = (_text(each.get("ename")) for each in outputs if each.get("output_type") == "error")
    return {
        "execution": own.get("execution"),
        "cell_id": own.get("cell_id"),
        "status": own.get("status"),
        "error": next(raised, None),
        "prompt": cell.get("execution_count"),
        "started": times.get("iopub.execute_input"),
        "ended": times.get("shell.execute_reply"),
        "line": next((line for line in source.splitlines() if line.strip()), "")[:_LINE],
        "lines": source.count("\n") + 1,
        "outputs": len(outputs),
        "images": [n for n, output in enumerate(outputs) if _is_image(output)],
        "size": sum(map(_size, outputs)),
    }


def _is_image(output: dict[str, Any]) -> bool:
    data = output.get("data") or {}
    return "text/html" not in data and any(kind in data for kind in _IMAGES)


def _size(output: dict[str, Any]) -> int:
    texts = (output.get("text"), output.get("evalue"), *(output.get("data") or {}).values())
    return sum(len(_text(text)) for text in texts)


def _text(value: Any) -> str:
    """Give a text that nbformat may hold as a list of its lines; nothing else is one."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value if isinstance(value, str) else ""
