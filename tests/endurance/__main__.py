"""Run the long loops in full: `python -m tests.endurance [capture|store|browser] [options]`."""

from __future__ import annotations

import importlib
import sys

LOOPS = ("capture", "store", "browser")


def main(arguments: list[str]) -> None:
    """Run the named loops, or all."""
    chosen = [arguments[0]] if arguments and arguments[0] in LOOPS else list(LOOPS)
    for name in chosen:
        importlib.import_module(f"tests.endurance.{name}").main(arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
