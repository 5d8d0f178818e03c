"""Copying runs between stores, or to and from an archive; the source is left alone.

What is copied is a run's record and every blob it leads to: run ids stay, a version keeps its
number unless another one has it. Blobs go first, so that copying again goes on where it broke off,
and copying twice is copying once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..catalog import journals, runs, versions
from ..catalog.catalog import Transaction
from ..errors import DamagedError, NotFoundError, UsageError
from ..model.artifact import check_name
from ..model.digest import digest_of
from ..model.manifest import Manifest
from ..settings import Setting
from . import records
from .archive import Archive, pack_up
from .contents import WHOLE

if TYPE_CHECKING:
    from .store import Progress, Store


def copy_to(store: Store, place: str, chosen: Sequence[str], progress: Progress) -> dict[str, int]:
    """Copy runs (ids or prefixes; all when none is named) to a place.

    A place is a folder, a FILE.zip, or a team's `DATABASE_URL,ARTIFACT_URL`. Gives the numbers of
    `runs` copied, `blobs` sent, and runs `unchanged` because they were there already.
    """
    store.flush()
    ids = _choose(store, chosen)
    if place.endswith(".zip"):
        return pack_up(store, Path(place), ids, progress)
    with _opened(store, place) as target:
        return _copy(store, target, ids, progress)


def copy_from(
    store: Store, place: str, chosen: Sequence[str], progress: Progress
) -> dict[str, int]:
    """Copy runs (ids or prefixes; all when none is named) from a place; as `copy_to`."""
    if place.endswith(".zip"):
        with Archive(Path(place)) as archive:
            ids = _among(archive.runs(), chosen, place)
            counts = _counts()
            for run_id in progress(ids):
                _take(store, archive.records_of(run_id), archive.get, archive.open, counts)
            return counts
    if "://" not in place and not Path(place).is_dir():
        raise NotFoundError(f"there is no folder {place}; give a data folder or a .zip")
    with _opened(store, place) as source:
        return _copy(source, store, _choose(source, chosen), progress)


def _copy(source: Store, target: Store, ids: Iterable[str], progress: Progress) -> dict[str, int]:
    counts = _counts()
    for run_id in progress(list(ids)):
        with source.catalog.read() as tx:
            found = records_for(tx, run_id)
        _take(target, found, source.get, source.open_blob, counts)
    return counts


def records_for(tx: Transaction, run_id: str) -> list[records.Record]:
    """Lay out what there is to copy of a run: its own record, its journal's, its series."""
    record = records.of_run(tx, run_id, 0)
    found = [record]
    names = {row["artifact"] for row in record["versions"]}
    series = [list(row) for row in versions.all_series(tx) if row[2] in names]
    found.append({"kind": "ledger", "revision": 0, "series": series, "purged": []})
    state = journals.get(tx, record["run"]["session"])
    if state is not None and state.sealed and state.digest:
        found.append(records.of_journal(state))
    return found


def blobs_of(
    found: Iterable[records.Record], read: Callable[[str], bytes]
) -> dict[str, int | None]:
    """Map the blobs that records lead to, to their sizes where those are known."""
    wanted: dict[str, int | None] = {}
    for record in found:
        journal = record.get("journal", {}).get("digest")
        for digest in records.roots(record):
            if digest == journal:
                wanted[digest] = int(record["journal"]["size"])
                continue
            data = read(digest)
            wanted[digest] = len(data)
            for entry in Manifest.load(data).entries.values():
                wanted[entry.digest] = entry.size
    return wanted


