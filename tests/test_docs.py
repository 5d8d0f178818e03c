"""Every command and magic that exists is in the README, and the other way round."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from jupyter_codesave.capture.usage import COMMANDS, HELP
from jupyter_codesave.cli import parser

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
