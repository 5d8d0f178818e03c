"""Journals made by hand, record by record, and iopub messages as kernels send them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from jupyter_codesave.journal import events

START_NS = 1_763_647_200_000_000_000  # 2025-11-20T14:00:00Z
_ids = itertools.count()


def message(
    kind: str, content: dict[str, Any], key: str = "request-1", buffers: list[bytes] | None = None
) -> list[bytes]:
    """Give the frames of an iopub message whose parent is the execute request `key`."""
    date = "2025-11-20T14:00:00.000000Z"
    header = {"msg_id": f"m{next(_ids)}", "msg_type": kind, "date": date}
    parent = {"msg_id": key, "msg_type": "execute_request"}
    parts = [header, parent, {}, content]
    frames = [json.dumps(part).encode() for part in parts]
    return [b"kernel.x", b"<IDS|MSG>", b"signature", *frames, *(buffers or [])]


def execute_input(source: str, count: int = 1, key: str = "request-1") -> list[bytes]:
    """Give the message that opens an execution."""
    return message("execute_input", {"code": source, "execution_count": count}, key)


def stream(text: str, name: str = "stdout", key: str = "request-1") -> list[bytes]:
    """Give a printed text."""
    return message("stream", {"name": name, "text": text}, key)


def idle(key: str = "request-1") -> list[bytes]:
    """Give the message that ends an execution."""
    return message("status", {"execution_state": "idle"}, key)


def journal_bytes(items: list[list[bytes] | tuple[str, dict[str, Any]]]) -> bytes:
    """Give a journal of messages (frames) and events (name and fields)."""
    out = [events.MAGIC]
    for sequence, item in enumerate(items):
        if isinstance(item, tuple):
            payload = events.event_payload(*item)
        else:
            payload = events.message_payload(item)
        time_ns = START_NS + sequence * 1_000_000_000
        out += map(bytes, events.encode_parts(sequence, time_ns, payload))
    return b"".join(out)


def session(name: str = "s1") -> tuple[str, dict[str, Any]]:
    """Give a session event of a process that is not there any more."""
    return (
        "session",
        {"version": 1, "session": name, "kind": "kernel", "by": "kernel", "pid": None},
    )


def run(name: str = "run1") -> tuple[str, dict[str, Any]]:
    """Give the event that begins an automatic run."""
    return ("run", {"run": name, "project": "p", "explicit": False, "notebook": None})


def write(path: Path, items: list[Any]) -> Path:
    """Write a journal file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(journal_bytes(items))
    return path
