"""How fast and how well notebooks are compared, stock nbdime measured beside in the same run.

CPU time, best of five. nbdime's cases run in a process of their own that is killed at a cap.
`--pairs DIR` adds real pairs: `DIR/*/a.ipynb` against `b.ipynb`.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import importlib
import json
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_codesave.diff import normalize
from jupyter_codesave.diff.align import align
from jupyter_codesave.diff.normalize import DERIVED_ID
from jupyter_codesave.diff.notebooks import diff_notebooks, patch_notebook
from jupyter_codesave.diff.sequences import Work
from jupyter_codesave.diff.touched import touched
from tests.diff.hard import HARD, hardly_edited
from tests.diff.made import (
    EDITS,
    changed,
    code_cell,
    edited,
    fresh_id,
    notebook,
    session,
    some_notebook,
    statement,
    stream,
)

Json = dict[str, Any]
REFERENCE = 0.06, 0.02  # seconds of CPU: sha256 of 64 MB, json parse of 5 MB
PLENTY = 100_000_000
PARTS = ("cases", "large", "growth", "edits", "pairs")


class Case(NamedTuple):
    """Two notebooks and the seconds of CPU in which they should be compared."""

    name: str
    base: Json
    head: Json
    goal: float | None
    largest: int | None = None  # bytes of the diff


def normal(value: Json) -> Json:
    return normalize(json.dumps(value))


def without_ids(value: Json) -> Json:
    return notebook([{k: v for k, v in c.items() if k != "id"} for c in value["cells"]])


def with_own_ids(value: Json) -> Json:
    """The notebook without the ids that normalizing gave, which would help nbdime."""
    cells = [
        {k: v for k, v in cell.items() if k != "id" or not DERIVED_ID.match(v)}
        for cell in value["cells"]
    ]
    return {**value, "cells": cells}


def all_changed(rng: random.Random, value: Json) -> Json:
    return notebook([{**c, "source": changed(rng, c["source"])} for c in value["cells"]])


def table(rng: random.Random) -> Json:
    """A pandas table as Jupyter shows it, 9 kB."""
    rows = [[f"{rng.gauss(0, 1):.6f}" for _ in range(8)] for _ in range(30)]
    body = "".join(
        "    <tr>\n" + "".join(f"      <td>{value}</td>\n" for value in row) + "    </tr>\n"
        for row in rows
    )
    html = f'<div>\n<table border="1" class="dataframe">\n{body}</table>\n</div>'
    plain = "\n".join("  ".join(row) for row in rows)
    data = {"text/html": html, "text/plain": plain}
    return {"output_type": "execute_result", "metadata": {}, "execution_count": 1, "data": data}


def made_cases() -> Iterator[Case]:
    """The cases of the table, all made here."""
    rng = random.Random(6)
    base = some_notebook(rng, 1000)
    some, _ = edited(rng, base, "edit", times=50)
    yield Case("1,000 cells, no ids, 5 % changed", without_ids(base), without_ids(some), 0.015)
    new_ids = notebook([{**c, "id": fresh_id(rng)} for c in base["cells"]])
    yield Case("1,000 cells, every id new", base, new_ids, 0.015)
    base = some_notebook(rng, 3000)
    some, _ = edited(rng, base, "edit", times=150)
    yield Case("3,000 cells, no ids, 5 % changed", without_ids(base), without_ids(some), 0.05)
    every = all_changed(rng, base)
    yield Case("3,000 cells, no ids, all changed", without_ids(base), without_ids(every), 1.0)
    ran = session(random.Random(4), 600)
    again = all_changed(rng, {"cells": ran["cells"][20::3]})["cells"]
    cells = list(ran["cells"][20:])
    cells[::3] = [{**c, "outputs": [stream(f"loss {rng.random()}\n" * 8)]} for c in again]
    sides = [without_ids(notebook(each)) for each in (ran["cells"][:580], cells)]
    yield Case("session against session, 580 cells, no ids", *sides, 0.5)
    for count, goal in ((10, 0.1), (40, 0.4)):
        sides = [
            notebook([code_cell(f"frames[{n}].describe()", table(rng)) for n in range(count)])
            for _ in "ab"
        ]
        yield Case(f"{count} pandas tables rerun", *sides, goal)
    lines = [statement(rng).replace("\n", " ") for _ in range(1000)]
    other = [changed(rng, line) for line in lines]
    sides = [notebook([code_cell("\n".join(each))]) for each in (lines, other)]
    yield Case("one cell, 1,000 lines, all changed", *sides, 0.05)
    steps = [f"step {n} loss {rng.random():.6f}\n" for n in range(100_000)]
    base = notebook([code_cell("train()", stream("".join(steps)))])
    for at in (7, 20_000, 55_555, 77_777, 99_998):
        steps[at] = "nan\n"
    head = notebook([code_cell("train()", stream("".join(steps)))])
    yield Case("5 of 100,000 stream lines", base, head, None, 1000)


def large_cases() -> Iterator[Case]:
    """Inputs of about 50 MB; nothing but the limit is asked of them."""
    rng = random.Random(8)
    lines = [f"step {n} loss {rng.random()}\n" for n in range(800_000)]
    other = [f"step {n} loss {rng.random()}\n" for n in range(800_000)]
    for name, make in (("stream", lambda t: code_cell("x", stream(t))), ("source", code_cell)):
        sides = [notebook([make("".join(each))]) for each in (lines, other)]
        yield Case(f"50 MB, one {name}, all changed", *sides, 2.0)
    few = [str(rng.randrange(1000)) + "\n" for _ in range(6_000_000)]
    sides = [notebook([code_cell("".join(each))]) for each in (few, few[::-1])]
    yield Case("50 MB, lines that repeat, reversed", *sides, 2.0)
    sides = [
        notebook(
            [
                code_cell(
                    f"plot({n})",
                    {
                        "output_type": "display_data",
                        "metadata": {},
                        "data": {"image/png": f"{rng.getrandbits(200_000):x}"},
                    },
                )
                for n in range(500)
            ]
        )
        for _ in "ab"
    ]
    yield Case("50 MB, 500 images redrawn", *sides, 2.0)
    sides = [without_ids(some_notebook(rng, 50_000)) for _ in "ab"]
    yield Case("50 MB, 2 x 50,000 unrelated cells", *sides, 2.0)


def cpu(work: Callable[[], object], times: int = 5) -> float:
    """Seconds of CPU, the best of several."""
    best = float("inf")
    gc.collect()
    for _ in range(times):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def calibration() -> float:
    """How many times slower than the reference machine this one is, at least 1."""
    block = b"x" * 64_000_000
    text = json.dumps([statement(random.Random(n)) for n in range(100_000)])
    seconds = cpu(lambda: hashlib.sha256(block).digest()), cpu(lambda: json.loads(text))
    scaled = seconds[1] * 5_000_000 / len(text)
    print(
        f"calibration: sha256 of 64 MB {seconds[0]:.3f} s, json parse of 5 MB {scaled:.3f} s "
        f"(reference {REFERENCE[0]} and {REFERENCE[1]})"
    )
    return max(1.0, seconds[0] / REFERENCE[0], scaled / REFERENCE[1])


def stock(base: Json, head: Json, cap: float) -> tuple[float, list[Any]] | None:
    """Stock nbdime's CPU seconds and diff of two normal forms; None if the cap killed it."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_stock, args=(base, head, sender))
    process.start()
    sender.close()
    try:
        answer = receiver.recv() if receiver.poll(cap) else None
    except EOFError:
        answer = None
    process.kill()
    process.join()
    return answer


