"""The environment of a run: Python, platform, installed packages, GPU; a few ms of CPU."""

from __future__ import annotations

import json
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from .masking import without_password

_HEAD = 2048  # bytes of METADATA that hold name and version, in practice


def record(run: Any) -> None:
    """Tell the journal what is installed."""
    if (recorder := run.recorder) is not None:
        recorder.event("environment", run=run.id, **describe())


def describe() -> dict[str, Any]:
    """Give the fields of the `environment` event."""
    packages, editable = installed(sys.path)
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": packages,
        "editable": editable,
        "gpu": gpus(),
    }


def installed(path: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Give {name: version} of what is installed on `path`, and {name: requirement} of the rest.

    The second holds what did not come from an index: editable installs, version control with its
    commit, local folders; as a line of requirements.txt. The first of two wins, as for imports.
    """
    packages: dict[str, str] = {}
    others: dict[str, str] = {}
    for folder in dict.fromkeys(path):
        try:
            with os.scandir(folder or ".") as entries:
                names = [e.path for e in entries if e.name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        for each in sorted(names):
            name, version = _name_and_version(each)
            if not name or name in packages:
                continue
            packages[name] = version
            if origin := _origin(name, each):
                others[name] = origin
    return packages, others


def _name_and_version(folder: str) -> tuple[str, str]:
    name = version = ""
    with suppress(OSError):
        inside = "METADATA" if folder.endswith(".dist-info") else "PKG-INFO"
        file = os.path.join(folder, inside) if os.path.isdir(folder) else folder
        with open(file, "rb") as metadata:
            head = metadata.read(_HEAD)
        for line in head.decode("utf-8", "replace").splitlines():
            if line.startswith("Name: "):
                name = line[6:].strip()
            elif line.startswith("Version: "):
                version = line[9:].strip()
            if (name and version) or not line:
                break
    if not (name and version):
        stem, _, rest = os.path.basename(folder).rpartition(".")[0].partition("-")
        name, version = name or stem, version or rest.partition("-")[0]
    return name, version


def _origin(name: str, folder: str) -> str | None:
    """Give the requirement line of what direct_url.json describes (PEP 610)."""
    try:
        origin = json.loads(Path(folder, "direct_url.json").read_bytes())
        url = without_password(str(origin["url"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if isinstance(vcs := origin.get("vcs_info"), dict):
        return f"{name} @ {vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', '')}"
    if isinstance(kind := origin.get("dir_info"), dict):
        local = url.removeprefix("file://")
        commit = _commit(local)
        comment = f"  # at commit {commit}" if commit else ""
        if not kind.get("editable"):
            return None  # by name and version: the folder is not on another machine
        return f"-e {local}{comment}"
    return f"{name} @ {url}"


def _commit(folder: str) -> str | None:
    """Read the commit that a checkout stands at, without starting git."""
    git = Path(folder, ".git")
    with suppress(OSError):
        head = (git / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head[5:]
        with suppress(OSError):
            return (git / name).read_text("utf-8").strip()
        for line in (git / "packed-refs").read_text("utf-8").splitlines():
            if line.endswith(" " + name):
                return line.split()[0]
    return None


def gpus() -> list[str]:
    """Name the NVIDIA GPUs that the driver shows; [] without one."""
    found = []
    with suppress(OSError):
        for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
            for line in file.read_text("utf-8", "replace").splitlines():
                if line.startswith("Model:"):
                    found.append(line.partition(":")[2].strip())
    return found
