"""Budget and retention: what goes when space or time runs out, oldest first, sources last."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..catalog import journals, runs, versions, whereabouts
from ..catalog.catalog import Transaction
from ..model.moment import days_ago
from . import reach, records
from .forgetting import rewrite_versions

if TYPE_CHECKING:
    from .store import Store

KEEP = "keep"  # a run with this tag, or a version with an alias of its own, is never thinned
_SHARE = 10  # this part of the runs is thinned at a time


def enforce(store: Store) -> int:
    """Thin runs older than the retention, then the oldest ones until the budget holds.

    To thin a run is to drop the outputs from its notebooks, its journal and, for the budget, its
    saved files; the sources stay. Old runs give way whole, so that newer ones need not; what began
    within a day stays. Gives the number of runs thinned.
    """
    setting = store.settings.get("retention_days")
    days = int(setting.value) if setting else 0
    candidates = _candidates(store)
    with store.catalog.read() as tx:
        thin_already = runs.thinned(tx)
    old = [run for run, started in candidates if days > 0 and started < days_ago(days)]
    old = [run for run in old if run not in thin_already]
    for run_id in old:
        thin(store, run_id)
    thinned = set(old)
    budget = store.budget()
    if budget is None or store.size() <= budget:
        return len(thinned)
    left = [run for run, started in candidates if started < days_ago(1)]
    while left and _named_size(store) > budget:
        count = max(len(left) // _SHARE, 1)
        for run_id in left[:count]:
            thin(store, run_id, files=True)
        thinned.update(left[:count])
        left = left[count:]
    return len(thinned)


def thin(store: Store, run_id: str, *, files: bool = False) -> None:
    """Drop the outputs of a run, with `files` its saved files too; keep the sources."""
    dropped: list[str | None] = []

    def also(tx: Transaction) -> None:
        row = runs.columns(tx, run_id)
        if row is None:
            return
        runs.drop_printed(tx, run_id)
        runs.set_columns(tx, run_id, thinned=records.now())
        if files and row["files"]:
            gone = [[path, "dropped to keep within the budget"] for path, _ in store.files(run_id)]
            runs.set_columns(tx, run_id, files=None, missing=(row["missing"] or []) + gone)
        session = row["session"]
        if all(_is_thin(tx, each) for each in runs.of_session(tx, session)):
            journal = journals.get(tx, session)
            if journal and journal.sealed and journal.digest:
                released = replace(journal, digest=None)
                dropped.append(records.keep_journal(tx, store.contents, released))

    rewrite_versions(store, run_id, _without_outputs, also)
    store.contents.drop_records(dropped)


def _candidates(store: Store) -> list[tuple[str, str]]:
    """Name the runs of which something may be dropped and when they began, oldest first."""
    with store.catalog.read() as tx:
        pinned = {
            version.run
            for artifact in versions.artifacts(tx)
            for version in artifact.versions
            if set(version.aliases) - {"latest"}
        }
        return [
            (run.id, run.started)
            for run in runs.thick_ones(tx)
            if run.state != "running" and KEEP not in run.tags and run.id not in pinned
        ]


def _named_size(store: Store) -> int:
    """Add up what all that is named takes: what would be left once the garbage is gone."""
    live = reach.live(store)
    with store.catalog.read() as tx:
        return sum(each.stored for each in whereabouts.every(tx) if each.digest in live)


def _is_thin(tx: Transaction, run_id: str) -> bool:
    row = runs.columns(tx, run_id)
    return bool(row and row["thinned"])


def _without_outputs(_: str, notebook: dict[str, Any]) -> bool:
    full = [cell for cell in notebook["cells"] if cell.get("outputs")]
    for cell in full:
        cell["outputs"] = []
    return bool(full)