def _take(
    target: Store,
    found: list[records.Record],
    read: Callable[[str], bytes],
    open_: Callable[[str], BinaryIO],
    counts: dict[str, int],
) -> None:
    _check(found)
    record = next(each for each in found if each["kind"] == "run")
    run_id = record["run"]["id"]
    mark = digest_of(records.dump({**record, "revision": 0}))
    with target.catalog.read() as tx:
        if journals.fact(tx, f"copied {run_id}") == mark and runs.columns(tx, run_id):
            counts["unchanged"] += 1
            return
    for digest, size in sorted(blobs_of(found, read).items()):
        if target.has(digest):
            continue
        if size is not None and size > WHOLE:
            stored = _stream(target, digest, open_)
        else:
            stored = target.put(read(digest))
        if stored != digest:
            raise DamagedError(
                f"the blob {digest} of run {run_id} came as {stored}; run `jupyter codesave "
                "verify` where it comes from"
            )
        counts["blobs"] += 1
    target.flush()
    dropped = None
    with target.catalog.write() as tx:
        tx.keep_blobs()
        row = runs.columns(tx, run_id)
        journals.welcome(tx, run_id)
        for each in found:
            if each["kind"] == "ledger":
                taken = {(row[0], row[1]) for row in versions.all_series(tx)}
                rows = [tuple(row) for row in each["series"] if (row[0], row[1]) not in taken]
                versions.put_series(tx, rows)
            elif each["kind"] == "journal":
                if journals.columns(tx, each["journal"]["session"]) is None:
                    digest = target.contents.put_record(records.dump(each))
                    records.restore(tx, target.contents, each, digest)
            else:
                records.restore(
                    tx, target.contents, each, row["record"] if row else None, move=True
                )
        runs.set_columns(tx, run_id, revision=row["revision"] if row else 0)
        dropped = records.keep_run(tx, target.contents, run_id)
        old_ledger = records.keep_ledger(tx, target.contents)
        journals.set_fact(tx, f"copied {run_id}", mark)
    target.contents.drop_records([dropped, old_ledger])
    counts["runs"] += 1


def _stream(target: Store, digest: str, open_: Callable[[str], BinaryIO]) -> str:
    with tempfile.NamedTemporaryFile(dir=target.folder, prefix=".incoming-") as file:
        with open_(digest) as source:
            while chunk := source.read(1 << 20):
                file.write(chunk)
        file.flush()
        return target.put_file(file.name)[0]


def _check(found: list[records.Record]) -> None:
    """Refuse what no store of ours would say: a place that is copied from is not trusted."""
    try:
        for record in found:
            for row in record.get("versions", ()):
                check_name(row["artifact"])
            if record["kind"] == "run":
                run_id = record["run"]["id"]
                if not (run_id.isalnum() and run_id.isascii() and len(run_id) <= 32):
                    raise UsageError(f"{run_id!r} is no run's id")
                runs.from_row(record["run"])
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedError(
            f"a record cannot be read ({error!r}); copy it again from where it was made"
        ) from error


def _choose(store: Store, chosen: Sequence[str]) -> list[str]:
    if chosen:
        return [store.run(reference).id for reference in chosen]
    with store.catalog.read() as tx:
        return [run.id for run in runs.whole_ones(tx, deleted=False)]


def _among(there: Sequence[str], chosen: Sequence[str], place: str) -> list[str]:
    if not chosen:
        return list(there)
    found = []
    for reference in chosen:
        fitting = [run_id for run_id in there if run_id.startswith(reference)]
        if len(fitting) != 1:
            few = "no run" if not fitting else f"{len(fitting)} runs"
            raise NotFoundError(f"{place} holds {few} {reference!r}; give a whole id")
        found += fitting
    return found


def _opened(store: Store, place: str) -> Store:
    settings = dict(store.settings)
    if "://" not in place:
        for name in ("database_url", "artifact_url"):
            settings[name] = Setting("", "copy")
        return type(store).open(Path(place).expanduser(), settings)
    database, _, artifacts = place.partition(",")
    if not artifacts:
        raise UsageError(
            f"{place!r} names half a store; a team's store is DATABASE_URL,ARTIFACT_URL"
        )
    settings["database_url"] = Setting(database, "copy")
    settings["artifact_url"] = Setting(artifacts, "copy")
    return type(store).open(store.folder, settings)


def _counts() -> dict[str, int]:
    return {"runs": 0, "blobs": 0, "unchanged": 0}
