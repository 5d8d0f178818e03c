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

from .files import Found, Named, files_of

_EVERY = 0.5  # s between two looks, where nothing is announced
_SETTLED = 0.25  # s without a change
_SLOW = 20  # a look may take this part of the time at most
_PARENT = 0.5  # s between two looks whether the parent lives


# -- in the process that saves ------------------------------------------------------------------


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
            "from jupyter_codesave.capture.sidecar import main; main()"
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


# -- in the sidecar -----------------------------------------------------------------------------


class _Watcher:
    """What is watched, what of it is stored, and what is still to be told."""

    def __init__(self, folder: Path) -> None:
        from ..blobs.local import LocalBlobs

        self.spool = LocalBlobs(folder / "spool")
        self.specs: list[dict[str, Any]] = []
        self.untold: list[tuple[str, dict[str, Any]]] = []
        self.told: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}  # perhaps unheard
        self.left: list[tuple[str, dict[str, Any]]] = []  # what comes last, when we take over
        self._stored: dict[tuple[str, str], tuple[int, int, int]] = {}
        self._seen: dict[tuple[str, str], tuple[tuple[int, int, int], float]] = {}
        self._missing: dict[tuple[str, str], str] = {}
        self.restless = False  # something has not settled yet

    def look(self, run: str | None = None, *, last: bool = False) -> None:
        """Store what changed and settled; `last` stores whatever is there, `end` files too."""
        self.restless = False
        now = time.monotonic()
        done: set[tuple[str, str]] = set()
        for spec in reversed(self.specs):  # the last word on a path counts
            if run is not None and spec["run"] != run:
                continue
            named = Named(spec["source"], spec["path"])
            for file in files_of(named, follow=spec["follow"]):
                path = file.path if isinstance(file, Found) else file[0]
                key = (spec["run"], path)
                if key in done:
                    continue
                done.add(key)
                if isinstance(file, Found):
                    if spec["policy"] == "live" or last:
                        self._consider(key, file, spec["policy"], now, last)
                elif last and key not in self._stored and self._missing.get(key) != file[1]:
                    self._missing[key] = file[1]
                    fields = {"run": key[0], "path": path, "reason": file[1]}
                    self.untold.append(("file-missing", fields))

    def _consider(
        self, key: tuple[str, str], file: Found, policy: str, now: float, last: bool
    ) -> None:
        status = file.status
        mark = (status.st_mtime_ns, status.st_size, status.st_ino)
        if self._stored.get(key) == mark:
            return
        seen, since = self._seen.get(key, (None, now))
        if seen != mark:
            seen, since = mark, now
            self._seen[key] = (mark, now)
        old = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED * 1e9
        if not last and not old and now - since < _SETTLED:
            self.restless = True
            return
        from .saver import snapshot

        event, fields = snapshot(self.spool, key[0], file, policy)
        self.untold.append((event, fields))
        self._stored[key] = mark

    def folders(self) -> set[str]:
        """Name the folders to be told of changes in."""
        found = {
            spec["source"] if os.path.isdir(spec["source"]) else os.path.dirname(spec["source"])
            for spec in self.specs
            if spec["policy"] == "live"
        }
        return {folder for folder in found if os.path.isdir(folder)}


class _Announcer:
    """Wakes the sidecar when the system announces a change; network mounts announce nothing."""

    def __init__(self, wake: threading.Event) -> None:
        self._wake = wake
        self._folders: set[str] = set()
        self._stop = threading.Event()

    def follow(self, folders: set[str]) -> None:
        if folders == self._folders:
            return
        self._folders = folders
        self._stop.set()
        self._stop = threading.Event()
        if folders:
            threading.Thread(target=self._run, args=(folders, self._stop), daemon=True).start()

    def _run(self, folders: set[str], stop: threading.Event) -> None:
        with suppress(Exception):
            from watchfiles import watch

            for _ in watch(
                *folders,
                stop_event=stop,
                watch_filter=None,
                debounce=200,
                step=50,
                raise_interrupt=False,
                recursive=True,
                ignore_permission_denied=True,
            ):
                self._wake.set()


