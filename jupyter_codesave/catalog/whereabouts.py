"""Queries over where blobs lie, what they lean on, and when they were last wanted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from . import schema
from .catalog import Transaction
from .digests import batches, picked
from .rows import Whereabouts

_blobs, _packs, _parts = schema.blobs, schema.packs, schema.parts


class Placed(NamedTuple):
    """A blob that has been written: by itself, or at `place` of the pack being added."""

    digest: str
    size: int
    stored: int
    place: int | None = None


def touch(tx: Transaction, digests: Iterable[str], now: float) -> set[str]:
    """Make blobs young; name those whose bytes are there."""
    there: set[str] = set()
    head = f"UPDATE blobs SET touched = {float(now)!r} WHERE digest "
    for names, which, values in picked(tx, digests):
        statement = head + which + " RETURNING digest, stored"
        rows = tx.run(statement, values).fetchall()
        there.update(names[row[0]] for row in rows if row[1] is not None)
    return there


def known(tx: Transaction, digests: Iterable[str]) -> set[str]:
    """Name those of `digests` whose bytes are there."""
    there: set[str] = set()
    for batch in batches(digests):
        there |= _there(tx, batch)
    return there


def placed(tx: Transaction, found: Sequence[Placed]) -> None:
    """Note blobs that have been written each by itself."""
    _place(tx, found, None)


def add_pack(tx: Transaction, digest: str, size: int, members: Sequence[Placed]) -> None:
    """Note a pack that has been written, and its members."""
    insert = tx.insert(_packs).on_conflict_do_nothing(index_elements=["digest"])
    tx.execute(insert, [{"digest": digest, "size": size}])
    number = tx.execute(sa.select(_packs.c.id).where(_packs.c.digest == digest)).scalar_one()
    _place(tx, members, number)


def _place(tx: Transaction, found: Sequence[Placed], pack: int | None) -> None:
    if not found:
        return
    now = time.time()
    rows = [
        {
            "digest": each.digest,
            "touched": now,
            "size": each.size,
            "stored": each.stored,
            "pack": pack,
            "place": each.place,
        }
        for each in sorted(found)
    ]
    tx.upsert(_blobs, rows)


def lean(tx: Transaction, rows: Iterable[tuple[str, str]]) -> None:
    """Note which blob (first) leans on which (second)."""
    pairs = [{"whole": whole, "part": part} for whole, part in sorted(set(rows))]
    if pairs:
        tx.execute(tx.insert(_parts).on_conflict_do_nothing(), pairs)


def locate(tx: Transaction, digests: Iterable[str]) -> dict[str, Whereabouts]:
    """Tell where blobs lie; those that are not there are left out."""
    found: dict[str, Whereabouts] = {}
    head = "SELECT blobs.digest, blobs.size, stored, packs.digest, place FROM blobs "
    head += "LEFT JOIN packs ON packs.id = blobs.pack WHERE stored IS NOT NULL AND blobs.digest "
    for names, which, values in picked(tx, digests):
        for key, size, stored, pack, place in tx.run(head + which, values).fetchall():
            digest = names[key]
            where = None if pack is None else schema.read_digest(pack)
            found[digest] = _whereabouts(digest, size, stored, where, place)
    return found


def every(tx: Transaction) -> Iterator[Whereabouts]:
    """Tell where every blob lies, pack by pack, in the order of their places."""
    for row in tx.execute(_where_query().order_by(_blobs.c.pack, _blobs.c.place)):
        yield _whereabouts(*row)


def packs(tx: Transaction) -> dict[str, int]:
    """Map every pack to the bytes it takes."""
    return {row.digest: _whole(row.size, row.digest) for row in tx.execute(sa.select(_packs))}


def members(tx: Transaction, pack: str) -> list[Whereabouts]:
    """Tell which blobs lie in a pack."""
    query = _where_query().where(_packs.c.digest == pack).order_by(_blobs.c.place)
    return [_whereabouts(*row) for row in tx.execute(query)]


def leanings(tx: Transaction) -> dict[str, list[str]]:
    """Map each blob that leans on others to those."""
    found: dict[str, list[str]] = {}
    for row in tx.execute(sa.select(_parts)):
        found.setdefault(row.whole, []).append(row.part)
    return found


def parts_of(tx: Transaction, wholes: Iterable[str]) -> set[str]:
    """Name the blobs that some blobs lean on, and those that these lean on."""
    found: set[str] = set()
    fresh = set(wholes)
    while fresh:
        parts: set[str] = set()
        for batch in batches(fresh):
            query = sa.select(_parts.c.part).where(_parts.c.whole.in_(batch))
            parts.update(tx.execute(query).scalars())
        fresh = parts - found
        found |= fresh
    return found


def touched_before(tx: Transaction, cutoff: float) -> list[str]:
    """Name the blobs that nobody wanted since `cutoff`."""
    return list(tx.execute(sa.select(_blobs.c.digest).where(_blobs.c.touched < cutoff)).scalars())


def age(tx: Transaction, digests: Iterable[str]) -> None:
    """Forget that blobs were wanted, until somebody wants them again."""
    for batch in batches(digests):
        tx.execute(sa.update(_blobs).where(_blobs.c.digest.in_(batch)).values(touched=0))


def condemn(tx: Transaction, digests: Iterable[str], cutoff: float) -> list[str]:
    """Say of blobs that nobody wanted since `cutoff` that their bytes are not there.

    A payload stays as long as a whole that leans on it was wanted since. Names those that it was
    said of: whoever wants one of them from now on stores it again.
    """
    whole = _blobs.alias("whole")
    leaning = sa.select(_parts.c.whole).join(whole, whole.c.digest == _parts.c.whole)
    wanted = parts_of(tx, tx.execute(leaning.where(whole.c.touched >= cutoff)).scalars())
    condemned: list[str] = []
    for batch in batches(set(digests) - wanted):
        query = sa.select(_blobs.c.digest)
        query = query.where(_blobs.c.digest.in_(batch), _blobs.c.touched < cutoff)
        found = list(tx.execute(query).scalars())
        lost(tx, found)
        condemned += found
    return condemned


def drop(tx: Transaction, digests: Iterable[str], cutoff: float) -> list[str]:
    """Remove the rows of condemned blobs that nobody has wanted since; name them."""
    gone: list[str] = []
    for batch in batches(digests):
        query = sa.select(_blobs.c.digest)
        query = query.where(_blobs.c.digest.in_(batch), _blobs.c.stored.is_(None))
        query = query.where(_blobs.c.touched < cutoff)
        found = list(tx.execute(query).scalars())
        tx.execute(sa.delete(_blobs).where(_blobs.c.digest.in_(found)))
        tx.execute(sa.delete(_parts).where(_parts.c.whole.in_(found)))
        gone += found
    return gone


def rows_known(tx: Transaction, digests: Iterable[str]) -> set[str]:
    """Name those of `digests` that have a row, whether their bytes are there or not."""
    return _known(tx, _blobs.c.digest, digests)


def packs_known(tx: Transaction, digests: Iterable[str]) -> set[str]:
    """Name those of `digests` that are packs the catalog knows."""
    return _known(tx, _packs.c.digest, digests)


def drop_pack(tx: Transaction, pack: str) -> None:
    """Remove a pack that holds no blob any more."""
    tx.execute(sa.delete(_packs).where(_packs.c.digest == pack))


def lost(tx: Transaction, digests: Iterable[str]) -> None:
    """Note that bytes are damaged or missing, so that putting them again mends it."""
    for batch in batches(digests):
        changes = {"stored": None, "pack": None, "place": None}
        tx.execute(sa.update(_blobs).where(_blobs.c.digest.in_(batch)).values(changes))


def stored_size(tx: Transaction) -> int:
    """Add up the bytes that blobs and packs take."""
    loose = sa.select(sa.func.coalesce(sa.func.sum(_blobs.c.stored), 0))
    alone = tx.execute(loose.where(_blobs.c.pack.is_(None))).scalar_one()
    packed = tx.execute(sa.select(sa.func.coalesce(sa.func.sum(_packs.c.size), 0))).scalar_one()
    return _total(alone) + _total(packed)


def usage(tx: Transaction) -> Mapping[str, tuple[int, int]]:
    """Map each pack to the bytes that its members take, and to their number."""
    query = (
        sa.select(
            _packs.c.digest,
            sa.func.coalesce(sa.func.sum(_blobs.c.stored), 0),
            sa.func.count(_blobs.c.digest),
        )
        .join_from(_packs, _blobs, _blobs.c.pack == _packs.c.id, isouter=True)
        .group_by(_packs.c.digest)
    )
    return {row[0]: (_total(row[1]), row[2]) for row in tx.execute(query)}


def _whereabouts(digest: str, size: int, stored: int, pack: str | None, place: int) -> Whereabouts:
    """Give what a row says; DamagedError when it does not say it in numbers."""
    for number in (size, stored) if pack is None else (size, stored, place):
        _whole(number, digest)
    return Whereabouts(digest, size, stored, pack, place)


def _whole(number: Any, digest: str) -> int:
    """Give a number back; SQLite takes any type."""
    if type(number) is not int:
        raise schema.damaged(f"it holds {number!r:.60} for a number of {digest}")
    return number


def _total(found: Any) -> int:
    """Give what numbers add up to; SQLite adds up any type."""
    if isinstance(found, float):
        raise schema.damaged(f"the sizes that it holds add up to {found!r}")
    return int(found)


def _where_query() -> sa.Select[tuple[str, int, int, str, int]]:
    query = sa.select(
        _blobs.c.digest, _blobs.c.size, _blobs.c.stored, _packs.c.digest, _blobs.c.place
    ).join_from(_blobs, _packs, _packs.c.id == _blobs.c.pack, isouter=True)
    return query.where(_blobs.c.stored.is_not(None))


def _known(tx: Transaction, column: sa.Column[str], digests: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for batch in batches(digests):
        found.update(tx.execute(sa.select(column).where(column.in_(batch))).scalars())
    return found


def _there(tx: Transaction, batch: list[str]) -> set[str]:
    query = sa.select(_blobs.c.digest)
    query = query.where(_blobs.c.digest.in_(batch), _blobs.c.stored.is_not(None))
    return set(tx.execute(query).scalars())
