"""What commands share: opening the store, ingesting first, and printing."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..capture.usage import WIDTH
from ..errors import CodeSaveError
from ..model.moment import parsed

if TYPE_CHECKING:
    from rich.console import Console

    from ..ingest import Ingest

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_FOLDED = ("SOURCE", "PATH")  # columns that go on in the next line of a narrow terminal
# Those that give way, the first first; all others (ids, states, versions) are always whole.
_GIVE_WAY = (("SOURCE", "PATH"), ("ARTIFACT",), ("NAME", "PROJECT"), ("ALIASES",))
_LEAST = {"SOURCE": 20, "PATH": 20}  # the least of others is 8
_GAP = "  "


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
    return _CONTROL.sub(lambda m: m[0] if m[0] in kept else ascii(m[0])[1:-1], plain)


def short_digest(digest: str) -> str:
    """Give a digest's beginning, as much as a person compares; `--json` has it whole."""
    return f"{digest[:19]}…"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; in a pipe, plain columns that `cut` and `awk` can take.

    What %codesave pipes is for people: a table as wide as it says.
    """
    listed = [[harmless(" ".join(str(cell).split("\n"))) for cell in row] for row in rows]
    out = console()
    room = int(os.environ.get(WIDTH) or 0) or (out.width if sys.stdout.isatty() else 0)
    if not room:
        for row in [list(columns), *listed]:
            print("\t".join(row))
        return
    from rich.text import Text

    widths = _widths(columns, listed, room)
    if widths is None:  # too narrow for a table
        for row in listed:
            print_facts(zip(columns, row, strict=True))
            print()
        return
    for n, row in enumerate([list(columns), *listed]):
        style = "" if n else "bold"
        for line in _lines(columns, row, widths):
            out.print(Text(line, style=style), soft_wrap=True)


def _widths(
    columns: Sequence[str], rows: Sequence[Sequence[str]], room: int
) -> tuple[int, ...] | None:
    """Give the widths with which a table fits; None if it does not."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]
    least = {n: _LEAST.get(column, 8) for n, column in enumerate(columns)}
    over = sum(widths) + len(_GAP) * (len(columns) - 1) - room
    for group in _GIVE_WAY:
        members = [n for n, column in enumerate(columns) if column in group]
        while over > 0 and any(widths[n] > least[n] for n in members):
            widest = max(members, key=lambda n: widths[n] - least[n])
            widths[widest] -= 1
            over -= 1
    return None if over > 0 else tuple(widths)


def _lines(columns: Sequence[str], row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """Give the lines of one row: what is folded may need more than one."""
    from rich.cells import set_cell_size

    cells = [
        _folded(cell, width) if column in _FOLDED else [_shortened(cell, width)]
        for column, cell, width in zip(columns, row, widths, strict=True)
    ]
    for parts in zip_longest(*cells, fillvalue=""):
        yield _GAP.join(map(set_cell_size, parts, widths)).rstrip()


def _shortened(text: str, width: int) -> str:
    """Cut the middle out of a text wider than a terminal's columns, where names differ least."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    after = (width - 1) // 2
    beginning, ending = _folded(text, width - 1 - after)[0], _folded(text[::-1], after)[0][::-1]
    return f"{beginning}…{ending}"


def _folded(text: str, width: int) -> list[str]:
    """Give a text in parts no wider than a terminal's columns; at least one part."""
    from rich.cells import cell_len

    parts, room = [""], width
    for character in text:  # rich's own chop_cells turned texts round in its early releases
        size = cell_len(character)
        if size > room:
            parts.append("")
            room = width
        parts[-1] += character
        room -= size
    return parts


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


def number(count: int, things: str) -> str:
    """Give a number of things in words: `1 run`, `2 runs`, of the plural."""
    return f"{count} {things[:-1] if count == 1 and things.endswith('s') else things}"


def bytes_text(size: float) -> str:
    """Give a number of bytes as people read it: `1.4 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
