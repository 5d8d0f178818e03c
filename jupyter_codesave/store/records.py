"""Records: what the catalog knows of a run, a version or a journal, as blobs.

They lie in an area of their own, so that no file a user saves can pass for one; `rebuild` and
`copy` read nothing else. A record holds `kind` (run, version, journal, ledger), `revision` and
what the catalog's rows hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timezone
from typing import Any

from ..blobs import envelope
from ..catalog import journals, runs, versions
from ..catalog.catalog import Transaction
from ..catalog.rows import JournalState
from ..errors import CodeSaveError
from ..model.artifact import SESSION_NOTEBOOK, Version
from ..model.digest import digest_of, is_digest
from ..model.execution import Execution
from ..model.manifest import Manifest
from ..model.moment import spelled
from .contents import Contents
from .plausible import is_plausible
from .printed import printed

Record = dict[str, Any]
EXECUTION = tuple(each.name for each in fields(Execution) if each.name != "run")
LEDGER = "ledger"


def now() -> str:
    """Give the time as records and versions tell it: ISO 8601 in UTC."""
    return spelled(datetime.now(timezone.utc))


def of_run(tx: Transaction, run_id: str, revision: int) -> Record:
    """Lay out all that the catalog knows of a run."""
    row = runs.columns(tx, run_id)
    assert row is not None
    return {
        "kind": "run",
        "revision": revision,
        "run": runs.to_row(runs.from_row(row)),
        **{name: row[name] for name in ("files", "missing", "deleted", "thinned", "edited")},
        "executions": [
            [getattr(each, name) for name in EXECUTION] for each in runs.executions(tx, run_id)
        ],
        "versions": [_of_version(tx, version) for version in versions.of_run(tx, run_id)],
    }


def of_version(tx: Transaction, version: Version) -> Record:
    """Lay out a version that no run made."""
    return {"kind": "version", "revision": 0, "versions": [_of_version(tx, version)]}


def of_journal(state: JournalState) -> Record:
    """Lay out a sealed journal."""
    return {"kind": "journal", "revision": 0, "journal": dict(vars(state))}


def ledger(tx: Transaction) -> Record:
    """Lay out what belongs to no run."""
    return {
        "kind": LEDGER,
        "revision": int(journals.fact(tx, "ledger revision") or 0),
        "series": versions.all_series(tx),
        "purged": journals.purged(tx),
    }


def keep_run(tx: Transaction, contents: Contents, run_id: str) -> str | None:
    """Write a run's record anew, within the transaction that changes the run.

    Gives the record it takes the place of, to be dropped once the transaction is through.
    """
    # PostgreSQL: who else is changing it would be missing from this record, which comes last.
    runs.hold(tx, run_id)
    row = runs.columns(tx, run_id)
    assert row is not None
    revision = row["revision"] + 1
    digest = contents.put_record(dump(of_run(tx, run_id, revision)))
    runs.set_columns(tx, run_id, record=digest, revision=revision)
    old: str | None = row["record"]
    return old


def keep_version(tx: Transaction, contents: Contents, version: Version) -> str | None:
    """Write anew the record that tells of a version; give the one it takes the place of."""
    if version.run is not None:
        return keep_run(tx, contents, version.run)
    old = versions.record_of(tx, version.artifact, version.number)
    record = contents.put_record(dump(of_version(tx, version)))
    versions.set_columns(tx, version.artifact, version.number, record=record)
    return old if record != old else None


def keep_journal(tx: Transaction, contents: Contents, state: JournalState) -> str | None:
    """Note a sealed journal, with its record; give the one it takes the place of."""
    row = journals.columns(tx, state.session)
    record = contents.put_record(dump(of_journal(state)))
    journals.put(tx, state, record)
    old: str | None = row["record"] if row else None
    return old if record != old else None


def keep_ledger(tx: Transaction, contents: Contents) -> str | None:
    """Write anew what belongs to no run: series' names and purged runs. Gives the old record."""
    tx.hold_ledger()  # as with a run: what others add meanwhile would be missing
    old, now_ = journals.fact(tx, LEDGER), ledger(tx)
    now_["revision"] += 1
    journals.set_fact(tx, LEDGER, contents.put_record(dump(now_)))
    journals.set_fact(tx, "ledger revision", str(now_["revision"]))
    return old


def keep_again(tx: Transaction, contents: Contents, digest: str) -> str | None:
    """Write anew a record that the catalog stands by; give it when others have taken its place."""
    if run := runs.by_record(tx).get(digest):
        return keep_run(tx, contents, run)
    if journals.fact(tx, LEDGER) == digest:
        return keep_ledger(tx, contents)
    for row in journals.every(tx):
        state = journals.get(tx, row["session"]) if row["record"] == digest else None
        if state is not None:
            return keep_journal(tx, contents, state)
    for version in versions.with_record(tx, digest):
        return keep_version(tx, contents, version)
    return None


def in_use(tx: Transaction) -> set[str]:
    """Name the records that the catalog stands by."""
    found = {row["record"] for row in journals.every(tx)} | set(versions.records(tx))
    found |= set(runs.records(tx)) | {journals.fact(tx, LEDGER)}
    return {digest for digest in found if digest}


