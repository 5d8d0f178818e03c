"""A comparison on a terminal: facts, files, and cells with what changed in them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from .noise import CELL_METADATA, visible_metadata
from .normalize import Json
from .shown import (
    LONGEST,
    Line,
    changed_lines,
    clean,
    output_lines,
    replaced_lines,
    size_in_words,
    source_lines,
)

_PATCH = "diff.patch"  # of what was not committed: a diff of it is a patch of a patch
_SIGNS = {"added": "+", "removed": "-", "modified": "~", "moved": ">", "renamed": ">"}
_STYLES = {
    "added": "green",
    "removed": "red",
    "modified": "yellow",
    "moved": "cyan",
    "renamed": "cyan",
    "unchanged": "dim",
}


def print_comparison(
    comparison: Json, console: Console, *, stat: bool = False, sources_only: bool = False
) -> None:
    """Print what `compare(..., notebooks="full")` gave; `stat` prints only a table of counts.

    Of `diff.patch` the lines are counted, and printed only where no other file is compared.
    Without the notebooks in it only counts are printed for notebooks.
    """
    for side, style in (("base", "red"), ("head", "green")):
        described = comparison[side]
        line = Text(f"{side}  ", style=style)
        console.print(
            line.append(clean(described["title"] or described["ref"]), style="bold"), soft_wrap=True
        )
    _print_facts(comparison.get("facts") or {}, console)
    files = [file for file in comparison["files"] if file["status"] != "unchanged"]
    if not files:
        console.print(Text("Nothing differs that a person would see.", style="dim"))
    elif stat:
        console.print(_statistics(files))
    else:
        for file in files:
            if file["path"] == _PATCH and file["kind"] == "text" and len(comparison["files"]) > 1:
                _print_patch(file, comparison, console)
            else:
                _print_file(file, console, sources_only)
    if comparison.get("truncated"):
        console.print(Text("Too large to compare finely: parts are shown coarser.", style="bold"))


def counted(file: Json) -> str:
    """The counts of a file in words: `2 modified, 1 added`."""
    names = ("modified", "added", "removed", "moved", "superseded")
    counts = file.get("counts") or {}
    return ", ".join(f"{counts[name]} {name}" for name in names if counts.get(name))


def _statistics(files: Sequence[Json]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("file")
    table.add_column("status")
    for name in ("added", "removed", "modified", "moved"):
        table.add_column(name, justify="right", style=_STYLES[name])
    table.add_column("of")
    for file in files:
        counts = file.get("counts") or {}
        shown = [str(counts.get(n) or "") for n in ("added", "removed", "modified", "moved")]
        unit = {"notebook": "cells", "text": "lines"}.get(file["kind"], _sizes(file))
        status = Text(file["status"], style=_STYLES[file["status"]])
        table.add_row(Text(_named(file)), status, *shown, unit)
    return table


def _named(file: Json) -> str:
    path = clean(file["path"])
    return f"{clean(file['base_path'])} → {path}" if file.get("base_path") else path


def _sizes(file: Json) -> str:
    sides = [file[side]["size"] for side in ("base", "head") if file.get(side)]
    return " → ".join(dict.fromkeys(map(size_in_words, sides)))


def _print_file(file: Json, console: Console, sources_only: bool) -> None:
    style = _STYLES[file["status"]]
    title = Text(f"{_named(file)}  ", style="bold").append(file["status"], style=style)
    if counts := counted(file):
        unit = "cells" if file["kind"] == "notebook" else "lines"
        title.append(f"  {unit}: {counts}", style="default not bold")
    console.print()
    if console.is_terminal:
        console.print(Rule(title, align="left", style=style))
    else:
        console.print(title, soft_wrap=True)
    if file["kind"] == "notebook":
        _print_cells(file, console, sources_only)
    elif file["kind"] == "text":
        _print_unified(file["diff"], console)
    else:
        console.print(Text(f"binary, {_sizes(file)}", style="dim"))


def _print_patch(file: Json, comparison: Json, console: Console) -> None:
    """Say in one line how much of the patch differs, and how to see it."""
    sides = [clean(str(comparison[side]["ref"])) for side in ("base", "head")]
    counts = file["counts"]
    line = Text(f"{_named(file)}  ", style="bold")
    line.append(file["status"], style=_STYLES[file["status"]])
    line.append(
        f"  lines: {counts['added']} added, {counts['removed']} removed; "
        f"jupyter codesave diff {shlex.join([*sides, file['path']])} shows them",
        style="not bold",
    )
    console.print()
    console.print(line, soft_wrap=True)


def _print_cells(file: Json, console: Console, sources_only: bool) -> None:
    notebooks = file.get("notebooks")
    if notebooks is None:
        return
    skipped: list[Json] = []
    for entry in file["cells"]:
        if entry["change"] == "unchanged" or entry.get("superseded"):
            skipped.append(entry)
            continue
        _print_skipped(skipped, console)
        skipped.clear()
        base = None if entry["base"] is None else notebooks["base"]["cells"][entry["base"]]
        head = None if entry["head"] is None else notebooks["head"]["cells"][entry["head"]]
        console.print(_cell_title(entry, (head or base or {})["cell_type"]))
        for text in _cell_body(entry, base, head, sources_only):
            _print_line(text, console, 2)
    _print_skipped(skipped, console)
    if file.get("metadata") and not sources_only:
        console.print(Text("~ metadata of the notebook", style=_STYLES["modified"]))
        for text in _metadata(notebooks["base"]["metadata"], notebooks["head"]["metadata"]):
            _print_line(text, console, 2)


def _print_line(text: Text, console: Console, indent: int = 0) -> None:
    """Print a line whole: folded on a terminal, below where it began, and never cut in a pipe."""
    room = console.width - indent
    parts = [text]
    if console.is_terminal and text.cell_len > room > 20:
        parts = list(text.divide(range(room, len(text), room - 2)))
    for n, part in enumerate(parts):
        margin = " " * (indent + 2 if n else indent)
        console.print(Text(margin).append_text(part), soft_wrap=True)


def _print_skipped(entries: Sequence[Json], console: Console) -> None:
    earlier = sum(bool(entry.get("superseded")) for entry in entries)
    unchanged = len(entries) - earlier
    words = [f"{unchanged} unchanged cell{'s' if unchanged > 1 else ''}"] if unchanged else []
    if earlier:
        words.append(f"{earlier} earlier execution{'s' if earlier > 1 else ''}")
    if words:
        console.print(Text(f"⋯ {', '.join(words)}", style="dim"))


def _cell_title(entry: Json, cell_type: str) -> Text:
    change = entry["change"]
    places = [str(entry[side] + 1) for side in ("base", "head") if entry[side] is not None]
    where = places[0] if len(set(places)) == 1 else " → ".join(places)
    title = Text(f"{_SIGNS[change]} cell {where}", style=f"bold {_STYLES[change]}")
    fields = ": " + ", ".join(entry["fields"]) if entry["fields"] else ""
    return title.append(f"  {cell_type}, {change}{fields}", style="not bold")


def _cell_body(
    entry: Json, base: Json | None, head: Json | None, sources_only: bool
) -> Iterator[Text]:
    fields = entry["fields"]
    if base is None or head is None or "source" in fields:
        yield from changed_lines(source_lines(base), source_lines(head))
    if sources_only:
        return
    if base is None or head is None or "outputs" in fields:
        old, new = output_lines(base), output_lines(head)
        if old == new:
            old, new = output_lines(base, every=True), output_lines(head, every=True)
        if old or new:
            yield Text("output", style="dim italic")
            yield from changed_lines(old, new)
    if base is not None and head is not None and "metadata" in fields:
        yield Text("metadata", style="dim italic")
        yield from _metadata(
            visible_metadata(base["metadata"], CELL_METADATA),
            visible_metadata(head["metadata"], CELL_METADATA),
        )


def _metadata(base: Json, head: Json) -> Iterator[Text]:
    for key in sorted(base.keys() | head.keys()):
        if base.get(key) != head.get(key):
            line = Text(f"{clean(key)}: ")
            line.append(_value(base, key), style="red").append(" → ")
            yield line.append(_value(head, key), style="green")


def _value(metadata: Json, key: str) -> str:
    if key not in metadata:
        return "–"
    value = metadata[key]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_short(v)}" for k, v in sorted(value.items())) + "}"
    return _short(value)


def _short(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return f"{len(value)} entries"
    return clean(value if isinstance(value, str) else json.dumps(value))[:80]


def _print_unified(diff: str, console: Console) -> None:
    removed: list[Line] = []
    added: list[Line] = []

    def flush() -> None:
        for text in replaced_lines(removed, added):
            _print_line(text, console)
        removed.clear()
        added.clear()

    for line in diff.splitlines(True)[2:]:
        sign, shown = line[0], clean(line[1:].rstrip("\r\n"))
        if sign == "-" and not added:
            removed.append(Line(shown, line[1:]))
        elif sign == "+":
            added.append(Line(shown, line[1:]))
        elif sign != "\\":
            flush()
            if sign == "@":
                console.print(Text(line.rstrip("\n"), style="cyan"))
            else:
                _print_line(Text(f"  {shown[:LONGEST]}"), console)
    flush()


def _print_facts(facts: Json, console: Console) -> None:
    rows: list[tuple[str, str, str]] = []
    git = facts.get("git") or {}
    rows.append(("commit", _commit(git.get("base")), _commit(git.get("head"))))
    argv = facts.get("argv") or {}
    rows.append(("argv", _words(argv.get("base")), _words(argv.get("head"))))
    for package in facts.get("packages") or ():
        rows.append((package["name"], _words(package["base"]), _words(package["head"])))
    for setting in facts.get("config") or ():
        name = f"config.{setting['key']}"
        rows.append((name, _words(setting["base"]), _words(setting["head"])))
    table = Table.grid(padding=(0, 1))
    for name, base, head in rows:
        if base != head:
            table.add_row(
                Text(clean(name), style="dim"),
                Text(base, style="red"),
                "→",
                Text(head, style="green"),
            )
    if table.row_count:
        console.print(table)


def _commit(git: Any) -> str:
    if not isinstance(git, dict) or not git.get("commit"):
        return _words(git if isinstance(git, str) else None)
    dirty = " with changes" if git.get("dirty") else ""
    return clean(f"{str(git['commit'])[:10]}{dirty}")


def _words(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return clean(" ".join(map(str, value)))
    return clean(value if isinstance(value, str) else json.dumps(value))
