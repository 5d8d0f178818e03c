"""Queries over artifacts, their versions and aliases, and which notebook has which series."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import sqlalchemy as sa

from ..errors import NotFoundError
from ..model.artifact import CODE, Version, check_name, source_name
from . import schema
from .catalog import Transaction
from .rows import Artifact
from .schema import whole

_artifacts, _versions, _aliases = schema.artifacts, schema.versions, schema.aliases
_series = schema.series
_NUMBERED = re.compile(r"v[0-9]{1,9}")
# Made once: to make them anew would take longer than to run them.
_WHOLE = (
    sa.select(
        _versions, _artifacts.c.type, _artifacts.c.project, whole(_versions), whole(_artifacts)
    )
    .join_from(_versions, _artifacts, _artifacts.c.name == _versions.c.artifact)
    .order_by(_versions.c.artifact, _versions.c.number)
)
_ONE = _WHOLE.where(
    _versions.c.artifact == sa.bindparam("name"), _versions.c.number == sa.bindparam("number")
)
_EVERY_ALIAS = sa.select(_aliases, whole(_aliases)).order_by(_aliases.c.alias)
_ALIASES = _EVERY_ALIAS.where(_aliases.c.artifact == sa.bindparam("name"))


def lock(tx: Transaction, name: str, project: str, type_: str = CODE) -> None:
    """Make sure that the artifact is there, and that nobody else adds versions to it now."""
    row = {"name": check_name(name), "type": type_, "project": project}
    tx.execute(tx.insert(_artifacts).on_conflict_do_nothing(index_elements=["name"]), [row])
    if not tx.sqlite:
        tx.execute(sa.select(_artifacts.c.name).where(_artifacts.c.name == name).with_for_update())


def newest(tx: Transaction, name: str) -> Version | None:
    """Give an artifact's newest version, None before the first."""
    number = tx.execute(
        sa.select(sa.func.max(_versions.c.number)).where(_versions.c.artifact == name)
    ).scalar()
    return None if number is None else one(tx, name, number)


def one(tx: Transaction, name: str, number: int) -> Version | None:
    """Give one version by its number."""
    found = _read(tx, _ONE, {"name": name, "number": number})
    return found[0] if found else None


def named(tx: Transaction, reference: str) -> Version | None:
    """Give the version that `NAME:vN` names; records may name anything."""
    name, _, selector = reference.rpartition(":")
    return one(tx, name, int(selector[1:])) if _NUMBERED.fullmatch(selector) else None


def add(tx: Transaction, version: Version, record: str | None = None) -> None:
    """Add a version that is not there yet; its artifact is."""
    row = {
        "artifact": version.artifact,
        "number": version.number,
        "digest": version.digest,
        "size": version.size,
        "run": version.run,
        "created": version.created,
        "record": record,
    }
    tx.execute(tx.insert(_versions), [row])


def set_columns(tx: Transaction, name: str, number: int, **columns: Any) -> None:
    """Set columns of a version."""
    here = sa.and_(_versions.c.artifact == name, _versions.c.number == number)
    tx.execute(sa.update(_versions).where(here).values(**columns))


def alias(tx: Transaction, name: str, alias: str, number: int, moved: str) -> bool:
    """Move an alias to a version, unless it was moved later than `moved`; tell whether it was.

    One that is there already stays as it is.
    """
    row = {"artifact": name, "alias": alias, "number": number, "moved": moved}
    insert = tx.insert(_aliases)
    changes = {"number": insert.excluded.number, "moved": insert.excluded.moved}
    is_older = _aliases.c.moved <= insert.excluded.moved
    statement = insert.values(row).on_conflict_do_update(
        index_elements=["artifact", "alias"],
        set_=changes,
        where=sa.and_(is_older, _aliases.c.number != insert.excluded.number),
    )
    return bool(tx.execute(statement).rowcount)


def moves(tx: Transaction, name: str, number: int) -> dict[str, str]:
    """Map the aliases that a version has to when they were moved there."""
    query = sa.select(_aliases.c.alias, _aliases.c.moved, whole(_aliases))
    rows = tx.execute(query.where(_aliases.c.artifact == name, _aliases.c.number == number))
    return {row[0]: row[1] for row in rows}


def drop(tx: Transaction, name: str, number: int) -> Version | None:
    """Remove a version; the artifact goes with the last one.

    Gives the newest one left, when `latest` has fallen back to it.
    """
    here = sa.and_(_versions.c.artifact == name, _versions.c.number == number)
    tx.execute(sa.delete(_versions).where(here))
    aliases = moves(tx, name, number)
    tx.execute(sa.delete(_aliases).where(_aliases.c.artifact == name, _aliases.c.number == number))
    last = newest(tx, name)
    if last is None:
        tx.execute(sa.delete(_artifacts).where(_artifacts.c.name == name))
        tx.execute(sa.delete(_series).where(_series.c.name == name))
    elif "latest" in aliases:
        alias(tx, name, "latest", last.number, aliases["latest"])
        return last
    return None


def resolve(tx: Transaction, name: str, selector: str) -> Version:
    """Give the version that `vN` or an alias names."""
    number: int | None = None
    if _NUMBERED.fullmatch(selector):
        number = int(selector[1:])
    else:
        here = sa.and_(_aliases.c.artifact == name, _aliases.c.alias == selector)
        number = tx.execute(sa.select(_aliases.c.number, whole(_aliases)).where(here)).scalar()
    found = None if number is None else one(tx, name, number)
    if found is None:
        there = newest(tx, name)
        reason = f"its newest version is v{there.number}" if there else "there is no such artifact"
        raise NotFoundError(
            f"there is no version {name}:{selector}: {reason}; `jupyter codesave artifacts` lists "
            "those there are"
        )
    return found


