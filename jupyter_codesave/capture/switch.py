"""The switch: whether this session records, what of it, and who decided that."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any, BinaryIO

from ..control import CONTROL_FILE, purged, read_control, renamed
from ..errors import CodeSaveError
from ..model.skip import is_skipped
from ..settings import Setting, data_dir, decision, resolve
from .session import process_started

_NAME, _BLOCK = b'"codesave', 1 << 20  # our key in metadata, and how our tag begins
MAGIC = "%codesave off in this session"
# What os.environ keeps is asked directly: it is asked before each cell, and mostly in vain.
_environment: Any = getattr(os.environ, "_data", os.environ)
_CODESAVE: Any = os.environ.encodekey("CODESAVE") if _environment is not os.environ else "CODESAVE"


class Switch:
    """Decides before each execution; costs one stat while nothing has changed."""

    def __init__(self, cwd: str, program: str | None = None) -> None:
        self.capture = "off"
        self.automatic = False
        self.decided_by = "nobody yet"
        self.error: str | None = None  # settings that cannot be understood: nothing is recorded
        self.settings: dict[str, Setting] = {}
        self.explicit: Mapping[str, Any] = {}  # what init(settings=…) said
        self.by_magic = False  # %codesave off
        self._said_in: str | None = None  # the notebook file that was read last
        self._said: str | None = None  # what its metadata says of `capture`
        self.skipped: frozenset[str] = frozenset()  # sources of cells that say so in their file
        self.purged: frozenset[str] = frozenset()  # runs that must not go on
        self.syncs = False  # each cell is to be on the disk when it ends
        self._cwd, self._program = cwd, program
        self.folder = data_dir()
        self._control_file = str(self.folder / CONTROL_FILE)
        self._seen: tuple[Any, ...] | None = None

    def look(self, notebook: str | None) -> None:
        """Decide anew if anything may have changed."""
        control = _stamp(self._control_file, self._seen and self._seen[0])
        file = _stamp(notebook, self._seen and self._seen[2]) if notebook else None
        said = _environment.get(_CODESAVE)
        mending = int(time.monotonic()) if self.error else 0
        seen = (control, notebook, file, id(self.explicit), said, mending)
        if seen == self._seen:
            return
        self._seen = seen
        told = read_control(self.folder) if control else {}
        self.purged = purged(told)
        if notebook:
            notebook = renamed(told, notebook, self._since)
        try:
            self.settings = resolve(
                explicit=self.explicit, cwd=self._cwd, notebook=notebook, program=self._program
            )
        except CodeSaveError as error:
            self.capture, self.automatic, self.error = "off", False, str(error)
            self.decided_by = self.error
            return
        self.error = None
        capture, automatic = self.settings["capture"], self.settings["automatic"]
        self.capture, self.automatic = capture.value, automatic.value
        self.syncs = self.settings["durability"].value == "cell"
        self.decided_by = decision(self.settings)[1]
        self._hear(notebook)
        self.capture, self.decided_by = heeded(self.capture, self.decided_by, self._said, notebook)

    def _hear(self, notebook: str | None) -> None:
        if notebook != self._said_in:
            self._said_in, self._said, self.skipped = notebook, None, frozenset()
        if notebook and (found := said_in(notebook)):
            self._said, self.skipped = found

    @cached_property
    def _since(self) -> float:
        return process_started() or 0.0

    def now(self, explicit_run: bool) -> tuple[str, str]:
        """Give what is recorded, `all`, `sources` or `off`, and who decided it."""
        if self.by_magic:
            return "off", MAGIC
        if self.capture != "off" and not (self.automatic or explicit_run):
            return "off", self.decided_by
        return self.capture, self.decided_by

    def value(self, name: str) -> Any:
        """Give a setting's value."""
        setting = self.settings.get(name)
        return setting.value if setting is not None else None


def _stamp(path: str, before: Any) -> tuple[int, int, int] | None:
    """Give what tells that a file was changed, None where there is none; `before`: the last one."""
    try:
        # Where there was none there will be none, and to ask costs a third of an exception.
        if before is None and not os.access(path, os.F_OK):
            return None
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def heeded(
    capture: str, decided_by: str, said: str | None, notebook: str | None
) -> tuple[str, str]:
    """Give what is recorded, and who decided it, when the notebook file itself says `said`.

    It has a word, too: not every front end tells a server of what is in it.
    """
    if said == "off" or (said == "sources" and capture == "all"):
        return said, f"the metadata of {notebook}"
    return capture, decided_by


def said_in(notebook: str) -> tuple[str | None, frozenset[str]] | None:
    """Give what a notebook file's metadata says of `capture`, and the sources of skipped cells.

    Not every front end sends a cell's tags along when it is run. None when the file cannot be
    read, as while somebody writes it: what it said before is still so.
    """
    try:
        with open(notebook, "rb") as file:
            if not _mentions(file):
                return None, frozenset()
            file.seek(0)
            found = json.load(file)
        own = found["metadata"].get("codesave")
        said = own.get("capture") if isinstance(own, dict) else None
        cells = [cell for cell in found.get("cells") or () if _is_cell(cell)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    skipped = ("".join(cell["source"]) for cell in cells if is_skipped("", cell["metadata"]))
    return said if isinstance(said, str) else None, frozenset(skipped)


def _is_cell(cell: Any) -> bool:
    if not isinstance(cell, dict) or not isinstance(cell.get("metadata"), dict):
        return False
    source = cell.get("source")
    return isinstance(source, str | list) and all(isinstance(line, str) for line in source)


def _mentions(file: BinaryIO) -> bool:
    """Look for our name block by block: most notebooks, and the large ones, do not have it."""
    rest = b""
    while block := file.read(_BLOCK):
        if _NAME in rest + block:
            return True
        rest = block[-len(_NAME) :]
    return False
