"""Stores over every kind of blobs and catalog."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_codesave.store import Store
from tests.blobs import servers

from .made import Place

STORAGE = {"rclone": servers.rclone, "moto": servers.moto, "azurite": servers.azurite}


@pytest.fixture(params=["sqlite local", "postgresql local", "sqlite rclone", "postgresql azurite"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Give where a new store may lie: what a laptop has, what a team has, and both mixed."""
    catalog, blobs = request.param.split()
    values = {}
    if catalog == "postgresql":
        values["database_url"] = servers.postgresql()
    if blobs != "local":
        storage = STORAGE[blobs]()
        for name, value in storage.environ.items():
            monkeypatch.setenv(name, value)
        values["artifact_url"] = f"{storage.url}/{secrets.token_hex(6)}"
    return Place(tmp_path / "data", values)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """Give an empty store of each kind."""
    with place.open() as opened:
        yield opened


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Store]:
    """Give an empty store as a laptop has it."""
    with Place(tmp_path / "data").open() as opened:
        yield opened
