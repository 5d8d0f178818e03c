"""What is left when a kernel or script dies: every completed cell, every write that returned."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.capture.killing import WAYS, kill_a_kernel, kill_a_script
from tests.conftest import scale


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_kernel_loses_no_write_that_returned(way: str, tmp_path: Path) -> None:
    for seed in range(scale(3)):
        kill_a_kernel(tmp_path / str(seed), seed, way)


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_script_loses_no_write_that_returned(way: str, tmp_path: Path) -> None:
    for seed in range(scale(3)):
        kill_a_script(tmp_path / str(seed), seed, way)
