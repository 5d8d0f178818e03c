"""The command line: `jupyter codesave COMMAND`, one file a group of commands.

Exit codes: 0; 1 for a difference (`diff`) or damage (`verify`); 2 for bad use or an error.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

from .._version import __version__
from ..errors import CodeSaveError


class _Command(argparse.ArgumentParser):
    """A command whose options may stand anywhere: `diff @2 @1 -s FILE`."""

    _within = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse options first, then the rest, which argparse does by calling this again."""
        if self._within:
            return super().parse_known_args(args, namespace)
        self._within = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._within = False


def parser() -> argparse.ArgumentParser:
    """Give the parser with every command."""
    from . import artifacts, care, demo, diff, recording, runs

    top = argparse.ArgumentParser(
        prog="jupyter codesave",
        description="Every executed cell with every output, saved by itself and compared.",
        epilog="REF is a run id or a unique prefix of one, @1 (the newest run), @2, "
        "NOTEBOOK.ipynb@1, ARTIFACT:v0, ARTIFACT:latest, or a path on disk.",
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_Command
    )
    for group in (demo, recording, runs, artifacts, diff, care):
        group.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    arguments = parser().parse_args(argv)
    if isinstance(sys.stdout, TextIOWrapper):  # names may hold what its encoding does not
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return int(arguments.command(arguments) or 0)
    except CodeSaveError as error:
        print(f"jupyter codesave: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("jupyter codesave: interrupted; what was done stays", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader (`head`, a pager) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"jupyter codesave: {error}", file=sys.stderr)
        return 2
    except Exception:  # Python's own exit code, 1, would say that there is a difference
        traceback.print_exc()
        print("jupyter codesave: a fault of ours; report it with these lines", file=sys.stderr)
        return 2
