"""Texts compared by Python's lines, and lines by their words."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_codesave.diff.sequences import Work
from jupyter_codesave.diff.text import (
    decoded,
    diff_lines,
    diff_texts,
    likeness_of_texts,
    word_marks,
)

from .odd import TEXTS

LONG = st.lists(st.sampled_from(["a\n", "b = 1\n", "\n", "c\f", "d\u2028", "e\r\n"]), max_size=40)


def applied(diff: str, base: str) -> str:
    """What a unified diff makes of a text; it is split as the texts were."""
    lines = base.splitlines(True)
    made: list[str] = []
    at, last = 0, ""
    for line in diff.splitlines(True)[2:]:
        sign, text = line[0], line[1:]
        if sign == "@":
            start, _, count = line.split(" ")[1][1:].partition(",")
            start_at = int(start) - (count != "0")
            made += lines[at:start_at]
            at = start_at
        elif sign == "\\":
            made += [made.pop().removesuffix("\n")] if last in "+ " else []
        elif sign == "+":
            made.append(text)
        else:
            assert text in (lines[at], lines[at] + "\n")
            if sign == " ":
                made.append(text)
            at += 1
        last = sign
    return "".join(made + lines[at:])


def work() -> Work:
    return Work(10**7)


@given(LONG, LONG)
def test_a_unified_diff_makes_head_of_base(base: list[str], head: list[str]) -> None:
    a, b = "".join(base), "".join(head)
    assert applied(diff_texts(a, b, work()).diff, a) == b


@given(LONG, LONG)
def test_it_shows_no_more_lines_than_difflib(base: list[str], head: list[str]) -> None:
    found = diff_texts("".join(base), "".join(head), work())
    a, b = "".join(base).splitlines(True), "".join(head).splitlines(True)
    shown = [line for line in difflib.ndiff(a, b) if line[0] in "+-"]
    assert found.added + found.removed <= len(shown)


def test_a_hunk_has_three_lines_around_a_change() -> None:
    base = "".join(f"{n}\n" for n in range(20))
    found = diff_texts(base, base.replace("10\n", "ten\n"), work(), "a/x", "b/x")
    assert found.diff == (
        "--- a/x\n+++ b/x\n@@ -8,7 +8,7 @@\n 7\n 8\n 9\n-10\n+ten\n 11\n 12\n 13\n"
    )
    assert (found.added, found.removed) == (1, 1)


def test_a_missing_newline_at_the_end_is_said() -> None:
    found = diff_texts("a", "a\n", work())
    assert found.diff.endswith("-a\n\\ No newline at end of file\n+a\n")


def test_equal_texts_have_no_diff() -> None:
    assert diff_texts("a\n", "a\n", work()).diff == ""


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a\n", "a\n"),
        (b"", ""),
        ("\ufeffü".encode(), "ü"),
        (b"\x89PNG\0", None),
        (b"\xff\xfe", None),
    ],
)
def test_binary_is_what_has_a_nul_or_is_no_utf_8(content: bytes, text: str | None) -> None:
    assert decoded(content) == text


def test_words_that_differ_are_marked() -> None:
    base, head = "rate = compute(alpha, 3)", "rate = compute(beta, 3, x)"
    removed, added = word_marks(base, head)
    assert [base[slice(*span)] for span in removed] == ["alpha"]
    assert [head[slice(*span)] for span in added] == ["beta", ", x"]


def test_lines_with_nothing_in_common_are_marked_whole() -> None:
    assert word_marks("abc", "xyz w") == ([(0, 3)], [(0, 5)])


@given(TEXTS, TEXTS)
def test_what_is_not_marked_is_equal(base: str, head: str) -> None:
    def unmarked(line: str, spans: list[tuple[int, int]]) -> str:
        for start, stop in reversed(spans):
            line = line[:start] + line[stop:]
        return line

    removed, added = word_marks(base, head)
    assert unmarked(base, removed) == unmarked(head, added)


def test_a_line_beyond_the_basic_plane_is_replaced_not_patched() -> None:
    ops = diff_lines("x = '𝒳 is the first name'\n", "x = '𝒳 is the last name'\n", work())
    assert [op["op"] for op in ops] == ["addrange", "removerange"]


def test_a_line_with_one_new_word_is_patched() -> None:
    (op,) = diff_lines("alpha = beta + gamma\n", "alpha = delta + gamma\n", work())
    assert op["op"] == "patch"


def test_likeness_counts_common_lines() -> None:
    assert likeness_of_texts("a\nb\n", "b\na\n") == 1.0
    assert likeness_of_texts("a\nb\n", "a\nc\n") == 0.5
    assert likeness_of_texts("", "") == 0.0
