"""Loading into IPython, and unloading: the entry points, and what connects the parts."""

from __future__ import annotations

import atexit
import os
import re
import sys
from contextlib import suppress
from typing import Any

from ..journal.interrupts import is_interrupt
from ..model.skip import drop_skip_line
from .executed import executed_notebook
from .recorder import Recorder, current, make_current

_INHERITED = "CODESAVE_PARENT_NOTEBOOK"


def startup() -> None:
    """Load into the IPython that runs the startup file; nothing happens elsewhere."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        load(shell)


def load(shell: Any) -> None:
    """Record this IPython's executions from now on; a second call changes nothing."""
    if getattr(shell, "_jupyter_codesave", None) is not None or _is_worker():
        return
    kernel = getattr(shell, "kernel", None)
    if kernel is not None:
        if not hasattr(getattr(kernel, "iopub_thread", None), "send_multipart"):
            return  # not an ipykernel: the server observes it
        part: _Part = _Kernel(shell, kernel)
    else:
        from .terminal import Terminal

        part = _Terminal(shell, Terminal)
    shell._jupyter_codesave = part
    make_current(part.recorder)
    part.install()
    _register_magics(shell)


def unload(shell: Any) -> None:
    """Record nothing any more."""
    part = getattr(shell, "_jupyter_codesave", None)
    if part is None:
        return
    shell._jupyter_codesave = None
    part.remove()
    part.recorder.close(ended_by="finish", exit_code=0)
    make_current(None)


def recorded_key(recorder: Recorder) -> str | None:
    """Name the execution that asks this if it is recorded."""
    # Who is not recorded is not asked: a terminal would take it for a call of init().
    found = recorder.guarded(recorder.calling) if recorder.running else None
    return found["key"] if found and found["key"] in recorder.recorded else None


class _Part:
    """What is common to kernels and terminals."""

    def __init__(self, shell: Any, recorder: Recorder) -> None:
        self.shell, self.recorder = shell, recorder

    def install(self) -> None:
        self.shell.input_transformers_cleanup.append(self._drop_skip_line)
        atexit.register(self._at_exit)

    def remove(self) -> None:
        if self._drop_skip_line in self.shell.input_transformers_cleanup:
            self.shell.input_transformers_cleanup.remove(self._drop_skip_line)
        atexit.unregister(self._at_exit)

    def _drop_skip_line(self, lines: list[str]) -> list[str]:
        """A cell that a recorded one runs keeps the line: the magic has that one forgotten."""
        left = drop_skip_line(lines)
        return lines if left is not lines and recorded_key(self.recorder) else left

    def _at_exit(self) -> None:
        self.recorder.guarded(lambda: self.recorder.close(ended_by="exit", exit_code=0))


