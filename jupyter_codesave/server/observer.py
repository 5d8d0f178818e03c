"""Observes the iopub of kernels that do not record themselves, into the same journal format.

Who records is decided once for a kernel process: nothing is written until its first
`execute_input`; if the kernel's own journal, or its word that it decides for itself, is there by
then, the observer leaves. It leaves later when the user loads the extension there later.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import CodeSaveError
from ..journal import events
from ..journal.reader import session_event
from ..model.moment import seconds
from .observed import Observed

if TYPE_CHECKING:
    from .extension import CodeSaveServer

ACTIONS = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"
KERNELS = "kernels"  # in the data folder: an empty file for each kernel that decides for itself
_DELIMITER = b"<IDS|MSG>"
_LAST = 16 << 20  # bytes of a kernel's own journal in which its newest execution is looked for
_SILENCE = 0.2  # s without a word after which a process that ended has said all


class Observers:
    """An observer for each kernel of the server, as kernels come and go."""

    def __init__(self, codesave: CodeSaveServer) -> None:
        self._codesave = codesave
        self._kernels: dict[str, _Kernel] = {}

    def start(self) -> None:
        """Observe the kernels that run, and those that start from now on."""
        app = self._codesave.app
        self._codesave.events.add_listener(schema_id=ACTIONS, listener=self._on_action)
        for kernel_id in app.kernel_manager.list_kernel_ids():
            self._observe(kernel_id)

    def stop(self) -> None:
        """Observe nothing any more; the server ends."""
        for kernel_id in list(self._kernels):
            self._kernels.pop(kernel_id).stop("shutdown")

    async def _on_action(self, logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        kernel_id, action = data.get("kernel_id"), data.get("action")
        if not kernel_id or data.get("status") == "error":
            return
        if action == "start":
            self._observe(kernel_id)
        elif action == "restart" and kernel_id in self._kernels:
            await self._kernels[kernel_id].ended("restart")
        elif action == "shutdown":
            with contextlib.suppress(OSError):  # a killed kernel leaves it
                (self._codesave.folder / KERNELS / kernel_id).unlink(missing_ok=True)
            if kernel := self._kernels.get(kernel_id):
                await kernel.ended("shutdown", for_good=True)
                kernel.stop("shutdown")
                self._kernels.pop(kernel_id, None)

    def _observe(self, kernel_id: str) -> None:
        if kernel_id in self._kernels:
            return
        try:
            manager = self._codesave.app.kernel_manager.get_kernel(kernel_id)
            self._kernels[kernel_id] = _Kernel(self._codesave, kernel_id, manager)
        except Exception as error:
            self._codesave.app.log.debug(
                "jupyter_codesave: kernel %s is not observed: %s", kernel_id, error
            )


class _Kernel:
    """One kernel of the server, over all its restarts; it has at most one process at a time."""

    def __init__(self, codesave: CodeSaveServer, kernel_id: str, manager: Any) -> None:
        self._codesave, self._kernel_id, self._manager = codesave, kernel_id, manager
        self._observed: Observed | None = None
        self._address = ""
        self._keys: dict[str, bytes] = {}
        self._heard = 0.0  # when the last message came
        self._taking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._ending: asyncio.Future[None] | None = None
        manager.add_restart_callback(self._on_death, "restart")
        manager.add_restart_callback(self._on_last_death, "dead")
        self._listen()

    def stop(self, ended_by: str) -> None:
        """Hear nothing any more."""
        with contextlib.suppress(Exception):
            self._manager.remove_restart_callback(self._on_death, "restart")
            self._manager.remove_restart_callback(self._on_last_death, "dead")
        if self._task is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._task.cancel()
        if self._observed is not None:
            self._observed.end(ended_by)
            self._observed = None

    async def ended(self, ended_by: str, *, for_good: bool = False) -> None:
        """Its process has ended: take what it still said, and be there for the next one.

        The first word on how it ended counts: a death is followed by a restart.
        """
        observed, loop = self._observed, asyncio.get_running_loop()
        if observed is not None:
            ended_by = observed.ended_by = observed.ended_by or ended_by
        while observed is not None and loop.time() - self._heard < _SILENCE:
            await asyncio.sleep(_SILENCE / 4)
        async with self._taking:
            if observed is not None and self._observed is observed:
                self._observed = None
                await asyncio.to_thread(observed.end, ended_by)
        if not for_good:
            self._listen()
        elif self._task is not None:
            self._task.cancel()

    def _on_death(self, *, for_good: bool = False) -> None:
        """Nobody asked for it: the kernel left by itself, or it crashed."""
        process = getattr(getattr(self._manager, "provisioner", None), "process", None)
        ended_by = "exit" if getattr(process, "returncode", None) == 0 else "killed"
        self._ending = asyncio.ensure_future(self.ended(ended_by, for_good=for_good))

    def _on_last_death(self) -> None:
        self._on_death(for_good=True)

    def _listen(self) -> None:
        """Listen where the kernel speaks, unless that is being done."""
        info = self._manager.get_connection_info()
        address, self._keys = _address(info), _keys(info)
        if self._task is not None and not self._task.done():
            if address == self._address:
                return
            self._task.cancel()
        self._address = address
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        import zmq
        import zmq.asyncio

        iopub = zmq.asyncio.Context.instance().socket(zmq.SUB)
        try:
            iopub.linger = 0
            iopub.rcvhwm = 0  # a slow reader must not lose messages; before connect
            iopub.reconnect_ivl = 10  # ms: be there when the kernel is, before its first client
            for name, key in self._keys.items():
                setattr(iopub, name, key)
            iopub.subscribe(b"")
            iopub.connect(self._address)
            while True:
                frames = await iopub.recv_multipart()
                self._heard = asyncio.get_running_loop().time()
                try:
                    async with self._taking:
                        if not await self._take(frames):
                            return
                except Exception as error:  # one message that is not understood is not the end
                    self._codesave.app.log.warning(
                        "jupyter_codesave: a message of kernel %s was not recorded: %r",
                        self._kernel_id,
                        error,
                    )
        finally:
            iopub.close()

    async def _take(self, frames: Sequence[bytes]) -> bool:
        """Record a message if it may be; False: the kernel does all that by itself."""
        if _DELIMITER not in frames:
            return True
        header, parent, content = _parts(frames)
        kind = header.get("msg_type")
        if self._observed is None:
            if kind != "execute_input":
                return True
            key = str(parent.get("msg_id"))
            if self._decides_itself(header) or await asyncio.to_thread(self._has_recorded, key):
                return False
            self._observed = Observed(
                self._codesave, self._kernel_id, self._manager, await self._path()
            )
        observed = self._observed
        if kind == "execute_input":
            await observed.look()
        if observed.is_behind or sum(map(len, frames)) >= events.LARGE:
            await asyncio.to_thread(observed.take, header, parent, content, frames)
        else:  # a few µs
            observed.take(header, parent, content, frames)
        is_idle = kind == "status" and content.get("execution_state") == "idle"
        if is_idle and self._decides_itself(header):
            self._observed = None
            await asyncio.to_thread(observed.leave, self._has_recorded)
            return False
        return True

    def _decides_itself(self, header: Mapping[str, Any]) -> bool:
        """Tell whether the kernel had this package loaded when it said this: we may be behind."""
        try:
            loaded = (self._codesave.folder / KERNELS / self._kernel_id).stat().st_mtime
            return seconds(str(header.get("date"))) >= loaded
        except OSError:
            return False
        except ValueError:
            return True

    def _has_recorded(self, key: str) -> bool:
        """Tell whether this very execution is in a journal of the kernel's own."""
        for path in (self._codesave.folder / "journal").glob("*" + events.SUFFIX):
            with contextlib.suppress(CodeSaveError, OSError):
                session = session_event(path)
                if session.get("kernel_id") == self._kernel_id and session.get("by") != "server":
                    with path.open("rb") as file:
                        file.seek(max(0, path.stat().st_size - _LAST))
                        if key.encode() in file.read():
                            return True
        return False

    async def _path(self) -> str | None:
        """Give the absolute path of the notebook that the kernel works for."""
        manager = self._codesave.app.session_manager
        with contextlib.suppress(Exception):
            for session in await manager.list_sessions():
                if (session.get("kernel") or {}).get("id") == self._kernel_id:
                    path = str(session["path"])
                    if path.endswith(".ipynb"):
                        return os.path.join(self._codesave.root, *path.split("/"))
        return None


