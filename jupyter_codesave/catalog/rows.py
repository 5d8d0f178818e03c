"""What the catalog answers with, beyond the model's own values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from ..model.artifact import Version

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a listing; `next` is the cursor of the page behind it, None at the end."""

    items: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True)
class Hit:
    """An execution whose source, or printed output, holds what was searched for."""

    run: str
    execution: int
    source: str
    started: str | None

    def summary(self) -> dict[str, Any]:
        """Give the shape that `search --json` lists."""
        return {
            "run": self.run,
            "execution": self.execution,
            "source": self.source,
            "started": self.started,
        }


@dataclass(frozen=True)
class JournalState:
    """How far a session's journal is ingested: bytes and records read, its size when looked at.

    `sealed`: all of it is in the store, under `digest`, and the file may go.
    """

    session: str
    offset: int
    sequence: int
    size: int
    sealed: bool = False
    digest: str | None = None
    version: int = 1


@dataclass(frozen=True)
class Artifact:
    """A named series and its versions, oldest first."""

    name: str
    type: str
    project: str
    versions: tuple[Version, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Give the shape that `artifacts --json` lists."""
        return {
            "name": self.name,
            "type": self.type,
            "project": self.project,
            "versions": [version.summary() for version in self.versions],
        }


class Whereabouts(NamedTuple):
    """Where a blob's envelope lies: a blob of its own, or `stored` bytes at `place` in a pack."""

    digest: str
    size: int
    stored: int
    pack: str | None
    place: int | None