class _Kernel(_Part):
    def __init__(self, shell: Any, kernel: Any) -> None:
        from .iopub import Tap

        self.kernel = kernel
        executed = executed_notebook()
        super().__init__(
            shell,
            Recorder(
                "kernel",
                notebook=_notebook_of(shell, executed),
                on_open=self._opened,
                kernel_id=_kernel_id(kernel),
                log=kernel.log.warning,
            ),
        )
        self.tap = Tap(kernel, self.recorder)
        kernel_id = _kernel_id(kernel)
        folder = self.recorder.switch.folder / "kernels"
        self._claimed = folder / kernel_id if kernel_id else None
        self.recorder.calling = self._calling

    def _opened(self, session: Any) -> None:
        self.tap.follow_prints(session)

    def install(self) -> None:
        super().install()
        self.recorder.guarded(self._claim)
        self.tap.install()
        self.shell.events.register("post_run_cell", self._post_run_cell)

    def remove(self) -> None:
        super().remove()
        self.tap.remove()
        self.shell.events.unregister("post_run_cell", self._post_run_cell)

    def _claim(self) -> None:
        """Tell the server that this kernel decides for itself what is recorded of it.

        An empty file of the kernel's name does: the server does not observe a kernel that has it,
        not even one that was told not to record.
        """
        if self._claimed is not None:
            self._claimed.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._claimed.touch(mode=0o600)

    def _post_run_cell(self, result: Any = None) -> None:
        try:
            running = self.recorder.running
            if not running:
                return
            request = self.kernel.get_parent("shell") or {}
            key = request.get("header", {}).get("msg_id")
            source = running.get(key)
            info = getattr(result, "info", None)
            if source is None or (info is not None and info.raw_cell != source):
                return  # not recorded, or a cell within the cell
            failed = result is None or not result.success
            self.recorder.ended(key, "error" if failed else "ok")
        except KeyboardInterrupt:  # the cell is over: there is nothing left to interrupt
            self._post_run_cell(result)
        except Exception as error:
            if is_interrupt(error):
                raise
            self.recorder.note_fault(error)

    def _calling(self) -> dict[str, Any] | None:
        request = self.kernel.get_parent("shell") or {}
        header, content = request.get("header", {}), request.get("content", {})
        if header.get("msg_type") != "execute_request" or content.get("silent"):
            return None
        metadata = request.get("metadata") or {}
        return {
            "key": header["msg_id"],
            "source": content.get("code", ""),
            "metadata": metadata,
            "cell_id": metadata.get("cellId"),
            "notebook": self.recorder.notebook(),
            "execution_count": self.kernel.execution_count,
            "store_history": bool(content.get("store_history", True)),
        }

    def _at_exit(self) -> None:
        if self._claimed is not None and self.recorder.is_here:
            with suppress(OSError):
                self._claimed.unlink(missing_ok=True)
        asked = getattr(self.kernel, "_shutdown_message", None)
        ended_by = "exit"
        if asked is not None:
            restart = (asked.get("content") or {}).get("restart")
            ended_by = "restart" if restart else "shutdown"
        self.recorder.guarded(lambda: self.recorder.close(ended_by=ended_by, exit_code=0))


class _Terminal(_Part):
    def __init__(self, shell: Any, terminal: Any) -> None:
        super().__init__(shell, Recorder("terminal", on_open=self._opened))
        self.terminal = terminal(shell, self.recorder)

    def _opened(self, session: Any) -> None:
        self.terminal.follow_prints(session)

    def install(self) -> None:
        super().install()
        self.terminal.install()

    def remove(self) -> None:
        super().remove()
        self.terminal.remove()


def _register_magics(shell: Any) -> None:
    def codesave(line: str, cell: str | None = None) -> Any:
        from .magics import codesave as run

        return run(shell, line, cell)

    from .usage import HELP

    codesave.__doc__ = HELP
    shell.register_magic_function(codesave, "line_cell", "codesave")
    shell.set_hook("complete_command", _complete, re_key=r"%{0,2}codesave\b")


def _complete(shell: Any, event: Any) -> list[str]:
    from .magics import complete

    return complete(shell, event)


def _notebook_of(shell: Any, executed: str | None) -> Any:
    """Give a function that names the notebook this kernel works for, None if nobody knows."""
    given = os.environ.get("JPY_SESSION_NAME")
    if given and os.environ.get(_INHERITED) == given:
        given = None  # the name of the notebook whose cell started this kernel
    elif given:
        os.environ[_INHERITED] = given
    if given and not (os.path.isabs(given) and (given.endswith(".ipynb") or os.path.isfile(given))):
        given = None
    known = given or executed
    namespace = shell.user_ns

    def notebook() -> str | None:
        named = namespace.get("__vsc_ipynb_file__")
        return named if isinstance(named, str) and named else known

    return notebook


def _kernel_id(kernel: Any) -> str | None:
    """Give the id under which the server knows this kernel: it is in the connection file's name."""
    file = os.path.basename(getattr(kernel.parent, "connection_file", "") or "")
    found = re.fullmatch(r"kernel-(.+)\.json", file)
    return found[1] if found else None


def _is_worker() -> bool:
    """Tell whether this is a process that multiprocessing made."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    return multiprocessing is not None and multiprocessing.parent_process() is not None


def loaded() -> Recorder | None:
    """Give this process's recorder, loading into IPython first if there is one to load into."""
    if current() is None and "IPython" in sys.modules:
        startup()
    return current()
