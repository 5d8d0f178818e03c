"""Copying runs between stores, or to and from an archive; the source is left alone.

What is copied is a run's record and every blob it leads to: run ids stay, a version keeps its
number unless another one has it. Blobs go first, so that copying again goes on where it broke off,
and copying twice is copying once.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..blobs.local import LocalBlobs
from ..catalog import journals, runs, versions, whereabouts
from ..catalog.catalog import Transaction
from ..errors import DamagedError, NotFoundError, UnavailableError, UsageError
from ..model.digest import digest_of
from ..model.manifest import Manifest
from ..settings import Setting
from . import records
from .archive import Archive, pack_up
from .contents import WHOLE
from .plausible import is_plausible
from .streams import incoming

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

            def take(run_id: str) -> None:
                _take(store, archive.records_of(run_id), archive.get, archive.open, counts)

            run_by_run(progress(ids), take)
            return counts
    with _opened_source(store, place) as source:
        return _copy(source, store, _choose(source, chosen), progress)


@contextmanager
def reading(store: Store, place: str) -> Iterator[Callable[[str], bytes | None]]:
    """Give what reads blobs at a place by their digests, and None for those it does not have."""

    def or_none(get: Callable[[str], bytes]) -> Callable[[str], bytes | None]:
        def read(digest: str) -> bytes | None:
            try:
                return get(digest)
            except (NotFoundError, DamagedError):
                return None

        return read

    if place.endswith(".zip"):
        with Archive(Path(place)) as archive:
            yield or_none(archive.get)
    else:
        with _opened_source(store, place) as source:
            yield or_none(source.get)


def _copy(source: Store, target: Store, ids: Iterable[str], progress: Progress) -> dict[str, int]:
    counts = _counts()

    def take(run_id: str) -> None:
        with source.catalog.read() as tx:
            found = records_for(tx, run_id)
        open_ = partial(source.open_blob, checked=False)  # the target hashes them
        _take(target, found, source.get, open_, counts)

    run_by_run(progress(list(ids)), take)
    return counts


def run_by_run(ids: Iterable[str], work: Callable[[str], None]) -> None:
    """Copy run by run; what is damaged is told once all that is whole has been copied."""
    failed: list[str] = []
    for run_id in ids:
        try:
            work(run_id)
        except (DamagedError, NotFoundError) as error:
            failed.append(f"run {run_id} was not copied: {error}")
    if failed:
        more = f" (and {len(failed) - 1} more runs; all others were copied)" if failed[1:] else ""
        raise DamagedError(failed[0] + more)


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
    if not all(map(is_plausible, found)):
        raise DamagedError(
            "a run's record is none; copy the run again from where it was made, or run "
            "`jupyter codesave verify` there"
        )
    record = next(each for each in found if each["kind"] == "run")
    run_id = record["run"]["id"]
    mark = digest_of(records.dump({**record, "revision": 0}))
    with target.catalog.read() as tx:
        there = runs.columns(tx, run_id)
        # What gave way to the space of where it comes from does not give way here.
        is_thinner = there is not None and record.get("thinned") and not there["thinned"]
        if is_thinner or (there and journals.fact(tx, f"copied {run_id}") == mark):
            counts["unchanged"] += 1
            return
    wanted = blobs_of(found, read)
    held = target.contents.touch(wanted)
    _make_sure_of_room(target, [size or 0 for d, size in wanted.items() if d not in held])
    for digest, size in sorted(wanted.items()):
        if digest in held:
            continue
        if size is not None and size > WHOLE:
            stored = _stream(target, digest, size, open_)
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
        if whereabouts.touch(tx, wanted, time.time()) != wanted.keys():
            raise UnavailableError(f"blobs of run {run_id} went while it was copied; copy it again")
        row = runs.columns(tx, run_id)
        # Whether it is deleted is decided where it lies.
        deleted = row["deleted"] if row else None
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
                own = {**each, "deleted": deleted}
                known = row["record"] if row else None
                records.restore(tx, target.contents, own, known)
        runs.set_columns(tx, run_id, revision=row["revision"] if row else 0)
        dropped = records.keep_run(tx, target.contents, run_id)
        old_ledger = records.keep_ledger(tx, target.contents)
        journals.set_fact(tx, f"copied {run_id}", mark)
    target.contents.drop_records([dropped, old_ledger])
    counts["runs"] += 1


def _make_sure_of_room(target: Store, sizes: Iterable[int]) -> None:
    if not isinstance(target.blobs, LocalBlobs):
        return
    needed, free = sum(sizes), shutil.disk_usage(target.folder).free
    if needed > free:
        raise UnavailableError(
            f"{target.folder} has room for {free:,} bytes and the run may take {needed:,}; make "
            "room, or copy fewer runs"
        )


def _stream(target: Store, digest: str, size: int, open_: Callable[[str], BinaryIO]) -> str:
    with tempfile.NamedTemporaryFile(dir=target.folder, prefix=incoming()) as file:
        with open_(digest) as source:
            room = size + WHOLE  # a stream that is longer than it should be is not followed
            while room > 0 and (chunk := source.read(1 << 20)):
                file.write(chunk)
                room -= len(chunk)
        file.flush()
        return target.put_file(file.name)[0]


def _choose(store: Store, chosen: Sequence[str]) -> list[str]:
    if chosen:
        return [store.run(reference).id for reference in chosen]
    with store.catalog.read() as tx:
        return runs.undeleted(tx)


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


def _opened_source(store: Store, place: str) -> Store:
    if "://" not in place and not Path(place).is_dir():
        raise NotFoundError(f"there is no folder {place}; give a data folder or a .zip")
    return _opened(store, place)


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
