"""The switch: whether this session records, what of it, and who decided that."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from ..errors import CodeSaveError
from ..settings import CONTROL_FILE, Setting, data_dir, resolve

MAGIC = "%codesave off in this session"
# What os.environ keeps is asked directly: it is asked before each cell, and mostly in vain.
_environment: Any = getattr(os.environ, "_data", os.environ)
_CODESAVE: Any = os.environ.encodekey("CODESAVE") if _environment is not os.environ else "CODESAVE"


class Switch:
    """Decides before each execution; costs one stat while nothing has changed."""

    def __init__(self, cwd: str) -> None:
        self.capture = "off"
        self.automatic = False
        self.decided_by = "nobody yet"
        self.error: str | None = None  # settings that cannot be understood: nothing is recorded
        self.settings: dict[str, Setting] = {}
        self.explicit: Mapping[str, Any] = {}  # what init(settings=…) said
        self.by_magic = False  # %codesave off
        self.syncs = False  # each cell is to be on the disk when it ends
        self._cwd = cwd
        self.folder = data_dir()
        self._control_file = str(self.folder / CONTROL_FILE)
        self._seen: tuple[Any, ...] | None = None

    def look(self, notebook: str | None) -> None:
        """Decide anew if anything may have changed."""
        try:
            status = os.stat(self._control_file)
            control: Any = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            control = None
        said = _environment.get(_CODESAVE)
        mending = int(time.monotonic()) if self.error else 0
        seen = (control, notebook, id(self.explicit), said, mending)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.settings = resolve(explicit=self.explicit, cwd=self._cwd, notebook=notebook)
        except CodeSaveError as error:
            self.capture, self.automatic, self.error = "off", False, str(error)
            self.decided_by = "a setting that cannot be understood"
            return
        self.error = None
        capture, automatic = self.settings["capture"], self.settings["automatic"]
        self.capture, self.automatic = capture.value, automatic.value
        self.syncs = self.settings["durability"].value == "cell"
        if capture.value != "off" and not automatic.value:
            self.decided_by = automatic.source
        else:
            self.decided_by = capture.source

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