def of_run(tx: Transaction, run_id: str) -> list[Version]:
    """Give the versions that a run made, oldest first."""
    return _read(tx, _WHOLE.where(_versions.c.run == run_id))


def made(tx: Transaction, name: str, run_id: str | None, created: str) -> Version | None:
    """Give the version of an artifact that a run, or nobody, made at a time."""
    mine = sa.and_(_versions.c.artifact == name, _versions.c.run == run_id)
    found = _read(tx, _WHOLE.where(mine, _versions.c.created == created))
    return found[0] if found else None


def with_record(tx: Transaction, record: str) -> list[Version]:
    """Give the versions that are told of by a record of their own."""
    return _read(tx, _WHOLE.where(_versions.c.record == record))


def artifacts(tx: Transaction) -> list[Artifact]:
    """Give every artifact by name, with its versions, oldest first."""
    by_name: dict[str, list[Version]] = {}
    for version in _read(tx, _WHOLE):
        by_name.setdefault(version.artifact, []).append(version)
    rows = tx.execute(sa.select(_artifacts, whole(_artifacts)).order_by(_artifacts.c.name))
    return [
        Artifact(row.name, row.type, row.project, tuple(by_name.get(row.name, ()))) for row in rows
    ]


def record_of(tx: Transaction, name: str, number: int) -> str | None:
    """Name the record of a version that no run made."""
    here = sa.and_(_versions.c.artifact == name, _versions.c.number == number)
    found: str | None = tx.execute(
        sa.select(_versions.c.record, whole(_versions)).where(here)
    ).scalar()
    return found


def records(tx: Transaction) -> list[str]:
    """Name the records of versions that no run made."""
    query = sa.select(_versions.c.record, whole(_versions)).where(_versions.c.record.is_not(None))
    return list(tx.execute(query).scalars())


def manifests(tx: Transaction) -> list[tuple[str, str]]:
    """Give `NAME:vN` and the manifest's digest of every version."""
    query = sa.select(
        _versions.c.artifact, _versions.c.number, _versions.c.digest, whole(_versions)
    )
    return [(f"{row[0]}:v{row[1]}", row[2]) for row in tx.execute(query)]


def series_of(tx: Transaction, project: str, path: str) -> str | None:
    """Give the name of the series of a project's notebook or program; None before the first."""
    here = sa.and_(_series.c.project == project, _series.c.path == path)
    known = tx.execute(sa.select(_series.c.name, whole(_series)).where(here)).scalar()
    return None if known is None else str(known)


def name_for(tx: Transaction, project: str, path: str) -> str:
    """Give the name of the series of a project's notebook or program; draw one the first time."""
    known = series_of(tx, project, path)
    if known is not None:
        return known
    name = source_name(project, path)
    if _taken(tx, name):
        mark = hashlib.sha256(f"{project}\0{path}".encode("utf-8", "surrogatepass")).hexdigest()
        name = next(
            candidate
            for length in range(6, 60)
            if not _taken(tx, candidate := f"{name[: 127 - length]}-{mark[:length]}")
        )
    tx.upsert(_series, [{"project": project, "path": path, "name": name}])
    return name


def rename(tx: Transaction, old: str, new: str) -> bool:
    """Let `new` go on with the series of `old`, in every project; tell whether there was one."""
    rows = tx.execute(sa.select(_series, whole(_series)).where(_series.c.path == old)).all()
    for row in rows:
        here = sa.and_(_series.c.project == row.project, _series.c.path == old)
        tx.execute(sa.delete(_series).where(here))
        tx.upsert(_series, [{"project": row.project, "path": new, "name": row.name}])
    return bool(rows)


def all_series(tx: Transaction) -> list[tuple[str, str, str]]:
    """Give project, path and name of every series."""
    rows = tx.execute(
        sa.select(_series, whole(_series)).order_by(_series.c.project, _series.c.path)
    )
    return [(row.project, row.path, row.name) for row in rows]


def put_series(tx: Transaction, rows: list[tuple[str, str, str]]) -> None:
    """Insert or update series."""
    tx.upsert(_series, [{"project": a, "path": b, "name": c} for a, b, c in rows])


def _taken(tx: Transaction, name: str) -> bool:
    in_series = tx.execute(sa.select(_series.c.name).where(_series.c.name == name)).first()
    there = tx.execute(sa.select(_artifacts.c.name).where(_artifacts.c.name == name)).first()
    return in_series is not None or there is not None


def _read(tx: Transaction, query: Any, values: dict[str, Any] | None = None) -> list[Version]:
    rows = tx.execute(query, values).all()
    names = {row.artifact for row in rows}
    asked, which = _EVERY_ALIAS, {}
    if len(names) == 1:
        asked, which = _ALIASES, {"name": next(iter(names))}
    aliases: dict[tuple[str, int], list[str]] = {}
    if rows:
        for row in tx.execute(asked, which):
            aliases.setdefault((row.artifact, row.number), []).append(row.alias)
    return [
        Version(
            artifact=row.artifact,
            number=row.number,
            digest=row.digest,
            size=row.size,
            run=row.run,
            created=row.created,
            aliases=tuple(aliases.get((row.artifact, row.number), ())),
            type=row.type,
            project=row.project,
        )
        for row in rows
    ]