def main() -> None:
    """Run the sidecar: arguments are the data folder, the journal's descriptor, the parent."""
    folder, handle, parent = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    watcher = _Watcher(folder)
    wake = threading.Event()
    inbox: list[dict[str, Any]] = []
    over = threading.Event()
    threading.Thread(target=_receive, args=(inbox, wake, over), daemon=True).start()
    announcer = _Announcer(wake)
    outbox = _Outbox()
    pause, next_look = _EVERY, 0.0
    while not over.is_set() and os.getppid() == parent:
        wake.wait(min(_PARENT, max(0.02, next_look - time.monotonic())))
        woken = wake.is_set()
        wake.clear()
        if inbox and _obey(inbox, watcher, outbox):
            return
        announcer.follow(watcher.folders())
        if woken or time.monotonic() >= next_look:
            began = time.monotonic()
            watcher.look()
            pause = max(_EVERY, (time.monotonic() - began) * _SLOW)
            if watcher.restless:
                pause = _SETTLED
            next_look = time.monotonic() + pause
            outbox.put(watcher)
    if inbox and _obey(inbox, watcher, outbox):
        return
    _take_over(watcher, handle, folder)


def _receive(inbox: list[dict[str, Any]], wake: threading.Event, over: threading.Event) -> None:
    for line in sys.stdin.buffer:
        with suppress(ValueError):
            inbox.append(json.loads(line))
            wake.set()
    over.set()
    wake.set()


def _obey(inbox: list[dict[str, Any]], watcher: _Watcher, outbox: _Outbox) -> bool:
    """Do what was asked; True when there is nothing left to do at all."""
    while inbox:
        command = inbox.pop(0)
        if "watch" in command:
            watcher.specs.append(command["watch"])
        elif "forget" in command:
            run, paths = command["forget"]["run"], set(command["forget"]["paths"])
            watcher.specs = [
                spec for spec in watcher.specs if spec["run"] != run or spec["path"] not in paths
            ]
        elif "settle" in command:
            run = command["settle"]
            watcher.look(run, last=True)
            watcher.specs = [spec for spec in watcher.specs if spec["run"] != run]
            outbox.put(watcher, settled=run)
        elif "leave" in command:
            name, fields = command["leave"]
            watcher.left.append((name, fields))
        elif "bye" in command:
            return True
    return False


class _Outbox:
    """Tells the parent in a thread of its own: a parent that holds the GIL does not listen."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._there = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def put(self, watcher: _Watcher, settled: str | None = None) -> None:
        lines = [{"event": name, "fields": fields} for name, fields in watcher.untold]
        for name, fields in watcher.untold:
            watcher.told[fields["run"], fields["path"]] = (name, fields)
        watcher.untold = []
        if settled is not None:
            lines.append({"settled": settled})
        with self._there:
            self._lines += [json.dumps(line).encode() + b"\n" for line in lines]
            self._there.notify()

    def _run(self) -> None:
        while True:
            with self._there:
                while not self._lines:
                    self._there.wait()
                lines, self._lines = self._lines, []
            try:
                sys.stdout.buffer.writelines(lines)
                sys.stdout.buffer.flush()
            except OSError:
                return


def _take_over(watcher: _Watcher, handle: int, folder: Path) -> None:
    """The parent is gone: take the last states, and write the journal's end."""
    from ..journal.writer import Writer

    watcher.look(last=True)
    # What was told may not have been heard: the parent died before it wrote it down.
    events = [*watcher.told.values(), *watcher.untold, *watcher.left]
    if not events:
        return
    writer = Writer(folder)
    writer.adopt(handle)
    for name, fields in events:
        writer.event(name, **fields)
    writer.close()
