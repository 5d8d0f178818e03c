"""Artifacts: named series of immutable versions, with movable aliases."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError

CODE = "code"
LATEST = "latest"
SESSION_NOTEBOOK = "_session_history.ipynb"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass(frozen=True)
class Version:
    """One immutable version; `digest` is its manifest's, `size` its files' bytes."""

    artifact: str
    number: int
    digest: str
    size: int
    run: str | None
    created: str
    aliases: tuple[str, ...] = ()
    type: str = CODE
    project: str = ""

    @property
    def reference(self) -> str:
        """Give `NAME:vN`."""
        return f"{self.artifact}:v{self.number}"

    def summary(self) -> dict[str, Any]:
        """Give the shape that `artifacts --json` lists under `versions`."""
        return {
            "version": f"v{self.number}",
            "aliases": list(self.aliases),
            "digest": self.digest,
            "size": self.size,
            "run": self.run,
            "created": self.created,
        }


def is_name(name: object) -> bool:
    """Tell whether `name` may name an artifact."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Give `name` back when it may name an artifact: 1 to 128 of `[A-Za-z0-9._-]`."""
    if not is_name(name):
        raise UsageError(
            f"{name!r} cannot name an artifact: use 1 to 128 letters, digits, dots, dashes "
            "and underscores"
        )
    return name


def source_name(project: str, path: str) -> str:
    """Derive `source-<project>-<notebook or program>` from a relative path; at most 128 long.

    Characters that a name cannot hold become `-`; a name that had to be cut carries the first 8
    hex digits of a SHA-256 of the whole, so that two long paths do not meet.
    """
    whole = f"source-{project}-{path}"
    name = re.sub(r"[^A-Za-z0-9._-]", "-", whole)
    if len(name) > 120:
        name = name[:111] + "-" + hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()[:8]
    return name