def _stock(base: Json, head: Json, sender: Any) -> None:
    import nbdime
    from nbformat import from_dict

    a, b = from_dict(with_own_ids(base)), from_dict(with_own_ids(head))
    start = time.process_time()
    diff = nbdime.diff_notebooks(a, b)
    seconds = time.process_time() - start
    sender.send((seconds, json.loads(json.dumps(diff))))


def in_words(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{1000 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def stock_in_words(found: tuple[float, list[Any]] | None, cap: float) -> str:
    return in_words(found[0]) if found else f"> {cap:g} s"


class Report:
    """The table, and what of it misses its goal."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.missed: list[str] = []
        print("| case | stock nbdime | jupyter_codesave | goal |\n|---|---|---|---|")

    def seconds(self, name: str, theirs: str, ours: float, goal: float | None) -> None:
        words = f"≤ {in_words(goal)}" if goal else "–"
        self.row(name, theirs, in_words(ours), words, goal is None or ours <= goal * self.scale)

    def row(self, name: str, theirs: str, ours: str, goal: str, met: bool) -> None:
        print(f"| {name} | {theirs} | {ours}{'' if met else ' **missed**'} | {goal} |", flush=True)
        if not met:
            self.missed.append(name)


def measure(case: Case, report: Report, cap: float | None) -> None:
    base, head = normal(case.base), normal(case.head)
    found = diff_notebooks(base, head)
    times = 5 if case.goal is None or case.goal < 1.5 else 2
    ours = cpu(lambda: diff_notebooks(base, head), times)
    theirs = stock(base, head, cap) if cap else None
    words = stock_in_words(theirs, cap) if cap else "–"
    report.seconds(case.name, words, ours, case.goal)
    if case.largest is not None:
        size = len(json.dumps(found.diff))
        stock_size = f"{len(json.dumps(theirs[1])):,} bytes" if theirs else "–"
        met = size <= case.largest
        report.row(f"{case.name}, diff", stock_size, f"{size:,} bytes", "≤ 1 kB", met)
    if case.name.startswith("1,000 cells, no ids"):
        texts = json.dumps(case.base), json.dumps(case.head)
        whole = cpu(lambda: diff_notebooks(normalize(texts[0]), normalize(texts[1])))
        report.seconds("the same with parsing", "–", whole, 0.05)


def measure_growth(report: Report, few: int) -> None:
    rng = random.Random(9)
    pairs = []
    for count in (few, 10 * few):
        base = some_notebook(rng, count)
        head, _ = edited(rng, base, "edit", times=count // 20)
        pairs.append((normal(without_ids(base)), normal(without_ids(head))))
    seconds = [float("inf"), float("inf")]
    for _ in range(5):  # in turns: a busy machine is busy for both
        for n, (base, head) in enumerate(pairs):
            took = cpu(lambda base=base, head=head: diff_notebooks(base, head), 2)
            seconds[n] = min(seconds[n], took)
    ratio = seconds[1] / seconds[0]
    name = f"10 times the cells, {10 * few:,} for {few:,}, 5 % changed"
    report.row(name, "–", f"{ratio:.1f} times", "≤ 12 times", ratio <= 12)


def measure_recovery(report: Report, count: int) -> None:
    """How many cells find their origin after each kind of edit, the worst kind named."""
    for hidden in (False, True):
        shares = {}
        for kind in EDITS:
            right = total = 0
            for seed in range(count):
                rng = random.Random(seed)
                base = some_notebook(rng, 40)
                head, origin = edited(rng, base, kind, times=4)
                truth = {(i, j) for j, i in enumerate(origin) if i is not None}
                total += len(truth)
                right += len(truth & aligned(base, head, hidden)[2])
            shares[kind] = right / total
        worst = min(shares, key=lambda kind: shares[kind])
        name = f"edits on purpose, cells paired rightly{', ids hidden' if hidden else ''}"
        words = f"{statistics.mean(shares.values()):.2%}, {shares[worst]:.2%} after {worst}"
        report.row(name, "–", words, "≥ 98 % each", shares[worst] >= 0.98)


def measure_hard(report: Report, notebooks: Sequence[Json], whose: str) -> None:
    """How many edited cells find their origin where many were edited hard, ids hidden."""
    pool = [cell for one in notebooks for cell in one["cells"] if cell["source"].strip()]
    right = total = wrong = 0
    for kind in HARD:
        for n, one in enumerate(notebooks):
            hard = hardly_edited(random.Random(f"{kind} {n}"), one, kind, pool)
            base, head, got = aligned(hard.base, hard.head, True)
            truth = {(i, j) for j, i in enumerate(hard.origin) if i is not None}
            differing = [
                {(i, j) for i, j in pairs if base[i]["source"] != head[j]["source"]}
                for pairs in (truth, got)
            ]
            total += len(differing[0])
            right += len(differing[0] & got)
            wrong += len(differing[1] - truth)
    words = f"{right / total:.1%} of {total:,}, {wrong} false"
    report.row(f"hard edits of {whose} notebooks, edited cells paired", "–", words, "–", True)


def aligned(
    base: Json, head: Json, hidden: bool
) -> tuple[list[Json], list[Json], set[tuple[int, int]]]:
    """The cells of both in normal form, and which are paired."""
    a, b = (normal(without_ids(n) if hidden else n)["cells"] for n in (base, head))
    found = align(a, b, Work(PLENTY))
    return a, b, {*found.pairs, *found.moves}


def changed_lines(diff: Sequence[Json], value: Any, path: tuple[str, ...] = ()) -> int:
    """How many lines of sources and text outputs a diff in nbdime's format shows as changed."""
    total = 0
    for op in diff:
        key = op["key"]
        here = (*path, key if isinstance(key, str) else "*")
        if op["op"] == "patch":
            if isinstance(value, str):
                total += 2
            else:
                total += changed_lines(op["diff"], value[key], here)
        elif not {"source", "outputs"} & set(here) and here != ("cells", "*"):
            continue
        elif op["op"] == "removerange":
            stop = key + op["length"]
            total += op["length"] if isinstance(value, str) else _lines(value[key:stop])
        elif op["op"] == "addrange":
            total += len(op["valuelist"]) if isinstance(value, str) else _lines(op["valuelist"])
        else:
            total += _lines(op.get("value"), key) + _lines(value.get(key), key)
    return total


def _lines(value: Any, key: str = "") -> int:
    if isinstance(value, dict):
        shown = {k: v for k, v in value.items() if k not in ("id", "metadata", "cell_type")}
        return sum(_lines(inner, name) for name, inner in shown.items())
    if isinstance(value, list):
        return sum(_lines(inner, key) for inner in value)
    if not isinstance(value, str):
        return 0
    text = key in ("", "source", "text", "traceback") or key.startswith("text/")
    return len(value.splitlines()) if text else 1


def paired(diff: Sequence[Json], count: int) -> set[tuple[int, int]]:
    """The pairs of cells in a diff of nbdime's format."""
    pairs = set()
    i = j = 0
    for op in next((op["diff"] for op in diff if op["key"] == "cells"), []):
        while i < op["key"]:
            pairs.add((i, j))
            i, j = i + 1, j + 1
        if op["op"] == "addrange":
            j += len(op["valuelist"])
        elif op["op"] == "removerange":
            i += op["length"]
        else:
            pairs.add((i, j))
            i, j = i + 1, j + 1
    return pairs | {(i + k, j + k) for k in range(count - i)}


def measure_pairs(folder: Path, report: Report, cap: float | None) -> None:
    """Everything that is asked of real pairs."""
    ours, theirs, payloads, law = [], [], [], True
    lines, stock_lines, worse, compared = 0, 0, 0, 0
    edited_cells, recovered, wrong, stock_recovered, stock_wrong = 0, 0, 0, 0, 0
    for place in sorted(path.parent for path in folder.glob("*/a.ipynb")):
        a, b = (normalize((place / f"{side}.ipynb").read_bytes()) for side in "ab")
        found = diff_notebooks(a, b)
        law = law and patch_notebook(a, found.diff) == b
        ours.append(cpu(lambda a=a, b=b: diff_notebooks(a, b)))
        sides, diff = touched(a, b, found.cells, found.diff)
        answer = {"diff": diff, "cells": found.cells, "notebooks": sides}
        payloads.append(len(json.dumps(answer)))
        if cap:
            other = stock(a, b, cap)
            theirs.append(other[0] if other else cap)
            if other:
                compared += 1
                mine, stocks = changed_lines(found.diff, a), changed_lines(other[1], a)
                lines, stock_lines, worse = (
                    lines + mine,
                    stock_lines + stocks,
                    worse + (mine > stocks),
                )
        names = [
            {c["id"]: n for n, c in enumerate(side["cells"]) if not DERIVED_ID.match(c["id"])}
            for side in (a, b)
        ]
        truth = {(names[0][name], names[1][name]) for name in names[0].keys() & names[1].keys()}
        if not truth:
            continue
        x, y = normal(without_ids(a)), normal(without_ids(b))
        pairs = align(x["cells"], y["cells"], Work(PLENTY))

        def differ(pairs: set[tuple[int, int]], a: Json = a, b: Json = b) -> set[tuple[int, int]]:
            cells = a["cells"], b["cells"]
            return {(i, j) for i, j in pairs if cells[0][i]["source"] != cells[1][j]["source"]}

        got = {*pairs.pairs, *pairs.moves}
        edited_cells += len(differ(truth))
        recovered += len(differ(truth) & got)
        wrong += len(differ(got - truth))
        if cap and (other := stock(x, y, cap)):
            got = paired(other[1], len(x["cells"]))
            stock_recovered += len(differ(truth) & got)
            stock_wrong += len(differ(got - truth))
    for share, goal in ((50, 0.001), (99, 0.025)):
        words = in_words(percentile(theirs, share)) if theirs else "–"
        report.seconds(f"{len(ours)} real pairs, p{share}", words, percentile(ours, share), goal)
    report.row("real pairs, the patch law holds", "–", "yes" if law else "no", "yes", law)
    size = percentile(payloads, 90)
    report.row(
        "payload to the browser, p90", "–", f"{size / 1000:.1f} kB", "≤ 80 kB", size <= 80_000
    )
    if compared:
        share = 1 - worse / compared
        report.row("changed lines shown", f"{stock_lines:,}", f"{lines:,}", "–", True)
        report.row(
            "pairs with no more changed lines than nbdime",
            "–",
            f"{share:.1%}",
            "≥ 99 %",
            share >= 0.99,
        )
    if edited_cells:
        share = recovered / edited_cells
        stocks = f"{stock_recovered / edited_cells:.1%}, {stock_wrong} false" if cap else "–"
        words = f"{share:.1%} of {edited_cells}, {wrong} false"
        report.row("edited cells paired, ids hidden", stocks, words, "≥ 94 %", share >= 0.94)


def percentile(values: Sequence[float], share: int) -> float:
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks diff", description=__doc__)
    parser.add_argument("--pairs", type=Path, help="a folder of real pairs: */a.ipynb, */b.ipynb")
    parser.add_argument(
        "--cap", type=float, default=120, help="seconds nbdime gets for a case (120)"
    )
    parser.add_argument("--no-stock", action="store_true", help="leave nbdime's figures out")
    parser.add_argument("--edits", type=int, default=20, help="notebooks for each edit (20)")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS, help="parts of it")
    arguments = parser.parse_args(argv)
    cap = None if arguments.no_stock else arguments.cap
    if cap:
        importlib.import_module("nbdime")  # before forking: importing it is not measured
    report = Report(calibration())
    if "cases" in arguments.only:
        for case in made_cases():
            measure(case, report, cap)
    if "large" in arguments.only:
        for case in large_cases():
            measure(case, report, None)
    if "growth" in arguments.only:
        for few in (300, 1000):
            measure_growth(report, few)
    if "edits" in arguments.only:
        measure_recovery(report, arguments.edits)
        made = [some_notebook(random.Random(n), 40) for n in range(arguments.edits)]
        measure_hard(report, made, "made")
        if arguments.pairs:
            real = [normalize(p.read_bytes()) for p in sorted(arguments.pairs.glob("*/a.ipynb"))]
            measure_hard(report, [one for one in real if 6 <= len(one["cells"]) <= 150], "real")
    if arguments.pairs and "pairs" in arguments.only:
        measure_pairs(arguments.pairs, report, cap)
    if report.missed:
        print("missed: " + "; ".join(report.missed))
    return int(bool(report.missed))


if __name__ == "__main__":
    raise SystemExit(main())
