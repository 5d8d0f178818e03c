"""The stacks, made once a test run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.capture.stacks import Stack, newest, oldest


@pytest.fixture(scope="session")
def oldest_stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The oldest stack that must pass."""
    return oldest(tmp_path_factory.mktemp("oldest"))


@pytest.fixture(params=["newest", "oldest"])
def stack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Each of the two stacks."""
    if request.param == "newest":
        return newest()
    found: Stack = request.getfixturevalue("oldest_stack")
    paths = os.pathsep.join([str(found.specs), os.environ.get("JUPYTER_PATH", "")])
    monkeypatch.setenv("JUPYTER_PATH", paths.rstrip(os.pathsep))
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of the user below `tmp_path`."""
    return tmp_path / "codesave"
