"""HTTP only: what is asked goes to a worker, what it answers goes out."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import ensure_async, url_path_join
from tornado import web
from tornado.iostream import StreamClosedError

from ..errors import CodeSaveError, NotFoundError, UsageError
from ..model.reference import PathReference, parse_reference
from .workers import Text

if TYPE_CHECKING:
    from .extension import CodeSaveServer

RESOURCE = "codesave"
_DIFF_TIMEOUT = 120.0


class CodeSaveHandler(APIHandler):
    """What every route shares: who may come in, errors as JSON, work in a worker."""

    auth_resource = RESOURCE
    codesave: CodeSaveServer
    _task: asyncio.Task[Any] | None = None

    def initialize(self, codesave: CodeSaveServer) -> None:
        self.codesave = codesave

    async def answer(self, work: Awaitable[Any]) -> None:
        """Send what `work` gives as JSON; when the browser goes, the work ends."""
        try:
            self._task = asyncio.ensure_future(work)
            found = await self._task
            self.as_json()
            self.finish(found if isinstance(found, bytes) else json.dumps(found))
        except asyncio.CancelledError:
            if self._task is None or not self._task.cancelled():
                raise
        except CodeSaveError as error:
            self.refuse(error)

    async def download(self, frames: AsyncGenerator[bytes, None], name: str) -> None:
        """Stream bytes that nothing may show or run: they are stored, so they are untrusted."""
        await self.stream(frames, functools.partial(self._as_attachment, name))

    async def stream(self, frames: AsyncGenerator[bytes, None], begin: Callable[[], None]) -> None:
        """Send frames as they come, behind the headers that `begin` sets."""
        started = False
        try:
            async with contextlib.aclosing(frames) as stream:
                async for frame in stream:
                    if not started:
                        begin()
                        started = True
                    self.write(frame)
                    await self.flush()
            if not started:
                begin()
            self.finish()
        except StreamClosedError:
            pass  # the browser went; the worker has ended with its frames
        except CodeSaveError as error:
            if started:
                raise
            self.refuse(error)

    def _as_attachment(self, name: str) -> None:
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", "sandbox; default-src 'none'")
        self.set_attachment_header(os.path.basename(name) or "file")

    def as_json(self) -> None:
        """Say that JSON follows."""
        self.set_header("Content-Type", "application/json")

    def compute_etag(self) -> None:
        """Give none: to hash a large answer would hold the event loop."""

    def refuse(self, error: CodeSaveError) -> None:
        """Answer with an error's message and reason."""
        self.set_status(error.status)
        self.as_json()
        self.finish(json.dumps({"message": str(error), "reason": error.reason}))

    def on_connection_close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        super().on_connection_close()

    def flag(self, name: str, default: bool) -> bool:
        """Read a switch of the query: 0 or 1."""
        return self.get_query_argument(name, "1" if default else "0") not in ("0", "false", "")

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """Read a number of the query, kept within its bounds."""
        text = self.get_query_argument(name, str(default))
        with contextlib.suppress(ValueError):
            if (found := float(text)) == found:  # NaN is none
                return min(max(found, least), most)
        raise web.HTTPError(400, f"{name} cannot be {text!r}: give a number")

    def indices(self) -> list[int]:
        """Read the numbers of cells of the query."""
        text = self.get_query_argument("indices")
        try:
            return [int(number) for number in text.split(",") if number]
        except ValueError:
            raise UsageError(f"indices cannot be {text!r}: give numbers with commas") from None

    def body(self) -> dict[str, Any]:
        """Read the JSON object of the request's body."""
        found = self.get_json_body()
        if not isinstance(found, dict):
            raise web.HTTPError(400, "the body must be a JSON object")
        return found


class StatusHandler(CodeSaveHandler):
    """`status`: what is recorded, why, and where it lies."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        await self.answer(self.codesave.status())

    @web.authenticated
    @authorized
    async def post(self) -> None:
        await self.answer(self._switch(self.body().get("capture")))

    async def _switch(self, capture: Any) -> dict[str, Any]:
        self.codesave.set_user({"capture": capture})
        return await self.codesave.status()


class SettingsHandler(CodeSaveHandler):
    """`settings`: each value, where it came from, and whether it is locked."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        await self.answer(self._settings({}))

    @web.authenticated
    @authorized
    async def put(self) -> None:
        await self.answer(self._settings(self.body()))

    async def _settings(self, changes: dict[str, Any]) -> dict[str, Any]:
        if changes:
            self.codesave.set_user(changes)
        return self.codesave.settings()


