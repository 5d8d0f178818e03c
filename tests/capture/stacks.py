"""The two stacks that capture is tested on: this environment, and the oldest that must pass."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import isolated

OLDEST = (
    "ipython==8.0.*",
    "ipykernel==6.9.*",
    "jupyter_client==7.*",
    "traitlets==5.2.*",
    "deflate",
    "psutil",
    "matplotlib",
    "pandas",
    "ipython_genutils",
)
WIDGETS = "ipywidgets==7.7.5"  # the last one for these kernels; what it needs of a server is left
STARTUP = Path(__file__).parents[2] / "jupyter_codesave" / "etc" / "50-jupyter_codesave.py"


@dataclass(frozen=True)
class Stack:
    """An interpreter with an IPython and an ipykernel."""

    name: str
    python: str
    kernel: str
    specs: str | None = None  # folder of its kernel spec

    def environment(self, folder: Path, **more: str) -> dict[str, str]:
        """Give the environment of a new user below `folder`."""
        environment = {**isolated(folder), **more}
        if self.specs is not None:
            environment["JUPYTER_PATH"] = self.specs
        return environment


def newest() -> Stack:
    """Give this environment."""
    return Stack("newest", sys.executable, "python3")


def oldest(folder: Path) -> Stack:
    """Make an environment with the oldest stack, with the startup file in its place."""
    python = folder / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    for wanted in (OLDEST, ("--no-deps", WIDGETS)):
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "--no-compile", *wanted],
            check=True,
            env={**os.environ, "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        )
    startup = folder / "venv" / "etc" / "ipython" / "startup"
    startup.mkdir(parents=True)
    shutil.copy(STARTUP, startup)
    spec = folder / "share" / "kernels" / "codesave-oldest"
    spec.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "oldest", "language": "python"})
    )
    return Stack("oldest", str(python), "codesave-oldest", str(folder / "share"))
