"""Both databases, for the one contract suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_codesave.catalog.catalog import Catalog
from tests.blobs import servers

Place = Path | str


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Give where a new catalog may be made."""
    return tmp_path / "catalog.sqlite" if request.param == "sqlite" else servers.postgresql()


@pytest.fixture
def catalog(place: Place) -> Iterator[Catalog]:
    """Give an empty catalog."""
    made = Catalog(place)
    yield made
    made.close()
