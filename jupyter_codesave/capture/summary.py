"""What %codesave shows: plain text in a terminal, a small table in a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

Row = tuple[str, int, str]
_SHOWN = 20


def size(count: int) -> str:
    """Spell a number of bytes for a person."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError(count)


def table(title: str, rows: Iterable[Row]) -> str:
    """Give rows of path, size and digest as HTML."""
    rows = list(rows)
    body = "".join(
        f"<tr><td style='text-align:left'>{escape(_printable(path))}</td><td>{size(count)}</td>"
        f"<td><code>{escape(digest.removeprefix('sha256:')[:12])}</code></td></tr>"
        for path, count, digest in rows[:_SHOWN]
    )
    more = f"<tr><td>… {len(rows) - _SHOWN} more</td></tr>" if len(rows) > _SHOWN else ""
    return (
        f"<div><strong>{escape(_printable(title))}</strong><table><thead><tr>"
        "<th style='text-align:left'>path</th><th>size</th><th>sha256</th></tr></thead>"
        f"<tbody>{body}{more}</tbody></table></div>"
    )


def text(title: str, rows: Iterable[Row]) -> str:
    """Give rows of path, size and digest as lines."""
    rows = list(rows)
    width = max((len(_printable(path)) for path, _, _ in rows[:_SHOWN]), default=0)
    lines = [
        f"  {_printable(path):<{width}}  {size(count):>9}  {digest.removeprefix('sha256:')[:12]}"
        for path, count, digest in rows[:_SHOWN]
    ]
    if len(rows) > _SHOWN:
        lines.append(f"  … {len(rows) - _SHOWN} more")
    return "\n".join([_printable(title), *lines])


class Summary:
    """Shows itself as a table or as text, whichever the front end takes."""

    def __init__(self, title: str, rows: Iterable[Row]) -> None:
        self._title, self._rows = title, list(rows)

    def __repr__(self) -> str:
        return text(self._title, self._rows)

    def _repr_html_(self) -> str:
        return table(self._title, self._rows)


def _printable(name: str) -> str:
    return name.encode("utf-8", "replace").decode("utf-8")