class RunsHandler(CodeSaveHandler):
    """`runs`: a page of runs, newest first."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        names = ("cursor", "project", "notebook", "state", "q")
        query: dict[str, Any] = {
            name: self.get_query_argument(name, None) or None for name in names
        }
        limit = int(self.number("limit", 50, 1, 1000))
        await self.answer(self.codesave.reads.call("runs", limit=limit, **query))


class RunHandler(CodeSaveHandler):
    """`runs/ID`: one run."""

    @web.authenticated
    @authorized
    async def get(self, run: str) -> None:
        await self.answer(self.codesave.reads.call("run", run_id=run))

    @web.authenticated
    @authorized
    async def patch(self, run: str) -> None:
        await self.answer(self._change("update_run", "updated", run_id=run, changes=self.body()))

    @web.authenticated
    @authorized
    async def delete(self, run: str) -> None:
        try:
            await self._change("delete_run", "deleted", run_id=run)
        except CodeSaveError as error:
            self.refuse(error)
        else:
            self.set_status(204)
            self.finish()

    async def _change(self, call: str, action: str, **args: Any) -> bytes:
        answer = await self.codesave.reads.call(call, **args)
        self.codesave.emit(action, json.loads(answer))
        return answer


class RestoreHandler(RunHandler):
    """`runs/ID/restore`: bring a deleted run back."""

    @web.authenticated
    @authorized
    async def post(self, run: str) -> None:
        await self.answer(self._change("restore_run", "restored", run_id=run))


class NotebookHandler(CodeSaveHandler):
    """`runs/ID/notebook`: the session notebook."""

    @web.authenticated
    @authorized
    async def get(self, run: str) -> None:
        await self.stream(self.codesave.downloads.stream("notebook", run_id=run), self.as_json)


class ExecutionsHandler(CodeSaveHandler):
    """`runs/ID/executions`: what the session notebook holds, without the outputs."""

    @web.authenticated
    @authorized
    async def get(self, run: str) -> None:
        await self.answer(self.codesave.reads.call("executions", run_id=run))


class CellsHandler(CodeSaveHandler):
    """`runs/ID/cells?indices=`: whole cells of the session notebook, as they are looked at."""

    @web.authenticated
    @authorized
    async def get(self, run: str) -> None:
        await self.answer(self._cells(run))

    async def _cells(self, run: str) -> bytes:
        return await self.codesave.reads.call("cells", run_id=run, indices=self.indices())


class ArtifactsHandler(CodeSaveHandler):
    """`artifacts`: every series, with all of its versions or the `recent` newest."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        recent = int(self.number("recent", 0, 0, 1_000_000))
        await self.answer(self.codesave.reads.call("artifacts", recent=recent))


class ArtifactHandler(CodeSaveHandler):
    """`artifacts/NAME/VERSION`: one version and its files."""

    @web.authenticated
    @authorized
    async def get(self, name: str, version: str) -> None:
        await self.answer(self.codesave.reads.call("artifact", name=name, version=version))


class ArtifactFileHandler(CodeSaveHandler):
    """`artifacts/NAME/VERSION/files/PATH`: the bytes of one file."""

    @web.authenticated
    @authorized
    async def get(self, name: str, version: str, path: str) -> None:
        pool = self.codesave.downloads
        await self.download(
            pool.stream("artifact_file", name=name, version=version, path=path), path
        )


class BlobHandler(CodeSaveHandler):
    """`blobs/DIGEST?run=`: a blob that the run names."""

    @web.authenticated
    @authorized
    async def get(self, digest: str) -> None:
        run = self.get_query_argument("run")
        await self.download(self.codesave.downloads.stream("blob", digest=digest, run=run), digest)


