"""Reading the journals that real processes wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import zstandard

from jupyter_codesave.journal import events
from jupyter_codesave.journal.notebook import Fold
from jupyter_codesave.journal.reader import Lost, Record, decode_event, read
from jupyter_codesave.journal.tail import read_tail


def journal_paths(data: Path) -> list[Path]:
    """Name the journals of a data folder, oldest first."""
    found = (data / "journal").glob("*.journal") if data.exists() else ()
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)


def the_journal(data: Path) -> Path:
    """Give the one journal that there is."""
    (path,) = journal_paths(data)
    return path


def records(path: Path) -> list[Record]:
    """Give the records; nothing may be lost."""
    found = []
    for item in read(path):
        assert not isinstance(item, Lost), item
        found.append(item)
    return found


def all_events(path: Path, name: str | None = None) -> list[dict[str, Any]]:
    """Give the events of a journal, of one kind if it is named."""
    found = [decode_event(record) for record in records(path) if record.is_event]
    return [event for event in found if name is None or event["event"] == name]


def messages(path: Path) -> list[dict[str, Any]]:
    """Give the iopub messages of a journal: header, parent, content and buffers."""
    found = []
    for record in records(path):
        if record.is_message:
            frames = [bytes(frame) for frame in events.message_frames(record.payload)]
            at = frames.index(b"<IDS|MSG>")
            header, parent, content = (
                json.loads(frames[at + n].decode("utf-8", "replace")) for n in (2, 3, 5)
            )
            found.append(
                {
                    "header": header,
                    "parent": parent,
                    "content": content,
                    "type": header["msg_type"],
                    "buffers": frames[at + 6 :],
                }
            )
    return found


def fold(path: Path, *, dead: bool = False) -> Fold:
    """Fold a journal; the tail counts when its process is dead."""
    folded = Fold()
    for item in read(path):
        folded.feed(item)
    if dead:
        folded.feed_tail(read_tail(path.with_suffix(".tail")))
    return folded


def cells(path: Path, *, dead: bool = False) -> list[dict[str, Any]]:
    """Give the session notebook's cells, over all runs of the session."""
    folded = fold(path, dead=dead)
    return [cell for run in folded.runs for cell in folded.notebook(run)["cells"]]


def outputs(path: Path, *, dead: bool = False) -> list[list[dict[str, Any]]]:
    """Give the outputs of each execution."""
    return [cell["outputs"] for cell in cells(path, dead=dead)]


def text_of(outputs_of_cell: list[dict[str, Any]], name: str = "stdout") -> str:
    """Give what a cell printed."""
    found = [
        o["text"] for o in outputs_of_cell if o["output_type"] == "stream" and o["name"] == name
    ]
    return "".join("".join(text) for text in found)


def is_anywhere(folder: Path, text: str) -> list[Path]:
    """Name the files below `folder` that hold `text`, as it is or in a frame of zstd's."""
    needle = text.encode()
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if any(needle in each for each in (data, *_frames(data))):
                found.append(path)
    return found


def _frames(data: bytes) -> Iterator[bytes]:
    """Give what zstd makes of each place where a frame may begin."""
    at = data.find(zstandard.FRAME_HEADER)
    while at >= 0:
        with suppress(zstandard.ZstdError):
            yield zstandard.ZstdDecompressor().decompressobj().decompress(data[at:])
        at = data.find(zstandard.FRAME_HEADER, at + 1)
