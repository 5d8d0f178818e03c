"""Observes the iopub of kernels that do not record themselves, into the same journal format.

Who records is decided once for a kernel process: nothing is written until its first
`execute_input`; if the kernel's own journal, or its word that it decides for itself, is there by
then, the observer leaves. What is not known of an observed kernel (its Python, packages, git and
folder) stays unknown: the server's own are not the kernel's.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..errors import CodeSaveError
from ..journal import events
from ..journal.reader import session_event
from ..journal.writer import Writer
from ..model.run import new_id
from ..settings import resolve

if TYPE_CHECKING:
    from .extension import CodeSaveServer

ACTIONS = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"
KERNELS = "kernels"  # in the data folder: an empty file for each kernel that decides for itself
_DELIMITER = b"<IDS|MSG>"
_LAST = 16 << 20  # bytes of a kernel's own journal in which its newest execution is looked for
_PASSED_OVER = ("status", "iopub_welcome", "debug_event")


class Observers:
    """An observer for each kernel of the server, as kernels come and go."""

    def __init__(self, codesave: CodeSaveServer) -> None:
        self._codesave = codesave
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._observed: dict[str, Observed] = {}

    def start(self) -> None:
        """Observe the kernels that run, and those that start from now on."""
        app = self._codesave.app
        self._codesave.events.add_listener(schema_id=ACTIONS, listener=self._on_action)
        for kernel_id in app.kernel_manager.list_kernel_ids():
            self._observe(kernel_id)

    def stop(self) -> None:
        """Observe nothing any more; the server ends."""
        for kernel_id in list(self._tasks):
            self._leave(kernel_id, "shutdown")

    async def _on_action(self, logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        kernel_id, action = data.get("kernel_id"), data.get("action")
        if not kernel_id or data.get("status") == "error":
            return
        if action == "start":
            self._observe(kernel_id)
        elif action == "restart":
            self._leave(kernel_id, "restart")
            self._observe(kernel_id)
        elif action == "shutdown":
            self._leave(kernel_id, "shutdown")
            with contextlib.suppress(OSError):  # a killed kernel leaves it
                (self._codesave.folder / KERNELS / kernel_id).unlink(missing_ok=True)

    def _observe(self, kernel_id: str) -> None:
        if kernel_id not in self._tasks:
            self._tasks[kernel_id] = asyncio.ensure_future(self._run(kernel_id))

    def _leave(self, kernel_id: str, ended_by: str) -> None:
        if task := self._tasks.pop(kernel_id, None):
            task.cancel()
        if observed := self._observed.pop(kernel_id, None):
            observed.end(ended_by)

    async def _run(self, kernel_id: str) -> None:
        import zmq
        import zmq.asyncio

        app = self._codesave.app
        try:
            manager = app.kernel_manager.get_kernel(kernel_id)
            info = manager.get_connection_info()
            address = _address(info)
            iopub = zmq.asyncio.Context.instance().socket(zmq.SUB)
        except Exception as error:
            app.log.debug("jupyter_codesave: kernel %s is not observed: %s", kernel_id, error)
            return
        try:
            iopub.linger = 0
            iopub.rcvhwm = 0  # a slow reader must not lose messages; before connect
            iopub.subscribe(b"")
            iopub.connect(address)
            observed = None
            while True:
                frames = await iopub.recv_multipart()
                try:
                    header, parent, content = _parts(frames)
                except (ValueError, IndexError):
                    continue
                if header.get("msg_type") == "execute_input" and observed is None:
                    key = str(parent.get("msg_id"))
                    if await asyncio.to_thread(self._records_itself, kernel_id, key):
                        return
                    observed = Observed(
                        self._codesave, kernel_id, manager, await self._path(kernel_id)
                    )
                    self._observed[kernel_id] = observed
                if observed is not None:
                    observed.take(header, parent, content, frames)
        finally:
            iopub.close()

    def _records_itself(self, kernel_id: str, key: str) -> bool:
        """Tell whether this very execution is in a journal of the kernel's own, or kept out."""
        folder = self._codesave.folder
        if (folder / KERNELS / kernel_id).exists():
            return True
        for path in (folder / "journal").glob("*" + events.SUFFIX):
            with contextlib.suppress(CodeSaveError, OSError):
                session = session_event(path)
                if session.get("kernel_id") == kernel_id and session.get("by") != "server":
                    with path.open("rb") as file:
                        file.seek(max(0, path.stat().st_size - _LAST))
                        if key.encode() in file.read():
                            return True
        return False

    async def _path(self, kernel_id: str) -> str | None:
        """Give the absolute path of the notebook that the kernel works for."""
        manager = self._codesave.app.session_manager
        with contextlib.suppress(Exception):
            for session in await manager.list_sessions():
                if (session.get("kernel") or {}).get("id") == kernel_id:
                    path = str(session["path"])
                    if path.endswith(".ipynb"):
                        return os.path.join(self._codesave.root, *path.split("/"))
        return None


