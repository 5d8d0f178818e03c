"""What is printed of texts and outputs: lines, with changed words marked and equal ones folded.

Nothing stored is trusted: control characters do not reach the terminal. They are shown by their
pictures or codes, so that a change in them alone is seen; colours of outputs are left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from html import unescape
from typing import Any, NamedTuple

from rich.text import Text

from .noise import plain
from .normalize import Json
from .sequences import Work, gaps, matching_blocks
from .text import CONTEXT, word_marks

STEPS = 2_000_000  # of work for one cell's lines
LONGEST = 400  # characters of a line that are printed
BEFORE = 60  # equal characters shown before the difference in a longer line
MOST_LINES = 200  # lines of one side of a change that are printed

_ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|.)", re.DOTALL)
_HIDDEN = re.compile(r"<(style|script)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_LINE_END = re.compile(r"</(tr|p|div|li|h\d|pre)\s*>|<br\b[^>]*>", re.IGNORECASE)
_CELL_END = re.compile(r"</t[dh]\s*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


class Line(NamedTuple):
    """A line to print, what makes two of them the same, the MIME type of a value it stands for."""

    shown: str
    key: str
    mime: str | None = None


def clean(text: str) -> str:
    """The text with nothing in it that a terminal would obey: `␛` for an escape, `<U+202E>`."""
    return _CONTROL.sub(_picture, text).expandtabs(4)


def _picture(control: re.Match[str]) -> str:
    code = ord(control[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if 0xD800 <= code <= 0xDFFF:
        return "�"
    return "␡" if code == 0x7F else f"<U+{code:04X}>"


def size_in_words(size: int) -> str:
    """A number of bytes as `12 kB`."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5 or unit == "GB":
            break
        value /= 1000
    return f"{value:.1f} {unit}" if 0 < value < 9.95 and unit != "B" else f"{value:.0f} {unit}"


def source_lines(cell: Json | None) -> list[Line]:
    """The source of a cell; nothing if there is no cell."""
    return [] if cell is None else _lines(cell["source"])


def _lines(text: str) -> list[Line]:
    return [Line(clean(line), line) for line in text.splitlines()]


def _read(text: str) -> str:
    """The text of an output as it reads on a terminal: no colours, nothing overwritten."""
    return plain(_ANSI.sub("", text))


def output_lines(cell: Json | None, *, every: bool = False) -> list[Line]:
    """The outputs of a cell as text, other values than text by type and size.

    Of one value in several MIME types the one that reads best is shown, or `every` one.
    """
    lines: list[Line] = []
    for output in (cell or {}).get("outputs", ()):
        if output["output_type"] == "stream":
            lines += _lines(_read(output["text"]))
        elif output["output_type"] == "error":
            lines += _lines(_read("\n".join(output["traceback"])))
        else:
            lines += _values(output["data"])
            if every:
                lines += [_summary(mime, data) for mime, data in sorted(output["data"].items())]
    return lines


def _values(data: Json) -> Iterator[Line]:
    text = data.get("text/plain")
    is_object = text is None or (text.startswith("<") and text.endswith(">"))
    images = [mime for mime in data if mime.startswith("image/")]
    if images:
        for mime in images:
            yield _summary(mime, data[mime])
    elif is_object and isinstance(html := data.get("text/html"), str):
        yield from _lines(_text_of(html))
    elif text is not None:
        yield from _lines(_read(text))
    elif "text/markdown" in data:
        yield from _lines(data["text/markdown"])
    else:
        for mime in sorted(data):
            yield _summary(mime, data[mime])


def _text_of(html: str) -> str:
    """The words of HTML, a row of a table on a line of its own."""
    html = _HIDDEN.sub("", html)
    html = _CELL_END.sub("  ", _LINE_END.sub("\n", html))
    lines = unescape(_TAG.sub("", html)).splitlines()
    return "\n".join(line.strip() for line in lines if line.strip())


