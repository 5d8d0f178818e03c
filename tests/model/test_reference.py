"""What a user types names a run, a version or a path, and nothing else."""

from __future__ import annotations

import pytest

from jupyter_codesave.errors import UsageError
from jupyter_codesave.model.reference import (
    PathReference,
    RecentReference,
    Reference,
    RunReference,
    VersionReference,
    parse_reference,
)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("k3f9a0b2c1", RunReference("k3f9a0b2c1")),
        ("k3f", RunReference("k3f")),
        ("@1", RecentReference(1)),
        ("@12", RecentReference(12)),
        ("analysis.ipynb@1", RecentReference(1, "analysis.ipynb")),
        ("sub/dir/a b.ipynb@3", RecentReference(3, "sub/dir/a b.ipynb")),
        ("source-p-a.ipynb:v0", VersionReference("source-p-a.ipynb", "v0")),
        ("model:latest", VersionReference("model", "latest")),
        ("./k3f", PathReference("./k3f")),
        ("sub/a.ipynb", PathReference("sub/a.ipynb")),
        (".", PathReference(".")),
        ("there.ipynb", PathReference("there.ipynb")),
        ("there.py", PathReference("there.py")),
    ],
)
def test_each_form_is_understood(text: str, meant: Reference) -> None:
    assert parse_reference(text, lambda path: path.startswith("there")) == meant


@pytest.mark.parametrize("text", ["", "@0", "@", "@-1", "No Run", "a:b:c", "gone.ipynb", "ÄÖ"])
def test_what_can_be_nothing_is_refused_with_a_way_out(text: str) -> None:
    with pytest.raises(UsageError, match="@1"):
        parse_reference(text, lambda path: False)
