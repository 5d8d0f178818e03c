"""A comparison on a terminal is for people: no JSON, nothing that a terminal would obey."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from rich.console import Console

from jupyter_codesave.diff.printing import print_comparison
from jupyter_codesave.diff.shown import size_in_words
from jupyter_codesave.diff.trees import Files, Side, compare

from .made import code_cell, notebook, stream


def printed(base: list[Any], head: list[Any], colour: bool = False, **options: Any) -> str:
    sides = [
        Side(name, Files({"n.ipynb": json.dumps(notebook(cells)).encode()}), run=run)
        for name, cells, run in (("@2", base, {"argv": ["a"]}), ("@1", head, {"argv": ["b"]}))
    ]
    console = Console(file=io.StringIO(), width=100, force_terminal=colour)
    print_comparison(compare(*sides, notebooks="full"), console, **options)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def image(size: int) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": {"image/png": "A" * size}}


def test_changed_lines_stand_with_their_context() -> None:
    lines = [f"x{n} = {n}\n" for n in range(30)]
    head = [*lines[:15], "new = 1\n", *lines[16:]]
    text = printed([code_cell("".join(lines))], [code_cell("".join(head))])
    assert "- x15 = 15" in text
    assert "+ new = 1" in text
    assert "⋯ 12 equal lines" in text
    assert "x3 = 3" not in text


def test_a_long_line_is_folded_on_a_terminal_and_whole_in_a_pipe() -> None:
    line = "value = " + " + ".join(f"name_{n}" for n in range(40))
    base, head = [code_cell(line)], [code_cell(line + " - 1")]
    assert f"- {line}\n" in printed(base, head)
    folded = re.sub(r"\x1b\[[0-9;]*m", "", printed(base, head, True)).splitlines()
    assert max(map(len, folded)) == 100
    start = next(n for n, shown in enumerate(folded) if shown.startswith("  - value"))
    assert "".join(shown[4:] for shown in folded[start:]).startswith(line)


def test_a_difference_far_along_a_line_is_shown() -> None:
    line = "".join(f"word{n} " for n in range(200))
    text = printed([code_cell(line + "old end" + line)], [code_cell(line + "new end" + line)])
    assert "old end" in text
    assert "new end" in text
    assert "equal characters" in text
    assert "more characters" in text


def test_words_are_marked_in_colour() -> None:
    text = printed(
        [code_cell("rate = compute(alpha, 3)")], [code_cell("rate = compute(beta, 3)")], True
    )
    assert "\x1b[1;7;31malpha" in text
    assert "\x1b[1;7;32mbeta" in text


def test_unchanged_cells_are_folded_and_changes_counted() -> None:
    cells = [code_cell(f"value_{n} = {n}", id=f"c{n}") for n in range(5)]
    text = printed(cells, [*cells, code_cell("more()", id="m")])
    assert "⋯ 5 unchanged cells" in text
    assert "1 added" in text
    assert "+ cell 6  code, added" in text


def test_images_are_sizes_and_never_data() -> None:
    text = printed([code_cell("plot()", image(16_000))], [code_cell("plot()", image(17_200))])
    assert "image/png 12 kB → 13 kB" in text
    assert "AAAA" not in text


def test_outputs_are_text_and_not_json() -> None:
    data = {"application/json": {"a": [1, 2]}, "text/plain": "a table"}
    output = {"output_type": "execute_result", "metadata": {}, "data": data}
    text = printed([code_cell("a")], [code_cell("a", output, stream("done\n"))])
    assert "+ a table" in text
    assert "+ done" in text
    assert "{" not in text


def rich_table(rows: str, plain: str = "<IPython.core.display.HTML object>") -> dict[str, Any]:
    data = {"text/html": f"<style>td {{}}</style><table>{rows}</table>", "text/plain": plain}
    return {"output_type": "display_data", "metadata": {}, "data": data}


def test_an_html_table_is_printed_row_by_row() -> None:
    old = rich_table("<tr><th>a</th><th>b</th></tr><tr><td>1</td><td>&lt;2</td></tr>")
    new = rich_table("<tr><th>a</th><th>b</th></tr><tr><td>1</td><td>&lt;3</td></tr>")
    text = printed([code_cell("t", old)], [code_cell("t", new)])
    assert "- 1  <2" in text
    assert "+ 1  <3" in text
    assert "<td>" not in text


def test_what_differs_only_in_another_form_is_named_by_its_type() -> None:
    old, new = rich_table("<tr><td>1</td></tr>", "same"), rich_table("<tr><td>22</td></tr>", "same")
    assert "text/html" in printed([code_cell("t", old)], [code_cell("t", new)])


def test_a_terminal_is_told_nothing_by_what_is_stored() -> None:
    evil = "\x1b]0;title\x07\x1b[2Jgone \x9b31m \u202e reversed"
    error = {"output_type": "error", "ename": "E", "evalue": evil, "traceback": [evil]}
    text = printed([code_cell("a")], [code_cell(evil, stream(evil), error)])
    assert "gone" in text
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)


def test_a_change_in_control_characters_alone_is_seen() -> None:
    text = printed([code_cell("print('\x1b[31mx')")], [code_cell("print('\x1b[32mx\u202e\x7f')")])
    assert "- print('␛[31mx')" in text
    assert "+ print('␛[32mx<U+202E>␡')" in text
    base, head = (Side("a", Files({"x.sh": b"echo \x1b[%dm\n" % n})) for n in (1, 2))
    console = Console(file=io.StringIO(), width=100)
    print_comparison(compare(base, head), console)
    assert isinstance(console.file, io.StringIO)
    assert "- echo ␛[1m\n+ echo ␛[2m" in console.file.getvalue()


def test_a_change_in_colours_of_an_output_alone_is_told() -> None:
    text = printed([code_cell("a", stream("\x1b[31mx\n"))], [code_cell("a", stream("\x1b[32mx\n"))])
    assert "only what is not shown differs" in text
    assert "colours" in text


def test_sources_only_prints_no_output() -> None:
    text = printed(
        [code_cell("a", stream("1\n"))], [code_cell("a + b", stream("2\n"))], sources_only=True
    )
    assert "+ a + b" in text
    assert "output\n" not in text


def test_stat_is_a_table_of_counts() -> None:
    text = printed([code_cell("a = 1")], [code_cell("a = 2"), code_cell("b")], stat=True)
    assert "n.ipynb" in text
    assert "modified" in text
    assert "a = 2" not in text


def test_facts_that_differ_are_told() -> None:
    assert "argv a → b" in " ".join(printed([code_cell("a")], [code_cell("b")]).split())


def test_noise_alone_is_nothing_to_see() -> None:
    text = printed([code_cell("a", execution_count=1)], [code_cell("a", execution_count=2)])
    assert "Nothing differs that a person would see" in text


def test_texts_and_binaries_are_printed_too() -> None:
    base = Side("a", Files({"x.py": b"one = 1\n", "b.bin": b"\0" * 10}))
    head = Side("b", Files({"x.py": b"one = 2\n", "b.bin": b"\0" * 12_000}))
    console = Console(file=io.StringIO(), width=100)
    print_comparison(compare(base, head), console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "- one = 1" in text
    assert "binary, 10 B → 12 kB" in text


def test_a_patch_of_a_patch_is_one_line_that_tells_how_to_see_it() -> None:
    cells = json.dumps(notebook([code_cell("a")])).encode()
    patches = ["".join(f"+{name}{n}\n" for n in range(20)).encode() for name in "xyz"]
    base = Side("@2", Files({"n.ipynb": cells, "diff.patch": b"+same\n" + patches[0]}))
    head = Side("run two", Files({"n.ipynb": cells, "diff.patch": b"+same\n" + patches[1][:-5]}))

    def told(path: str | None = None) -> str:
        console = Console(file=io.StringIO(), width=100)
        print_comparison(compare(base, head, path=path, notebooks="full"), console)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    (line,) = (line for line in told().splitlines() if "patch" in line)
    assert line == (
        "diff.patch  modified  lines: 19 added, 20 removed; "
        "jupyter codesave diff @2 'run two' diff.patch shows them"
    )
    assert "x1" not in told()
    assert "- +x1\n" in told("diff.patch")


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345, "12 kB"), (999_999, "1.0 MB")],
)
def test_sizes_are_told_in_words(size: int, words: str) -> None:
    assert size_in_words(size) == words
