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
_BUSY = 5  # the same, while changes are announced
_SAVER = 0.5  # s between two looks whether the saving process lives
_LAST_WORDS = 1.0  # s for a dead saver's; a forked child may hold the pipe open for ever


class _Watcher:
    """What is watched, what of it is stored, and what is still to be told."""

    def __init__(self, folder: Path) -> None:
        from ..blobs.local import LocalBlobs

        self.spool = LocalBlobs(folder / "spool")
        self._own = os.path.realpath(folder)
        self.specs: list[dict[str, Any]] = []
        self.untold: list[tuple[str, dict[str, Any]]] = []
        self.told: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}  # perhaps unheard
        self.left: list[tuple[str, dict[str, Any]]] = []  # what comes last, when we take over
        self._stored: dict[tuple[str, str], tuple[int, int, int]] = {}
        self._seen: dict[tuple[str, str], tuple[tuple[int, int, int], float]] = {}
        self._missing: dict[tuple[str, str], str] = {}
        self._sizes: dict[tuple[str, str], tuple[int, int]] = {}  # call of save(), bytes
        self._held: dict[int, int] = {}  # call of save() → bytes of what it named, as last stored
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
            for file in files_of(named, follow=spec["follow"], own=self._own):
                path = file.path if isinstance(file, Found) else file[0]
                key = (spec["run"], path)
                if key in done:
                    continue
                done.add(key)
                if isinstance(file, Found):
                    if spec["policy"] == "live" or last:
                        self._consider(key, file, spec, now, last)
                elif last and key not in self._stored:
                    self._tell_missing(key, file[1])

    def _consider(
        self, key: tuple[str, str], file: Found, spec: dict[str, Any], now: float, last: bool
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
        from .saver import OVER, snapshot

        self._stored[key] = mark
        call = spec["call"]
        was_in, was = self._sizes.get(key, (call, 0))
        self._held[was_in] = self._held.get(was_in, 0) - was
        others = self._held.get(call, 0)
        if spec["limit"] is not None and others + status.st_size > spec["limit"]:
            self._held[was_in] += was
            self._tell_missing(key, OVER)
            return
        event, fields = snapshot(self.spool, key[0], file, spec["policy"])
        self.untold.append((event, fields))
        self._missing.pop(key, None)
        self._sizes[key] = (call, fields.get("size", 0))
        self._held[call] = others + self._sizes[key][1]

    def _tell_missing(self, key: tuple[str, str], reason: str) -> None:
        """Say once why a file, or its present state, is not stored."""
        if self._missing.get(key) != reason:
            self._missing[key] = reason
            fields = {"run": key[0], "path": key[1], "reason": reason}
            self.untold.append(("file-missing", fields))

    def places(self) -> tuple[frozenset[str], frozenset[str]]:
        """Name what to be told of changes in: folders that hold saved files, and saved folders."""
        live = [spec["source"] for spec in self.specs if spec["policy"] == "live"]
        saved = {source for source in live if os.path.isdir(source)}
        around = {os.path.dirname(source) for source in live if source not in saved}
        return frozenset(filter(os.path.isdir, around)), frozenset(saved)


class _Announcer:
    """Wakes the sidecar when the system announces a change.

    Network mounts announce nothing, and the system may refuse to watch more: looks every now and
    then find what is not announced.
    """

    def __init__(self, wake: threading.Event, own: Path) -> None:
        self._wake = wake
        self._own = os.path.join(os.path.realpath(own), "")  # changes with each record
        self._followed: dict[bool, frozenset[str]] = {}
        self._stops: dict[bool, threading.Event] = {}

    def follow(self, around: frozenset[str], saved: frozenset[str]) -> None:
        """Be told of changes in the folders `around` saved files, and all below `saved` ones."""
        for recursive, folders in ((False, around), (True, saved)):
            if folders == self._followed.get(recursive, frozenset()):
                continue
            self._followed[recursive] = folders
            if recursive in self._stops:
                self._stops[recursive].set()
            self._stops[recursive] = stop = threading.Event()
            if folders:
                told = (folders, recursive, stop)
                threading.Thread(target=self._run, args=told, daemon=True).start()

    def _run(self, folders: frozenset[str], recursive: bool, stop: threading.Event) -> None:
        with suppress(Exception):
            from watchfiles import watch

            for _ in watch(
                *folders,
                stop_event=stop,
                watch_filter=lambda _, path: not path.startswith(self._own),
                debounce=200,
                step=50,
                raise_interrupt=False,
                recursive=recursive,
                ignore_permission_denied=True,
            ):
                self._wake.set()


def main() -> None:
    """Run the sidecar.

    Its arguments are the data folder, the journal's descriptor, the saving process and its birth.
    """
    folder, handle, saver, birth = (
        Path(sys.argv[1]),
        int(sys.argv[2]),
        int(sys.argv[3]),
        sys.argv[4],
    )
    watcher = _Watcher(folder)
    wake = threading.Event()
    inbox: list[dict[str, Any]] = []
    over = threading.Event()
    threading.Thread(target=_receive, args=(inbox, wake, over), daemon=True).start()
    announcer = _Announcer(wake, folder)
    outbox = _Outbox()
    earliest = next_look = 0.0
    while not over.is_set() and (not birth or born(saver) == birth):
        wake.wait(min(_SAVER, max(0.02, next_look - time.monotonic())))
        if wake.is_set():
            wake.clear()
            next_look = min(next_look, earliest)
        if inbox:
            if _obey(inbox, watcher, outbox):
                return
            announcer.follow(*watcher.places())
        if time.monotonic() >= next_look:
            began = time.monotonic()
            watcher.look()
            took = time.monotonic() - began
            earliest = began + took * _BUSY
            next_look = began + max(_EVERY, took * _SLOW)
            if watcher.restless:
                next_look = max(earliest, began + _SETTLED)
            outbox.put(watcher)
    over.wait(_LAST_WORDS)  # it may have died before this process read a line
    if inbox and _obey(inbox, watcher, outbox):
        return
    _take_over(watcher, handle, folder)


def born(pid: int) -> str | None:
    """Tell when a living process was born, which no other one of its number was; None: it is dead.

    In the system's own words: good for comparing only.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else fields[19].decode()
    except OSError:
        if os.path.exists("/proc/self/stat"):
            return None
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.Error:
        return None


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
    """Tells the saving process in a thread of its own: one that holds the GIL does not listen."""

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
    """The saving process is gone: take the last states, and write the journal's end."""
    from ..journal.writer import Writer

    watcher.look(last=True)
    # What was told may not have been heard: the saver died before it wrote it down.
    events = [*watcher.told.values(), *watcher.untold, *watcher.left]
    if not events:
        return
    writer = Writer(folder)
    writer.adopt(handle)
    for name, fields in events:
        writer.event(name, **fields)
    writer.close()
