"""The collector waits for a diff, and runs again after it."""

from __future__ import annotations

import gc

import pytest

from jupyter_codesave.diff.pause import without_collecting


@pytest.mark.parametrize("collecting", [True, False])
def test_the_collector_is_paused_and_then_as_it_was(collecting: bool) -> None:
    def fails() -> None:
        assert not gc.isenabled()
        raise ZeroDivisionError

    was = gc.isenabled()
    (gc.enable if collecting else gc.disable)()
    try:
        assert without_collecting(gc.isenabled)() is False
        with pytest.raises(ZeroDivisionError):
            without_collecting(fails)()
        assert gc.isenabled() is collecting
    finally:
        (gc.enable if was else gc.disable)()
