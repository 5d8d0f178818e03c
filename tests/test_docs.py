"""What the README says is true: its commands and magics are all there are, and do what it says."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from jupyter_codesave.capture.usage import COMMANDS, HELP
from jupyter_codesave.cli import parser
from tests.conftest import Home, running_lab

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_the_readme_lists_every_command_and_no_other() -> None:
    (commands,) = (
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    rows = [
        line.split("|")[1] for line in section("The command line").splitlines() if "| `" in line
    ]
    listed = set(re.findall(r"`([a-z]+)`", " ".join(rows)))
    assert listed == set(commands.choices)


def test_the_readme_lists_every_magic_and_no_other() -> None:
    rows = [line.split("|")[1] for line in section("Magics").splitlines() if "| `%" in line]
    listed = set(re.findall(r"%codesave ?([a-z_]*)", " ".join(rows))) - {""}
    assert listed == set(COMMANDS)
    assert all(command in HELP for command in COMMANDS)


def test_commands_in_the_readme_are_understood() -> None:
    for line in re.findall(r"^jupyter codesave ([^#\n]+?)\s*(?:#.*)?$", README, re.MULTILINE):
        parser().parse_args(line.split())


def nbdime_in(home: Home) -> tuple[int, bool]:
    """Start a server; give how nbdime's endpoint answers, and whether its buttons are disabled."""
    with running_lab(home) as lab:
        request = urllib.request.Request(
            f"{lab.url}nbdime/api/isgit",
            data=b'{"path": "."}',
            headers={"Authorization": f"token {lab.token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                code = response.status
        except urllib.error.HTTPError as error:
            code = error.code
        with urllib.request.urlopen(f"{lab.url}lab?token={lab.token}", timeout=60) as response:
            page = response.read().decode()
    (disabled,) = re.findall(r'"disabledExtensions": *(\[[^]]*\])', page)
    return code, "nbdime-jupyterlab" in disabled


def test_the_readmes_commands_bring_nbdimes_server_and_buttons_back(home: Home) -> None:
    assert nbdime_in(home) == (404, True)
    (commands,) = re.findall(r"```bash\n(.*?)```", section("nbdime's buttons"), re.DOTALL)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**home.environment, "PATH": path}
    subprocess.run(["bash", "-ec", commands], env=environment, cwd=home.work, check=True)
    assert nbdime_in(home) == (200, False)
