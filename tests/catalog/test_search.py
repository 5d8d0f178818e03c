from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_codesave.catalog import runs, search
from jupyter_codesave.catalog.catalog import Catalog
from jupyter_codesave.catalog.rows import Hit
from jupyter_codesave.errors import DamagedError, UsageError
from jupyter_codesave.model.execution import Execution
from jupyter_codesave.model.run import Run
from tests.conftest import scale

WORDS = [
    "lr",
    "=",
    "3e-4",
    "learning_rate",
    "x.lr",
    "100%",
    "a\\b",
    "Ünïcode",
    "df",
    "plot",
    "_",
    "(",
]


def fill(catalog: Catalog, sources: list[str], run: str = "arun") -> None:
    with catalog.write() as tx:
        runs.put(tx, Run(run, "n", "p", "kernel", "s", "2026-01-01T00:00:00Z"), None)
        runs.put_executions(
            tx,
            [
                Execution(
                    run, n, f"{run}{n}", source, started=f"2026-01-01T00:{n // 60:02}:{n % 60:02}Z"
                )
                for n, source in enumerate(sources, 1)
            ],
        )


def find(catalog: Catalog, text: str, **options: object) -> list[int]:
    with catalog.read() as tx:
        page = search.search(tx, text, **{"limit": 1000, "cursor": None, **options})
    return [hit.execution for hit in page.items]


@pytest.mark.parametrize("changed", ["started = NULL", "run = NULL", "number = x''"])
def test_an_execution_that_stands_nowhere_is_damage(tmp_path: Path, changed: str) -> None:
    file = tmp_path / "catalog.sqlite"
    catalog = Catalog(file)
    fill(catalog, [f"x = {n}" for n in range(100)])
    catalog.close()
    # What its row must not hold, and past its sum: no rule, no trigger, no column that is computed.
    anything = (
        "UPDATE sqlite_master SET sql = replace(replace(sql, ' NOT NULL', ''), substr(sql, "
        "instr(sql, 'GENERATED'), instr(sql, 'STORED') + 6 - instr(sql, 'GENERATED')), '') "
        "WHERE name = 'executions'"
    )
    change = f"UPDATE executions SET {changed} WHERE number = 50"
    for statement in ("DROP TRIGGER executions_whole", anything, change):
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA writable_schema=ON")
            connection.execute(statement)
    damaged = Catalog(file)
    with pytest.raises(DamagedError, match="jupyter codesave rebuild"):
        find(damaged, "x = 4")
    damaged.close()


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("lr=3e-4", "lr = 3e-4"),
        ("lr = 3e-4", "train(lr=3e-4)"),
        ("Learning_Rate", "self.learning_rate = 1"),
        ("x.lr", "print(x.lr)"),
        ("100%", "print('100% sure')"),
        ("a\\b", "path = 'a\\b'"),
        ("üNÏ", "Ünïcode"),
        ("df", "df.head()"),
        ("f(a,b)", "f( a, b )"),
        ("for x in", "for  x   in y"),
    ],
)
def test_code_is_found_as_people_type_it(catalog: Catalog, text: str, source: str) -> None:
    fill(catalog, ["unrelated", source])
    assert find(catalog, text) == [2]


@pytest.mark.parametrize("text", ["learning_rate", "100%", "a\\b", "c_d"])
def test_wildcards_of_the_database_mean_themselves(catalog: Catalog, text: str) -> None:
    fill(catalog, ["learningXrate", "100 of them", "a/b acb", "cXd"])
    assert find(catalog, text) == []


def test_each_source_is_stored_once_and_every_execution_is_found(catalog: Catalog) -> None:
    fill(catalog, ["plt.show()"] * 40)
    assert find(catalog, "plt.show") == list(range(40, 0, -1))
    with catalog.read() as tx:
        assert tx.connection.exec_driver_sql("SELECT count(*) FROM texts").scalar() == 1


