"""Every place that blobs can lie in, for the one contract suite."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from jupyter_codesave.blobs.base import Blobs
from jupyter_codesave.blobs.local import LocalBlobs
from jupyter_codesave.blobs.memory import MemoryBlobs
from jupyter_codesave.blobs.remote import RemoteBlobs
from tests.blobs import servers

REMOTE = {
    "rclone": servers.rclone,
    "moto": servers.moto,
    "azurite": servers.azurite,
    "gcs": servers.gcs,
}


@pytest.fixture(params=["local", "memory", *REMOTE])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    """Give an empty place for blobs."""
    if request.param == "local":
        return LocalBlobs(tmp_path / "blobs")
    if request.param == "memory":
        return MemoryBlobs()
    storage = REMOTE[request.param]()
    for name, value in storage.environ.items():
        monkeypatch.setenv(name, value)
    return RemoteBlobs(f"{storage.url}/{secrets.token_hex(6)}")
