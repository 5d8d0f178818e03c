"""Agreement: what the catalog says is what the records say from which `rebuild` would make it.

A record is named by its digest, so where the two differ it is the catalog that is damaged. Not
compared: what a running run did since its last record; its journal has that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..catalog import journals, runs, telling, versions
from ..catalog.catalog import Transaction
from ..errors import CodeSaveError
from . import records

if TYPE_CHECKING:
    from .contents import Contents
    from .store import Store

Aliases = Mapping[str, Mapping[str, tuple[int, str]]]
_BATCH = 50  # records that are held at once
_MOST = 3  # differences are told
_VERSION = ("artifact", "digest", "size", "created")


def check(store: Store) -> tuple[list[str], list[str]]:
    """Read every record; give what the catalog says otherwise, and the records written anew.

    The catalog has what a record says that cannot be read. Three differences are enough to know.
    Raises DamagedError when the catalog holds what cannot be read.
    """
    contents = store.contents
    wrong: list[str] = []
    mended: list[str] = []
    with store.catalog.read() as tx:
        named = sorted(records.in_use(tx))
        running = runs.running(tx)
        for at in range(0, len(running), _BATCH):
            telling.of_runs(tx, running[at : at + _BATCH])
    for at in range(0, len(named), _BATCH):
        found = {digest: _load(contents, digest) for digest in named[at : at + _BATCH]}
        with store.catalog.read() as tx:
            suspects = _suspects(tx, found, store.shared)
        for digest in suspects:
            old = None
            with store.catalog.write() as tx:
                tx.alone()  # what is said to differ was not just changed by somebody
                if digest not in records.in_use(tx):
                    continue  # superseded meanwhile
                found = {digest: _load(contents, digest)}
                if found[digest] is None:
                    old = records.keep_again(tx, contents, digest)
                    mended.append(f"{digest} (a record)")
                elif _suspects(tx, found, store.shared):
                    wrong.append(_name(found[digest]))
            contents.drop_records([old])
        if len(wrong) >= _MOST:
            break
    return wrong[:_MOST], mended


def _suspects(
    tx: Transaction, found: Mapping[str, records.Record | None], shared: bool
) -> list[str]:
    """Name those records that cannot be read, or of which the catalog says something else."""
    by_run = {
        record["run"]["id"]: digest
        for digest, record in found.items()
        if record is not None and record["kind"] == "run"
    }
    told = telling.of_runs(tx, list(by_run))
    named = {row["artifact"] for each in found.values() if each for row in each.get("versions", ())}
    aliases = telling.aliases(tx, named)
    suspects = []
    for digest, record in found.items():
        if record is None:
            differs = True
        elif record["kind"] == "run":
            row = told.get(record["run"]["id"], {"record": None})
            is_its = row["record"] == digest
            differs = not is_its or _run_differs(tx, record, row, aliases, shared)
        elif record["kind"] == "version":
            differs = _version_differs(tx, record, digest, aliases, shared)
        elif record["kind"] == "journal":
            differs = _journal_differs(tx, record, digest)
        else:
            differs = _ledger_differs(tx, record, digest, shared)
        if differs:
            suspects.append(digest)
    return suspects


def _run_differs(
    tx: Transaction,
    record: records.Record,
    row: Mapping[str, Any],
    aliases: Aliases,
    shared: bool,
) -> bool:
    names = _renumbered(tx, record["versions"], row["versions"], aliases, shared)
    if names is None:
        return True
    own: tuple[str, ...] = ("revision", "deleted", "thinned", "edited")
    if row["run"]["state"] == "running":
        return any(record.get(name) != row[name] for name in own)
    said = {name: record.get(name) for name in (*own, "files", "missing")}
    run = runs.to_row(runs.from_row(record["run"]))
    said["run"] = {**run, "artifact": names.get(run["artifact"], run["artifact"])}
    width = len(records.EXECUTION)  # a newer version's rows may be longer
    said["executions"] = sorted(each[:width] for each in record["executions"])
    # As text: a config may hold what is not equal to itself.
    return records.dump(said) != records.dump({name: row[name] for name in said})


def _version_differs(
    tx: Transaction, record: records.Record, digest: str, aliases: Aliases, shared: bool
) -> bool:
    rows = [vars(each) for each in versions.with_record(tx, digest)]
    is_of_a_run = any(row["run"] is not None for row in rows)
    return is_of_a_run or _renumbered(tx, record["versions"], rows, aliases, shared) is None


def _journal_differs(tx: Transaction, record: records.Record, digest: str) -> bool:
    row = journals.columns(tx, record["journal"]["session"])
    if row is None or row["record"] != digest:
        return True
    return any(record["journal"][name] != row[name] for name in row if name != "record")


def _ledger_differs(tx: Transaction, record: records.Record, digest: str, shared: bool) -> bool:
    row = records.ledger(tx)
    pairs = [
        ({tuple(each[:width]) for each in record[name]}, {tuple(each) for each in row[name]})
        for name, width in (("series", 3), ("purged", 2))
    ]
    # Where other hosts write, the catalog has what their ledgers say, too.
    fits = all(said <= told if shared else said == told for said, told in pairs)
    is_it = journals.fact(tx, records.LEDGER) == digest
    return not (fits and is_it and row["revision"] == record["revision"])


def _renumbered(
    tx: Transaction,
    said: Iterable[Mapping[str, Any]],
    told: Iterable[Mapping[str, Any]],
    aliases: Aliases,
    shared: bool,
) -> dict[str, str] | None:
    """Map what a record calls its versions to what the catalog calls them; None: they differ."""
    rows = {(row["artifact"], row["created"]): row for row in told}
    names: dict[str, str] = {}
    for each in said:
        row = rows.pop((each["artifact"], each["created"]), None)
        if row is None or any(each[name] != row[name] for name in _VERSION):
            return None
        # Of other hosts' artifacts of that name the first one's is kept.
        if not shared and any(each[name] != row[name] for name in ("type", "project")):
            return None
        name, number = each["artifact"], each["number"]
        if row["number"] != number and versions.one(tx, name, number) is None:
            return None  # it gave way to nobody
        if not _aliases_fit(each["aliases"], row["number"], aliases[name]):
            return None
        names[f"{name}:v{number}"] = f"{name}:v{row['number']}"
    return None if rows else names


def _aliases_fit(said: Mapping[str, str], number: int, told: Mapping[str, tuple[int, str]]) -> bool:
    """Tell whether a version has the aliases it was given, but for those that moved on."""
    for alias, (where, moved) in told.items():
        if where == number and said.get(alias) != moved:
            return False
        if where != number and said.get(alias, "") > moved:
            return False
    return True


def _name(record: records.Record | None) -> str:
    """Say what a record tells of."""
    assert record is not None
    if record["kind"] == "run":
        return f"the run {record['run']['id']}"
    if record["kind"] == "version":
        return ", ".join(f"{row['artifact']}:v{row['number']}" for row in record["versions"])
    if record["kind"] == "journal":
        return f"the journal of session {record['journal']['session']}"
    return "the names of series, and the purged runs"


def _load(contents: Contents, digest: str) -> records.Record | None:
    try:
        return records.load(contents.records.get(digest), digest)
    except CodeSaveError:
        return None
