"""Queries over runs and their executions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from ..errors import NotFoundError, UsageError
from ..model.execution import Execution
from ..model.run import Run
from . import schema
from .catalog import Transaction
from .rows import Page
from .schema import whole
from .search import PRINTED, add_texts, drop_unused_texts, holdable

_runs, _executions, _texts = schema.runs, schema.executions, schema.texts
_FIELDS = tuple(Run.__dataclass_fields__)
_TUPLES = ("tags", "argv")
_IS_WHOLE = whole(_runs)
_STANDING = sa.select(
    sa.select(schema.purged.c.run)
    .where(schema.purged.c.run == sa.bindparam("id"))
    .scalar_subquery(),
    sa.select(_runs.c.edited).where(_runs.c.id == sa.bindparam("id")).scalar_subquery(),
)


def to_row(run: Run) -> dict[str, Any]:
    """Give a run's own columns (not those the store adds)."""
    row = {name: getattr(run, name) for name in _FIELDS}
    return {**row, **{name: list(row[name]) for name in _TUPLES}}


def from_row(row: Any) -> Run:
    """Read a run from a mapping with its columns."""
    values = {name: row[name] for name in _FIELDS}
    return Run(**{**values, **{name: tuple(values[name]) for name in _TUPLES}})


def standing(tx: Transaction, run_id: str) -> tuple[bool, dict[str, Any] | None]:
    """Tell whether a run was purged, and what was edited of it by hand."""
    row = tx.execute(_STANDING, {"id": run_id}).one()
    return row[0] is not None, row[1]


def put(tx: Transaction, run: Run, edited: dict[str, Any] | None, **columns: Any) -> None:
    """Insert or update a run, but for what was `edited`; its artifact stays when it names none.

    `columns` are those of the store's own that shall be set with it.
    """
    row = {**to_row(run), **columns}
    if run.artifact is None:
        del row["artifact"]
    tx.upsert(_runs, [{**row, **(edited or {})}])


def set_count(tx: Transaction, run_id: str, executions: int) -> bool:
    """Set the number of a run's executions; False when the run is not there."""
    statement = f"UPDATE runs SET executions = {tx.mark} WHERE id = {tx.mark}"
    values = (executions, schema.spell_words(run_id))
    return bool(tx.run(statement, values).rowcount)


def edit(tx: Transaction, run_id: str, changes: Mapping[str, Any]) -> None:
    """Set fields by hand: what a journal says of them later does not overrule it."""
    edited = tx.execute(sa.select(_runs.c.edited, _IS_WHOLE).where(_runs.c.id == run_id)).scalar()
    set_columns(tx, run_id, **changes, edited={**(edited or {}), **changes})


def set_columns(tx: Transaction, run_id: str, **columns: Any) -> None:
    """Set columns of a run."""
    tx.execute(sa.update(_runs).where(_runs.c.id == run_id).values(**columns))


def columns(tx: Transaction, run_id: str) -> dict[str, Any] | None:
    """Give every column of a run; None when there is none."""
    row = tx.execute(sa.select(_runs, _IS_WHOLE).where(_runs.c.id == run_id)).mappings().first()
    return {column.name: row[column.name] for column in _runs.c} if row else None


def hold(tx: Transaction, run_id: str) -> None:
    """Let nobody else change a run until this transaction ends, and wait for whoever does."""
    tx.execute(sa.select(_runs.c.id).where(_runs.c.id == run_id).with_for_update())


def find(tx: Transaction, reference: str) -> Run:
    """Give the run whose id is `reference`, or begins with it when no other's does."""
    row = columns(tx, reference)
    if row is not None:
        return from_row(row)
    found = tx.execute(
        sa.select(_runs, _IS_WHOLE)
        .where(_runs.c.id >= reference, _runs.c.id < reference + "\x7f")
        .order_by(_runs.c.started.desc(), _runs.c.id.desc())
        .limit(6)
    ).mappings()
    candidates = [from_row(row) for row in found]
    if not candidates or not reference:
        raise NotFoundError(
            f"there is no run {reference!r}; `jupyter codesave runs` lists those there are"
        )
    if len(candidates) > 1:
        names = ", ".join(each.id for each in candidates[:5])
        more = " …" if len(candidates) > 5 else ""
        raise UsageError(f"{reference!r} may be {names}{more}; give more of the id")
    return candidates[0]


# SQLite has an index over this very text, `runs_by_words`.
_WORDS = (
    "lower(id || '\n' || name || '\n' || project || '\n' || coalesce(notebook, '') || '\n' || "
    "coalesce(program, '') || '\n' || tags || '\n' || coalesce(notes, '') || '\n' || state)"
)


