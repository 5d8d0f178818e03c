"""Forgetting parts of a run: cells its user takes back, outputs there is no room for.

Versions keep their number; what they hold of the run's notebooks is written anew without them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..catalog import runs, versions
from ..catalog.catalog import Transaction
from ..errors import CodeSaveError
from ..model.artifact import SESSION_NOTEBOOK, Version
from ..model.manifest import Entry, Manifest
from . import reach, records
from .garbage import sweep, tidy_packs

if TYPE_CHECKING:
    from .store import Store

Change = Callable[[str, dict[str, Any]], bool]  # path and notebook → whether it was changed


def forget(store: Store, run_id: str, numbers: Sequence[int]) -> None:
    """Remove executions of a run: rows, search, and their cells in every version of the run.

    In the notebook's own file the cells with the same source are blanked.
    """
    gone = set(numbers)
    store.flush()
    with store.catalog.read() as tx:
        mine = versions.of_run(tx, run_id)
        suspects = reach.of_runs(tx, store.contents, [run_id]) if mine else set()
    sources = {each.source for each in store.executions(run_id) if each.number in gone}

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

    slim = slimmed(store, mine, without)
    with store.catalog.write() as tx:
        tx.keep_blobs()
        put_slimmed(tx, mine, slim)
        runs.drop_executions(tx, run_id, numbers)
        row = runs.columns(tx, run_id)
        dropped = records.keep_run(tx, store.contents, run_id) if row and row["record"] else None
    store.contents.drop_records([dropped])
    if suspects:
        sweep(store, None, suspects)
        tidy_packs(store, share=1.0)
    store.catalog.checkpoint()


def slimmed(store: Store, found: Sequence[Version], change: Change) -> dict[str, Manifest]:
    """Write anew what `change` changes of the notebooks of versions; map old digests to new."""
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


def put_slimmed(tx: Transaction, found: Sequence[Version], slim: dict[str, Manifest]) -> None:
    """Let versions have the manifests that were written anew."""
    for version in found:
        manifest = slim.get(version.digest)
        if manifest is not None and manifest.digest != version.digest:
            changes: dict[str, Any] = {"digest": manifest.digest, "size": manifest.size}
            versions.set_columns(tx, version.artifact, version.number, **changes)


def _changed(store: Store, path: str, entry: Entry, change: Change) -> Entry:
    try:
        notebook = json.loads(store.get(entry.digest))
        if not change(path, notebook):
            return entry
    except (ValueError, TypeError, KeyError, AttributeError):
        return entry  # no notebook, whatever its name says
    data = (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")
    return Entry(store.put(data), len(data), entry.mode)
