"""Workers do the work beside the event loop, and can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jupyter_codesave.errors import UnavailableError
from jupyter_codesave.server.workers import CallError, Pool, Text
from tests.conftest import isolated, run_async


def notebook(cells: int, word: str) -> str:
    found = [
        {
            "cell_type": "code",
            "metadata": {},
            "source": "\n".join(f"{word}_{n}_{line} = {line * n}" for line in range(40)),
            "outputs": [],
            "execution_count": None,
        }
        for n in range(cells)
    ]
    return json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})


def pair(base: str, head: str) -> bytes:
    """Lay out the body of a question."""
    return json.dumps({"base": base, "head": head, "notebooks": "none"}).encode()


@asynccontextmanager
async def pool(tmp_path: Path, size: int = 2, memory: int | None = None) -> AsyncIterator[Pool]:
    found = Pool(size, isolated(tmp_path), memory)
    try:
        yield found
    finally:
        await found.close()


def test_an_answer_comes_back_whole(tmp_path: Path) -> None:
    async def ask() -> Any:
        async with pool(tmp_path) as workers:
            return json.loads(await workers.call("runs"))

    assert run_async(ask()) == {"runs": [], "next": None}


def test_an_error_keeps_its_reason_and_the_worker_goes_on(tmp_path: Path) -> None:
    async def ask() -> Any:
        async with pool(tmp_path, size=1) as workers:
            with pytest.raises(CallError) as caught:
                await workers.call("run", run_id="nothere")
            await workers.call("runs")
            return caught.value

    error = run_async(ask())
    assert (error.reason, error.status) == ("not-found", 404)
    assert "nothere" in str(error)


def test_what_takes_too_long_is_ended_and_the_next_call_is_answered(tmp_path: Path) -> None:
    async def ask() -> Any:
        async with pool(tmp_path, size=1) as workers:
            await workers.call("runs")
            base, head = notebook(3000, "a"), notebook(3000, "b")
            with pytest.raises(UnavailableError, match="larger timeout"):
                await workers.call("diff_texts", 0.05, body=pair(base, head))
            return json.loads(await workers.call("runs"))

    assert run_async(ask())["runs"] == []


def test_a_cancelled_call_ends_its_process(tmp_path: Path) -> None:
    async def ask() -> None:
        async with pool(tmp_path, size=1) as workers:
            await workers.call("runs")
            process = workers._workers[0]._process
            assert process is not None
            base, head = notebook(3000, "a"), notebook(3000, "b")
            task = asyncio.create_task(workers.call("diff_texts", body=pair(base, head)))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            if workers._workers[0]._process is not process:
                assert await process.wait() == -9

    run_async(ask())


def test_a_killed_worker_is_told_and_replaced(tmp_path: Path) -> None:
    async def ask() -> Any:
        async with pool(tmp_path, size=1) as workers:
            await workers.call("runs")
            process = workers._workers[0]._process
            assert process is not None
            os.kill(process.pid, 9)
            with pytest.raises(UnavailableError, match="ended before it had an answer"):
                await workers.call("runs")
            return json.loads(await workers.call("runs"))

    assert run_async(ask())["runs"] == []


async def beat(gaps: list[float]) -> None:
    """Note how much the loop's own thread works between two beats: other load does not count."""
    while True:
        begun = time.thread_time()
        await asyncio.sleep(0.02)
        gaps.append(time.thread_time() - begun)


def test_the_event_loop_beats_while_large_notebooks_go_to_a_worker(tmp_path: Path) -> None:
    base, head = notebook(25_000, "old"), notebook(25_000, "old").replace("old_7_", "new_7_")
    references = {"./base.ipynb": Text(base), "./head.ipynb": head.encode()}
    contents = {name: {name[2:]: data} for name, data in references.items()}

    async def ask() -> tuple[list[float], dict[str, Any]]:
        gaps: list[float] = []
        async with pool(tmp_path) as workers:
            await workers.call("runs")
            heart = asyncio.create_task(beat(gaps))
            answer = await workers.call(
                "diff", base="./base.ipynb", head="./head.ipynb", contents=contents
            )
            heart.cancel()
        return gaps, json.loads(answer)

    gaps, answer = run_async(ask())
    assert len([cell for cell in answer["files"][0]["cells"] if cell["change"] == "modified"]) == 1
    assert max(gaps) < 0.05


def test_the_event_loop_beats_while_ten_heavy_diffs_run(tmp_path: Path) -> None:
    base, head = notebook(1500, "old"), notebook(1500, "new")

    async def ask() -> tuple[list[float], list[bytes]]:
        gaps: list[float] = []
        async with pool(tmp_path) as workers:
            heart = asyncio.create_task(beat(gaps))
            calls = [workers.call("diff_texts", body=pair(base, head)) for _ in range(10)]
            answers = await asyncio.gather(*calls)
            heart.cancel()
        return gaps, answers

    gaps, answers = run_async(ask())
    assert all(json.loads(answer)["files"] for answer in answers)
    assert max(gaps) < 0.1
