"""The sidecar's own process: watches, stores, tells, and has the last word."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from .files import Found, Named, files_of

_EVERY = 0.5  # s between two looks, where nothing is announced
_SETTLED = 0.25  # s without a change
_SLOW = 20  # a look may take this part of the time at most
_PARENT = 0.5  # s between two looks whether the parent lives
_LAST_WORDS = 1.0  # s for a dead parent's; a forked child may hold the pipe open for ever


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
    over.wait(_LAST_WORDS)  # the parent may have died before this process read a line
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
