"""Notebooks that nobody should have and somebody has."""

from __future__ import annotations

from typing import Any

from hypothesis import example
from hypothesis import strategies as st

from .made import code_cell, notebook

TEXTS = st.text(alphabet=st.sampled_from("ab =1(\n\n\r\t\f\v\x85\u2028 é𝒳\ud800"), max_size=24)
LINES = st.lists(TEXTS, max_size=4)
WHOLE = TEXTS | LINES
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
METADATA = st.dictionaries(st.sampled_from(["trusted", "codesave", "x"]), JSON, max_size=3)
MIMES = st.sampled_from(
    [
        "text/plain",
        "text/html",
        "image/png",
        "image/svg+xml",
        "application/json",
        "application/x+json",
    ]
)
OUTPUTS = st.one_of(
    st.fixed_dictionaries(
        {
            "output_type": st.just("stream"),
            "name": st.sampled_from(["stdout", "stderr"]),
            "text": WHOLE,
        }
    ),
    st.fixed_dictionaries(
        {
            "output_type": st.sampled_from(["display_data", "execute_result"]),
            "data": st.dictionaries(MIMES, WHOLE | JSON, max_size=3),
        },
        optional={"metadata": METADATA, "execution_count": st.none() | st.integers(0, 9)},
    ),
    st.fixed_dictionaries({"output_type": st.just("error")}, optional={"traceback": LINES}),
    JSON,
)
CELLS = st.fixed_dictionaries(
    {},
    optional={
        "cell_type": st.sampled_from(["code", "code", "markdown", "raw", "heading", "?"]),
        "source": WHOLE,
        "id": st.sampled_from(["a", "b", "c", "", "no good", "x" * 65]) | JSON,
        "metadata": METADATA,
        "outputs": st.lists(OUTPUTS, max_size=4) | OUTPUTS,
        "execution_count": st.none() | st.integers(0, 9) | JSON,
    },
)


@st.composite
def odd_notebooks(draw: st.DrawFn) -> dict[str, Any]:
    """A notebook of any version with any oddity."""
    cells = draw(st.lists(CELLS, max_size=6))
    if draw(st.booleans()):
        return {"nbformat": 4, "cells": cells, "metadata": draw(METADATA)}
    return {"nbformat": 3, "worksheets": [{"cells": cells}], "metadata": draw(METADATA)}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two notebooks that share some of their cells, changed or not, in any order."""
    shared = draw(st.lists(CELLS, max_size=8))
    sides = []
    for _ in "ab":
        order = draw(st.permutations(shared)) if draw(st.booleans()) else list(shared)
        for at in range(len(order)):
            change = draw(st.integers(0, 5))
            if change == 0:
                order[at] = {**order[at], **draw(CELLS)}
            elif change == 1:
                order[at] = draw(CELLS)
        order = order[draw(st.integers(0, 2)) :]
        sides.append({"nbformat": 4, "cells": order, "metadata": draw(METADATA)})
    return sides[0], sides[1]


ODD = [
    notebook([]),
    notebook([{}, {}]),
    notebook([code_cell("same", id="x"), code_cell("same", id="x")]),
    notebook([code_cell("a\fb\vc\x85d\u2028e\r\nf\rg", id="lines")]),
    notebook([code_cell("", {"output_type": "display_data", "data": {"application/json": 1}})]),
    notebook([code_cell("", {"output_type": "stream", "text": None})]),
    {"cells": None, "metadata": None, "nbformat": 4},
    {"cells": ["text", None, 3], "nbformat": 4},
]


def examples(test: Any) -> Any:
    """Run a test of one notebook on each of the odd ones too."""
    for odd in ODD:
        test = example(odd)(test)
    return test