def page(
    tx: Transaction,
    *,
    project: str | None,
    notebook: str | None,
    state: str | None,
    q: str | None,
    deleted: bool,
    limit: int,
    cursor: str | None,
    holding: Collection[str] = (),
) -> Page[Run]:
    """List runs, newest first; `deleted` lists those that `delete` hid, and only those.

    `holding` names runs whose code holds `q`: they are listed whatever they are called.
    """
    query = sa.select(_runs, _IS_WHOLE).where(
        _runs.c.deleted.is_not(None) if deleted else _runs.c.deleted.is_(None)
    )
    if project:
        query = query.where(_runs.c.project == project)
    if notebook:
        query = query.where(_of_notebook(notebook))
    if state:
        query = query.where(_runs.c.state == state)
    if q:
        words: sa.ColumnElement[str] = sa.literal_column(_WORDS)
        named = words.like(f"%{_escape(holdable(q.lower()))}%", escape="\\")
        query = query.where(sa.or_(_runs.c.id.in_(holding), named))
    if cursor:
        started, _, run_id = cursor.rpartition("~")
        query = query.where(sa.tuple_(_runs.c.started, _runs.c.id) < (started, run_id))
    tx.walk()
    rows = tx.execute(
        query.order_by(_runs.c.started.desc(), _runs.c.id.desc()).limit(limit + 1)
    ).mappings()
    items = [from_row(row) for row in rows]
    more = f"{items[limit - 1].started}~{items[limit - 1].id}" if len(items) > limit else None
    return Page(tuple(items[:limit]), more)


def nth(tx: Transaction, n: int, notebook: str | None) -> Run:
    """Give the n-th newest run (from 1), of one notebook when it is named."""
    query = sa.select(_runs, _IS_WHOLE).where(_runs.c.deleted.is_(None))
    if notebook:
        query = query.where(_of_notebook(notebook))
    query = query.order_by(_runs.c.started.desc(), _runs.c.id.desc()).offset(n - 1).limit(1)
    row = tx.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(
            f"there is no run {notebook or ''}@{n}; `jupyter codesave runs` lists those there are"
        )
    return from_row(row)


def of_session(tx: Transaction, session: str) -> list[str]:
    """Name the runs of a session, oldest first."""
    query = sa.select(_runs.c.id, _IS_WHOLE).where(_runs.c.session == session)
    return list(tx.execute(query.order_by(_runs.c.started, _runs.c.id)).scalars())


def every(tx: Transaction) -> list[str]:
    """Name every run, deleted ones too, oldest first."""
    return list(
        tx.execute(sa.select(_runs.c.id, _IS_WHOLE).order_by(_runs.c.started, _runs.c.id)).scalars()
    )


def records(tx: Transaction) -> list[str]:
    """Name the records of all runs that have one."""
    query = sa.select(_runs.c.record, _IS_WHOLE).where(_runs.c.record.is_not(None))
    return list(tx.execute(query).scalars())


def record_of(tx: Transaction, run_id: str) -> str | None:
    """Name a run's record."""
    found: str | None = tx.execute(
        sa.select(_runs.c.record, _IS_WHOLE).where(_runs.c.id == run_id)
    ).scalar()
    return found


def revision(tx: Transaction, run_id: str) -> int:
    """Give the revision of a run's record; 0 before the first."""
    return int(
        tx.execute(sa.select(_runs.c.revision, _IS_WHOLE).where(_runs.c.id == run_id)).scalar() or 0
    )


def by_record(tx: Transaction) -> dict[str, str]:
    """Map records to the runs whose they are."""
    query = sa.select(_runs.c.record, _runs.c.id, _IS_WHOLE).where(_runs.c.record.is_not(None))
    return {row[0]: row[1] for row in tx.execute(query)}


def saved(tx: Transaction) -> set[str]:
    """Name the manifests of all runs' saved files."""
    return {digest for _, digest in saved_by(tx)}


def saved_by(tx: Transaction) -> list[tuple[str, str]]:
    """Give run and manifest of all saved files."""
    query = sa.select(_runs.c.id, _runs.c.files, _IS_WHOLE).where(_runs.c.files.is_not(None))
    return [(row[0], row[1]) for row in tx.execute(query)]


def thick_ones(tx: Transaction) -> list[Run]:
    """Give the runs that have their outputs yet, or saved files, oldest first."""
    here = sa.or_(_runs.c.thinned.is_(None), _runs.c.files.is_not(None))
    rows = tx.execute(sa.select(_runs, _IS_WHOLE).where(here).order_by(_runs.c.started, _runs.c.id))
    return [from_row(row) for row in rows.mappings()]


def thinned(tx: Transaction) -> set[str]:
    """Name the runs whose outputs were dropped."""
    return set(
        tx.execute(sa.select(_runs.c.id, _IS_WHOLE).where(_runs.c.thinned.is_not(None))).scalars()
    )


def undeleted(tx: Transaction) -> list[str]:
    """Name the runs that are not deleted, oldest first."""
    query = sa.select(_runs.c.id, _IS_WHOLE).where(_runs.c.deleted.is_(None))
    return list(tx.execute(query.order_by(_runs.c.started, _runs.c.id)).scalars())


def deleted_before(tx: Transaction, time: str) -> list[str]:
    """Name the runs that were deleted before `time`."""
    return list(
        tx.execute(sa.select(_runs.c.id, _IS_WHOLE).where(_runs.c.deleted < time)).scalars()
    )


