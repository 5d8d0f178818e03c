"""Writing to the store: blobs first, then every row in one transaction."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..catalog import journals, runs, versions, whereabouts
from ..catalog.catalog import Transaction
from ..catalog.rows import JournalState
from ..errors import DamagedError
from ..model.artifact import SESSION_NOTEBOOK, Version
from ..model.execution import Execution
from ..model.manifest import Entry, Manifest
from ..model.run import Run
from . import records
from .contents import Contents
from .printed import printed

if TYPE_CHECKING:
    from .store import Store


def write(
    store: Store,
    *,
    run: Run | None,
    executions: Sequence[Execution],
    files: Mapping[str, Entry] | None,
    missing: Sequence[tuple[str, str]],
    journal: JournalState | None,
    commit: Mapping[str, Manifest],
    aliases: Sequence[str],
) -> list[Version]:
    """Do what `Store.write` promises."""
    contents = store.contents
    goes_on = run is not None and run.state == "running" and files is None and not commit
    if goes_on and run is not None and store.running.get(run.id) == run.with_(executions=0):
        contents.flush()
        if _add(store, run, executions, journal):
            return []
    # Sorted, so that no two transactions wait for each other's artifacts.
    commit = dict(sorted(commit.items()))
    saved = Manifest(files) if files else None
    digests = {name: contents.put(manifest.dump()) for name, manifest in commit.items()}
    files_digest = contents.put(saved.dump()) if saved else None
    contents.flush()
    shown = _printed(contents, commit) if run is not None else {}
    dropped: list[str | None] = []
    with store.catalog.write() as tx:
        tx.keep_blobs()
        purged, edited = runs.standing(tx, run.id) if run is not None else (False, None)
        if purged:
            run, executions, files, commit = None, (), None, {}
        needed = {
            digests[name]: manifest
            for name, manifest in commit.items()
            if (last := versions.newest(tx, name)) is None or last.digest != digests[name]
        }
        if saved and files_digest and run:
            before = runs.columns(tx, run.id)
            if before is None or before["files"] != files_digest:
                needed[files_digest] = saved
        _require(tx, needed)
        if run is not None:
            own = {} if files is None else {"files": files_digest, "missing": list(missing)}
            runs.put(tx, run, edited, **own)
        runs.put_executions(tx, executions)
        made = [
            _commit(tx, contents, name, digests[name], manifest, run, aliases, dropped)
            for name, manifest in commit.items()
        ]
        if run is not None:
            if shown:
                runs.set_printed(tx, run.id, shown)
            if made:
                first = [v for v in made if v.artifact.startswith("source-")] or made
                runs.set_columns(tx, run.id, artifact=first[0].reference)
            if made or run.state != "running":
                dropped.append(records.keep_run(tx, contents, run.id))
        if journal is not None:
            dropped.append(_put_journal(tx, contents, journal))
    contents.drop_records(dropped)
    if run is not None:
        store.running.pop(run.id, None)
        if run.state == "running":
            store.running[run.id] = run.with_(executions=0)
    return made


def _add(
    store: Store, run: Run, executions: Sequence[Execution], journal: JournalState | None
) -> bool:
    """Add executions to a run of which nothing else has changed; False when it is not there."""
    with store.catalog.write() as tx:
        if not runs.set_count(tx, run.id, run.executions):
            return False
        runs.put_executions(tx, executions)
        if journal is not None:
            journals.put(tx, journal)
    return True


def _commit(
    tx: Transaction,
    contents: Contents,
    name: str,
    digest: str,
    manifest: Manifest,
    run: Run | None,
    aliases: Sequence[str],
    dropped: list[str | None],
) -> Version:
    versions.lock(tx, name, run.project if run else "")
    last = versions.newest(tx, name)
    created = records.now()
    number = 0 if last is None else last.number + 1
    if last is not None and last.digest == digest:
        number = last.number
    else:
        version = Version(name, number, digest, manifest.size, run.id if run else None, created)
        versions.add(tx, version)
    moved = [versions.alias(tx, name, alias, number, created) for alias in aliases]
    found = versions.one(tx, name, number)
    assert found is not None
    is_new = last is None or last.number != number
    # The record of this run is written last; another's is it that tells of an older version.
    if (is_new or any(moved)) and (found.run is None or run is None or found.run != run.id):
        dropped.append(records.keep_version(tx, contents, found))
    return found


def _require(tx: Transaction, manifests: Mapping[str, Manifest]) -> None:
    wanted: dict[str, str] = {}
    for digest, manifest in manifests.items():
        wanted[digest] = "a manifest"
        wanted.update((entry.digest, path) for path, entry in manifest.entries.items())
    there = whereabouts.touch(tx, wanted, time.time())
    if lost := [f"{wanted[d]} ({d})" for d in sorted(wanted.keys() - there)]:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        raise DamagedError(
            f"{', '.join(lost[:3])}{more} cannot be committed: the store does not hold the "
            "bytes; put them first"
        )


def _put_journal(tx: Transaction, contents: Contents, state: JournalState) -> str | None:
    if not state.sealed:
        journals.put(tx, state)
        return None
    if not state.digest:
        state = replace(state, digest=None)
    elif not whereabouts.touch(tx, [state.digest], time.time()):
        raise DamagedError(
            f"the journal of session {state.session} is not in the store as {state.digest}; "
            "seal it again"
        )
    return records.keep_journal(tx, contents, state)


def _printed(contents: Contents, commit: Mapping[str, Manifest]) -> dict[int, str]:
    for manifest in commit.values():
        entry = manifest.entries.get(SESSION_NOTEBOOK)
        if entry is not None and contents.has(entry.digest):
            return printed(contents.outline(entry.digest))
    return {}
