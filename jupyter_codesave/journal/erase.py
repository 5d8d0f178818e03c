"""Erasing executions from a journal in place: what the user asked not to keep becomes zeros."""

from __future__ import annotations

import json
import os
from collections.abc import Container
from pathlib import Path

from . import events
from .reader import Record, decode_event, read


def erase(path: Path, keys: Container[str]) -> int:
    """Overwrite every record of the executions `keys`, and give the number of records.

    Records keep their place, length and number, so that a writer may go on appending meanwhile.
    The `forget` events themselves stay.
    """
    erased = 0
    with path.open("r+b") as file:
        for record in read(path):
            if not isinstance(record, Record) or _key(record) not in keys:
                continue
            zeros = events.ERASED + bytes(len(record.payload) - 1)
            erased_one = events.encode(record.sequence, record.time_ns, zeros)
            file.seek(record.end - len(erased_one))
            file.write(erased_one)
            erased += 1
        file.flush()
        os.fsync(file.fileno())
    return erased


def _key(record: Record) -> str | None:
    if record.is_event:
        fields = decode_event(record)
        return None if fields.get("event") == "forget" else fields.get("key")
    if not record.is_message:
        return None
    try:
        frames = events.message_frames(record.payload)
        start = [bytes(frame) for frame in frames].index(b"<IDS|MSG>")
        key = json.loads(bytes(frames[start + 3])).get("msg_id")
    except (ValueError, IndexError, AttributeError):
        return None
    return key if isinstance(key, str) else None
