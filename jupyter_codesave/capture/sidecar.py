"""The sidecar: a small process that watches saved files, and outlives the one that saves.

It is started with the first `live` or `end` save. Commands come as JSON lines on its stdin; what
it stored goes back on its stdout, as the events that belong into the journal. The journal itself
is inherited, open and locked: when the saving process dies, however, the sidecar takes the last
state of all that is watched, appends the events itself, and only then the lock is gone.

It is nobody's child: a process in between starts it and ends at once. A program that waits for
all of its children shall not wait for this one, nor find it among them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from .files import Named
from .watcher import born


class Sidecar:
    """The handle on the sidecar of this process's session."""

    def __init__(self, recorder: Any) -> None:
        self._recorder = recorder
        self._session = recorder.session
        self._specs: list[dict[str, Any]] = []
        self._lock = threading.RLock()
        self._settled: set[str] = set()
        self._answer = threading.Condition()
        self._calls = 0
        self._commands = -1  # the pipe to its stdin
        self._answers = -1  # the pipe from its stdout
        self._gone = threading.Event()  # it closed its stdout
        self._handed_over = False
        self._start()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave)

    @classmethod
    def of(cls, recorder: Any) -> Sidecar:
        """Give the session's sidecar, started if there is none."""
        known: Sidecar | None = recorder.sidecar
        if known is None or known._session is not recorder.session:
            known = recorder.sidecar = cls(recorder)
        return known

    def watch(
        self, run: str, named: list[Named], policy: str, follow: bool, limit: int | None
    ) -> None:
        """Watch files and folders from now on; all together hold at most `limit` bytes at once."""
        self._calls += 1
        for each in named:
            spec = {
                "run": run,
                "source": each.source,
                "path": each.path,
                "policy": policy,
                "follow": follow,
                "limit": limit,
                "call": self._calls,
            }
            self._specs.append(spec)
            self._send({"watch": spec})

    def forget(self, run: str, paths: list[str]) -> None:
        """Watch these no longer: a snapshot replaces them."""
        gone = set(paths)
        self._specs = [s for s in self._specs if s["run"] != run or s["path"] not in gone]
        self._send({"forget": {"run": run, "paths": paths}})

    def scan(self) -> None:
        """A cell ended: look at all files."""
        self._send({"scan": True})

    def settle(self, run: str, timeout: float) -> bool:
        """Have the last states of a run stored; False: the sidecar goes on and tells later."""
        self._send({"settle": run})
        self._specs = [spec for spec in self._specs if spec["run"] != run]
        deadline = time.monotonic() + timeout
        with self._answer:
            while run not in self._settled:
                left = deadline - time.monotonic()
                if left <= 0 or self._gone.is_set():
                    break
                self._answer.wait(min(left, 0.2))
            return run in self._settled

    def hand_over(self) -> None:
        """This process ends now: the sidecar writes the journal's end when it is ready."""
        self._handed_over = True

    @property
    def handed_over(self) -> bool:
        """Tell whether the last events of the session are the sidecar's to write."""
        return self._handed_over and not self._gone.is_set()

    def leave(self, name: str, fields: dict[str, Any]) -> None:
        """Have an event appended after all that the sidecar still has to tell."""
        self._send({"leave": [name, fields]})

    def close(self) -> None:
        """All is told: the sidecar may go; or it ends what it has to do without us."""
        if not self._handed_over:
            self._send({"bye": True})
        with self._lock:
            self._close_commands()

    def _start(self) -> None:
        root = str(Path(__file__).resolve().parent.parent.parent)
        # The first process only forks; `site` and all that it brings is for the second one.
        code = (
            "import os\n"
            "if hasattr(os, 'fork') and os.fork(): os._exit(0)\n"
            f"import site, sys; site.main(); sys.path.append({root!r})\n"
            "from jupyter_codesave.capture.watcher import main; main()"
        )
        session = self._session
        handle = session.journal.handle
        more: dict[str, Any] = {}
        if os.name == "posix":
            more = {"pass_fds": (handle,), "start_new_session": True}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
        pid = os.getpid()
        told = [str(session.folder), str(handle), str(pid), born(pid) or ""]
        self._close_commands()
        stdin, self._commands = os.pipe()
        self._answers, stdout = os.pipe()
        self._gone = gone = threading.Event()
        threading.Thread(
            target=self._listen, args=(self._answers, gone), name="codesave-sidecar", daemon=True
        ).start()
        try:
            first = subprocess.Popen(
                [sys.executable, "-S", "-c", code, *told],
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.DEVNULL,
                cwd=os.path.abspath(os.sep),
                env=environment,
                **more,
            )
        except (OSError, ValueError) as error:
            self._recorder.complain(f"the sidecar does not start: {error}")
            self._close_commands()
        else:
            if hasattr(os, "fork"):
                first.wait()
            else:
                first.returncode = 0  # as above; it goes on by itself
        finally:
            os.close(stdin)
            os.close(stdout)

    def _send(self, command: dict[str, Any]) -> None:
        line = json.dumps(command).encode() + b"\n"
        with self._lock:
            for attempt in (1, 2):
                try:
                    left = memoryview(line)
                    while left:
                        left = left[os.write(self._commands, left) :]
                    return
                except OSError:
                    if attempt == 2 or "watch" not in command:
                        return
                    self._start()  # it was killed: a new one watches what it watched
                    line = b"".join(
                        json.dumps({"watch": spec}).encode() + b"\n" for spec in self._specs
                    )

    def _listen(self, answers: int, gone: threading.Event) -> None:
        with open(answers, "rb") as lines:
            for line in lines:
                with suppress(Exception):
                    told = json.loads(line)
                    if "event" in told:
                        self._recorder.event(told["event"], **told["fields"])
                    elif "settled" in told:
                        with self._answer:
                            self._settled.add(told["settled"])
                            self._answer.notify_all()
            if self._answers == answers:
                self._answers = -1  # from here on the number may be another file's
        gone.set()
        with self._answer:
            self._answer.notify_all()

    def _close_commands(self) -> None:
        handle, self._commands = self._commands, -1
        if handle >= 0:
            with suppress(OSError):
                os.close(handle)

    def _leave(self) -> None:
        """In a forked child: its copy of the pipe must not keep the sidecar waiting."""
        self._lock, self._answer = threading.RLock(), threading.Condition()
        self._gone = threading.Event()
        self._gone.set()
        self._close_commands()
        if self._answers >= 0:
            with suppress(OSError):
                os.close(self._answers)
