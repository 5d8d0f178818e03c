"""Search in sources and printed outputs: one answer on both databases.

Texts are indexed folded (lower case, no blanks around operators: `lr = 3e-4` finds `lr=3e-4`), by
the trigrams of FTS5 or pg_trgm. The index only proposes; a comparison of the folded texts decides.
What is frequent, as a sample tells, is found sooner by walking from the newest execution on; a
page walks only so far: it may hold few hits, or none, and tell where to go on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from ..errors import UsageError
from ..model.digest import digest_of
from . import schema
from .catalog import Transaction
from .digests import picked
from .rows import Hit, Page
from .schema import whole

LONGEST = 1000  # characters of a search
PRINTED = 4096  # characters of an execution's printed output that are indexed
_FEW = 3000  # executions that are cheaper sorted than walked
_WALKED = 20_000  # executions that are walked for a page
_BATCH = 200
_RAREST = 4  # trigrams that are looked up
_SAMPLE = 400  # texts that tell which those are
_BEGINNING = 4000  # characters of each
_OPERATORS = re.compile(r"[ \t]*([^\w\s])[ \t]*")
_BLANKS = re.compile(r"[ \t]+")
_UNHOLDABLE = re.compile("[\0\ud800-\udfff]")
_spelled = schema.spell_words
_texts, _executions, _runs = schema.texts, schema.executions, schema.runs
_HIT = (_executions.c.run, _executions.c.number, _executions.c.started, _texts.c.text)
_PLACE = (_executions.c.started, _executions.c.run, _executions.c.number)


def fold(text: str) -> str:
    """Fold what search shall not tell apart: case, blanks around operators, rows of blanks."""
    return holdable(_OPERATORS.sub(r"\1", _BLANKS.sub(" ", text)).casefold())


def holdable(text: str) -> str:
    """Give a text without what a database cannot hold."""
    return _UNHOLDABLE.sub("\ufffd", text)


def add_texts(tx: Transaction, texts: set[str], *, kept: bool) -> dict[str, int]:
    """Give each text's id; new ones are added and indexed, and `kept` to be read again."""
    # Sources and printed texts are told apart: of printed ones only the index is kept.
    head = b"" if kept else b"printed\0"
    by_digest = {digest_of(head + text.encode("utf-8", "surrogatepass")): text for text in texts}
    known: dict[str, int] = {}
    wanted = sorted(by_digest)
    for at in range(0, len(wanted), _BATCH):
        batch = wanted[at : at + _BATCH]
        ids = _ids(tx, batch)
        new = [digest for digest in batch if digest not in ids]
        if new:
            ids |= _add(tx, {digest: by_digest[digest] for digest in new}, kept)
            if not ids.keys() >= set(new):  # PostgreSQL: another writer added some meanwhile
                ids |= _ids(tx, new)
        known |= {by_digest[digest]: ids[digest] for digest in batch}
    return known


def _add(tx: Transaction, texts: dict[str, str], kept: bool) -> dict[str, int]:
    """Add texts to the table and the index; give the ids of those that were not there."""
    names = {bytes.fromhex(digest[7:]): digest for digest in texts}
    folded = {key: fold(texts[digest]) for key, digest in names.items()}
    values: list[Any] = []
    for key, digest in names.items():
        values += [key, _spelled(texts[digest]) if kept else None, folded[key]]
    row = f"({tx.mark}, {tx.mark}, {tx.mark})"
    statement = (
        f"INSERT INTO texts (digest, text, folded) VALUES {', '.join([row] * len(names))} "
        "ON CONFLICT (digest) DO NOTHING RETURNING digest, id"
    )
    added = tx.run(statement, values).fetchall()
    if tx.sqlite and added:
        tx.run_many(
            "INSERT INTO texts_trigrams(rowid, folded) VALUES (?, ?)",
            [(number, folded[key]) for key, number in added],
        )
    return {names[key]: number for key, number in added}


