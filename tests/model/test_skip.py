"""Cells that say of themselves that they are not to be recorded."""

from __future__ import annotations

import pytest

from jupyter_codesave.model.skip import is_skipped


@pytest.mark.parametrize(
    "source",
    [
        "%%codesave skip",
        "\n \n%%codesave  skip\n1",
        ">>> %%codesave skip\n>>> 1",
        "In [3]: %%time\n   ...: %%codesave skip\n   ...: 1",
        "%%time\n%%codesave skip\n1",
        "%%capture out\n\n%%time\n  %%codesave skip\n1",
    ],
)
def test_the_line_counts_wherever_ipython_finds_a_cell_magic(source: str) -> None:
    assert is_skipped(source, {})


@pytest.mark.parametrize(
    "source",
    ["1\n%%codesave skip", "%%codesave skipped", "# %%codesave skip", "%%time\n1 # codesave"],
)
def test_the_words_elsewhere_do_not_count(source: str) -> None:
    assert not is_skipped(source, {})


def test_a_long_source_is_not_looked_at_again_from_each_of_its_lines() -> None:
    """Were it, this would take days."""
    assert not is_skipped("\n" * 1_000_000 + "codesave" + "%%time\n" * 100_000, {})
    assert not is_skipped("%%time\n" * 200_000 + "codesave", {})
