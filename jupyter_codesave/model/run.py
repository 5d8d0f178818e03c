"""A run: one tracked period in a session."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Kind = Literal["kernel", "terminal", "script"]
State = Literal["running", "finished", "crashed"]
EndedBy = Literal["exit", "restart", "shutdown", "finish", "killed", "error", "unknown"]

ID_ALPHABET = string.digits + string.ascii_lowercase
ID_LENGTH = 10


def new_id() -> str:
    """Draw a run or session id: 10 of `[0-9a-z]`, a letter first: none reads as a number."""
    head = secrets.choice(string.ascii_lowercase)
    return head + "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH - 1))


def by_name(packages: Iterable[str]) -> list[str]:
    """Sort names of packages as people look for them: capitals make no difference."""
    return sorted(packages, key=lambda name: (name.lower(), name))


@dataclass(frozen=True)
class Run:
    """What is known of a run; times are ISO 8601 in UTC (`2026-11-20T14:02:11.123456Z`).

    `notebook` is an absolute path (or a contents path where only the server knew it); `artifact`
    is `NAME:vN` of the run's newest version, None before the first.
    """

    id: str
    name: str
    project: str
    kind: Kind
    session: str
    started: str
    state: State = "running"
    ended: str | None = None
    ended_by: EndedBy | None = None
    notebook: str | None = None
    program: str | None = None
    kernel_id: str | None = None
    executions: int = 0
    artifact: str | None = None
    tags: tuple[str, ...] = ()
    notes: str | None = None
    error: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    argv: tuple[str, ...] = ()
    cwd: str | None = None
    host: str | None = None
    user: str | None = None
    by: str = "kernel"  # who recorded it: the kernel itself or the server
    git: Mapping[str, Any] = field(default_factory=dict)  # commit, branch, remote, dirty
    environment: Mapping[str, Any] = field(default_factory=dict)  # python, packages, platform …

    def summary(self) -> dict[str, Any]:
        """Give the shape that `runs --json` lists."""
        return {
            "id": self.id,
            "name": self.name,
            "project": self.project,
            "kind": self.kind,
            "state": self.state,
            "ended_by": self.ended_by,
            "notebook": self.notebook,
            "program": self.program,
            "session": self.session,
            "kernel_id": self.kernel_id,
            "started": self.started,
            "ended": self.ended,
            "executions": self.executions,
            "git_commit": self.git.get("commit"),
            "artifact": self.artifact,
            "tags": list(self.tags),
            "notes": self.notes,
            "error": self.error,
            "by": self.by,
        }

    def details(self) -> dict[str, Any]:
        """Give the summary and all that `show --json` adds to it, but for the files."""
        git = {key: self.git.get(key) for key in ("commit", "branch", "remote", "dirty")}
        environment = {"python": None, "packages": {}, **self.environment}
        if isinstance(packages := environment["packages"], Mapping):
            environment["packages"] = {name: packages[name] for name in by_name(packages)}
        return {
            **self.summary(),
            "config": dict(self.config),
            "argv": list(self.argv),
            "cwd": self.cwd,
            "host": self.host,
            "user": self.user,
            "git": {**git, **self.git},
            "environment": environment,
        }

    def with_(self, **changes: Any) -> Run:
        """Give the same run with `changes`."""
        return replace(self, **changes)
