"""Workers: processes that ingest, read and diff beside the server, and can be killed.

A worker is `python -m jupyter_codesave.server.workers`. It reads requests from its standard input
and answers on its standard output, each frame behind its length (8 bytes, big-endian). A request
is a frame of JSON: `call`, `args`, and `large`, which names the places in `args` whose bytes
follow, each in frames of their own up to an empty one, so that the event loop is never long at it.
An answer is frames of content, then an empty frame, then a frame with `{"ok": true}` or the error
as JSON. A worker ends when its standard input closes, so none outlives a killed server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import struct
import sys
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import IO, Any

from ..errors import CodeSaveError, UnavailableError

_LENGTH = struct.Struct(">Q")
_CHUNK = 1 << 20
_PIECE = 128 << 10  # characters; what a pipe does not take at once is moved about in memory
MEMORY_LIMIT = 4 << 30  # bytes of address space of a diff


class Text(str):
    """A large text among the arguments of a call: it arrives as its bytes in UTF-8."""


class CallError(CodeSaveError):
    """What went wrong in a worker, as its own error said it."""

    def __init__(self, message: str, reason: str, status: int) -> None:
        super().__init__(message)
        self.reason, self.status = reason, status


class Worker:
    """One process; a call at a time."""

    def __init__(self, environment: dict[str, str], memory: int | None) -> None:
        self._environment, self._memory = environment, memory
        self._process: asyncio.subprocess.Process | None = None
        self._killed: list[asyncio.subprocess.Process] = []

    async def stream(self, call: str, args: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        """Yield the frames that answer a call; CallError when it failed."""
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        finished = False
        try:
            for sent in _request(call, args):
                process.stdin.write(_LENGTH.pack(len(sent)) + sent)
                await process.stdin.drain()
            while frame := await _frame(process.stdout):
                yield frame
            end = json.loads(await _frame(process.stdout))
            finished = True
        except (asyncio.IncompleteReadError, ConnectionError):
            raise UnavailableError(
                f"the process that worked on {call!r} ended before it had an answer (out of "
                "memory?); compare smaller files, or raise its limit of memory"
            ) from None
        finally:
            if not finished:  # timed out, cancelled or broken: what it still says is no answer
                self.kill()
        if not end.get("ok"):
            raise CallError(end["message"], end["reason"], end["status"])

    def kill(self) -> None:
        """End the process at once; the next call starts a new one."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._killed.append(self._process)
            self._process = None

    async def close(self) -> None:
        """End the process, and wait until it and its pipes are gone."""
        self.kill()
        while self._killed:
            await self._killed.pop().communicate()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._killed = [one for one in self._killed if one.returncode is None]
            arguments = ["-m", __name__, *([str(self._memory)] if self._memory else [])]
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=self._environment,
            )
        return self._process


class Pool:
    """A few workers of one kind; who finds none idle waits in line."""

    def __init__(self, size: int, environment: dict[str, str], memory: int | None = None) -> None:
        self._workers = [Worker(environment, memory) for _ in range(size)]
        self._idle: asyncio.LifoQueue[Worker] = asyncio.LifoQueue()
        for worker in self._workers:
            self._idle.put_nowait(worker)

    async def stream(self, call: str, **args: Any) -> AsyncGenerator[bytes, None]:
        """Yield the frames that answer a call; closing the iterator early kills the worker."""
        worker = await self._idle.get()
        try:
            async with contextlib.aclosing(worker.stream(call, args)) as frames:
                async for frame in frames:
                    yield frame
        finally:
            self._idle.put_nowait(worker)

    async def call(self, call: str, timeout: float | None = None, **args: Any) -> bytes:
        """Give the whole answer of a call; UnavailableError when it takes over `timeout` s."""

        async def gather() -> bytes:
            async with contextlib.aclosing(self.stream(call, **args)) as frames:
                return b"".join([frame async for frame in frames])

        try:
            return await asyncio.wait_for(gather(), timeout)
        except asyncio.TimeoutError:
            raise UnavailableError(
                f"{call} took over {timeout:g} s and was ended; ask with a larger timeout"
            ) from None

    def kill(self) -> None:
        """End every process at once, where no event loop runs any more."""
        for worker in self._workers:
            worker.kill()

    async def close(self) -> None:
        """End every process, and wait for it."""
        await asyncio.gather(*(worker.close() for worker in self._workers))


async def _frame(stream: asyncio.StreamReader) -> bytes:
    (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
    parts = []
    while length:
        part = await stream.read(min(length, _CHUNK))
        if not part:
            raise asyncio.IncompleteReadError(b"", length)
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _request(call: str, args: dict[str, Any]) -> Iterator[bytes]:
    """Yield the frames of a request, none of them large."""
    large: list[tuple[list[str], bytes | Text]] = []

    def without_large(value: Any, path: list[str]) -> Any:
        if isinstance(value, bytes | Text):
            large.append((path, value))
            return None
        if isinstance(value, dict):
            return {key: without_large(inner, [*path, key]) for key, inner in value.items()}
        return value

    request = {"call": call, "args": without_large(args, []), "large": [path for path, _ in large]}
    yield json.dumps(request).encode()
    for _, value in large:
        for at in range(0, len(value), _PIECE):
            part = value[at : at + _PIECE]
            yield part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        yield b""


def _requests(source: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Read requests until the source closes."""

    def frame() -> bytes:
        head = source.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            raise EOFError
        return source.read(_LENGTH.unpack(head)[0])

    with contextlib.suppress(EOFError):
        while True:
            request = json.loads(frame())
            for *above, last in request.pop("large"):
                place = request["args"]
                for key in above:
                    place = place[key]
                place[last] = b"".join(iter(frame, b""))
            yield request


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer requests until the source closes."""
    from .payloads import Payloads

    payloads: Payloads | None = None
    for request in _requests(source):
        try:
            payloads = payloads or Payloads()
            for frame in _frames(getattr(payloads, request["call"])(**request["args"])):
                sink.write(_LENGTH.pack(len(frame)) + frame)
            end: dict[str, Any] = {"ok": True}
        except CodeSaveError as error:
            end = {"message": str(error), "reason": error.reason, "status": error.status}
        except Exception as error:
            end = {"message": f"{type(error).__name__}: {error}", "reason": "fault", "status": 500}
            if isinstance(error, MemoryError):
                end = {
                    "message": "this takes more memory than a worker may use; compare less at once",
                    "reason": "memory",
                    "status": 503,
                }
            elif not isinstance(error, BrokenPipeError):
                import traceback

                traceback.print_exc()
        text = json.dumps(end).encode()
        sink.write(_LENGTH.pack(0) + _LENGTH.pack(len(text)) + text)
        sink.flush()


def _frames(answer: Any) -> Iterator[bytes]:
    if isinstance(answer, bytes):
        yield from (answer[i : i + _CHUNK] for i in range(0, len(answer), _CHUNK))
    elif isinstance(answer, Iterable) and not isinstance(answer, (dict, list, str)):
        yield from (frame for frame in answer if frame)
    else:
        yield json.dumps(answer).encode("utf-8", "surrogatepass")


def main() -> None:
    """Serve on the standard streams; whatever else prints goes to standard error."""
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if len(sys.argv) > 1:
        with contextlib.suppress(ImportError, ValueError, OSError):
            import resource

            resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
