"""References: how a user names a run, a version or a path."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import UsageError

_NTH = re.compile(r"(?P<notebook>.+\.ipynb)?@(?P<n>[1-9][0-9]{0,8})")
_VERSION = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,128}):(?P<selector>[A-Za-z0-9._-]{1,128})")
_RUN = re.compile(r"[0-9a-z]{1,32}")


@dataclass(frozen=True)
class RunReference:
    """A run's id, or a prefix that only one run has."""

    prefix: str


@dataclass(frozen=True)
class RecentReference:
    """`@n`: the n-th newest run, of one notebook when it is named."""

    n: int
    notebook: str | None = None


@dataclass(frozen=True)
class VersionReference:
    """`ARTIFACT:vN` or `ARTIFACT:ALIAS`."""

    name: str
    selector: str


@dataclass(frozen=True)
class PathReference:
    """A file or folder on disk."""

    path: str


Reference = RunReference | RecentReference | VersionReference | PathReference


def parse_reference(text: str, exists: Callable[[str], bool] = os.path.exists) -> Reference:
    """Read what a user typed; UsageError when it can be no reference at all.

    A path is what contains a separator, starts with `.`, or ends in `.ipynb` or `.py` and exists.
    """
    if nth := _NTH.fullmatch(text):
        return RecentReference(int(nth["n"]), nth["notebook"])
    if "/" in text or os.sep in text or text.startswith("."):
        return PathReference(text)
    if text.endswith((".ipynb", ".py")) and exists(text):
        return PathReference(text)
    if version := _VERSION.fullmatch(text):
        return VersionReference(version["name"], version["selector"])
    if _RUN.fullmatch(text):
        return RunReference(text)
    raise UsageError(
        f"{text!r} names nothing: give a run id, @1 (the newest run), NOTEBOOK.ipynb@1, "
        "ARTIFACT:v0, or a path that exists"
    )
