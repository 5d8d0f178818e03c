"""What commands share: opening the store, ingesting first, and printing."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CodeSaveError
from ..model.moment import parsed

if TYPE_CHECKING:
    from rich.console import Console

    from ..ingest import Ingest

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_WHOLE = ("RUN", "SOURCE", "PATH")  # columns that are not cut where a terminal is narrow


@contextmanager
def opened(*, ingest_first: bool = True) -> Iterator[Ingest]:
    """Open the user's store, with the journals that wait brought in."""
    from ..ingest import Ingest
    from ..settings import data_dir, resolve
    from ..store import Store

    with Store.open(data_dir(), resolve()) as store:
        ingest = Ingest(store)
        if ingest_first:
            ingest.all(progress=progress("ingesting"), on_error=complain)
        yield ingest


def progress(title: str) -> Any:
    """Give a progress bar that shows itself on a terminal only, and only when it takes long."""

    def show(items: Iterable[Any]) -> Iterable[Any]:
        from tqdm import tqdm

        bar: Iterable[Any] = tqdm(
            items, desc=title, delay=1, leave=False, disable=not sys.stderr.isatty()
        )
        return bar

    return show


def complain(path: Path, error: CodeSaveError) -> None:
    """Say that one journal could not be ingested; the command goes on."""
    print(f"jupyter codesave: {path.name} was not ingested: {error}", file=sys.stderr)


def add_json(command: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")


def print_json(found: Any) -> None:
    """Print JSON for programs: ASCII, so that any terminal and pipe carries it."""
    print(json.dumps(found, indent=1))


def console(*, stderr: bool = False) -> Console:
    """Give rich's console: coloured on a terminal, plain in a pipe."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=not sys.stdout.isatty())


def harmless(text: str, kept: str = "") -> str:
    """Give text without what steers a terminal: colours go, other control characters are shown."""
    plain = _COLOUR.sub("", text)
    return _CONTROL.sub(lambda m: m[0] if m[0] in kept else f"\\x{ord(m[0]):02x}", plain)


def short_digest(digest: str) -> str:
    """Give a digest's beginning, as much as a person compares; `--json` has it whole."""
    return f"{digest[:19]}…"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; in a pipe, plain columns that `cut` and `awk` can take."""
    listed = [[harmless(" ".join(str(cell).split("\n"))) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [list(columns), *listed]:
            print("\t".join(row))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(
            column,
            overflow="fold" if column in _WHOLE else "ellipsis",
            no_wrap=column not in _WHOLE,
        )
    for row in listed:
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


def print_facts(facts: Iterable[tuple[str, Any]]) -> None:
    """Print names and values, one a line."""
    for name, value in facts:
        text = "-" if value in (None, "", [], {}) else harmless(str(value), kept="\n\t")
        print(f"{name + ':':<14} {text}")


def moment(iso: str | None) -> str:
    """Give a stored time in the reader's own time zone."""
    if not iso:
        return "-"
    return f"{parsed(iso).astimezone():%Y-%m-%d %H:%M}"


def bytes_text(size: float) -> str:
    """Give a number of bytes as people read it: `1.4 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
