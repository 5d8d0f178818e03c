"""The follower keeps up with journals that grow faster than they are ingested."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jupyter_codesave.server.follower import Follower
from tests.conftest import run_async


def test_a_journal_that_grows_while_it_is_ingested_is_ingested_once_more(tmp_path: Path) -> None:
    calls: list[list[str]] = []

    async def grow() -> None:
        answers, asked = asyncio.Event(), asyncio.Event()

        async def call(_: str, paths: list[str], commit: bool) -> str:
            calls.append([Path(path).stem for path in paths])
            asked.set()
            await answers.wait()
            return json.dumps({"errors": [], "sessions": [], "changes": []})

        codesave: Any = SimpleNamespace(folder=tmp_path, ingests=SimpleNamespace(call=call))
        follower = Follower(codesave, logging.getLogger(__name__))
        first = asyncio.ensure_future(follower.ingest_grown([tmp_path / "a.journal"]))
        await asyncio.wait_for(asked.wait(), 30)
        more = [follower.ingest_grown([tmp_path / f"{name}.journal"]) for name in "abaab"]
        rest = asyncio.gather(first, *more)
        answers.set()
        await asyncio.wait_for(rest, 30)

    run_async(grow())
    assert calls == [["a"], ["a", "b"]]


def test_the_browser_is_told_once_that_the_store_fell_behind_and_once_that_it_caught_up(
    tmp_path: Path,
) -> None:
    answers: list[list[dict[str, str]]] = [
        [{"journal": "a", "message": "the catalog cannot be written"}],
        [{"journal": "a", "message": "the catalog cannot be written"}],
        [],
        [],
    ]
    told: list[str | None] = []

    async def call(_: str, paths: list[str] | None, commit: bool) -> str:
        return json.dumps({"errors": answers.pop(0), "sessions": [], "changes": []})

    async def follow() -> None:
        codesave: Any = SimpleNamespace(
            folder=tmp_path,
            ingests=SimpleNamespace(call=call),
            tell_status=lambda: told.append(follower.behind),
        )
        follower = Follower(codesave, logging.getLogger(__name__))
        await follower.ingest()
        await follower.ingest([tmp_path / "a.journal"])
        await follower.ingest([tmp_path / "b.journal"])
        assert follower.behind == "the catalog cannot be written"
        await follower.ingest()

    run_async(follow())
    assert told == ["the catalog cannot be written", None]