class VersionsHandler(CodeSaveHandler):
    """`versions`: a notebook was saved by hand, so its running runs get a version."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        notebook = self.body().get("notebook")
        if not isinstance(notebook, str):
            raise web.HTTPError(400, "notebook must be a contents path")
        await self.answer(self._commit(notebook))

    async def _commit(self, notebook: str) -> dict[str, Any]:
        await self.codesave.follower.commit(notebook)
        return {}


class DiffHandler(CodeSaveHandler):
    """`diff`: two saved codes, compared in a worker that ends when the browser goes."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        await self.answer(self._diff())

    @web.authenticated
    @authorized
    async def post(self) -> None:
        body = self.request.body  # up to hundreds of MB: a worker reads it
        await self.answer(self.codesave.diffs.call("diff_texts", _DIFF_TIMEOUT, body=body))

    async def _diff(self) -> bytes:
        base, head = self.get_query_argument("base"), self.get_query_argument("head")
        notebooks = self.get_query_argument("notebooks", "none")
        return await self.codesave.diffs.call(
            "diff",
            self.number("timeout", _DIFF_TIMEOUT, 0.1, 3600),
            base=base,
            head=head,
            contents=await self.contents(base, head),
            path=self.get_query_argument("path", None),
            notebooks=notebooks,
            outputs=self.flag("outputs", True),
            metadata=self.flag("metadata", True),
            noise=self.flag("noise", False),
        )

    async def contents(self, *references: str) -> dict[str, dict[str, bytes | Text]]:
        """Read those references that are paths, through the ContentsManager."""
        found = {}
        for reference in references:
            path = reference.removeprefix("./").strip("/")
            exists = await ensure_async(self.contents_manager.file_exists(path))
            parsed = parse_reference(reference, functools.partial(_constant, exists))
            if not isinstance(parsed, PathReference):
                continue
            if not exists:
                raise NotFoundError(
                    f"there is no file {path!r} in this server's contents; "
                    "give a path relative to its root folder"
                )
            model = await ensure_async(self.contents_manager.get(path, content=True, type="file"))
            content, is_bytes = model["content"], model.get("format") == "base64"
            data = base64.b64decode(content) if is_bytes else Text(content)
            found[reference] = {path.rsplit("/", 1)[-1]: data}
        return found


class DiffCellsHandler(DiffHandler):
    """`diff/cells`: whole cells of a side, fetched when they are looked at."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        await self.answer(self._cells())

    async def _cells(self) -> bytes:
        base, head = self.get_query_argument("base"), self.get_query_argument("head")
        side = self.get_query_argument("side")
        if side not in ("base", "head"):
            raise UsageError(f"side cannot be {side!r}: base or head")
        return await self.codesave.diffs.call(
            "diff_cells",
            _DIFF_TIMEOUT,
            base=base,
            head=head,
            contents=await self.contents(base if side == "base" else head),
            path=self.get_query_argument("path"),
            side=side,
            indices=self.indices(),
        )


class SearchHandler(CodeSaveHandler):
    """`search`: a text in the sources of all executions."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        await self.answer(
            self.codesave.reads.call(
                "search",
                q=self.get_query_argument("q"),
                limit=int(self.number("limit", 50, 1, 1000)),
                cursor=self.get_query_argument("cursor", None) or None,
            )
        )


def _constant(answer: bool, _: str) -> bool:
    return answer


def routes(base_url: str, codesave: CodeSaveServer) -> list[Any]:
    """Give the routes below `base_url`."""
    name, version = r"([A-Za-z0-9._-]+)", r"([A-Za-z0-9._-]+)"
    table: list[tuple[str, Callable[..., Any]]] = [
        ("status", StatusHandler),
        ("settings", SettingsHandler),
        ("runs", RunsHandler),
        (r"runs/([0-9a-z]+)", RunHandler),
        (r"runs/([0-9a-z]+)/restore", RestoreHandler),
        (r"runs/([0-9a-z]+)/notebook", NotebookHandler),
        (r"runs/([0-9a-z]+)/executions", ExecutionsHandler),
        (r"runs/([0-9a-z]+)/cells", CellsHandler),
        ("artifacts", ArtifactsHandler),
        (rf"artifacts/{name}/{version}", ArtifactHandler),
        (rf"artifacts/{name}/{version}/files/(.+)", ArtifactFileHandler),
        (r"blobs/(sha256:[0-9a-f]{64})", BlobHandler),
        ("versions", VersionsHandler),
        ("diff", DiffHandler),
        ("diff/cells", DiffCellsHandler),
        ("search", SearchHandler),
    ]
    return [
        (url_path_join(base_url, "codesave", "api", path), handler, {"codesave": codesave})
        for path, handler in table
    ]
