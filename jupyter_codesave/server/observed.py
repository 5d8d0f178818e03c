"""What the server records of an observed kernel: the same messages that a tap within it would.

What is not known of such a kernel (its Python, packages, git and folder) stays unknown: the
server's own are not the kernel's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..capture.session import boot_id, process_started, user_name
from ..capture.switch import heeded, is_unread, said_in
from ..control import purged, read_control, renamed
from ..errors import CodeSaveError
from ..journal import events
from ..journal.writer import Writer
from ..model.digest import digest_of
from ..model.run import new_id
from ..model.skip import is_skipped
from ..settings import decision, places, resolve

if TYPE_CHECKING:
    from .extension import CodeSaveServer

_QUICK = 1 << 20  # bytes of a notebook file that are read within a few ms
_PASSED_OVER = ("status", "iopub_welcome", "debug_event", "shutdown_reply")


def environment_of(manager: Any) -> Mapping[str, str]:
    """Give the environment in which a kernel was started: its kernelspec may say off in it."""
    given = (getattr(manager, "_launch_args", None) or {}).get("env") or os.environ
    own = getattr(getattr(manager, "kernel_spec", None), "env", None) or {}
    return {**given, **{name: Template(own[name]).safe_substitute(given) for name in own}}


class Observed:
    """One observed kernel process, its journal and its run."""

    def __init__(
        self, codesave: CodeSaveServer, kernel_id: str, manager: Any, notebook: str | None
    ) -> None:
        self._codesave, self._kernel_id, self._notebook = codesave, kernel_id, notebook
        self._present = notebook  # the notebook by the name that it has now
        self.ended_by: str | None = None  # as somebody said, while its last words are waited for
        self._spec = getattr(manager, "kernel_spec", None)
        self._environment = environment_of(manager)
        self._began = time.time()
        self._session = new_id()
        self._writer: Writer | None = None
        self._run = new_id()
        self._what = "off"  # what is recorded, as of the last execution
        self._told: tuple[str, str] | None = None
        self._kept: set[str] = set()  # executions whose outputs are recorded
        self._opened: set[str] = set()  # executions whose source is recorded
        self._skipped: list[str] = []  # digests of sources that the journal is to be told of
        self._read: tuple[str, int, int] | None = None  # the notebook file, as it was read last
        self._said: str | None = None  # what it says of `capture`
        self._doubt: str | None = None  # that it cannot be read now, and may say off
        self._in_file: frozenset[str] = frozenset()  # sources of cells that it says to skip
        self._comms: set[str] = set()  # opened by cells that are not recorded

    @property
    def is_behind(self) -> bool:
        """Tell whether writing may have to wait."""
        return self._writer is not None and self._writer.is_behind

    async def look(self) -> None:
        """Learn what is said of the run and of its notebook, before an execution is taken."""
        control = read_control(self._codesave.folder)
        if self._run in purged(control):
            await asyncio.to_thread(self.end, "finish")  # what goes on is a session of its own
            self._session, self._run, self._told = new_id(), new_id(), None
            self._kept.clear()
        if self._notebook is not None:
            self._present = renamed(control, self._notebook, self._began)
        notebook, self._doubt = self._present, None
        if notebook is None:
            self._read, self._said, self._in_file = None, None, frozenset()
            return
        seen = notebook, 0, 0
        with contextlib.suppress(OSError):  # said_in() tells which
            status = os.stat(notebook)
            seen = notebook, status.st_mtime_ns, status.st_size
            if seen == self._read:
                return
        if self._read is None or self._read[0] != notebook:
            self._said, self._in_file = None, frozenset()
        if seen[2] <= _QUICK:
            found = said_in(notebook)
        else:  # elsewhere: the event loop is not to wait for it
            found = json.loads(await self._codesave.reads.call("said_in", notebook=notebook))
        if found is not None and is_unread(found[0]):
            self._doubt = found[0]
            return
        self._read = seen
        if found is not None:
            self._said, self._in_file = found[0], frozenset(found[1])

    def take(
        self,
        header: dict[str, Any],
        parent: dict[str, Any],
        content: dict[str, Any],
        frames: Sequence[bytes],
    ) -> None:
        """Record a message if it may be recorded: the same ones that a kernel's own tap does."""
        key, kind = str(parent.get("msg_id")), str(header.get("msg_type"))
        if kind == "execute_input":
            self._begin(key, str(content.get("code", "")), frames)
            return
        writer, asked = self._writer, parent.get("msg_type") == "execute_request"
        if writer is None:
            return
        if kind.startswith("comm_"):
            keeps = self._keeps_comm(kind, key, asked, str(content.get("comm_id")))
        elif asked and kind == "status":
            keeps = content.get("execution_state") == "idle" and key in self._opened
        elif asked:
            keeps = kind not in _PASSED_OVER and key in self._kept
        else:
            # Which widget's callback it is cannot be seen from here: one of an unrecorded cell?
            keeps = kind not in _PASSED_OVER and self._what == "all" and not self._comms
        if keeps:
            writer.message(frames)

    def _begin(self, key: str, source: str, frames: Sequence[bytes]) -> None:
        if key in self._opened:  # sent again
            if self._writer is not None:
                self._writer.message(frames)
            return
        what, decided_by = self._decide(self._present)
        self._what = what
        if what != "all":  # tasks and threads of cells that have ended may print, too
            self._kept.clear()
        self._tell(what, decided_by)
        if what == "off" or is_skipped(source, {}) or source in self._in_file:
            self._skip(source)
            return
        if not self._ready():
            return
        assert self._writer is not None
        self._tell(what, decided_by)
        execution = {"key": key, "run": self._run, "cell_id": None, "notebook": self._notebook}
        self._writer.append(
            events.message_payload(frames), events.event_payload("execution", execution)
        )
        self._opened.add(key)
        if what == "all":
            self._kept.add(key)

    def _keeps_comm(self, kind: str, key: str, asked: bool, comm: str) -> bool:
        if asked and key not in self._kept:
            if kind == "comm_open":
                self._comms.add(comm)
            return False
        return comm not in self._comms and self._what == "all"

    def _skip(self, source: str) -> None:
        """The copy of the notebook file must not bring it back."""
        if source.strip():
            self._skipped.append(digest_of(source.encode("utf-8", "replace")))
        while self._writer is not None and self._skipped:
            self._writer.event("skip", cell_id=None, source=self._skipped.pop())

    def _tell(self, what: str, decided_by: str) -> None:
        if self._writer is not None and self._told != (what, decided_by):
            self._told = what, decided_by
            self._writer.event("capture", capture=what, decided_by=decided_by)

    def leave(self, is_recorded: Callable[[str], bool]) -> None:
        """The kernel records itself from now on; the cell that began it perhaps not only here."""
        if self._writer is not None and len(self._opened) == 1 and is_recorded(*self._opened):
            self._writer.event("run-end", run=self._run, ended_by="finish", dropped=True)
        self.end("finish")

    def end(self, ended_by: str) -> None:
        """The kernel process has ended."""
        if self._writer is not None:
            self._writer.event("session-end", ended_by=ended_by, exit_code=0)
            self._writer.close(timeout=5)
            self._writer = None

    def _decide(self, notebook: str | None) -> tuple[str, str]:
        """Give what is recorded of the next execution, and who decided it."""
        # A notebook's folder is where its kernel was started.
        folder = os.path.dirname(notebook) if notebook else self._codesave.root or None
        try:
            settings = resolve(
                cwd=folder, notebook=notebook, environ=self._environment, within=places()
            )
        except CodeSaveError as error:
            self._codesave.app.log.warning("jupyter_codesave: not recording: %s", error)
            return "off", str(error)
        return heeded(*decision(settings), self._doubt or self._said, notebook)

    def _ready(self) -> bool:
        if self._writer is not None:
            return True
        folder: Path = self._codesave.folder
        writer = Writer(folder / "journal" / (self._session + events.SUFFIX))
        if not writer.open():
            self._codesave.app.log.warning("jupyter_codesave: not recording: %s", writer.failure)
            return False
        spec = self._spec
        language = getattr(spec, "language", "") or ""
        writer.event(
            "session",
            version=events.VERSION,
            session=self._session,
            kind="kernel",
            by="server",
            host=socket.gethostname(),
            boot=boot_id(),
            pid=os.getpid(),
            process_started=process_started(),
            package=__version__,
            user=user_name(),
            kernel_id=self._kernel_id,
            notebook=self._notebook,
            kernelspec={
                "name": Path(getattr(spec, "resource_dir", "") or language).name,
                "display_name": getattr(spec, "display_name", language),
                "language": language,
            },
            language_info={"name": language},
        )
        writer.event("run", run=self._run, explicit=False, notebook=self._notebook)
        self._writer = writer
        self._skip("")
        return True
