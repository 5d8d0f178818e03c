"""A git repository, asked without running anything of its own: no hook, no filter, no helper."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_TIMEOUT = 60.0  # s
_SETTINGS = {
    # What git would run, or where it would go, by the repository's own settings.
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "protocol.allow": "never",
    # What would make an answer another one than we read.
    "core.quotePath": "true",
    "core.safecrlf": "false",
    "core.splitIndex": "false",  # a copy of an index must not lean on files beside the first
    "diff.context": "3",
    "diff.interHunkContext": "0",
    "diff.ignoreSubmodules": "none",
    "diff.orderFile": os.devnull,
    "diff.renames": "false",
    "diff.submodule": "short",
    "status.renames": "false",
    "status.showUntrackedFiles": "normal",
}
_RUN = (".clean", ".smudge", ".process")


class Repository:
    """The repository that a folder lies in.

    OSError or subprocess.SubprocessError when there is none, or git cannot tell.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.filters: set[str] = set()  # drivers that are set up, and that we do not run
        self.root = Path(os.fsdecode(self.git("rev-parse", "--show-toplevel").removesuffix(b"\n")))
        self.config = self._config(self.root)
        self.filters = _drivers(self.config)

    def git(
        self,
        *arguments: str,
        given: bytes | None = None,
        within: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> bytes:
        """Give what git says; it neither asks, nor locks, nor runs what the repository names."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or _kept(k)}
        env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
        env |= environment or {}
        settings: list[str] = []
        for name, value in [*_SETTINGS.items(), *self._without_filters()]:
            if "=" not in name:
                settings += ("-c", f"{name}={value}")
                continue
            count = int(env.get("GIT_CONFIG_COUNT") or 0)
            env[f"GIT_CONFIG_KEY_{count}"], env[f"GIT_CONFIG_VALUE_{count}"] = name, value
            env["GIT_CONFIG_COUNT"] = str(count + 1)
        return subprocess.run(
            ["git", "--no-optional-locks", *settings, *arguments],
            cwd=within or self.root,
            env=env,
            input=given or b"",
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT,
            check=True,
        ).stdout

    def word(self, *arguments: str) -> str | None:
        """Give a word that git says; None when it has none."""
        try:
            return os.fsdecode(self.git(*arguments)).strip() or None
        except (OSError, subprocess.SubprocessError):
            return None

    def path(self, name: str) -> Path:
        """Give where git keeps `name`, such as `index`."""
        return self.root / os.fsdecode(self.git("rev-parse", "--git-path", name)[:-1])

    def spare_submodules(self, paths: Iterable[str]) -> None:
        """Run no filter of these submodules either, when git looks into them."""
        for path in paths:
            within = self.root / path
            if (within / ".git").exists():
                with suppress(OSError, subprocess.SubprocessError):
                    self.filters |= _drivers(self._config(within))

    def _config(self, within: Path) -> dict[str, str]:
        """Read all settings at once; section and key are in lower case."""
        listed = os.fsdecode(self.git("config", "--list", "-z", within=within)).split("\0")
        return {name: value for name, _, value in (each.partition("\n") for each in listed)}

    def _without_filters(self) -> Iterable[tuple[str, str]]:
        for driver in sorted(self.filters):
            yield from ((f"filter.{driver}{key}", "") for key in _RUN)
            yield f"filter.{driver}.required", "false"


def _drivers(config: dict[str, str]) -> set[str]:
    return {
        name[len("filter.") : name.rindex(".")]
        for name, value in config.items()
        if value and name.startswith("filter.") and name.endswith(_RUN)
    }


def _kept(variable: str) -> bool:
    """Tell whether it is the user's own way to configure git, not where some repository lies."""
    return variable.startswith("GIT_CONFIG_") or variable == "GIT_EXEC_PATH"
