"""A plain script: what init() connects where there is no IPython."""

from __future__ import annotations

import atexit
import builtins
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .console import Console
from .project import program_bytes
from .recorder import Recorder
from .run import told_of


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
        _follow_quitters(self._exiting)
        self._last = getattr(sys, "last_value", None)
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
        if not self.recorder.is_here:
            self._excepthook(kind, error, trace)
            return
        self.recorder.guarded(self._note_failure, kind, error, trace)
        with self.console.silence():
            self._excepthook(kind, error, trace)

    def _note_failure(self, kind: Any, error: Any, trace: Any) -> None:
        self._last = error
        told = told_of(kind, error, trace, self.recorder)
        self.end = {"ended_by": "error", "exit_code": 1, "error": told}
        self.console.output(
            output_type="error",
            ename=kind.__name__,
            evalue=str(error),
            traceback=told.splitlines(),
        )

    def _exiting(self, code: Any = None) -> Any:
        try:
            return self._exit(code)
        except SystemExit as leaving:
            if code is not None and threading.current_thread() is threading.main_thread():
                before = self.end
                number = code if isinstance(code, int) else 1
                self.end = {"ended_by": "exit", "exit_code": int(number)}
                leaving.__dict__["__codesave__"] = _Caught(self, before)
            raise

    def _close(self) -> None:
        last = getattr(sys, "last_value", None)
        if last is not None and last is not self._last:  # another excepthook was put before ours
            self.recorder.guarded(self._note_failure, type(last), last, last.__traceback__)
            self.recorder.guarded(self.console.flush)
        interrupted = isinstance(last, KeyboardInterrupt)
        del last
        self.recorder.guarded(lambda: self.recorder.close(**self.end))
        if interrupted:
            # Python ends itself by SIGINT if that was the last thing it executed from a text;
            # what we imported meanwhile executed other texts.
            with suppress(KeyboardInterrupt):
                exec("raise KeyboardInterrupt")


def _source(program: str | None) -> str:
    text = program_bytes(program).decode("utf-8", "replace") if program else ""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class _Caught:
    """Dies with the SystemExit that holds it; if the program goes on then, it was caught."""

    def __init__(self, script: _Script, before: dict[str, Any]) -> None:
        self._script, self._before = script, before

    def __del__(self) -> None:
        frame: Any = sys._getframe().f_back
        if frame is not None and not sys.is_finalizing():
            self._script.end = self._before


def _follow_quitters(exiting: Callable[[Any], Any]) -> None:
    """Have `exit(3)` and `quit(3)`, which site makes, end as sys.exit(3) does."""
    quitter: Any = type(getattr(builtins, "exit", None))
    if quitter.__name__ != "Quitter":
        return
    original = quitter.__call__

    def call(self: Any, code: Any = None) -> Any:
        try:
            return original(self, code)
        except SystemExit:
            pass
        return exiting(code)

    quitter.__call__ = call
