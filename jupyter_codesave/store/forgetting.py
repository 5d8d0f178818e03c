"""Forgetting parts of a run: cells its user takes back, outputs there is no room for.

Versions keep their number; what they hold of the run's notebooks is written anew without them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..catalog import runs, versions, whereabouts
from ..catalog.catalog import Transaction
from ..errors import CodeSaveError
from ..model.artifact import SESSION_NOTEBOOK, Version
from ..model.manifest import Entry, Manifest
from . import reach, records
from .garbage import AGED, sweep, tidy_packs

if TYPE_CHECKING:
    from .store import Store

Work = Callable[[Transaction], None]
Change = Callable[[str, dict[str, Any]], bool]  # path and notebook → whether it was changed


def forget(store: Store, run_id: str, numbers: Sequence[int], known: Sequence[str] = ()) -> None:
    """Remove executions of a run: rows, search, and their cells in every version of the run.

    In the notebook's own file the cells with the same source are blanked, and with a `known` one.
    """
    gone = set(numbers)
    sources = {each.source for each in store.executions(run_id) if each.number in gone}
    sources.update(known)

    def without(path: str, notebook: dict[str, Any]) -> bool:
        before = len(notebook["cells"])
        if path == SESSION_NOTEBOOK:
            notebook["cells"] = [
                cell
                for cell in notebook["cells"]
                if cell["metadata"].get("codesave", {}).get("execution") not in gone
            ]
            return len(notebook["cells"]) != before
        hit = [c for c in notebook["cells"] if "".join(c.get("source") or ()) in sources - {""}]
        for cell in hit:
            cell |= {"source": []} | ({"outputs": []} if "outputs" in cell else {})
        return bool(hit)

    def also(tx: Transaction) -> None:
        whereabouts.age(tx, reach.of_runs(tx, store.contents, [run_id]))
        runs.drop_executions(tx, run_id, numbers)

    if rewrite_versions(store, run_id, without, also):
        sweep(store, AGED)
        tidy_packs(store, share=1.0)
    store.catalog.checkpoint()


def rewrite_versions(store: Store, run_id: str, change: Change, also: Work) -> bool:
    """Write anew what `change` changes of the notebooks of a run's versions; True: it has some.

    `also` comes before that in the same transaction, the run's record behind it.
    """
    while True:
        with store.catalog.read() as tx:
            mine = versions.of_run(tx, run_id)
        slim = _slimmed(store, mine, change)
        with store.catalog.write() as tx:
            tx.take_blobs()
            if _named(versions.of_run(tx, run_id)) != _named(mine):
                continue  # somebody added one, or wrote one anew
            also(tx)
            for version in mine:
                manifest = slim.get(version.digest)
                if manifest is not None and manifest.digest != version.digest:
                    changes: dict[str, Any] = {"digest": manifest.digest, "size": manifest.size}
                    versions.set_columns(tx, version.artifact, version.number, **changes)
            row = runs.columns(tx, run_id)
            is_kept = row is not None and row["record"] is not None
            dropped = records.keep_run(tx, store.contents, run_id) if is_kept else None
        store.contents.drop_records([dropped])
        return bool(mine)


def _named(found: Sequence[Version]) -> list[tuple[str, int, str]]:
    return [(version.artifact, version.number, version.digest) for version in found]


def _slimmed(store: Store, found: Sequence[Version], change: Change) -> dict[str, Manifest]:
    """Put the changed notebooks of versions, and manifests; map old manifests to new ones."""
    slim: dict[str, Manifest] = {}
    for version in found:
        try:
            entries = dict(store.manifest(version.digest).entries)
            for path, entry in entries.items():
                if path.endswith(".ipynb"):
                    entries[path] = _changed(store, path, entry, change)
        except CodeSaveError:
            continue  # verify tells of it
        slim[version.digest] = Manifest(entries)
        store.put(slim[version.digest].dump())
    store.flush()
    return slim


def _changed(store: Store, path: str, entry: Entry, change: Change) -> Entry:
    try:
        notebook = json.loads(store.get(entry.digest))
        if not change(path, notebook):
            return entry
    except (ValueError, TypeError, KeyError, AttributeError):
        return entry  # no notebook, whatever its name says
    data = (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")
    return Entry(store.put(data), len(data), entry.mode)
