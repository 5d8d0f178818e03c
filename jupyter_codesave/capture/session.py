"""The session: one kernel, terminal or script process, and the journal that it writes."""

from __future__ import annotations

import getpass
import os
import platform
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from .._version import __version__
from ..journal import events
from ..journal.tail import SUFFIX, Tail
from ..journal.writer import Writer
from ..model.run import Kind, new_id
from .masking import mask

_JOB_IDS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "OAR_JOB_ID")


class Session:
    """Its journal and tail are made when the first execution is to be recorded."""

    def __init__(self, kind: Kind, folder: Path, **more: Any) -> None:
        self.id = new_id()
        self.kind = kind
        self.folder = folder
        self.journal = Writer(folder / "journal" / (self.id + events.SUFFIX))
        self.tail: Tail | None = None
        self._more = more  # notebook, kernel_id

    def open(self) -> bool:
        """Make the journal, begin it with the session event, and make the tail."""
        _private(self.folder)
        if not self.journal.open():
            return False
        self.journal.event("session", **self.describe())
        with suppress(OSError):
            self.tail = Tail(self.journal.path.with_suffix(SUFFIX), self.journal.settle)
        return True

    def describe(self) -> dict[str, Any]:
        """Give the fields of the `session` event."""
        return {
            "version": events.VERSION,
            "session": self.id,
            "kind": self.kind,
            "by": "kernel" if self.kind == "kernel" else self.kind,
            "host": socket.gethostname(),
            "boot": boot_id(),
            "pid": os.getpid(),
            "process_started": process_started(),
            "python": platform.python_version(),
            "package": __version__,
            "cwd": working_folder(),
            "argv": mask(getattr(sys, "argv", ())),
            "user": user_name(),
            "scheduler_job": scheduler_job(),
            **self._more,
        }

    def close(self) -> None:
        """Let go of the journal; the tail is not needed any more, but where the journal failed."""
        self.journal.close()
        if self.tail is not None:
            self.tail.close(keep=self.journal.failure is not None)


def _private(folder: Path) -> None:
    """Make the data folder 0700; what cannot be made is told by whoever writes there next."""
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def working_folder() -> str | None:
    """Give the working directory, None when it was deleted."""
    try:
        return os.getcwd()
    except OSError:
        return None


def user_name() -> str | None:
    """Give who runs this, None when nobody knows."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None


def scheduler_job() -> str | None:
    """Give the scheduler's id of this job, None outside of one."""
    return next((os.environ[name] for name in _JOB_IDS if os.environ.get(name)), None)


def process_started() -> float | None:
    """Give when this process started, in seconds of the epoch, as psutil tells it."""
    try:
        if os.path.exists("/proc/self/stat"):
            with open("/proc/self/stat", "rb") as file:
                ticks = int(file.read().rpartition(b")")[2].split()[19])
            with open("/proc/stat", "rb") as file:
                booted = next(float(line.split()[1]) for line in file if line.startswith(b"btime"))
            return booted + ticks / os.sysconf("SC_CLK_TCK")
        import psutil

        return float(psutil.Process().create_time())
    except Exception:
        return None


def boot_id() -> str | None:
    """Give what tells this start of the machine from others, None where nothing does."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return None