class Observed:
    """One observed kernel process, its journal and its run."""

    def __init__(
        self, codesave: CodeSaveServer, kernel_id: str, manager: Any, notebook: str | None
    ) -> None:
        self._codesave, self._kernel_id, self._notebook = codesave, kernel_id, notebook
        self._spec = getattr(manager, "kernel_spec", None)
        self._session = new_id()
        self._writer: Writer | None = None
        self._run = new_id()
        self._kept: set[str] = set()  # executions whose outputs are recorded
        self._opened: set[str] = set()  # executions whose source is recorded

    def take(
        self,
        header: dict[str, Any],
        parent: dict[str, Any],
        content: dict[str, Any],
        frames: Sequence[bytes],
    ) -> None:
        """Record a message if it may be recorded."""
        key, kind = str(parent.get("msg_id")), header.get("msg_type")
        if kind == "execute_input":
            what = self._decide(str(content.get("code", "")))
            if what == "off" or not self._ready():
                return
            assert self._writer is not None
            self._writer.message(frames)
            self._writer.event(
                "execution", key=key, run=self._run, cell_id=None, notebook=self._notebook
            )
            self._opened.add(key)
            if what == "all":
                self._kept.add(key)
        elif self._writer is None:
            return
        elif kind == "status":
            if content.get("execution_state") == "idle" and key in self._opened:
                self._opened.discard(key)
                self._writer.message(frames)
        elif kind not in _PASSED_OVER and (
            key in self._kept or (str(kind).startswith("comm_") and self._kept)
        ):
            self._writer.message(frames)

    def end(self, ended_by: str) -> None:
        """The kernel process has ended."""
        if self._writer is not None:
            self._writer.event("session-end", ended_by=ended_by, exit_code=0)
            self._writer.close(timeout=5)
            self._writer = None

    def _decide(self, source: str) -> str:
        if source.lstrip().startswith("%%codesave skip"):
            return "off"
        try:
            settings = resolve(cwd=self._codesave.root or None, notebook=self._notebook)
        except CodeSaveError as error:
            self._codesave.app.log.warning("jupyter_codesave: not recording: %s", error)
            return "off"
        return str(settings["capture"].value) if settings["automatic"].value else "off"

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
            pid=os.getpid(),
            package=__version__,
            user=getpass.getuser(),
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
        return True


def _address(info: Any) -> str:
    if info["transport"] == "ipc":
        return f"ipc://{info['ip']}-{info['iopub_port']}"
    return f"{info['transport']}://{info['ip']}:{info['iopub_port']}"


def _parts(frames: Sequence[bytes]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    at = list(frames).index(_DELIMITER)
    header = json.loads(frames[at + 2])
    parent = json.loads(frames[at + 3])
    wanted = header.get("msg_type") in ("execute_input", "status")
    content = json.loads(frames[at + 5]) if wanted else {}
    return header, parent, content
