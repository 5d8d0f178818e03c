"""Rebuild: the catalog made anew from blobs alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..blobs import envelope, packs
from ..catalog import journals, rebuilding, runs, versions, whereabouts
from ..catalog.whereabouts import Placed
from ..errors import CodeSaveError
from . import records
from .garbage import MADE

if TYPE_CHECKING:
    from .contents import Contents
    from .store import Progress, Store


def rebuild(store: Store, progress: Progress = iter) -> dict[str, int]:
    """Read what blobs and records say, and write the catalog's rows from it.

    A run that is running and in the catalog keeps what its journal has told so far. Gives the
    numbers of `runs`, `versions`, `journals` and `blobs` found, and of `damaged` records.
    """
    contents = store.contents
    contents.flush()
    blobs = find_blobs(store, progress)
    found: dict[str, records.Record | None] = {}
    for kept in progress(list(contents.records.listing())):
        found[kept.key] = _load(contents, kept.key)
    counts = {"runs": 0, "versions": 0, "journals": 0}
    with store.catalog.write() as tx:
        tx.alone()
        dropped = [records.keep_run(tx, contents, run_id) for run_id in runs.running(tx)]
        # What was written, or purged, since the records were listed; of two that say to be the
        # same revision the older one was never committed.
        listed = sorted(contents.records.listing(), key=lambda kept: kept.modified)
        whole = {kept.key: found.get(kept.key) or _load(contents, kept.key) for kept in listed}
        digests = {id(record): key for key, record in whole.items()}
        rebuilding.clear(tx)
        for record in records.newest(filter(None, whole.values()), merge=store.shared):
            if record["kind"] == "run" and journals.is_purged(tx, record["run"]["id"]):
                continue
            records.restore(tx, contents, record, digests[id(record)])
            counts["runs"] += record["kind"] == "run"
            counts["journals"] += record["kind"] == "journal"
            counts["versions"] += len(record.get("versions", ()))
        for run_id, reference in runs.sharers(tx):
            shared = versions.named(tx, reference)
            records.note_printed(tx, contents, run_id, [shared.digest] if shared else [])
        journals.set_fact(tx, MADE, records.now())
    contents.drop_records(dropped)
    damaged = sum(record is None for record in whole.values())
    return {**counts, "blobs": blobs, "damaged": damaged}


def begin(store: Store) -> None:
    """See to a catalog that is new: note that there was nothing to make it from.

    Where several hosts write, it is made from their blobs at once. Elsewhere one that was lost is
    made anew by `rebuild`, and before anything that only it names could be taken for garbage.
    """
    if not _is_fresh(store):
        return
    if store.shared:
        rebuild(store)
    elif next(iter(store.contents.records.listing()), None) is None:
        with store.catalog.write() as tx:
            journals.set_fact(tx, MADE, records.now())


def make_sure(store: Store, progress: Progress = iter) -> None:
    """Rebuild a catalog that was never made from the blobs that are there."""
    if _is_fresh(store):
        rebuild(store, progress)


def _is_fresh(store: Store) -> bool:
    with store.catalog.read() as tx:
        return journals.fact(tx, MADE) is None


def _load(contents: Contents, key: str) -> records.Record | None:
    try:
        return records.load(contents.records.get(key), key)
    except CodeSaveError:
        return None


def find_blobs(store: Store, progress: Progress = iter) -> int:
    """Note where every blob lies that is not where its row says; give the number of all."""
    contents, count = store.contents, 0
    with store.catalog.read() as tx:
        before = {each.digest: each for each in whereabouts.every(tx)}
    packed, loose = list(contents.packs.listing()), list(contents.loose.listing())
    there = {None: {kept.key for kept in loose}} | {kept.key: {kept.key} for kept in packed}
    known = {
        digest
        for digest, where in before.items()
        if (where.pack or digest) in there.get(where.pack, ())
    }
    for kept in progress(packed):
        try:
            index = packs.read_members(contents.packs, kept.key, kept.size)
        except CodeSaveError:
            continue  # verify tells of it
        rows = [Placed(each.digest, each.size, each.length, each.offset) for each in index]
        fresh = [row for row in rows if row.digest not in known]
        leaning: list[tuple[str, str]] = []
        if fresh:
            data = contents.packs.get(kept.key)
            for row in fresh:
                laid_out = data[row.place or 0 : (row.place or 0) + row.stored]
                leaning += _leaning(row.digest, laid_out)
        with store.catalog.write() as tx:
            tx.keep_blobs()
            whereabouts.add_pack(tx, kept.key, kept.size, fresh)
            whereabouts.lean(tx, leaning)
        known.update(row.digest for row in fresh)
        count += len(rows)
    batch: list[Any] = []
    for kept in progress(loose):
        count += 1
        if kept.key not in known:
            known.add(kept.key)
            batch.append(kept)
        if len(batch) == 500:
            _note_loose(store, batch)
            batch = []
    _note_loose(store, batch)
    with store.catalog.write() as tx:
        tx.keep_blobs()
        still = whereabouts.locate(tx, before.keys() - known)
        whereabouts.lost(tx, [d for d, where in still.items() if where == before[d]])
    return count


def _note_loose(store: Store, batch: list[Any]) -> None:
    rows, leaning = [], []
    for kept in batch:
        try:
            size, parts = _measure(store.contents, kept.key, kept.size)
        except CodeSaveError:
            size, parts = kept.size, []
        rows.append(Placed(kept.key, size, kept.size))
        leaning += parts
    with store.catalog.write() as tx:
        tx.keep_blobs()
        whereabouts.placed(tx, rows)
        whereabouts.lean(tx, leaning)


def _measure(contents: Contents, key: str, stored: int) -> tuple[int, list[tuple[str, str]]]:
    """Give the decoded size of a blob of its own, and what it leans on."""
    with contents.loose.open(key) as file:
        head = file.read(64)
        if not head.startswith(envelope.MAGIC):
            return stored, []
        if not envelope.is_recipe(head) and (size := envelope.size_told(head, stored)) is not None:
            return size, []
    with contents.loose.open(key) as file:
        steps = envelope.stream_steps(file)
        size, leaning = 0, []
        for step in steps:
            size += envelope.size_of([step])
            if not isinstance(step, bytes):
                leaning.append((key, step[1]))
    return size, leaning


def _leaning(digest: str, laid_out: bytes) -> list[tuple[str, str]]:
    try:
        return [(digest, part) for part in envelope.parts(laid_out)]
    except CodeSaveError:
        return []