def drop_unused_texts(tx: Transaction, among: Iterable[int]) -> None:
    """Remove those of some texts that no execution has any more, from the index too."""
    used = sa.or_(
        *(
            sa.exists().where(column == _texts.c.id)
            for column in (_executions.c.source, _executions.c.printed)
        )
    )
    candidates = sorted(set(among))
    for at in range(0, len(candidates), _BATCH):
        batch = candidates[at : at + _BATCH]
        gone = sa.select(_texts.c.id, _texts.c.folded, whole(_texts)).where(
            _texts.c.id.in_(batch), ~used
        )
        rows = tx.execute(gone).all()
        if rows and tx.sqlite:
            tx.connection.exec_driver_sql(
                "INSERT INTO texts_trigrams(texts_trigrams, rowid, folded) VALUES ('delete', ?, ?)",
                [(row.id, row.folded) for row in rows],
            )
        tx.execute(sa.delete(_texts).where(_texts.c.id.in_([row.id for row in rows])))


def search(tx: Transaction, text: str, *, limit: int, cursor: str | None) -> Page[Hit]:
    """Find executions whose source or printed output holds `text`, newest first.

    There may be more as long as the page has a `next`, however few hits it holds.
    """
    needle = fold(text.strip())
    if not needle or len(text) > LONGEST:
        raise UsageError(
            f"search needs 1 to {LONGEST} characters, not {len(text)}; give a part of the code"
        )
    before = _position(cursor)
    found, end = _few(tx, needle), None
    if found is None:
        end = _end_of_walk(tx, before)
        hits = _walk(tx, needle, before, end, limit + 1)
    else:
        if before:
            found = [each for each in found if each < before]
        hits = _read(tx, needle, sorted(found, reverse=True)[: limit + 1])
    if len(hits) > limit:
        last = hits[limit - 1]
        end = (last.started or "", last.run, last.execution)
    return Page(tuple(hits[:limit]), "~".join(map(str, end)) if end else None)


_Position = tuple[str, str, int]


def _few(tx: Transaction, needle: str) -> list[_Position] | None:
    """Find all matches through the trigram index; None when they are many."""
    trigrams = {needle[at : at + 3] for at in range(len(needle) - 2)}
    sample = _sample(tx)
    if not trigrams or sum(needle in text for text in sample) * 50 > len(sample):
        return None
    matches = sa.select(_texts.c.id, whole(_texts)).where(_contains(tx, _texts.c.folded, needle))
    if tx.sqlite:
        # FTS5 reads the whole list of every trigram it is given: the rarest ones do.
        rarest = sorted(trigrams, key=lambda each: (sum(each in text for text in sample), each))
        quoted = ['"' + each.replace('"', '""') + '"' for each in rarest[:_RAREST]]
        index = sa.table("texts_trigrams", sa.column("rowid"))
        matched = sa.literal_column("texts_trigrams").match(" AND ".join(quoted))
        matches = matches.join(index, index.c.rowid == _texts.c.id).where(matched)
    else:
        pattern = re.sub(r"([%_\\])", r"\\\1", needle)
        matches = matches.where(_texts.c.folded.like(f"%{pattern}%"))
    ids = list(tx.execute(matches.limit(_FEW + 1)).scalars())
    if len(ids) > _FEW:
        return None
    found: set[_Position] = set()
    for at in range(0, len(ids), _BATCH):
        batch = ids[at : at + _BATCH]
        for column in (_executions.c.source, _executions.c.printed):
            query = sa.select(*_PLACE).where(column.in_(batch)).limit(_FEW + 1)
            found.update(_placed(row) for row in tx.execute(query))
            if len(found) > _FEW:
                return None
    return _without_deleted(tx, found)


