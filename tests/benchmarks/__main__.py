"""Print every table of speeds: `python -m tests.benchmarks [capture|store|diff|browser] [options]`.

Times are CPU seconds, best of 5, next to a calibration of the machine in the same run; peers are
measured in the same run, too. Options after a table's name go to that table.
"""

from __future__ import annotations

import importlib
import sys

TABLES = ("capture", "store", "diff", "browser")


def main(arguments: list[str]) -> None:
    """Print the named table, or all; what is no table gets the usage."""
    if arguments and arguments[0] not in TABLES:
        print(__doc__)
        return
    chosen = arguments[:1] or TABLES
    for name in chosen:
        importlib.import_module(f"tests.benchmarks.{name}").main(arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