def sharing(tx: Transaction, reference: str) -> list[str]:
    """Name the runs whose newest version is `reference`, newest first."""
    query = sa.select(_runs.c.id, _IS_WHOLE).where(_runs.c.artifact == reference)
    return list(tx.execute(query.order_by(_runs.c.started.desc(), _runs.c.id.desc())).scalars())


def sharers(tx: Transaction) -> list[tuple[str, str]]:
    """Give the runs that made no version, and the version of another that they share."""
    owns = sa.exists().where(schema.versions.c.run == _runs.c.id)
    query = sa.select(_runs.c.id, _runs.c.artifact, _IS_WHOLE)
    rows = tx.execute(query.where(_runs.c.artifact.is_not(None), ~owns))
    return [(row[0], row[1]) for row in rows]


def forget_artifact(tx: Transaction, reference: str) -> None:
    """Let no run name a version that goes."""
    tx.execute(sa.update(_runs).where(_runs.c.artifact == reference).values(artifact=None))


def running(tx: Transaction) -> list[str]:
    """Name the runs that are running."""
    return list(
        tx.execute(sa.select(_runs.c.id, _IS_WHOLE).where(_runs.c.state == "running")).scalars()
    )


def matching(tx: Transaction, *, notebook: str | None, project: str | None) -> list[str]:
    """Name every run of a notebook or of a project, deleted ones too."""
    query = sa.select(_runs.c.id, _IS_WHOLE)
    if notebook is not None:
        query = query.where(_of_notebook(notebook))
    if project is not None:
        query = query.where(_runs.c.project == project)
    return list(tx.execute(query).scalars())


def put_executions(tx: Transaction, executions: Sequence[Execution]) -> None:
    """Insert or update executions."""
    if not executions:
        return
    sources = add_texts(tx, {each.source for each in executions}, kept=True)
    tx.upsert(
        _executions,
        [
            {
                "run": each.run,
                "number": each.number,
                "key": each.key,
                "source": sources[each.source],
                "started": each.started or "",
                "ended": each.ended,
                "status": each.status,
                "cell_id": each.cell_id,
                "execution_count": each.execution_count,
                "store_history": each.store_history,
            }
            for each in executions
        ],
    )


def set_printed(tx: Transaction, run_id: str, printed: Mapping[int, str]) -> None:
    """Note the text that executions of a run printed, for search."""
    texts = {number: text[:PRINTED] for number, text in printed.items() if text.strip()}
    ids = add_texts(tx, set(texts.values()), kept=False)
    statement = (
        sa.update(_executions)
        .where(_executions.c.run == run_id, _executions.c.number == sa.bindparam("which"))
        .values(printed=sa.bindparam("text_id"))
    )
    rows = [{"which": number, "text_id": ids[text]} for number, text in texts.items()]
    if rows:
        tx.execute(statement, rows)


def executions(tx: Transaction, run_id: str) -> list[Execution]:
    """Give a run's executions in their order."""
    query = (
        sa.select(_executions, _texts.c.text, whole(_executions), whole(_texts))
        .join_from(_executions, _texts, _texts.c.id == _executions.c.source)
        .where(_executions.c.run == run_id)
        .order_by(_executions.c.number)
    )
    return [
        Execution(
            run=row.run,
            number=row.number,
            key=row.key,
            source=row.text,
            started=row.started or None,
            ended=row.ended,
            status=row.status,
            cell_id=row.cell_id,
            execution_count=row.execution_count,
            store_history=row.store_history,
        )
        for row in tx.execute(query)
    ]


def drop_executions(tx: Transaction, run_id: str, numbers: Iterable[int] | None = None) -> None:
    """Remove executions of a run, all when no numbers are given, and the texts only they had."""
    here = _executions.c.run == run_id
    if numbers is not None:
        here = sa.and_(here, _executions.c.number.in_(list(numbers)))
    rows = tx.execute(
        sa.select(_executions.c.source, _executions.c.printed, whole(_executions)).where(here)
    ).all()
    tx.execute(sa.delete(_executions).where(here))
    drop_unused_texts(tx, {each for row in rows for each in row[:2] if each is not None})


def drop_printed(tx: Transaction, run_id: str) -> None:
    """Forget what search knows of a run's outputs."""
    here = _executions.c.run == run_id
    ids = set(tx.execute(sa.select(_executions.c.printed).where(here)).scalars())
    tx.execute(sa.update(_executions).where(here).values(printed=None))
    drop_unused_texts(tx, ids - {None})


def drop(tx: Transaction, run_id: str) -> None:
    """Remove a run and its executions."""
    drop_executions(tx, run_id)
    tx.execute(sa.delete(_runs).where(_runs.c.id == run_id))


def _of_notebook(notebook: str) -> sa.ColumnElement[bool]:
    """Match an absolute path whole, anything else as the end of a path."""
    if notebook.startswith("/"):
        return _runs.c.notebook == notebook
    ending = f"%/{_escape(notebook)}"
    return sa.or_(_runs.c.notebook == notebook, _runs.c.notebook.like(ending, escape="\\"))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
