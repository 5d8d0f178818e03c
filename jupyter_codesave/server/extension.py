"""Wiring: the server extension puts routes, workers, the follower and events together."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import secrets
from pathlib import Path
from typing import Any

from jupyter_server.serverapp import ServerApp
from tornado.ioloop import IOLoop

from .._version import __version__
from ..control import changed_control, note_rename, read_control
from ..errors import CodeSaveError, SettingsError, UnavailableError
from ..settings import (
    CodeSave,
    Setting,
    StoreSettings,
    data_dir,
    decision,
    resolve,
)
from .follower import Follower
from .levels import Levels
from .observer import Observers
from .routes import routes
from .workers import MEMORY_LIMIT, Pool

CONTENTS_SCHEMA = "https://events.jupyter.org/jupyter_server/contents_service/v1"
RUN_SCHEMA = "https://events.jupyter.org/codesave/run/v1"
STATUS_SCHEMA = "https://events.jupyter.org/codesave/status/v1"
_URLS = ("database_url", "artifact_url")  # they may hold credentials


class CodeSaveServer:
    """What the routes and the follower share in one Jupyter server."""

    def __init__(self, app: ServerApp) -> None:
        assert app.event_logger is not None
        self.app, self.events = app, app.event_logger
        self.folder: Path = data_dir()
        self.root = os.path.abspath(os.path.expanduser(getattr(app, "root_dir", "") or ""))
        self.config = (CodeSave(parent=app), StoreSettings(parent=app))
        environment = {**os.environ, "CODESAVE_SERVER_ROOT": self.root, **self._configured()}
        for name in _URLS:  # kernels inherit our environment
            os.environ.pop(f"CODESAVE_{name.upper()}", None)
        self.ingests = Pool(1, environment)
        self.reads = Pool(1, environment)
        self.downloads = Pool(4, environment)  # apart: a browser that pauses one stops no list
        self.diffs = Pool(2, environment, MEMORY_LIMIT)
        self.follower = Follower(self, app.log)
        self.levels, self.observers = Levels(self), Observers(self)
        self._switch: str | None = None  # what the browser was told last

    async def start(self) -> None:
        """Tell kernels about this server's root, and begin to follow the journals."""
        try:
            with changed_control(self.folder) as control:
                roots = [root for root in control.get("roots") or [] if root != self.root]
                control["roots"] = [self.root, *roots][:20]
        except OSError as error:
            self.app.log.warning(
                "jupyter_codesave: %s cannot be written (%s): nothing is recorded; "
                "set CODESAVE_DIR to a folder that can",
                self.folder,
                error.strerror,
            )
        self.events.add_listener(schema_id=CONTENTS_SCHEMA, listener=self._on_contents)
        self.follower.start()
        self.observers.start()

    def stop(self) -> None:
        """End the workers; journals wait for the next server or command."""
        self.observers.stop()
        self.follower.stop()
        for pool in (self.ingests, self.reads, self.downloads, self.diffs):
            pool.kill()

    async def _on_contents(self, logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        """A kernel keeps the name its notebook had when it started: note what it is called now."""
        old, new = data.get("source_path"), data.get("path")
        if data.get("action") != "rename" or not old or not new:
            return
        paths = [os.path.join(self.root, *path.strip("/").split("/")) for path in (old, new)]
        note_rename(self.folder, *paths)
        await self.follower.rename(*paths)

    # -- what is recorded -----------------------------------------------------------------------

    async def status(self) -> dict[str, Any]:
        """Give the shape of `status`."""
        settings = self._resolve()
        capture, automatic = settings["capture"], settings["automatic"]
        if capture.value != "off":
            await asyncio.to_thread(self._probe)
        return {
            "capture": capture.value,
            "automatic": automatic.value,
            "decided_by": decision(settings)[1],
            "dir": str(self.folder),
            **json.loads(await self.reads.call("size")),
            "behind": self.follower.behind,
            "recording": [*self.follower.sessions.values(), *await self.levels.entries()],
            "version": __version__,
        }

    def _probe(self) -> None:
        """Write a byte where kernels write; UnavailableError says why they cannot."""
        probe = self.folder / "journal" / f".probe.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            probe.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe.write_bytes(b"?")
            probe.unlink()
        except OSError as error:
            raise UnavailableError(
                f"nothing is recorded: {self.folder} cannot be written ({error.strerror}); make "
                "room or mend its permissions, or set CODESAVE_DIR to another folder"
            ) from None

    def settings(self) -> dict[str, Any]:
        """Give every setting with its source and whether it is locked."""
        return {
            name: {"value": setting.value, "source": setting.source, "locked": setting.locked}
            for name, setting in self._resolve().items()
            if name not in _URLS
        }

    def set_user(self, changes: dict[str, Any]) -> None:
        """Change user settings; null takes one back. Effective at once in running kernels."""
        current = self._resolve()
        for key in changes:
            if key in _URLS:  # kernels read control.json, and never see a credential
                raise SettingsError(
                    f"{key} is not set here: it belongs in the server's own config "
                    f"(c.StoreSettings.{key}) or environment"
                )
            if key in current and current[key].locked:
                raise SettingsError(
                    f"the setting {key} is locked by {current[key].source}; ask its administrator"
                )
        with changed_control(self.folder) as control:
            user = {**(control.get("user") or {}), **changes}
            user = {key: value for key, value in user.items() if value is not None}
            resolve(explicit=user)  # refuses unknown keys and bad values
            control["user"] = user
        self.tell_status()

    def tell_status(self) -> None:
        """Let the browser ask anew for `status`."""
        self._switch = None
        self.heed_switch()

    def heed_switch(self) -> None:
        """Tell the browser of a switch that was turned, here or by `jupyter codesave on`."""
        try:
            state = "off" if self._resolve()["capture"].value == "off" else "recording"
        except CodeSaveError:  # `status` tells it
            state = "failed"
        if state != self._switch:
            self._switch = state
            self.emit_status({"state": state})

    def _resolve(self) -> dict[str, Setting]:
        settings = resolve(base=self.config[0])
        stored = resolve(base=self.config[1])
        own = StoreSettings.class_own_traits(config=True)
        return {name: (stored if name in own else settings)[name] for name in settings}

    def _configured(self) -> dict[str, str]:
        """Give what the server's own config says of the store, as workers read it."""
        return {
            f"CODESAVE_{name.upper()}": str(getattr(self.config[1], name))
            for name, trait in StoreSettings.class_own_traits(config=True).items()
            if getattr(self.config[1], name) != trait.default_value
        }

    # -- events ---------------------------------------------------------------------------------

    def emit(self, action: str, run: dict[str, Any]) -> None:
        """Tell the browser what happened to a run."""
        data = {
            "run": run["id"],
            "action": action,
            "state": run["state"],
            "notebook": run["notebook"],
        }
        self.events.emit(schema_id=RUN_SCHEMA, data=data)

    def emit_status(self, entry: dict[str, Any]) -> None:
        """Tell the browser that a recording state changed."""
        data = {key: entry.get(key) for key in ("state", "notebook", "kernel_id", "reason")}
        self.events.emit(schema_id=STATUS_SCHEMA, data=data)


def _watch_metadata(codesave: CodeSaveServer) -> Any:
    def pre_save(model: dict[str, Any], path: str, contents_manager: Any, **_: Any) -> None:
        """Tell kernels what a notebook's metadata says of recording, as soon as it is saved."""
        if model.get("type") != "notebook" or not isinstance(model.get("content"), dict):
            return
        said = model["content"].get("metadata", {}).get("codesave")
        capture = said.get("capture") if isinstance(said, dict) else None
        where = os.path.join(codesave.root, *path.strip("/").split("/"))
        wanted = {"capture": capture} if capture in ("off", "sources") else None
        if (read_control(codesave.folder).get("notebooks") or {}).get(where) != wanted:
            with changed_control(codesave.folder) as control:
                notebooks = {**(control.get("notebooks") or {}), where: wanted}
                control["notebooks"] = {path: said for path, said in notebooks.items() if said}

    return pre_save


def _load_jupyter_server_extension(app: ServerApp) -> None:
    """Enable code saving in a Jupyter server."""
    codesave = CodeSaveServer(app)
    here = Path(__file__).parent
    for schema in ("events.yaml", "status.yaml"):
        codesave.events.register_event_schema(here / schema)
    app.web_app.add_handlers(".*$", routes(app.web_app.settings["base_url"], codesave))
    app.web_app.settings["codesave"] = codesave
    if hasattr(app.contents_manager, "register_pre_save_hook"):
        app.contents_manager.register_pre_save_hook(_watch_metadata(codesave))
    IOLoop.current().add_callback(codesave.start)
    atexit.register(codesave.stop)
