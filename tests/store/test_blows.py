"""The store under blows, in small counts; `python -m tests.endurance store` runs the full ones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from jupyter_codesave.errors import CodeSaveError
from tests.conftest import scale

from . import blows


@pytest.mark.parametrize("kind", blows.KINDS)
def test_a_killed_process_leaves_a_whole_store_with_all_it_acknowledged(
    tmp_path: Path, kind: str
) -> None:
    counts = blows.kill(tmp_path, kind, scale(3), random.Random())
    assert counts["stores verified"] >= scale(3)


def test_the_collector_races_writers_and_breaks_nothing(tmp_path: Path) -> None:
    counts = blows.race(tmp_path, writers=4, seconds=scale(6))
    assert counts["versions"] > 0
    assert counts["collections"] > 0


def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    counts = blows.cut_power(tmp_path, scale(15), cuts=scale(15), chance=random.Random())
    assert counts["cuts"] > 1


@pytest.mark.parametrize(
    "sabotage",
    [
        # blobs that are not synced, folders that are not, a catalog that is not
        "from jupyter_codesave.blobs import local; local.LocalBlobs.__init__.__kwdefaults__"
        "['durable'] = False\n",
        "from jupyter_codesave.blobs import local; local.LocalBlobs._sync_folder = "
        "lambda self, folder: None\n",
        "import sqlalchemy as sa\n"
        "@sa.event.listens_for(sa.Engine, 'begin')\n"
        "def begun(connection): connection.exec_driver_sql('PRAGMA synchronous=OFF') "
        "if not connection.connection.dbapi_connection.in_transaction else None\n",
    ],
)
def test_a_writer_that_does_not_sync_is_caught(tmp_path: Path, sabotage: str) -> None:
    with pytest.raises((blows.NotWholeError, CodeSaveError)):
        blows.cut_power(tmp_path, 4, cuts=20, chance=random.Random(), sabotage=sabotage)