def dump(record: Record) -> bytes:
    """Spell a record."""
    return json.dumps(record, default=repr, sort_keys=True, separators=(",", ":")).encode("ascii")


def load(data: bytes, digest: str | None = None) -> Record | None:
    """Read a record; None when it is damaged, or none at all."""
    try:
        text = envelope.decode(data, _nothing)
        if digest is not None and digest_of(text) != digest:
            return None
        record = json.loads(text)
        return record if is_plausible(record) else None
    except (CodeSaveError, ValueError, RecursionError):
        return None


def newest(found: Iterable[Record], *, merge: bool = False) -> list[Record]:
    """Keep the highest revision of each run's record and of the ledger; the last one of equals.

    With `merge` each ledger stays: every host wrote its own.
    """
    kept: dict[Any, Record] = {}
    for at, record in enumerate(found):
        kind = record["kind"]
        key: Any = (kind, record["run"]["id"]) if kind == "run" else at
        if kind == LEDGER and not merge:
            key = kind
        if key not in kept or kept[key]["revision"] <= record["revision"]:
            kept[key] = record
    return sorted(kept.values(), key=_time)


def _time(record: Record) -> str:
    return str(record["run"]["started"]) if record["kind"] == "run" else ""


def roots(record: Record) -> Iterator[str]:
    """Name the blobs that a record holds on to; manifests lead on to more."""
    if record.get("files"):
        yield record["files"]
    for version in record.get("versions", ()):
        yield version["digest"]
    if (digest := record.get("journal", {}).get("digest")) and is_digest(digest):
        yield digest


def restore(tx: Transaction, contents: Contents, record: Record, digest: str | None) -> None:
    """Write a record's rows into the catalog; version numbers that are taken give way.

    `digest` names the record where it lies in this store; None: it will get one of this store.
    """
    if record["kind"] == LEDGER:
        versions.put_series(tx, [tuple(row[:3]) for row in record["series"]])
        journals.forget_runs(tx, [tuple(row[:2]) for row in record["purged"]])
        journals.set_fact(tx, LEDGER, digest or "")
        journals.set_fact(tx, "ledger revision", str(record["revision"]))
    elif record["kind"] == "journal":
        known = {name: record["journal"][name] for name in JournalState.__dataclass_fields__}
        journals.put(tx, JournalState(**known), digest)
    elif record["kind"] == "version":
        for row in record["versions"]:
            _restore_version(tx, row, None, digest)
    elif record["kind"] == "run":
        _restore_run(tx, contents, record, digest)


def _restore_run(tx: Transaction, contents: Contents, record: Record, digest: str | None) -> None:
    run = runs.from_row(record["run"])
    names = {
        f"{row['artifact']}:v{row['number']}": _restore_version(tx, row, run.id, None)
        for row in record["versions"]
    }
    run = run.with_(artifact=names.get(run.artifact or "", run.artifact))
    runs.put(tx, run, None)
    columns = {name: record.get(name) for name in ("files", "missing", "deleted", "thinned")}
    runs.set_columns(
        tx,
        run.id,
        **columns,
        edited=record.get("edited"),
        record=digest,
        revision=record["revision"],
    )
    # A newer version's rows may be longer.
    rows = [dict(zip(EXECUTION, row, strict=False)) for row in record["executions"]]
    executions = [Execution(run.id, **row) for row in rows]
    known = {each.number for each in runs.executions(tx, run.id)}
    runs.drop_executions(tx, run.id, known - {each.number for each in executions})
    runs.put_executions(tx, executions)
    note_printed(tx, contents, run.id, [row["digest"] for row in record["versions"]][-1:])


def note_printed(
    tx: Transaction, contents: Contents, run_id: str, manifests: Iterable[str]
) -> None:
    """Index what a run's executions printed, as its session notebook has it."""
    for digest in manifests:
        try:
            manifest = Manifest.load(contents.get(digest))
            entry = manifest.entries.get(SESSION_NOTEBOOK)
            if entry is not None:
                runs.set_printed(tx, run_id, printed(contents.outline(entry.digest)))
        except CodeSaveError:
            continue  # verify tells of it


def _restore_version(
    tx: Transaction, row: Mapping[str, Any], run_id: str | None, record: str | None
) -> str:
    name, number = row["artifact"], row["number"]
    versions.lock(tx, name, row["project"], row["type"])
    twin = versions.made(tx, name, run_id, row["created"])
    if twin is not None:
        number = twin.number
        versions.set_columns(tx, name, number, digest=row["digest"], size=row["size"])
    else:
        if versions.one(tx, name, number) is not None:
            last = versions.newest(tx, name)
            number = (last.number if last else -1) + 1
        version = Version(name, number, row["digest"], row["size"], run_id, row["created"])
        versions.add(tx, version, record)
    for alias, moved in row["aliases"].items():
        versions.alias(tx, name, alias, number, moved)
    return f"{name}:v{number}"


def _of_version(tx: Transaction, version: Version) -> dict[str, Any]:
    return {
        "artifact": version.artifact,
        "type": version.type,
        "project": version.project,
        "number": version.number,
        "digest": version.digest,
        "size": version.size,
        "created": version.created,
        "aliases": versions.moves(tx, version.artifact, version.number),
    }


def _nothing(digest: str) -> bytes:
    raise ValueError(f"a record leans on {digest}")
