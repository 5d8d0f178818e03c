"""The sidecar: a small process that watches saved files, and outlives the one that saves.

It is started with the first `live` or `end` save. Commands come as JSON lines on its stdin; what
it stored goes back on its stdout, as the events that belong into the journal. The journal itself
is inherited, open and locked: when the parent dies, however, the sidecar takes the last state of
all that is watched, appends the events itself, and only then the lock is gone.
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
from typing import IO, Any

from .files import Named


class Sidecar:
    """The handle on the sidecar of this process's session."""

    def __init__(self, recorder: Any) -> None:
        self._recorder = recorder
        self._session = recorder.session
        self._specs: list[dict[str, Any]] = []
        self._lock = threading.RLock()
        self._settled: set[str] = set()
        self._answer = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
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

    def watch(self, run: str, named: Named, policy: str, follow: bool) -> None:
        """Watch a file or folder from now on."""
        spec = {
            "run": run,
            "source": named.source,
            "path": named.path,
            "policy": policy,
            "follow": follow,
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
                if left <= 0 or self._process is None or self._process.poll() is not None:
                    break
                self._answer.wait(min(left, 0.2))
            return run in self._settled

    def hand_over(self) -> None:
        """This process ends now: the sidecar writes the journal's end when it is ready."""
        self._handed_over = True

    @property
    def handed_over(self) -> bool:
        """Tell whether the last events of the session are the sidecar's to write."""
        alive = self._process is not None and self._process.poll() is None
        return self._handed_over and alive

    def leave(self, name: str, fields: dict[str, Any]) -> None:
        """Have an event appended after all that the sidecar still has to tell."""
        self._send({"leave": [name, fields]})

    def close(self) -> None:
        """All is told: the sidecar may go; or it ends what it has to do without us."""
        if not self._handed_over:
            self._send({"bye": True})
        process = self._process
        if process is not None and process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()

    def _start(self) -> None:
        root = str(Path(__file__).resolve().parent.parent.parent)
        code = (
            f"import sys; sys.path.append({root!r}); "
            "from jupyter_codesave.capture.watcher import main; main()"
        )
        session = self._session
        handle = session.journal.handle
        more: dict[str, Any] = {}
        if os.name == "posix":
            more = {"pass_fds": (handle,), "start_new_session": True}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, str(session.folder), str(handle), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=os.path.abspath(os.sep),
            env=environment,
            **more,
        )
        threading.Thread(
            target=self._listen,
            args=(self._process.stdout,),
            name="codesave-sidecar",
            daemon=True,
        ).start()

    def _send(self, command: dict[str, Any]) -> None:
        line = json.dumps(command).encode() + b"\n"
        with self._lock:
            if self._process is None:
                return
            for attempt in (1, 2):
                try:
                    assert self._process.stdin is not None
                    self._process.stdin.write(line)
                    self._process.stdin.flush()
                    return
                except (OSError, ValueError):
                    if attempt == 2 or "watch" not in command:
                        return
                    self._start()  # it was killed: a new one watches what it watched
                    line = b"".join(
                        json.dumps({"watch": spec}).encode() + b"\n" for spec in self._specs
                    )

    def _listen(self, stdout: IO[bytes]) -> None:
        for line in stdout:
            with suppress(Exception):
                told = json.loads(line)
                if "event" in told:
                    self._recorder.event(told["event"], **told["fields"])
                elif "settled" in told:
                    with self._answer:
                        self._settled.add(told["settled"])
                        self._answer.notify_all()

    def _leave(self) -> None:
        """In a forked child: its copy of the pipe must not keep the sidecar waiting."""
        process, self._process = self._process, None
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        os.close(pipe.fileno())
            process.returncode = 0