def _sample(tx: Transaction) -> list[str]:
    """Give some texts, evenly spread, to tell what is rare; read anew once there are many more."""
    # Cast: of a damaged index SQLite would give anything.
    newest = sa.cast(sa.func.max(_texts.c.id), sa.BigInteger)
    last = int(tx.execute(sa.select(newest)).scalar() or 0)
    known, sample = tx.memory.get("sample", (0, []))
    if not known <= last <= known + max(known // 5, 100):
        spread = range(1, last + 1, max(last // _SAMPLE, 1))
        query = sa.select(sa.func.substr(_texts.c.folded, 1, _BEGINNING))
        sample = list(tx.execute(query.where(_texts.c.id.in_(spread))).scalars())
        tx.memory["sample"] = (last, sample)
    return list(sample)


def _without_deleted(tx: Transaction, found: set[_Position]) -> list[_Position]:
    names = sorted({run for _, run, _ in found})
    deleted: set[str] = set()
    for at in range(0, len(names), _BATCH):
        query = sa.select(_runs.c.id, whole(_runs))
        query = query.where(_runs.c.id.in_(names[at : at + _BATCH]))
        deleted.update(tx.execute(query.where(_runs.c.deleted.is_not(None))).scalars())
    return [each for each in found if each[1] not in deleted]


def _hits(tx: Transaction, needle: str) -> Any:
    """Select executions that hold `needle`, of runs that are not deleted."""
    printed = _texts.alias("printed")
    return (
        sa.select(*_HIT, whole(_executions), whole(_texts), whole(printed), whole(_runs))
        .join_from(_executions, _texts, _texts.c.id == _executions.c.source)
        .outerjoin(printed, printed.c.id == _executions.c.printed)
        .join(_runs, _runs.c.id == _executions.c.run)
        .where(_runs.c.deleted.is_(None))
        .where(
            sa.or_(_contains(tx, _texts.c.folded, needle), _contains(tx, printed.c.folded, needle))
        )
    )


def _read(tx: Transaction, needle: str, positions: list[_Position]) -> list[Hit]:
    """Read executions that an index proposed."""
    if not positions:
        return []
    keys = [(run, number) for _, run, number in positions]
    # SQLite finds pairs by walking the whole table; by one and the other it uses the key.
    query = (
        _hits(tx, needle)
        .where(_executions.c.run.in_({run for run, _ in keys}))
        .where(_executions.c.number.in_({number for _, number in keys}))
    )
    found = {(row[0], row[1]): _hit(row) for row in tx.execute(query)}
    return [found[key] for key in keys if key in found]


def _hit(row: Any) -> Hit:
    return Hit(row[0], row[1], row[3], row[2] or None)


def _end_of_walk(tx: Transaction, before: _Position | None) -> _Position | None:
    """Give the last execution that is walked for a page; None when all that are left are."""
    query = sa.select(*_PLACE)
    if before:
        query = query.where(sa.tuple_(*_PLACE) < before)
    query = query.order_by(*(column.desc() for column in _PLACE)).offset(_WALKED - 1).limit(1)
    row = tx.execute(query).first()
    return None if row is None else _placed(row)


def _placed(row: Any) -> _Position:
    """Give where an execution stands; whether its row is whole is told when it is read."""
    started, run, number = row
    if started is None or run is None or type(number) is not int:
        raise schema.damaged(f"it holds {tuple(row)!r:.60} for an execution's place")
    return started, run, number


def _walk(
    tx: Transaction,
    needle: str,
    before: _Position | None,
    end: _Position | None,
    limit: int,
) -> list[Hit]:
    """Walk from the newest execution on until the page is full: matches are many."""
    query = _hits(tx, needle)
    if before:
        query = query.where(sa.tuple_(*_PLACE) < before)
    if end:
        query = query.where(sa.tuple_(*_PLACE) >= end)
    query = query.order_by(*(column.desc() for column in _PLACE)).limit(limit)
    tx.walk()
    return [_hit(row) for row in tx.execute(query)]


def _contains(tx: Transaction, column: Any, needle: str) -> Any:
    position = sa.func.instr if tx.sqlite else sa.func.strpos
    return position(column, needle) > 0


def _position(cursor: str | None) -> _Position | None:
    if not cursor:
        return None
    try:
        started, run, number = cursor.rsplit("~", 2)
        if len(number) > 9:
            raise ValueError(number)
        return started, run, int(number)
    except ValueError:
        raise UsageError(f"{cursor!r} is no cursor; give back the `next` of a page") from None


def _ids(tx: Transaction, digests: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for names, which, values in picked(tx, digests):
        statement = "SELECT digest, id FROM texts WHERE digest " + which
        rows = tx.run(statement, values).fetchall()
        found.update((names[row[0]], row[1]) for row in rows)
    return found