def test_what_was_printed_is_found_too(catalog: Catalog) -> None:
    fill(catalog, ["print(a)", "print(b)"])
    with catalog.write() as tx:
        runs.set_printed(tx, "arun", {2: "accuracy: 0.93"})
    assert find(catalog, "accuracy: 0.93") == [2]


def test_a_deleted_run_is_not_found(catalog: Catalog) -> None:
    fill(catalog, ["secret_value"])
    with catalog.write() as tx:
        runs.set_columns(tx, "arun", deleted="2026-01-02T00:00:00Z")
    assert find(catalog, "secret_value") == []
    assert find(catalog, "se") == []


def test_what_was_forgotten_is_not_found(catalog: Catalog) -> None:
    fill(catalog, ["keep_this", "forget_this"])
    with catalog.write() as tx:
        runs.drop_executions(tx, "arun", [2])
    assert find(catalog, "forget_this") == []
    assert find(catalog, "keep_this") == [1]
    with catalog.read() as tx:
        assert tx.connection.exec_driver_sql("SELECT count(*) FROM texts").scalar() == 1


@pytest.mark.parametrize(("few", "walked"), [(3000, 20_000), (5, 20_000), (5, 4), (5, 30)])
def test_pages_follow_each_other_without_gap_or_repetition(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, few: int, walked: int
) -> None:
    monkeypatch.setattr(search, "_FEW", few)
    monkeypatch.setattr(search, "_WALKED", walked)
    monkeypatch.setattr(search, "_sample", lambda tx: [])
    fill(catalog, [f"call({n}, common)" if n % 3 else "other" for n in range(100)])
    fill(catalog, [f"again({n}, common)" for n in range(50)], "brun")
    found: list[Hit] = []
    cursor = None
    while True:
        with catalog.read() as tx:
            page = search.search(tx, "common", limit=7, cursor=cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            break
    assert len(found) == len({(hit.run, hit.execution) for hit in found}) == 66 + 50
    assert [hit.started for hit in found] == sorted((hit.started for hit in found), reverse=True)


def test_a_page_for_what_is_nowhere_walks_only_so_far(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_WALKED", 10)
    fill(catalog, ["qz" if n == 0 else f"a{n}" for n in range(25)])
    cursor, pages = None, []
    while not pages or cursor is not None:
        with catalog.read() as tx:
            page = search.search(tx, "qz", limit=5, cursor=cursor)
        pages.append([hit.execution for hit in page.items])
        cursor = page.next
    assert pages == [[], [], [1]]


@pytest.mark.parametrize("text", ["", "   ", "x" * 1001])
def test_what_cannot_be_searched_is_refused(catalog: Catalog, text: str) -> None:
    with pytest.raises(UsageError, match="1 to 1000 characters"):
        find(catalog, text)


def test_a_cursor_that_is_none_is_refused(catalog: Catalog) -> None:
    with pytest.raises(UsageError, match="cursor"):
        find(catalog, "abc", cursor="nonsense")


def test_the_index_and_the_walk_find_what_a_plain_comparison_finds(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    sources = [" ".join(chance.choices(WORDS, k=chance.randint(1, 6))) for _ in range(300)]
    fill(catalog, sources)
    for _ in range(scale(60)):
        text = " ".join(chance.choices(WORDS, k=chance.randint(1, 3)))[: chance.randint(1, 20)]
        needle = search.fold(text.strip())
        if not needle:
            continue
        plain = [n for n, source in enumerate(sources, 1) if needle in search.fold(source)]
        for few, sample in ((3000, []), (0, [needle])):  # the index, the walk
            monkeypatch.setattr(search, "_FEW", few)
            monkeypatch.setattr(search, "_sample", lambda tx, found=sample: found)
            assert find(catalog, text) == plain[::-1], (text, few, seed)


@settings(max_examples=scale(200), deadline=None)
@given(st.text(max_size=50))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert search.fold(search.fold(text)) == search.fold(text)
