"""The recorder: what of this process's executions goes to the journal, and under which run."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..journal import events
from ..journal.interrupts import is_interrupt
from ..model.digest import digest_of
from ..model.skip import is_skipped

if TYPE_CHECKING:
    from ..blobs.local import LocalBlobs
    from ..journal.events import Payload
    from ..model.run import Kind
    from .background import Background
    from .session import Session
    from .switch import Switch

_MAGIC = re.compile(r"%codesave\b[^\n]*").fullmatch
_log = logging.getLogger("jupyter_codesave")
_log.addHandler(logging.NullHandler())


class Recorder:
    """One for a process. Nothing it does raises; what goes wrong becomes `fault`.

    Loading is to cost next to nothing: its parts are made when the first cell runs.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        notebook: Callable[[], str | None] = lambda: None,
        on_open: Callable[[Session], None] = lambda _: None,
        kernel_id: str | None = None,
        log: Callable[..., None] = _log.warning,
    ) -> None:
        self.kind = kind
        self.pid = os.getpid()
        self.cwd = _working_folder()
        self.run: Any = None  # the current capture.run.Run
        self.sidecar: Any = None
        self.fault: str | None = None
        self.running: dict[str, str] = {}  # key → source, of executions that have not ended
        self.recorded: set[str] = set()  # keys whose source is in the journal
        self.kept: set[str] = set()  # keys whose outputs are kept, too
        self.executed = 0
        self.last_key: str | None = None
        self.cell_ended: list[Callable[[], None]] = []  # what looks at files when a cell ends
        self.notebook = notebook
        self.calling: Callable[[], dict[str, Any] | None] = lambda: None
        self.began: Callable[[Any], None] = lambda run: None  # one that was asked for began
        self.ending: Callable[[Any, str], None] = lambda run, status: None
        self._on_open = on_open
        self._kernel_id = kernel_id
        self._log = log
        self._status: dict[str, str] = {}  # how executions ended whose last output is to come
        self.failed: set[str] = set()  # keys that showed an error, until they are over
        self._looked_for: str | None = None  # the key of the execution that was looked for last
        self._look_at = 0.0  # when to look next whether the journal is still there
        self._when_idle: dict[str, list[Callable[[], None]]] = {}
        self._cells: dict[str, str | None] = {}  # key → cell id, of all recorded executions
        self._magics: set[str] = set()  # keys of `%codesave …`
        self._waiting: list[dict[str, Any]] = []  # `skip` events before there is a journal
        self._told: tuple[str, str] | None = None
        self._complained: str | None = None  # of which bad setting there is a line in the log
        self._lock = threading.RLock()
        self._closed = False
        self.is_here = True  # not in a forked child
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave)

    @cached_property
    def switch(self) -> Switch:
        """Whether anything is recorded."""
        from .project import program_path
        from .switch import Switch

        return Switch(self.cwd, program_path() if self.kind == "script" else None)

    @cached_property
    def session(self) -> Session:
        """The session; a new one after its journal was purged."""
        from .session import Session

        return Session(self.kind, self.switch.folder, kernel_id=self._kernel_id)

    @cached_property
    def background(self) -> Background:
        """The thread for what must not hold up a cell."""
        from .background import Background

        return Background(lambda error: self.complain(repr(error)))

    def _leave(self) -> None:
        """In a forked child nothing is recorded; its parent records what it prints."""
        self._closed, self.is_here = True, False

    # -- what is recorded -----------------------------------------------------------------------

    @property
    def explicit(self) -> bool:
        """Tell whether the current run was begun by init()."""
        return self.run is not None and self.run.explicit

    def state(self) -> tuple[str, str]:
        """Give `recording`, `off` or `failed`, and the reason."""
        if self.switch.error:
            return "failed", self.switch.error
        what, decided_by = self.switch.now(self.explicit)
        if what == "off":
            return "off", decided_by
        if self.session.journal.failure:
            return "failed", self.session.journal.failure
        if self.fault:
            return "failed", self.fault
        return "recording", decided_by

    def keeps(self, key: str) -> bool:
        """Tell whether outputs of the execution `key` are kept."""
        return key in self.kept

    def reconsider(self) -> None:
        """The switch was moved: from now on nothing is kept that it forbids."""
        what, _ = self.switch.now(self.explicit)
        if what != "all":  # tasks and threads of cells that have ended may print, too
            self.kept.clear()
        if self.session.tail is not None:
            self.session.tail.reconsider()
        self._tell()

    @property
    def keeps_outputs(self) -> bool:
        """Tell whether outputs that belong to no execution (widgets) are kept now."""
        return self._told is not None and self._told[0] == "all" and not self._closed

    # -- executions -----------------------------------------------------------------------------

    def look(self, key: str) -> None:
        """See whether anything has changed that decides on the execution `key`, about to begin."""
        with self._lock:
            self.switch.look(self.notebook())
            self._looked_for = key

    def begin(
        self, key: str, source: str, metadata: Mapping[str, Any], cell_id: str | None
    ) -> bool:
        """Decide whether the execution `key` is recorded, before a byte of it is written.

        True: its source may follow, then `opened`.
        """
        if self._closed:
            return False
        with self._lock:
            if self._when_idle:
                self.settle_idle()
            if self._looked_for != key:
                self.look(key)
            if self.switch.purged and self.run is not None and self.run.id in self.switch.purged:
                self._end_session({"ended_by": "finish", "exit_code": 0})
                self._drop_session()
            now = self.switch.now(self.explicit)
            if now != self._told:
                self.reconsider()
            what, error = now[0], self.switch.complaint
            if error != self._complained:
                self._complained = error
                if error:
                    self.complain(error)
            if what == "off" or self._is_skipped(source, metadata):
                self._skip(source, cell_id)
                return False
            if time.monotonic() >= self._look_at:
                run = self.run
                if not self._ready():
                    return False
                if self.run is not run:  # an explicit one is gone: decide without it
                    return self.begin(key, source, metadata, cell_id)
            if self.run is None:
                self._begun()
            self.fault = None
            self.running[key] = source
            self.recorded.add(key)
            if "codesave" in source and _MAGIC(source.strip()):
                self._magics.add(key)
            if what == "all":
                self.kept.add(key)
            self.last_key = key
            self.executed += 1
            return True

    def opened(
        self,
        key: str,
        /,
        message: Payload | None = None,
        *,
        cell_id: str | None,
        notebook: str | None,
        store_history: bool,
        **source: Any,
    ) -> None:
        """Tell the journal about an execution: its source is in the message or in a field."""
        run = self.run or self._begun()
        self._cells[key] = cell_id
        run.keys.append(key)
        if message is not None:
            about = events.execution_payload(key, cell_id, run.id, notebook, store_history)
            self.session.journal.append(message, about)
            return
        self.event(
            "execution",
            run=run.id,
            key=key,
            cell_id=cell_id,
            notebook=notebook,
            store_history=store_history,
            **source,
        )

    def _begun(self) -> Any:
        """Give the run; a thread of the user's may have finished it since `begin`."""
        from .run import begin_automatic

        with self._lock:
            return self.run or begin_automatic(self)

    def ended(self, key: str, status: str) -> None:
        """The cell ended: `ok`, `error` or `aborted`. In a kernel its last outputs follow."""
        if key not in self.running:
            return
        self._status[key] = status
        del self.running[key]
        for look in self.cell_ended:
            self.guarded(look)
        if self.kind != "kernel":
            self.idle(key)

    def idle(self, key: str, *payloads: Payload) -> None:
        """The last output of the execution is out; `payloads` say so in a kernel's words.

        These are enough of an end where nothing failed.
        """
        status = self._status.pop(key, None)
        is_plain = payloads and status == "ok" and key not in self.failed
        self.failed.discard(key)
        if status is not None and not is_plain:
            end = events.event_payload("execution-end", {"key": key, "status": status})
            payloads = (end, *payloads)
        if payloads and not self._closed:
            self.session.journal.append(*payloads)
        if self._when_idle and key in self._when_idle:
            for work in self._when_idle.pop(key):
                self.guarded(work)
        if self.switch.syncs:
            self.session.journal.sync()

    def when_idle(self, key: str, work: Callable[[], None]) -> None:
        """Do `work` when the execution `key` is over."""
        self._when_idle.setdefault(key, []).append(work)

    def settle_idle(self) -> None:
        """Do now what waits for the end of an execution."""
        for key in list(self._when_idle):
            for work in self._when_idle.pop(key):
                self.guarded(work)

    def _is_skipped(self, source: str, metadata: Mapping[str, Any]) -> bool:
        return source in self.switch.skipped or is_skipped(source, metadata)

    def adopt_calling(self) -> tuple[str | None, dict[str, Any]]:
        """Give the key of the execution that calls init(), which will belong to the new run.

        If it was not recorded so far it is from here on: the fields of its event come along.
        """
        found = self.calling()
        if found is None or self._is_skipped(found["source"], found.pop("metadata", {})):
            return None, {}
        key: str = found.pop("key")
        if key in self.recorded or key in self.running:  # in one of them: over, or forgotten
            return (key if key in self.recorded and key in self.running else None), {}
        self.running[key] = found["source"]
        self.recorded.add(key)
        self.last_key = key
        if self.switch.capture == "all":
            self.kept.add(key)
        return key, found

    def keys_of(self, which: str) -> list[str]:
        """Give the executions that `last` or a cell's id stands for, the running one left out.

        Nobody who says `last` means a look at the runs, or at the state.
        """
        if which == "last":
            passed = self._magics | self.running.keys()
            return [key for key in self._cells if key not in passed][-1:]
        return [key for key, cell in self._cells.items() if cell == which]

    def forget(self, key: str) -> None:
        """An execution must not be kept anywhere."""
        self.event("forget", key=key)
        self.kept.discard(key)
        self.recorded.discard(key)
        self._cells.pop(key, None)
        if self.session.tail is not None:
            self.guarded(self.session.tail.forget)

    def _skip(self, source: str, cell_id: str | None) -> None:
        """Copies of the notebook file must not bring back what was not to be kept."""
        if not source.strip():
            return
        fields = {
            "cell_id": cell_id,
            "source": digest_of(source.encode("utf-8", "replace")),
        }
        if self.session.journal.is_open:
            self.event("skip", **fields)
        else:
            self._waiting.append(fields)

    # -- the journal ----------------------------------------------------------------------------

    def ready(self) -> bool:
        """Have a journal to write to, for init() and save() before any execution."""
        with self._lock:
            return not self._closed and self._ready()

    def _ready(self) -> bool:
        if self.session.journal.is_open:
            self._look_at = time.monotonic() + 1
            if self.session.journal.is_in_place():
                return True
            self._drop_session()  # somebody took the journal away
        if not self.session.open():
            self.complain(self.session.journal.failure or "the journal cannot be written")
            return False
        self._on_open(self.session)
        for fields in self._waiting:
            self.event("skip", **fields)
        self._waiting.clear()
        self._told = None
        self._tell()
        return True

    def _end_session(self, end: dict[str, Any]) -> None:
        """Tell the journal that the run and the session end, and how."""
        self.settle_idle()
        if self.run is not None:
            self.guarded(self.run._end_with_session, end)
        self.event("session-end", **end)

    def _drop_session(self) -> None:
        """What goes on is a session of its own."""
        if self.sidecar is not None:
            self.guarded(self.sidecar.close)
            self.sidecar = None
        self.guarded(self.session.close)
        del self.session
        self.kept.clear()  # what its cells say later is not the next one's
        self.run, self._told, self._look_at = None, None, 0.0

    def _tell(self) -> None:
        """Tell the journal when what is recorded has changed."""
        now = self.switch.now(self.explicit)
        if now == self._told or not self.session.journal.is_open:
            return
        self._told = now
        error = {"error": self.switch.error} if self.switch.error else {}
        self.event("capture", capture=now[0], decided_by=now[1], **error)

    def message(self, frames: Sequence[bytes | memoryview]) -> None:
        """Append an iopub message."""
        try:
            payload = events.message_payload(frames)
        except RecursionError:  # no room for ours: it is brought again
            raise
        except Exception as error:
            if is_interrupt(error):
                raise
            self.event("gap", reason=f"a message cannot be recorded: {error}", lost=1)
            raise
        self.session.journal.append(payload)

    def event(self, name: str, /, **fields: Any) -> None:
        """Append an event."""
        if self._closed:
            return
        if self.sidecar is not None and self.sidecar.handed_over:
            self.sidecar.leave(name, fields)
        else:
            self.session.journal.event(name, **fields)

    @property
    def spool(self) -> LocalBlobs:
        """Where bytes wait to be ingested."""
        from ..blobs.local import LocalBlobs

        return LocalBlobs(self.switch.folder / "spool")

    # -- faults and the end ---------------------------------------------------------------------

    def guarded(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do `work`; what it raises becomes a fault, None comes back."""
        try:
            return work(*arguments)
        except Exception as error:
            if is_interrupt(error):
                raise
            self.note_fault(error)
            return None

    def note_fault(self, error: BaseException) -> None:
        """Something of ours failed: a log line and a visible state, nothing in the cell."""
        text = f"{type(error).__name__}: {error}"
        if self.fault != text:
            self.fault = text
            self.complain(text)

    def complain(self, text: str) -> None:
        """Leave a line in the log, nothing else."""
        try:
            self._log("jupyter_codesave: not recording: %s", text)
        except Exception:
            self._log = _log.warning

    def publish(self) -> None:
        """Have what was printed so far come before what follows in the journal."""
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                self.guarded(stream.flush)

    def asked_to_end(self, *, restart: bool) -> None:
        """Somebody asked for the end: should a busy cell be killed for it, that was no crash."""
        if self.run is not None:
            ending = "restart" if restart else "shutdown"
            self.event("run-update", run=self.run.id, ending=ending)

    def close(self, **end: Any) -> None:
        """The session ends; `end` says how."""
        if self._closed:
            return
        if "session" not in self.__dict__:
            self._closed = True
            return
        self.publish()
        if self.session.journal.is_open:
            self._end_session(end)
            if self.sidecar is not None:
                self.guarded(self.sidecar.close)
        self._closed = True
        self.guarded(self.session.close)


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return os.path.abspath(os.sep)


_current: Recorder | None = None


def current() -> Recorder | None:
    """Give the recorder of this process; None in a forked child and before there is one."""
    if _current is not None and _current.pid != os.getpid():
        return None
    return _current


def make_current(recorder: Recorder | None) -> None:
    """Make `recorder` the one of this process."""
    global _current
    _current = recorder
