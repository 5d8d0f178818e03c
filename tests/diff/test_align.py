"""Cells find the cells they come from."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import Any

import pytest

from jupyter_codesave.diff import normalize
from jupyter_codesave.diff.align import Alignment, align
from jupyter_codesave.diff.sequences import Work

from .hard import HARD, hardly_edited
from .made import EDITS, code_cell, edited, fresh_id, notebook, some_notebook

SCALE = float(os.environ.get("CODESAVE_TEST_SCALE", "1"))
PLENTY = 100_000_000


def aligned(base: list[Any], head: list[Any]) -> Alignment:
    sides = [normalize(json.dumps(notebook(cells)))["cells"] for cells in (base, head)]
    found = align(*sides, Work(PLENTY))
    both = found.pairs + found.moves
    assert len({i for i, _ in both}) == len({j for _, j in both}) == len(both)
    assert found.pairs == sorted(found.pairs, key=lambda pair: pair[1])
    for i, j in both:
        assert sides[0][i]["cell_type"] == sides[1][j]["cell_type"]
    return found


def without_ids(cells: list[Any]) -> list[Any]:
    return [{k: v for k, v in cell.items() if k != "id"} for cell in cells]


@pytest.mark.parametrize("hidden", [False, True], ids=["ids", "no ids"])
@pytest.mark.parametrize("kind", EDITS)
def test_of_100_cells_98_find_their_origin_after_an_edit(kind: str, hidden: bool) -> None:
    right = total = 0
    for seed in range(max(5, int(10 * SCALE))):
        rng = random.Random(seed)
        base = some_notebook(rng, 40)
        head, origin = edited(rng, base, kind, times=4)
        cells = base["cells"], head["cells"]
        found = aligned(*map(without_ids, cells)) if hidden else aligned(*cells)
        came = {j: i for i, j in [*found.pairs, *found.moves]}
        known = [j for j, i in enumerate(origin) if i is not None]
        total += len(known)
        right += sum(came.get(j) == origin[j] for j in known)
    assert right >= 0.98 * total


@pytest.mark.parametrize("kind", HARD)
def test_of_10_cells_edited_hard_9_find_their_origin_without_ids(kind: str) -> None:
    right = total = 0
    pool = some_notebook(random.Random(99), 60)["cells"]
    for seed in range(max(8, int(8 * SCALE))):
        base = some_notebook(random.Random(seed), 40)
        hard = hardly_edited(random.Random(f"{kind} {seed}"), base, kind, pool)
        found = aligned(*(without_ids(side["cells"]) for side in (hard.base, hard.head)))
        truth = {(i, j) for j, i in enumerate(hard.origin) if i is not None}
        differ = {
            (i, j)
            for i, j in truth
            if hard.base["cells"][i]["source"] != hard.head["cells"][j]["source"]
        }
        total += len(differ)
        right += len(differ & {*found.pairs, *found.moves})
    # Of a cell and its edited copy nobody knows for sure which is which.
    assert right >= (0.75 if kind in ("copies", "everything") else 0.9) * total > 0


def test_one_long_new_line_does_not_hide_the_lines_that_stayed() -> None:
    ends = code_cell("import numpy"), code_cell("done()")
    old = code_cell("class_names = info.features\nclass_names")
    new = code_cell("frame['year'] -= frame['year'].mean() + frame['month'].std()\nclass_names")
    found = aligned([ends[0], old, ends[1]], [ends[0], new, code_cell("# Year"), ends[1]])
    assert (1, 1) in found.pairs


def test_of_a_cell_and_its_copy_the_upper_one_is_the_cell() -> None:
    ends = code_cell("import numpy"), code_cell("done()")
    old = "model = build(size=10)\nmodel.fit(data, steps=100)\nmodel.save('small')"
    heads = [code_cell(old.replace("10)", n).replace("small", n)) for n in ("20)", "30)")]
    found = aligned([ends[0], code_cell(old), ends[1]], [ends[0], *heads, ends[1]])
    assert found.pairs == [(0, 0), (1, 1), (2, 3)]


def test_permuted_ids_do_not_mislead() -> None:
    cells = [code_cell(f"value_{n} = load({n})", id=f"c{n}") for n in range(20)]
    ids = [f"c{n}" for n in range(20)]
    random.Random(1).shuffle(ids)
    head = [{**cell, "id": name} for cell, name in zip(cells, ids, strict=True)]
    assert aligned(cells, head).pairs == [(n, n) for n in range(20)]


def test_a_rewritten_cell_keeps_its_place_by_its_id() -> None:
    base = [code_cell("import a", id="a"), code_cell("b = 1", id="b"), code_cell("c()", id="c")]
    head = [base[0], code_cell("for x in y:\n    print(x)", id="b"), base[2]]
    assert aligned(base, head).pairs == [(0, 0), (1, 1), (2, 2)]


def test_two_cells_in_one_place_are_two_where_ids_are_kept() -> None:
    base = [code_cell("import a", id="a"), code_cell("gone = 0", id="b"), code_cell("c()", id="c")]
    head = [base[0], code_cell("new = 3", id="n"), base[2]]
    assert aligned(base, head).pairs == [(0, 0), (2, 2)]


def test_the_longer_half_of_a_split_cell_is_the_cell() -> None:
    lines = [f"column_{n} = frame['{n}'].mean()\n" for n in range(9)]
    base = [code_cell("import pandas"), code_cell("".join(lines)), code_cell("frame.plot()")]
    halves = [code_cell("".join(lines[:6])), code_cell("".join(lines[6:]))]
    assert aligned(base, [base[0], *halves, base[2]]).pairs == [(0, 0), (1, 1), (2, 3)]


def test_a_cell_run_20_times_pairs_each_time_with_the_same() -> None:
    base = [code_cell("step()", id="s" if n == 0 else f"s-{n + 1}") for n in range(20)]
    assert aligned(base, base).pairs == [(n, n) for n in range(20)]
    fewer = aligned(base, base[:15])
    assert fewer.pairs == [(n, n) for n in range(15)]


def test_few_unrelated_cells_are_paired() -> None:
    rng = random.Random(3)
    found = aligned(
        without_ids(some_notebook(rng, 60)["cells"]), without_ids(some_notebook(rng, 60)["cells"])
    )
    assert len(found.pairs) + len(found.moves) <= 15


REPLACED = {
    "a model by a function": (
        "model = Pipeline([('scale', StandardScaler()), ('fit', Ridge(alpha=0.1))])\n"
        "model.fit(train, labels)\nmodel",
        "def missing(table):\n    counts = table.isna().sum()\n    return counts[counts > 0]\n\n"
        "missing(survey)",
    ),
    "a folder by a file": (
        "import os\n\nfor name in os.listdir(folder):\n    print(name)",
        "with open('notes.txt') as file:\n    text = file.read()",
    ),
    "a loop by a loop": (
        "for path in sorted(folder.glob('*.csv')):\n    frames.append(pd.read_csv(path))",
        "total = 0\nfor row in answers:\n    if row.valid:\n        total += row.weight",
    ),
}


@pytest.mark.parametrize("name", REPLACED)
def test_a_cell_in_the_place_of_one_that_shares_its_signs_alone_is_another(name: str) -> None:
    around = [code_cell("import pandas as pd"), code_cell("frame = pd.read_csv('ages.csv')")]
    base, head = ([around[0], code_cell(source), around[1]] for source in REPLACED[name])
    found = aligned(*map(without_ids, (base, head)))
    assert found.pairs == [(0, 0), (2, 2)]
    assert found.moves == []


def test_a_cell_alone_in_its_place_is_found_again_when_much_of_it_changed() -> None:
    around = [code_cell("import pandas as pd"), code_cell("frame = pd.read_csv('ages.csv')")]
    for was, now in (
        ("model.fit(train, labels)", "model.fit(train[columns], labels, epochs=20)"),
        ("accuracy_score(y_test, y_pred)", "search.score(x_test, y_test)"),
        ("plt.plot(x, y)", "plt.plot(days, totals, color='tab:red')"),
    ):
        base, head = ([around[0], code_cell(source), around[1]] for source in (was, now))
        assert aligned(*map(without_ids, (base, head))).pairs == [(0, 0), (1, 1), (2, 2)]


def test_repeated_cells_keep_the_outputs_they_have() -> None:
    def shown(n: int) -> dict[str, Any]:
        output = {"output_type": "stream", "name": "stdout", "text": f"{n}\n"}
        return code_cell("plot()", output)

    base = [shown(n) for n in range(4)]
    assert aligned(base, base[1:]).pairs == [(1, 0), (2, 1), (3, 2)]


def test_every_process_pairs_the_same() -> None:
    code = (
        "import random, json; from tests.diff.made import *; "
        "from jupyter_codesave.diff import normalize; "
        "from jupyter_codesave.diff.notebooks import diff_notebooks; "
        "rng = random.Random(2); a = some_notebook(rng, 80, ids=False); "
        "b = some_notebook(rng, 80, ids=False); "
        "c = {**a, 'cells': [{**x, 'source': changed(rng, x['source'])} for x in a['cells']]}; "
        "n = [normalize(json.dumps(x)) for x in (a, b, c)]; "
        "print(json.dumps([diff_notebooks(n[0], x).diff for x in n[1:]]))"
    )
    printed = {
        subprocess.check_output(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("0", "1", "2")
    }
    assert len(printed) == 1


def test_without_work_the_alignment_is_coarse_and_valid() -> None:
    rng = random.Random(4)
    base = some_notebook(rng, 50)
    head, _ = edited(rng, base, "edit", "move", "new ids", times=5)
    cells = [normalize(json.dumps(n))["cells"] for n in (base, head)]
    work = Work(0)
    found = align(*cells, work)
    assert work.truncated
    assert len(found.pairs) >= 35


def test_new_ids_alone_change_no_pair() -> None:
    rng = random.Random(5)
    cells = some_notebook(rng, 30)["cells"]
    head = [{**cell, "id": fresh_id(rng)} for cell in cells]
    assert aligned(cells, head).pairs == [(n, n) for n in range(30)]


def test_an_empty_cell_that_was_filled_in_its_place_is_the_same_cell() -> None:
    ends = code_cell("a = 1"), code_cell("b = 2")
    found = aligned([ends[0], code_cell(""), ends[1]], [ends[0], code_cell("x = y"), ends[1]])
    assert found.pairs == [(0, 0), (1, 1), (2, 2)]
