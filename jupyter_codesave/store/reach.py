"""Which blobs the catalog, or the records, lead to: everything else is garbage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ..catalog import journals, runs, versions, whereabouts
from ..errors import CodeSaveError, DamagedError, NotFoundError
from ..model.manifest import Manifest
from . import records

if TYPE_CHECKING:
    from ..catalog.catalog import Transaction
    from .contents import Contents
    from .store import Store

_BATCH = 500


def live(store: Store, also: Iterable[str] = ()) -> set[str]:
    """Name every blob that must stay; those in `also` must, too, with what they lean on.

    Raises DamagedError when a manifest cannot be read: then nobody can tell. Where other hosts
    keep catalogs of their own, every record counts, whoever wrote it.
    """
    with store.catalog.read() as tx:
        manifests = {digest for _, digest in versions.manifests(tx)} | runs.saved(tx)
        found = {row["digest"] for row in journals.every(tx) if row["digest"]} | set(also)
        leanings = whereabouts.leanings(tx)
    if store.shared:
        for record in every_record(store.contents):
            digests = set(records.roots(record))
            journal = record.get("journal", {}).get("digest")
            manifests |= digests - {journal}
            found |= digests & {journal}
    for digest, manifest in read_manifests(store.contents, manifests):
        if manifest is None:
            raise DamagedError(
                f"the manifest {digest} cannot be read, so nobody can tell what is garbage; run "
                "`jupyter codesave verify` first"
            )
        found.add(digest)
        found.update(entry.digest for entry in manifest.entries.values())
    fresh = found
    while fresh := {part for whole in fresh for part in leanings.get(whole, ())} - found:
        found |= fresh
    return found


def of_runs(tx: Transaction, contents: Contents, run_ids: Iterable[str]) -> set[str]:
    """Name every blob that runs lead to, through their versions, saved files and journals."""
    manifests: set[str] = set()
    found: set[str] = set()
    for run_id in run_ids:
        row = runs.columns(tx, run_id)
        if row is None:
            continue
        manifests.update(version.digest for version in versions.of_run(tx, run_id))
        if row["files"]:
            manifests.add(row["files"])
        journal = journals.get(tx, row["session"])
        if journal is not None and journal.digest:
            found.add(journal.digest)
    for digest, manifest in read_manifests(contents, manifests):
        found.add(digest)
        if manifest is not None:
            found.update(entry.digest for entry in manifest.entries.values())
    return found | whereabouts.parts_of(tx, found)


def read_manifests(
    contents: Contents, digests: Iterable[str]
) -> Iterator[tuple[str, Manifest | None]]:
    """Read manifests; None stands for one that is damaged or missing."""
    wanted = sorted(digests)
    for at in range(0, len(wanted), _BATCH):
        batch = wanted[at : at + _BATCH]
        try:
            laid_out = contents.envelopes(batch)
        except CodeSaveError:  # one by one, to tell which
            laid_out = {}
        for digest in batch:
            try:
                if digest in laid_out:
                    data = contents.verified(digest, laid_out[digest])
                else:
                    data = contents.get(digest)
                yield digest, Manifest.load(data)
            except CodeSaveError:
                yield digest, None


def every_record(contents: Contents) -> Iterator[records.Record]:
    """Read every record that can be read."""
    for kept in contents.records.listing():
        try:
            record = records.load(contents.records.get(kept.key), kept.key)
        except NotFoundError:
            continue  # superseded meanwhile
        if record is not None:
            yield record