def _address(info: Any) -> str:
    if info["transport"] == "ipc":
        return f"ipc://{info['ip']}-{info['iopub_port']}"
    return f"{info['transport']}://{info['ip']}:{info['iopub_port']}"


def _keys(info: Any) -> dict[str, bytes]:
    """Give the CurveZMQ keys of a kernel that encrypts; {} for the others."""
    public, secret = (info.get(f"curve_{kind}key") for kind in ("public", "secret"))
    if not public or not secret:
        return {}
    keys = {"curve_publickey": public, "curve_secretkey": secret, "curve_serverkey": public}
    return {name: key.encode() if isinstance(key, str) else key for name, key in keys.items()}


def _parts(frames: Sequence[bytes]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Give header, parent header and, of what decides something, the content."""
    at = list(frames).index(_DELIMITER)
    header, parent = _json(frames[at + 2]), _json(frames[at + 3])
    kind = str(header.get("msg_type"))
    wanted = kind in ("execute_input", "status") or kind.startswith("comm_")
    return header, parent, _json(frames[at + 5]) if wanted else {}


def _json(frame: bytes) -> dict[str, Any]:
    """Lone surrogates make frames that are no UTF-8."""
    found = json.loads(frame.decode("utf-8", "replace"))
    return found if isinstance(found, dict) else {}
