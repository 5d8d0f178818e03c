"""Purge: runs go for good, and nothing of them is left anywhere."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from ..blobs.local import LocalBlobs
from ..catalog import journals, versions, whereabouts
from ..catalog import runs as rows
from ..catalog.catalog import Transaction
from ..control import note_purged
from ..errors import CodeSaveError
from ..journal.events import SUFFIX
from . import reach, records
from .garbage import clear_leftovers, clear_orphans, cutoff_of, sweep, tidy_packs
from .rebuild import make_sure
from .spool import clear, named_in, waiting

if TYPE_CHECKING:
    from .contents import Contents
    from .store import Store


def purge(
    store: Store,
    *,
    runs: Iterable[str] = (),
    notebook: str | None = None,
    project: str | None = None,
    everything: bool = False,
) -> dict[str, int]:
    """Remove runs with their versions, saved files, journals, and blobs that nothing else names.

    Packs that held such blobs are written anew, freed pages of the catalog are overwritten, and
    with a run goes the journal of its session. Of a session that still runs the journal stays
    until it ends (it counts as `waiting`) and is not kept then. Gives the numbers of `runs`,
    `versions` and `blobs` removed, and of journals `waiting`.
    """
    contents = store.contents
    store.flush()
    make_sure(store)
    with store.catalog.write() as tx:
        tx.keep_blobs()
        chosen = set(runs)
        if everything:
            chosen.update(rows.every(tx))
        elif notebook is not None or project is not None:
            chosen.update(rows.matching(tx, notebook=notebook, project=project))
        suspects = reach.of_runs(tx, contents, chosen)
        whereabouts.age(tx, suspects)
        sessions = {row["session"] for each in chosen if (row := rows.columns(tx, each))}
        spooled = _spooled(tx, store, sessions)
        dropped, gone = _drop_rows(tx, contents, chosen)
        dropped += _drop_journals(tx, sessions)
        dropped.append(records.keep_ledger(tx, contents))
    contents.drop_records(dropped)
    cutoff = cutoff_of(store)
    blobs = sweep(store, cutoff, waiting(store.folder) - suspects)
    tidy_packs(store, share=1.0)
    clear_orphans(store, cutoff if store.shared else float("inf"))
    clear_leftovers(store, cutoff, (lambda _: True) if store.shared else psutil.pid_exists)
    left = _clear_files(store, chosen, sessions)
    if left:
        with contextlib.suppress(OSError):
            note_purged(store.folder, chosen)
    clear(store.folder, spooled)
    _clear_damaged(contents)
    store.catalog.compact()
    return {"runs": len(chosen), "versions": gone, "blobs": blobs, "waiting": left}


def _drop_rows(
    tx: Transaction, contents: Contents, chosen: set[str]
) -> tuple[list[str | None], int]:
    dropped: list[str | None] = []
    gone = 0
    for run_id in chosen:
        row = rows.columns(tx, run_id)
        if row is None:
            continue
        for version in versions.of_run(tx, run_id):
            sharing = [each for each in rows.sharing(tx, version.reference) if each not in chosen]
            if sharing:  # another run changed nothing and has the same version
                versions.set_columns(tx, version.artifact, version.number, run=sharing[0])
                dropped.append(records.keep_run(tx, contents, sharing[0]))
                continue
            rows.forget_artifact(tx, version.reference)
            left = versions.drop(tx, version.artifact, version.number)
            if left is not None:
                dropped.append(records.keep_version(tx, contents, left))
            gone += 1
        dropped.append(rows.record_of(tx, run_id))
        journals.forget_runs(tx, [(run_id, row["session"])])
        rows.drop(tx, run_id)
    return dropped, gone


def _drop_journals(tx: Transaction, sessions: Iterable[str]) -> list[str | None]:
    dropped: list[str | None] = []
    for session in sessions:
        row = journals.columns(tx, session)
        if row is not None and row["sealed"]:
            dropped.append(row["record"])
            journals.drop(tx, session)
    return dropped


def _spooled(tx: Transaction, store: Store, sessions: Iterable[str]) -> set[str]:
    """Name what the journals of sessions named: some of it may never have left the spool."""
    found: set[str] = set()
    for session in sessions:
        row = journals.columns(tx, session)
        file = store.folder / "journal" / (Path(session).name + SUFFIX)
        with contextlib.suppress(CodeSaveError, OSError):
            if row is not None and row["digest"]:
                with store.open_blob(row["digest"]) as journal:
                    found |= named_in(journal)
            if file.exists():
                with file.open("rb") as journal:
                    found |= named_in(journal)
    return found


def _clear_damaged(contents: Contents) -> None:
    """Throw away what verify set aside: whose it was cannot be told any more."""
    for area in (contents.loose, contents.packs):
        if isinstance(area, LocalBlobs):
            shutil.rmtree(area.folder.parent / "damaged", ignore_errors=True)


def _clear_files(store: Store, chosen: Iterable[str], sessions: Iterable[str]) -> int:
    """Remove the runs' folders and the journals of sessions that are over."""
    for run_id in chosen:
        folder = store.folder / "runs" / Path(run_id).name
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(store.folder / "spool" / "stat", ignore_errors=True)
    waiting = 0
    for session in sessions:
        with store.catalog.read() as tx:
            alive = bool(rows.of_session(tx, session)) or journals.get(tx, session) is not None
        for file in (store.folder / "journal").glob(f"{escape(Path(session).name)}.*"):
            if alive:
                waiting += file.suffix == ".journal"
            else:
                file.unlink(missing_ok=True)
    return waiting