def _summary(mime: str, value: Any) -> Line:
    text = value if isinstance(value, str) else json.dumps(value)
    size = len(text) * 3 // 4 if mime.startswith("image/") and "svg" not in mime else len(text)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return Line(f"{clean(mime)} {size_in_words(size)}", f"{mime} {digest}", mime)


def changed_lines(base: Sequence[Line], head: Sequence[Line]) -> Iterator[Text]:
    """Removed and added lines, words marked, with a little of what is equal around them."""
    work = Work(STEPS)
    blocks = matching_blocks([line.key for line in base], [line.key for line in head], work)
    if len(blocks) == 1 and blocks[0][2] == len(base) == len(head):
        yield Text(
            "  only what is not shown differs: line endings, colours, attachments", style="dim"
        )
        return
    done = 0
    for i0, i1, j0, j1 in gaps(blocks, len(base), len(head)):
        yield from _context(base[done:i0], done > 0, True)
        yield from replaced_lines(base[i0:i1], head[j0:j1])
        done = i1
    if base and head:
        yield from _context(base[done:], done > 0, False)


def _context(lines: Sequence[Line], after: bool, before: bool) -> Iterator[Text]:
    first = CONTEXT if after else 0
    last = CONTEXT if before else 0
    if len(lines) <= first + last + 1:
        shown: list[Line | int] = list(lines)
    else:
        folded = len(lines) - first - last
        shown = [*lines[:first], folded, *lines[len(lines) - last :]]
    for line in shown:
        if isinstance(line, int):
            yield Text(f"  ⋯ {line} equal lines", style="dim")
        else:
            yield Text("  " + line.shown[:LONGEST])


def replaced_lines(base: Sequence[Line], head: Sequence[Line]) -> Iterator[Text]:
    """Changed lines: removed ones, then those in their place, what differs in them marked."""
    pairs = list(zip(base, head, strict=True)) if len(base) == len(head) else []
    if pairs and all(old.mime is not None and old.mime == new.mime for old, new in pairs):
        for old, new in pairs:
            size = new.shown.partition(" ")[2]
            yield Text(f"~ {old.shown} → {size}", style="yellow")
        return
    if pairs:
        pairs = [_from_difference(old, new) for old, new in pairs]
        base, head = [old for old, _ in pairs], [new for _, new in pairs]
    marks = [word_marks(old.shown[:LONGEST], new.shown[:LONGEST]) for old, new in pairs]
    yield from _signed("-", "red", base, [m[0] for m in marks])
    yield from _signed("+", "green", head, [m[1] for m in marks])


def _from_difference(old: Line, new: Line) -> tuple[Line, Line]:
    """Two lines without a long equal start, behind which nobody would see their difference."""
    a, b = old.shown, new.shown
    if max(len(a), len(b)) <= LONGEST:
        return old, new
    differ = (n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    cut = next(differ, min(len(a), len(b))) - BEFORE
    if cut <= BEFORE:
        return old, new
    start = f"⋯ {cut} equal characters ⋯ "
    return old._replace(shown=start + a[cut:]), new._replace(shown=start + b[cut:])


def _signed(
    sign: str,
    style: str,
    lines: Sequence[Line],
    marks: Sequence[Iterable[tuple[int, int]]],
) -> Iterator[Text]:
    for n, line in enumerate(lines[:MOST_LINES]):
        text = Text(f"{sign} {line.shown[:LONGEST]}", style=style)
        for start, stop in marks[n] if marks else ():
            if (start, stop) != (0, len(line.shown)):
                text.stylize("bold reverse", start + 2, stop + 2)
        if len(line.shown) > LONGEST:
            text.append(f" ⋯ {len(line.shown) - LONGEST} more characters", style="dim")
        yield text
    if len(lines) > MOST_LINES:
        yield Text(f"{sign} ⋯ {len(lines) - MOST_LINES} more lines", style=f"dim {style}")
