"""A plain script: what init() connects where there is no IPython."""

from __future__ import annotations

import atexit
import sys
import traceback
from typing import Any

from .console import Console
from .project import program_path
from .recorder import Recorder


def connect() -> Recorder:
    """Make the recorder of a script: its console, its exceptions and its exit are seen."""
    return _Script().recorder


class _Script:
    """The program's one execution in each run: its source, what it prints, how it ends."""

    def __init__(self) -> None:
        self.recorder = Recorder("script", on_open=lambda s: self.console.follow_prints(s))
        self.console = Console(self.recorder, lambda: self.key)
        self.key: str | None = None
        self.end: dict[str, Any] = {"ended_by": "exit", "exit_code": 0}
        self.recorder.began = self._began
        self.recorder.ending = self._ending
        self.console.install()
        self._excepthook, sys.excepthook = sys.excepthook, self._failed
        self._exit, sys.exit = sys.exit, self._exiting
        atexit.register(self._close)

    def _began(self, run: Any) -> None:
        self.console.flush()
        key = f"program-{run.id}"
        recorder = self.recorder
        what, _ = recorder.switch.now(True)
        recorder.recorded.add(key)
        if what == "all":
            recorder.kept.add(key)
        source = _source(run.program)
        recorder.running[key] = source
        recorder.opened(
            key,
            source=source,
            execution_count=None,
            store_history=True,
            cell_id=None,
            notebook=None,
        )
        self.key = key

    def _ending(self, run: Any, status: str) -> None:
        self.console.flush()
        self.recorder.ended(f"program-{run.id}", status)
        if self.key == f"program-{run.id}":
            self.key = None

    def _failed(self, kind: Any, error: Any, trace: Any) -> None:
        self.recorder.guarded(self._note_failure, kind, error, trace)
        with self.console.silence():
            self._excepthook(kind, error, trace)

    def _note_failure(self, kind: Any, error: Any, trace: Any) -> None:
        lines = traceback.format_exception(kind, error, trace)
        self.end = {"ended_by": "error", "exit_code": 1, "error": "".join(lines)}
        self.console.output(
            output_type="error",
            ename=kind.__name__,
            evalue=str(error),
            traceback="".join(lines).splitlines(),
        )

    def _exiting(self, code: Any = None) -> Any:
        if code is not None:
            number = code if isinstance(code, int) else 1
            self.end = {"ended_by": "exit", "exit_code": int(number)}
        return self._exit(code)

    def _close(self) -> None:
        self.recorder.guarded(lambda: self.recorder.close(**self.end))


def _source(program: str | None) -> str:
    if program is None or not program_path():
        return ""
    try:
        with open(program, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
