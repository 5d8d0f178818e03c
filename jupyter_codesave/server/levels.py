"""What settings say of open notebooks whose kernels have no journal, perhaps because of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError
from ..settings import decision, places, resolve
from .observed import environment_of

if TYPE_CHECKING:
    from .extension import CodeSaveServer


class Levels:
    """A kernel that may not record, or cannot read its settings, writes nothing: we say it."""

    def __init__(self, codesave: CodeSaveServer) -> None:
        self._codesave = codesave
        self._told: dict[str, dict[str, Any]] = {}

    async def entries(self) -> list[dict[str, Any]]:
        """Give entries as those of live sessions, of kernels that are `off` or have `failed`."""
        recorded = {entry["kernel_id"] for entry in self._codesave.follower.sessions.values()}
        found = []
        for session in await self._codesave.app.session_manager.list_sessions():
            path, kernel = str(session.get("path")), session.get("kernel") or {}
            if path.endswith(".ipynb") and kernel.get("id") not in recorded:
                state, reason = await asyncio.to_thread(self._decide, path, str(kernel.get("id")))
                entry = {"session": None, "notebook": path, "kernel_id": kernel.get("id")}
                entry |= {"state": state, "kernel": kernel.get("name"), "by": "kernel"}
                found.append({**entry, "reason": reason})
        return [entry for entry in found if entry["state"] != "recording"]

    async def heed(self) -> None:
        """Tell the browser of what has changed."""
        before, self._told = self._told, {each["notebook"]: each for each in await self.entries()}
        for notebook in before.keys() | self._told.keys():
            entry = self._told.get(notebook, {"notebook": notebook, "state": "recording"})
            if entry.get("reason") != before.get(notebook, {}).get("reason"):
                self._codesave.emit_status(entry)

    def _decide(self, path: str, kernel_id: str) -> tuple[str, str]:
        notebook = os.path.join(self._codesave.root, *path.split("/"))
        folder, environ = os.path.dirname(notebook), self._environment(kernel_id)
        try:
            what, decided_by = decision(
                resolve(cwd=folder, notebook=notebook, environ=environ, within=places())
            )
        except SettingsError as error:
            return "failed", str(error)
        return "off" if what == "off" else "recording", decided_by

    def _environment(self, kernel_id: str) -> Mapping[str, str]:
        try:
            return environment_of(self._codesave.app.kernel_manager.get_kernel(kernel_id))
        except Exception:  # it has ended meanwhile
            return os.environ
