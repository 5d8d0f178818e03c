"""The switch: whether this session records, what of it, and who decided that."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any, BinaryIO

from ..control import CONTROL_FILE, NO_FILE, purged, read_control, renamed, why_unread
from ..errors import CodeSaveError
from ..model.skip import is_skipped
from ..settings import Setting, decision, places, resolve
from .session import process_started

_NAME, _BLOCK = b'"codesave', 1 << 20  # our key in metadata, and how our tag begins
MAGIC = "%codesave off in this session"
_UNREAD = "unread: "  # begins what `said_in` gives of a file that cannot be read
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
        self.unread = False  # a file that may say off cannot be read
        self.settings: dict[str, Setting] = {}
        self.explicit: Mapping[str, Any] = {}  # what init(settings=…) said
        self.by_magic = False  # %codesave off
        self._said_in: str | None = None  # the notebook file that was read last
        self._said: str | None = None  # what its metadata says of `capture`
        self.skipped: frozenset[str] = frozenset()  # sources of cells that say so in their file
        self.purged: frozenset[str] = frozenset()  # runs that must not go on
        self.syncs = False  # each cell is to be on the disk when it ends
        self._cwd, self._program = cwd, program
        # Once: what a cell does to HOME or to the working folder must not hide what says off.
        self._places = places()
        self.folder = self._places.folder
        self._control_file = str(self.folder / CONTROL_FILE)
        self._seen: tuple[Any, ...] | None = None

    def look(self, notebook: str | None) -> None:
        """Decide anew if anything may have changed."""
        control = _stamp(self._control_file, self._seen and self._seen[0])
        file = _stamp(notebook, self._seen and self._seen[2]) if notebook else None
        said = _environment.get(_CODESAVE)
        seen = (control, notebook, file, id(self.explicit), said)
        if seen == self._seen:
            return
        self._seen = None  # until all of it is heard: what fails is asked again at the next cell
        try:
            self._decide(notebook)
        except Exception as error:
            self.error = (
                str(error)
                if isinstance(error, CodeSaveError)
                else f"the settings, which may say off, cannot be read ({error!r}); they are asked "
                "again before the next cell"
            )
            self.capture, self.automatic, self.decided_by = "off", False, self.error
            return
        self.error = None
        if not self.unread:
            self._seen = seen

    def _decide(self, notebook: str | None) -> None:
        told = read_control(self.folder)
        self.purged = purged(told)
        if notebook:
            notebook = renamed(told, notebook, self._since)
        self.settings = resolve(
            explicit=self.explicit,
            cwd=self._cwd,
            notebook=notebook,
            program=self._program,
            within=self._places,
        )
        capture, automatic = self.settings["capture"], self.settings["automatic"]
        self.capture, self.automatic = capture.value, automatic.value
        self.syncs = self.settings["durability"].value == "cell"
        self.decided_by = decision(self.settings)[1]
        said = self._hear(notebook)
        self.unread = capture.unread or is_unread(said)
        self.capture, self.decided_by = heeded(self.capture, self.decided_by, said, notebook)

    def _hear(self, notebook: str | None) -> str | None:
        if notebook != self._said_in:
            self._said_in, self._said, self.skipped = notebook, None, frozenset()
        if notebook and (found := said_in(notebook)):
            if is_unread(found[0]):
                return found[0]
            self._said, self.skipped = found
        return self._said

    @cached_property
    def _since(self) -> float:
        return process_started() or 0.0

    @property
    def complaint(self) -> str | None:
        """Say what keeps from recording though nobody said off; None when nothing does."""
        return self.error or (self.decided_by if self.unread and self.capture == "off" else None)

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
    if said and is_unread(said) and capture != "off":
        return "off", said.removeprefix(_UNREAD)
    if said == "off" or (said == "sources" and capture == "all"):
        return said, f"the metadata of {notebook}"
    return capture, decided_by


def said_in(notebook: str) -> tuple[str | None, frozenset[str]] | None:
    """Give what a notebook file's metadata says of `capture`, and the sources of skipped cells.

    Not every front end sends a cell's tags along when it is run. None when there is no file, or
    half of one while somebody writes it: what it said before is still so. One that cannot be read
    for another reason may say off: `is_unread` tells of it.
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
    except (*NO_FILE, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    except OSError as error:
        return _UNREAD + why_unread(notebook, error), frozenset()
    skipped = ("".join(cell["source"]) for cell in cells if is_skipped("", cell["metadata"]))
    return said if isinstance(said, str) else None, frozenset(skipped)


def is_unread(said: str | None) -> bool:
    """Tell whether what was heard of a notebook file is that it cannot be read."""
    return said is not None and said.startswith(_UNREAD)


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
