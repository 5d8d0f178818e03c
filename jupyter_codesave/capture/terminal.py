"""Terminal IPython: its cell events, what it prints, displays and shows."""

from __future__ import annotations

import builtins
import sys
import threading
from contextlib import nullcontext
from functools import partial
from typing import Any

from .console import Console
from .recorder import Recorder
from .session import Session


class Terminal:
    """Connects a terminal InteractiveShell with the recorder."""

    def __init__(self, shell: Any, recorder: Recorder) -> None:
        self._shell, self._recorder = shell, recorder
        self.console = Console(recorder, self._key)
        self._info: Any = None  # of the cell that runs
        self._current: str | None = None
        self._count = 0
        self._wrapped: list[tuple[Any, str]] = []
        self._input: Any = None
        recorder.calling = self._calling

    def install(self) -> None:
        """Begin to see what happens."""
        shell = self._shell
        self.console.install()
        shell.events.register("pre_run_cell", self._pre_run_cell)
        shell.events.register("post_run_cell", self._post_run_cell)
        self._wrap(shell, "run_cell", self._run_cell)
        self._wrap(shell, "_showtraceback", self._showtraceback)
        self._wrap(shell.display_pub, "publish", self._publish)
        self._wrap(shell.display_pub, "clear_output", self._clear_output)
        self._wrap(shell.displayhook, "write_output_prompt", self._prompt)
        self._wrap(shell.displayhook, "finish_displayhook", self._silently)
        self._wrap(shell.displayhook, "write_format_data", self._write_format_data)

    def remove(self) -> None:
        """See nothing any more."""
        self._shell.events.unregister("pre_run_cell", self._pre_run_cell)
        self._shell.events.unregister("post_run_cell", self._post_run_cell)
        for owner, name in self._wrapped:
            owner.__dict__.pop(name, None)
        if self._input is not None:
            builtins.input = self._input
        self._wrapped.clear()
        if self.console.through is not None:
            self._recorder.guarded(self.console.through.end)
        self.console.remove()

    def follow_prints(self, session: Session) -> None:
        """Have what is printed laid into the session's tail."""
        self.console.follow_prints(session)

    def _wrap(self, owner: Any, name: str, wrapper: Any) -> None:
        original = getattr(owner, name, None)
        if original is None:
            return

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return wrapper(original, *args, **kwargs)

        owner.__dict__[name] = wrapped
        self._wrapped.append((owner, name))

    def _key(self) -> str | None:
        """Name who prints: the cell that runs, or (from another thread) the last one that did."""
        if self._info is not None:
            return self._current
        late = threading.current_thread() is not threading.main_thread()
        return self._recorder.last_key if late else None

    # -- cells ----------------------------------------------------------------------------------

    def _run_cell(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        # IPython 9 puts back after each cell the `write` that it found before.
        if self._info is None:
            self._recorder.guarded(self.console.install)
        return original(*args, **kwargs)

    def _watch_descriptors(self) -> None:
        """From the first recorded cell on, see what is printed past Python; if that can be."""
        if self.console.through is not None or sys.platform == "win32":
            return
        from .descriptors import Descriptors

        try:
            self.console.through = Descriptors(partial(self._recorder.guarded, self.console.text))
        except (OSError, ValueError, AttributeError):
            return
        self._input, builtins.input = builtins.input, self._ask

    def _ask(self, prompt: Any = "") -> Any:
        """What is typed at a prompt is not printed, and not kept."""
        key = self._key()
        with self.console.through.hushed(), self.console.silence():
            answer = self._input(prompt)
        recorder = self._recorder
        if key is not None and recorder.keeps(key):
            kept = answer if recorder.switch.value("input_answers") else None
            recorder.event("stdin", key=key, prompt=str(prompt), answer=kept)
        return answer

    def _pre_run_cell(self, info: Any = None) -> None:
        self._recorder.guarded(self._begin, info)

    def _begin(self, info: Any) -> None:
        if info is None or self._info is not None:
            return  # a cell within the cell
        self._info, self._current = info, None
        self._count += 1
        key = f"{self._recorder.session.id}-{self._count}"
        if not self._recorder.begin(key, info.raw_cell, {}, None):
            return
        self._current = key
        self._watch_descriptors()
        if self.console.through is not None:
            self.console.through.begin()
        self._recorder.opened(
            key,
            source=info.raw_cell,
            execution_count=self._execution_count(info),
            store_history=bool(info.store_history),
            cell_id=None,
            notebook=None,
        )

    def _execution_count(self, info: Any) -> int:
        from IPython.core.release import version_info

        counted = tuple(version_info[:2]) >= (9, 8) and info.store_history
        return int(self._shell.execution_count) - (1 if counted else 0)

    def _post_run_cell(self, result: Any = None) -> None:
        self._recorder.guarded(self._end, result)

    def _end(self, result: Any) -> None:
        if self._info is None or (result is not None and result.info is not self._info):
            return
        if self.console.through is not None:
            self.console.through.end()
        self.console.flush()
        key, self._info, self._current = self._current, None, None
        if key is not None:
            failed = result is None or not result.success
            self._recorder.ended(key, "error" if failed else "ok")

    def _calling(self) -> dict[str, Any] | None:
        if self._info is None:
            return None
        key = self._current or f"{self._recorder.session.id}-{self._count}"
        self._current = key
        return {
            "key": key,
            "source": self._info.raw_cell,
            "execution_count": self._execution_count(self._info),
            "store_history": bool(self._info.store_history),
        }

    # -- what is shown --------------------------------------------------------------------------

    def _silently(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        with self.console.silence():
            return original(*args, **kwargs)

    def _prompt(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        """`Out[1]:` goes to the descriptor itself where prompt_toolkit draws it."""
        through = self.console.through
        with through.hushed() if through is not None else nullcontext():
            return self._silently(original, *args, **kwargs)

    def _write_format_data(self, original: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
        self._recorder.guarded(self._result, data, *args)
        return self._silently(original, data, *args, **kwargs)

    def _result(self, data: Any, metadata: Any = None) -> None:
        self.console.output(
            output_type="execute_result",
            data=dict(data),
            metadata=dict(metadata or {}),
            execution_count=getattr(self._shell.displayhook, "prompt_count", None),
        )

    def _publish(self, original: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
        self._recorder.guarded(self._displayed, data, args, kwargs)
        return self._silently(original, data, *args, **kwargs)

    def _displayed(self, data: Any, args: Any, kwargs: Any) -> None:
        metadata = kwargs.get("metadata", args[0] if args else None)
        transient = kwargs.get("transient") or {}
        self.console.output(
            output_type="update_display_data" if kwargs.get("update") else "display_data",
            data=dict(data),
            metadata=dict(metadata or {}),
            display_id=transient.get("display_id"),
        )

    def _clear_output(self, original: Any, wait: bool = False) -> Any:
        self._recorder.guarded(self._cleared, wait)
        return self._silently(original, wait)

    def _cleared(self, wait: bool) -> None:
        key = self._key()
        if key is not None and self._recorder.keeps(key):
            self.console.flush()
            self._recorder.event("clear-output", key=key, wait=bool(wait))

    def _showtraceback(self, original: Any, kind: Any, value: Any, trace: Any) -> Any:
        self._recorder.guarded(self._failed, kind, value, trace)
        return self._silently(original, kind, value, trace)

    def _failed(self, kind: Any, value: Any, trace: Any) -> None:
        self.console.output(
            output_type="error",
            ename=getattr(kind, "__name__", str(kind)),
            evalue=str(value),
            traceback=trace.splitlines() if isinstance(trace, str) else [str(x) for x in trace],
        )
