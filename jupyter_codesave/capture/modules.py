"""The program and the user's own modules, kept with a run as they change."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from typing import Any

from ..errors import CodeSaveError
from ..model.manifest import EXECUTABLE, FILE, Entry, check_path
from .code import listed
from .project import LARGEST, program_bytes, project_root, why_no_program
from .run import Run

_MOST = 2000  # modules


# A script's files as they were first seen: what they are edited to while it runs does not run.
_loaded: dict[str, Entry] = {}


class Modules:
    """The program and every imported module from below the project's root, kept as they change."""

    def __init__(self, run: Run) -> None:
        self._run = run
        where = run.notebook or run.program
        recorder = run._recorder
        assert recorder is not None
        folder = os.path.dirname(where) if where else recorder.cwd
        self._root = _code_root(folder, recorder.cwd)
        self._foreign = _foreign()
        self._known: dict[str, tuple[int, int, int]] = {}  # file → what stat said
        self._own: dict[str, str] = {}  # file → path in the artifact
        self._foreign_files: set[str] = set()
        self._name = f"modules {run.id}"
        self._count = 0  # of modules when they were gone through
        recorder.cell_ended.append(self.look)
        if recorder.kind == "script" and run.program is None:
            reason = why_no_program()
            recorder.event("file-missing", run=run.id, path="the program", reason=reason)

    def look(self) -> None:
        """Have it looked at soon, in the background."""
        recorder = self._run._recorder
        if recorder is not None:
            recorder.background.submit(self._name, self.look_now)

    def stop(self) -> None:
        """Look no more."""
        recorder = self._run._recorder
        if recorder is not None and self.look in recorder.cell_ended:
            recorder.cell_ended.remove(self.look)

    def look_now(self) -> None:
        recorder = self._run._recorder
        if recorder is None:
            return
        entries: dict[str, Entry] = {}
        for file, path in self._files():
            if recorder.kind == "script" and file in _loaded:
                if file not in self._known:
                    entries[path] = _loaded[file]
                    self._known[file] = (0, 0, 0)
                continue
            try:
                status = os.stat(file)
                mark = (status.st_mtime_ns, status.st_size, status.st_ino)
            except OSError:
                mark = (0, 0, 0)
                if file != self._run.program:
                    continue
            if self._known.get(file) == mark or mark[1] > LARGEST:
                continue
            self._known[file] = mark
            try:
                check_path(path)
                mode = EXECUTABLE if os.access(file, os.X_OK) else FILE
                if file == self._run.program:
                    data = program_bytes(file)
                else:
                    with open(file, "rb") as source:
                        data = source.read()
                entries[path] = Entry(recorder.spool.put(data), len(data), mode)
                if recorder.kind == "script":
                    _loaded[file] = entries[path]
            except (OSError, CodeSaveError) as error:
                reason = str(getattr(error, "strerror", None) or error)
                recorder.event("file-missing", run=self._run.id, path=path, reason=reason)
        if entries:
            recorder.event("code", run=self._run.id, files=listed(entries))

    def _files(self) -> Iterator[tuple[str, str]]:
        """Yield (file, path in the artifact) of the program and the own modules."""
        program = self._run.program
        if program is not None:
            yield program, self._path(program) or os.path.basename(program)
        if self._root is None:
            return
        if self._count != len(sys.modules):  # nothing else is asked while nothing was imported
            self._count = len(sys.modules)
            for module in list(sys.modules.values()):
                file = _file_of(module)
                if not isinstance(file, str) or file in self._foreign_files:
                    continue
                whole = os.path.abspath(file)
                path = self._path(whole) if file.endswith((".py", ".pyw")) else None
                if path is None or whole == program:
                    self._foreign_files.add(file)
                elif len(self._own) < _MOST:
                    self._own[whole] = path
        yield from self._own.items()

    def _path(self, file: str) -> str | None:
        """Give the path below the root; None for what is installed, not written, here."""
        root = self._root
        if root is None or not file.startswith(root + os.sep):
            return None
        if file.startswith(self._foreign) or "site-packages" in file or "dist-packages" in file:
            return None
        return os.path.relpath(file, root).replace(os.sep, "/")


def _file_of(module: Any) -> Any:
    """Look it up without asking the module: lazy ones would load, and some fail to."""
    try:
        return object.__getattribute__(module, "__dict__").get("__file__")
    except AttributeError:
        return None


def _code_root(folder: str, cwd: str) -> str | None:
    """Give the folder below which modules are the user's own; None when that would be too much."""
    root = project_root(folder)
    if root == folder and folder.startswith(cwd + os.sep):
        root = project_root(cwd)
    return None if os.path.dirname(root) == root else root


def _foreign() -> tuple[str, ...]:
    """Name the folders of what is installed."""
    paths = {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    prefixes = {sys.prefix, sys.base_prefix} - {"/usr", "/"}
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return tuple(path + os.sep for path in {*paths, *prefixes, here})
