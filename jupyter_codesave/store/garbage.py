"""Garbage collection, with writers at work: nothing that is named, or was just wanted, goes.

A blob goes in two steps. First its row says that the bytes are not there, if nobody wanted them
for the grace period; then row and bytes go in one transaction that holds writers off, if still
nobody did. Killed at any moment, it leaves bytes without a name, never a name without bytes.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..blobs.base import Blobs
from ..blobs.local import LocalBlobs
from ..blobs.packs import overhead, pack
from ..catalog import journals, runs, whereabouts
from ..catalog.catalog import Transaction
from ..catalog.whereabouts import Placed
from ..errors import DamagedError, NotFoundError
from ..model.moment import days_ago
from . import reach, records
from .spool import clear, waiting

if TYPE_CHECKING:
    from .store import Store

Named = Callable[[Transaction, list[str]], set[str]]
AGED = 1.0  # the cutoff before which nothing lies but what was aged on purpose
GRACE = 3600.0  # seconds for which what was wanted stays
GRACE_BETWEEN_HOSTS = 7 * 86400.0
_COLLECTED = "collected"  # the fact that says when
MADE = "made"  # the fact that says when the catalog was made from the blobs there were
DELETED_DAYS = 30  # after which a deleted run is purged
_BATCH = 500


def collect(store: Store, grace: float | None = None) -> dict[str, int]:
    """Purge what was deleted long ago, keep within retention and budget, remove garbage.

    Gives the number of `runs` purged, runs `thinned`, `blobs` and `packs` removed, packs
    `rewritten`, and `bytes` freed.
    """
    from .budget import enforce
    from .purge import purge
    from .rebuild import make_sure

    make_sure(store)
    before = store.size()
    with store.catalog.read() as tx:
        expired = runs.deleted_before(tx, days_ago(DELETED_DAYS))
    if expired:
        purge(store, runs=expired)
    thinned = enforce(store)
    cutoff = cutoff_of(store, grace)
    spared = waiting(store.folder)
    if store.shared:
        spared |= _wanted_elsewhere(store, cutoff)
    blobs = sweep(store, cutoff, spared)
    dropped, rewritten = tidy_packs(store, share=0.25)
    clear_orphans(store, cutoff)
    clear_leftovers(store, cutoff)
    with store.catalog.write() as tx:
        journals.set_fact(tx, _COLLECTED, records.now())
    return {
        "runs": len(expired),
        "thinned": thinned,
        "blobs": blobs,
        "packs": dropped,
        "rewritten": rewritten,
        "bytes": max(before - store.size(), 0),
    }


def is_due(store: Store) -> bool:
    """Tell whether nobody collected for a day; never where several hosts write."""
    if store.is_team or store.shared:
        return False
    with store.catalog.read() as tx:
        last = journals.fact(tx, _COLLECTED) or journals.fact(tx, MADE)
    return last is None or last < days_ago(1)


def cutoff_of(store: Store, grace: float | None = None) -> float:
    """Give the time (epoch, s) before which a blob was wanted last that may be collected now."""
    if grace is None:
        grace = GRACE_BETWEEN_HOSTS if store.shared else GRACE
    return time.time() - grace


def sweep(store: Store, cutoff: float, spared: Iterable[str] = ()) -> int:
    """Remove blobs that nothing leads to and nobody wanted since `cutoff`; give their number.

    What is `spared` stays with all it leans on.
    """
    from .rebuild import find_blobs

    if store.shared:
        find_blobs(store)  # what other hosts wrote
    with store.catalog.read() as tx:
        found = whereabouts.touched_before(tx, cutoff)
    doomed = set(found) - reach.live(store, spared)
    with store.catalog.write() as tx:
        tx.take_blobs()
        # All at once: nobody may find a whole once a part of it is gone.
        condemned = whereabouts.condemn(tx, doomed, cutoff)
    gone = 0
    for at in range(0, len(condemned), _BATCH):
        with store.catalog.write() as tx:
            tx.take_blobs()
            for digest in whereabouts.drop(tx, condemned[at : at + _BATCH], cutoff):
                store.contents.loose.delete(digest)
                gone += 1
    return gone


def _wanted_elsewhere(store: Store, cutoff: float) -> set[str]:
    """Name the blobs whose bytes were written or touched since `cutoff`, on whatever host."""
    areas = (store.contents.loose, store.contents.packs)
    young = {kept.key for area in areas for kept in area.listing() if kept.modified >= cutoff}
    with store.catalog.read() as tx:
        return {
            each.digest for each in whereabouts.every(tx) if (each.pack or each.digest) in young
        }


def tidy_packs(store: Store, *, share: float) -> tuple[int, int]:
    """Drop packs without members, rewrite those whose members fill less than `share` of them.

    Gives the numbers of both.
    """
    dropped = rewritten = 0
    with store.catalog.read() as tx:
        used, sizes = whereabouts.usage(tx), whereabouts.packs(tx)
    for key, size in sizes.items():
        taken, count = used.get(key, (0, 0))
        if count == 0:
            dropped += _drop_pack(store, key)
        elif taken + overhead(count) < size * share:
            rewritten += rewrite(store, key)
    return dropped, rewritten


def rewrite(store: Store, key: str) -> int:
    """Bring the members of a pack that are named into a new one, and drop it; 1 when it was."""
    contents = store.contents
    with store.catalog.read() as tx:
        members = whereabouts.members(tx, key)
    try:
        laid_out = [(each.digest, contents.read(each), each.size) for each in members]
        # The catalog may be wrong; the bytes it is wrong about would go with the pack.
        for digest, data, _ in laid_out:
            contents.verified(digest, data)
    except (NotFoundError, DamagedError):
        return 0  # verify tells of it
    for data, index in pack(laid_out):
        new = contents.packs.put(data)
        rows = [Placed(each.digest, each.size, each.length, each.offset) for each in index]
        with store.catalog.write() as tx:
            tx.take_blobs()
            still = {each.digest for each in whereabouts.members(tx, key)}
            moved = [row for row in rows if row.digest in still]
            whereabouts.add_pack(tx, new, len(data), moved)
        if not contents.packs.has(new):
            contents.packs.put(data)
    _drop_pack(store, key)
    return 1


def _drop_pack(store: Store, key: str) -> int:
    """Remove a pack that holds no blob any more."""
    with store.catalog.write() as tx:
        tx.take_blobs()
        if whereabouts.members(tx, key):
            return 0
        whereabouts.drop_pack(tx, key)
    with store.catalog.write() as tx:
        tx.take_blobs()
        if key not in whereabouts.packs_known(tx, [key]):
            store.contents.packs.delete(key)
    return 1


def clear_orphans(store: Store, cutoff: float) -> None:
    """Remove bytes that no row names and that are older: what killed writers and collectors left.

    A writer that has yet to write the row finds them gone then, and writes them again.
    """
    contents = store.contents
    keep = reach.live(store) if store.shared else set()
    _delete_unnamed(store, contents.loose, cutoff, whereabouts.rows_known, keep)
    if not store.shared:
        _delete_unnamed(store, contents.packs, cutoff, whereabouts.packs_known, keep)
        _delete_unnamed(store, contents.records, cutoff, lambda tx, _: records.in_use(tx), keep)


def clear_leftovers(
    store: Store, cutoff: float, lives: Callable[[int], bool] = lambda _: True
) -> None:
    """Remove half-written files, and what the spool holds for nobody, that are older.

    Of a process that does not live any more they go however young they are.
    """
    contents, spool = store.contents, LocalBlobs(store.folder / "spool")
    areas = contents.loose, contents.packs, contents.records, spool, spool.area("packs")
    for area in areas:
        if isinstance(area, LocalBlobs):
            area.sweep(cutoff, lives)
    clear(store.folder, set(), older_than=cutoff)
    for left in store.folder.glob(".incoming-*"):
        pid = left.name.split("-")[1]
        with contextlib.suppress(FileNotFoundError):
            if left.stat().st_mtime >= cutoff and (not pid.isdigit() or lives(int(pid))):
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()


def _delete_unnamed(store: Store, area: Blobs, cutoff: float, named: Named, keep: set[str]) -> None:
    old = [kept.key for kept in area.listing() if kept.modified < cutoff and kept.key not in keep]
    for at in range(0, len(old), _BATCH):
        batch = old[at : at + _BATCH]
        with store.catalog.write() as tx:
            tx.take_blobs()
            for key in set(batch) - named(tx, batch):
                area.delete(key)
