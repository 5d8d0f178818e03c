"""Follows the journals: what grows is ingested by a worker, what changed goes out as events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CodeSaveError
from ..journal.events import SUFFIX

if TYPE_CHECKING:
    from .extension import CodeSaveServer

RESCAN = 5.0  # seconds; finds dead writers, and growth where the file system tells nothing


class Follower:
    """Keeps the store up with the journals while the server runs."""

    def __init__(self, codesave: CodeSaveServer, log: logging.Logger) -> None:
        self._codesave, self._log = codesave, log
        self._folder = codesave.folder / "journal"
        self._rescanning: asyncio.Task[None] | None = None
        self._stopping = threading.Event()
        self._ingesting = asyncio.Lock()
        self._grown: set[Path] = set()  # journals that wait for their turn
        self.sessions: dict[str, dict[str, Any]] = {}  # of live journals, by session
        self.behind: str | None = None  # why what is recorded does not reach the store

    def start(self) -> None:
        """Begin to follow; returns at once."""
        loop = asyncio.get_running_loop()
        # a daemon of our own: the threads of anyio, which awatch uses, keep a stopped server alive
        threading.Thread(
            target=self._watch, args=(loop,), name="codesave-follower", daemon=True
        ).start()
        self._rescanning = asyncio.ensure_future(self._rescan())

    def stop(self) -> None:
        """Stop following; journals stay as they are."""
        self._stopping.set()
        if self._rescanning is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._rescanning.cancel()

    async def ingest_grown(self, paths: Iterable[Path]) -> None:
        """Ingest journals that grew: however often one grows in the meantime, it is done once."""
        self._grown.update(paths)
        async with self._ingesting:
            grown, self._grown = sorted(self._grown), set()
        if grown:
            await self.ingest(grown)

    async def ingest(self, paths: list[Path] | None = None, commit: bool = False) -> None:
        """Ingest these journals, or all that wait, and tell of every change."""
        async with self._ingesting:
            names = None if paths is None else [str(path) for path in paths]
            try:
                answer = await self._codesave.ingests.call("ingest", paths=names, commit=commit)
            except CodeSaveError as error:
                self._log.warning("jupyter_codesave: nothing could be ingested: %s", error)
                self._fall_behind(str(error))
                return
        found = json.loads(answer)
        for fault in found["errors"]:
            self._log.warning("jupyter_codesave: %(journal)s was not ingested: %(message)s", fault)
        if found["errors"] or paths is None:  # one journal alone does not speak for the others
            self._fall_behind(found["errors"][0]["message"] if found["errors"] else None)
        self._tell(found["sessions"])
        for change in found["changes"]:
            self._codesave.emit(change["action"], change["run"])

    async def commit(self, notebook: str) -> None:
        """Make versions of the running runs of a notebook (a contents path): saved by hand."""
        sessions = [
            session for session, entry in self.sessions.items() if entry["notebook"] == notebook
        ]
        if sessions:
            await self.ingest(
                [self._folder / (session + SUFFIX) for session in sessions], commit=True
            )

    async def rename(self, old: str, new: str) -> None:
        """Let a renamed notebook (absolute paths) go on with its series."""
        async with self._ingesting:
            try:
                await self._codesave.ingests.call("rename", old=old, new=new)
            except CodeSaveError as error:
                self._log.warning("jupyter_codesave: %s keeps its series: %s", old, error)

    def _fall_behind(self, reason: str | None) -> None:
        """Tell once why the store does not keep up with the journals, and when it does again."""
        if reason != self.behind:
            self.behind = reason
            self._codesave.tell_status()

    def _tell(self, sessions: list[dict[str, Any]]) -> None:
        before, self.sessions = self.sessions, {entry["session"]: entry for entry in sessions}
        for session, entry in self.sessions.items():
            if before.get(session, {}).get("state") != entry["state"]:
                self._codesave.emit_status(entry)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand what grows to the event loop; runs in a thread that never keeps the server."""
        from watchfiles import watch

        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for changes in watch(
                self._folder,
                watch_filter=lambda _, path: path.endswith(SUFFIX),
                debounce=400,
                step=100,
                recursive=False,
                stop_event=self._stopping,
                raise_interrupt=False,
            ):
                paths = {Path(path) for _, path in changes}
                asyncio.run_coroutine_threadsafe(self.ingest_grown(paths), loop)
        except (OSError, RuntimeError) as error:  # no inotify, or the loop has ended
            if not self._stopping.is_set():
                self._log.warning(
                    "jupyter_codesave: %s cannot be watched (%s); it is looked at every %g s "
                    "instead",
                    self._folder,
                    error,
                    RESCAN,
                )

    async def _rescan(self) -> None:
        while True:
            try:
                self._codesave.heed_switch()
                if next(self._folder.glob("*" + SUFFIX), None) is not None or self.sessions:
                    await self.ingest()
                else:
                    self._fall_behind(None)
                await self._codesave.levels.heed()
            except Exception as error:  # a disk that is away for a moment is not the end
                self._log.warning("jupyter_codesave: %s was not looked at: %r", self._folder, error)
            await asyncio.sleep(RESCAN)
