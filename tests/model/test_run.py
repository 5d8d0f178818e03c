"""What is told of a run."""

from __future__ import annotations

from jupyter_codesave.ingest.files import requirements_of
from jupyter_codesave.model.run import Run


def test_packages_are_sorted_whether_they_begin_with_a_capital_or_not() -> None:
    environment = {"packages": {"Zope": "1", "attrs": "2", "Babel": "3", "babel": "4", "zict": "5"}}
    run = Run("a", "n", "p", "kernel", "s", "2026-11-20T14:02:11.123456Z", environment=environment)
    names = ["attrs", "Babel", "babel", "zict", "Zope"]
    assert list(run.details()["environment"]["packages"]) == names
    lines = (requirements_of(environment) or b"").decode().splitlines()
    assert [line.partition("==")[0] for line in lines] == names
