"""Typed rows into the records: what is new, what changed, and what the change replaced.

All rows of a file are staged in a temporary table, each with its turn among the rows of the same id. The record as stored
is turn 0, so that one comparison, of each row with the turn before it, finds every change in the order of the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy import CreateTableAs
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.orm import Session

from forecast.intake.staging import Counts, Staging
from forecast.records import Change, TimeKind
from forecast.store import copy_frame

_BOOKKEEPING = ("row", "turn")
_IDENTITY = ("id", "external_id")
_IMPORT_LOCK = 7_305_002


def lock_kind(session: Session, kind: str) -> None:
    """Wait for any other import of this kind, until the end of the transaction."""
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(_IMPORT_LOCK, sa.func.hashtext(kind))))


def of_version(digest: sa.ColumnElement[int], version: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Bind a digest to a version of its record, or free it: bound to another, it comes out as one that nothing has."""
    return digest.bitwise_xor(sa.cast(version, sa.BigInteger))


def create_staging(
    session: Session,
    target: sa.Table,
    fields: Sequence[str],
    *,
    customs: Mapping[str, TimeKind],
    kept_when_empty: frozenset[str],
) -> Staging:
    """Create the temporary table of one file; it goes with the transaction."""
    columns = [
        sa.Column("row", sa.BigInteger),
        sa.Column("turn", sa.Integer, server_default="1"),
        *(sa.Column(name, target.c[name].type) for name in (*_IDENTITY, *fields)),
        *([sa.Column("custom", JSONB)] if customs else []),
        sa.Column("import_digest", sa.BigInteger),
    ]
    staged = sa.Table("staged_record", sa.MetaData(), *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DROP")
    staged.create(session.connection())
    session.execute(sa.text("SET LOCAL work_mem = '128MB'"))  # a million ids are sorted and joined in memory
    return Staging(target=target, staged=staged, fields=tuple(fields), customs=customs, kept_when_empty=kept_when_empty)


def holds_source(session: Session, target: sa.Table, source_system: str) -> bool:
    """Tell whether any record of a source is stored."""
    known = sa.exists().where(target.c.source_system == source_system)
    return bool(session.scalar(sa.select(known)))


def stage(session: Session, staging: Staging, frame: pl.DataFrame) -> None:
    """Add typed rows; their column import_digest may be missing."""
    names = ["row", *_IDENTITY, *staging.compared, "import_digest"]
    copy_frame(session, staging.staged, frame.select(name for name in names if name in frame.columns))


def store_staged(
    session: Session,
    staging: Staging,
    *,
    kind: str,
    source_system: str,
    imported_at: datetime,
    content_ids: bool,
    origin: str = "import",
) -> Counts:
    """Write what is staged: insert, record the changes of tracked fields, update.

    Args:
        session: the transaction.
        staging: the rows.
        kind: of the records.
        source_system: of the records.
        imported_at: when the import began; the moment of a change that the file does not date.
        content_ids: whether the ids were made of the rows' content, so that equal rows are different records.
        origin: of the changes.
    """
    if content_ids:
        _number_equal_ids(session, staging.staged)
    repeated = _number_turns(session, staging.staged)
    same = 0 if repeated else _drop_unchanged(session, staging)
    stored = _stage_stored(session, staging)
    if repeated or stored:
        counts = _apply_changes(session, staging, kind=kind, imported_at=imported_at, origin=origin)
        new: sa.FromClause = _last_of_new(staging)
    else:
        counts = Counts(new=_count_given(session, staging), changed=0, unchanged=0)
        new = staging.staged
    if counts.new:
        _insert(session, staging, new, source_system=source_system, imported_at=imported_at)
    session.execute(sa.text("DROP TABLE staged_record"))
    return replace(counts, unchanged=counts.unchanged + same, repeated=repeated)


def _drop_unchanged(session: Session, staging: Staging) -> int:
    """Keep only the rows that are new or differ from what is stored; give how many don't.

    They move to a table of their own: most of a usual export is unchanged, and a table of deleted rows is slow to read.
    """
    session.execute(sa.text("ANALYZE staged_record"))  # else the planner takes it for empty and joins row by row
    row, target = staging.staged, staging.target
    pairs = row.outerjoin(target, target.c.id == row.c.id)
    given_values = [_kept(staging, row, target, name) for name in staging.fields]
    known_values = [target.c[name] for name in staging.fields]
    if staging.customs:
        given_values.append(_merged(staging, target.c.custom, row.c.custom))
        known_values.append(target.c.custom)
    new_or_changed = sa.or_(target.c.id.is_(None), _distinct(given_values, known_values))
    rest = sa.select(row).select_from(pairs).where(new_or_changed)
    given = _count_given(session, staging)
    kept = count_rows(session, CreateTableAs(rest, "staged_rest", temporary=True))
    session.execute(sa.text("DROP TABLE staged_record"))
    session.execute(sa.text("ALTER TABLE staged_rest RENAME TO staged_record"))
    return given - kept


def _count_given(session: Session, staging: Staging) -> int:
    return session.scalar(sa.select(sa.func.count()).where(staging.staged.c.turn > 0)) or 0


def _apply_changes(session: Session, staging: Staging, *, kind: str, imported_at: datetime, origin: str) -> Counts:
    """Compare what is staged turn by turn; record and make the changes of what is stored."""
    session.execute(sa.text("ANALYZE staged_record"))  # else the planner takes it for empty and joins row by row
    _keep_stored(session, staging)
    settled = _drop_settled(session, staging)
    counts = _count(session, staging)
    changes = 0
    if counts.changed:
        changes = _record_changes(session, staging, kind=kind, imported_at=imported_at, origin=origin)
        _update(session, staging, imported_at)
    return replace(counts, unchanged=counts.unchanged + settled, changes=changes)


def _number_equal_ids(session: Session, staged: sa.Table) -> None:
    places = _places(staged)
    copy = sa.cast(places.c.place, sa.Text)
    session.execute(
        sa.update(staged)
        .where(staged.c.row == places.c.row, places.c.place > 1)
        .values(id=staged.c.id + "-" + copy, external_id=staged.c.external_id + "-" + copy)
    )


def _number_turns(session: Session, staged: sa.Table) -> int:
    """Number the rows of one id; give how many ids repeat one."""
    places = _places(staged)
    later = sa.update(staged).where(staged.c.row == places.c.row, places.c.place > 1)
    return count_rows(session, later.values(turn=places.c.place))


def _places(staged: sa.Table) -> sa.Subquery:
    repeated = sa.select(staged.c.id).group_by(staged.c.id).having(sa.func.count() > 1)
    place = sa.func.row_number().over(partition_by=staged.c.id, order_by=staged.c.row)
    return sa.select(staged.c.row, place.label("place")).where(staged.c.id.in_(repeated)).subquery("places")


def _stage_stored(session: Session, staging: Staging) -> int:
    """Stage what is stored as turn 0; give how many records are."""
    stored = {name: staging.target.c[name] for name in (*_IDENTITY, *staging.compared)}
    chosen: dict[str, sa.ColumnElement[Any]] = {"row": sa.literal(0), "turn": sa.literal(0), **stored}
    ids = sa.select(staging.staged.c.id)
    query = sa.select(*chosen.values()).where(staging.target.c.id.in_(ids))
    return count_rows(session, sa.insert(staging.staged).from_select(list(chosen), query))


def _keep_stored(session: Session, staging: Staging) -> None:
    """Take over from turn 0 what an empty cell must not clear, and the first known moment of a deletion."""
    row, stored = staging.staged, staging.staged.alias("stored")
    same = [row.c.id == stored.c.id, stored.c.turn == 0, row.c.turn > 0]
    for name in staging.kept_when_empty:
        session.execute(
            sa.update(row)
            .where(*same, row.c[name].is_(None), stored.c[name].is_not(None))
            .values({name: stored.c[name]})
        )
    if "deleted_at" in staging.fields:
        both = [row.c.deleted_at.is_not(None), stored.c.deleted_at.is_not(None)]
        session.execute(sa.update(row).where(*same, *both).values(deleted_at=stored.c.deleted_at))


def _drop_settled(session: Session, staging: Staging) -> int:
    """Leave out the earlier rows of an id whose last row is what is stored: they were applied by an earlier import."""
    last, stored = staging.staged.alias("last"), staging.staged.alias("stored")
    final = (
        sa.select(staging.staged.c.id, sa.func.max(staging.staged.c.turn).label("turn"))
        .group_by(staging.staged.c.id)
        .subquery()
    )
    settled = (
        sa.select(last.c.id, last.c.turn)
        .join(final, sa.and_(final.c.id == last.c.id, final.c.turn == last.c.turn))
        .join(stored, sa.and_(stored.c.id == last.c.id, stored.c.turn == 0))
        .where(last.c.turn > 1, ~_differs(staging, last, stored))
        .subquery("settled")
    )
    return count_rows(
        session, sa.delete(staging.staged).where(staging.staged.c.id == settled.c.id, staging.staged.c.turn >= 1)
    )


def count_rows(session: Session, statement: sa.Executable) -> int:
    """Execute a statement and give the number of rows that it wrote."""
    result = session.execute(statement, execution_options={"preserve_rowcount": True})
    return result.rowcount if isinstance(result, sa.CursorResult) else 0


def _differs(
    staging: Staging, row: sa.FromClause, before: sa.FromClause, names: Sequence[str] | None = None
) -> sa.ColumnElement[bool]:
    compared = staging.fields if names is None else names
    given: list[sa.ColumnElement[Any]] = [row.c[name] for name in compared]
    known: list[sa.ColumnElement[Any]] = [before.c[name] for name in compared]
    if staging.customs and names is None:
        given.append(_merged(staging, before.c.custom, row.c.custom))
        known.append(before.c.custom)
    return _distinct(given, known)


def _distinct(given: Sequence[sa.ColumnElement[Any]], known: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[bool]:
    if not given:
        return sa.false()
    return sa.tuple_(*given).op("IS DISTINCT FROM", is_comparison=True)(sa.tuple_(*known))


def _kept(staging: Staging, row: sa.FromClause, stored: sa.FromClause, name: str) -> sa.ColumnElement[Any]:
    """Give what will be stored of a column: what an empty cell must not clear stays, and the first moment of a deletion."""
    if name in staging.kept_when_empty:
        return sa.func.coalesce(row.c[name], stored.c[name])
    if name == "deleted_at":
        both = sa.and_(row.c.deleted_at.is_not(None), stored.c.deleted_at.is_not(None))
        return sa.case((both, stored.c.deleted_at), else_=row.c.deleted_at)
    return row.c[name]


def _merged(staging: Staging, stored: sa.ColumnElement[Any], given: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Put the given custom fields in the place of those stored; fields that the file does not have stay."""
    return stored.op("-")(sa.cast(list(staging.customs), ARRAY(sa.Text))).op("||")(given)


def _pairs(staging: Staging) -> tuple[sa.FromClause, sa.FromClause, sa.Join]:
    row, before = staging.staged.alias("given"), staging.staged.alias("before")
    return row, before, sa.join(row, before, sa.and_(before.c.id == row.c.id, before.c.turn == row.c.turn - 1))


def _count(session: Session, staging: Staging) -> Counts:
    row, before, pairs = _pairs(staging)
    fixed = [name for name in staging.fields if staging.target.c[name].info["time"] == "fixed"]
    differing = sa.func.count().filter(_differs(staging, row, before))
    fixed_differing = sa.func.count().filter(_differs(staging, row, before, fixed))
    total, changed, fixed_changed = session.execute(
        sa.select(sa.func.count(), differing, fixed_differing).select_from(pairs)
    ).one()
    given = _count_given(session, staging)
    return Counts(new=given - total, changed=changed, unchanged=total - changed, fixed=fixed_changed)


def _record_changes(session: Session, staging: Staging, *, kind: str, imported_at: datetime, origin: str) -> int:
    """Write a change row for each tracked field in which a row differs from the turn before it.

    A field that closing overwrites gets one even if it stayed as it was: it tells that the value stood before.
    """
    row, before, pairs = _pairs(staging)
    tracked = [name for name in staging.fields if staging.target.c[name].info["time"] == "tracked"]
    values: list[tuple[sa.ColumnElement[Any], ...]] = [
        (
            sa.literal(name),
            sa.cast(before.c[name], sa.Text),
            sa.cast(row.c[name], sa.Text),
            _stood_at_closing(staging, name, row, before),
        )
        for name in tracked
    ]
    values += [
        (sa.literal(f"custom.{name}"), before.c.custom.op("->>")(name), row.c.custom.op("->>")(name), sa.false())
        for name, time in staging.customs.items()
        if time == "tracked"
    ]
    if not values:
        return 0
    columns = [sa.column(name, sa.Text) for name in ("field", "old_value", "new_value")]
    change = sa.values(*columns, sa.column("stood", sa.Boolean), name="change_of").data(values).lateral()
    query = (
        sa.select(
            sa.literal(kind),
            row.c.id,
            change.c.field,
            _changed_at(staging, row, before, imported_at),
            change.c.old_value,
            change.c.new_value,
            sa.literal(origin),
        )
        .select_from(pairs.join(change, sa.true()))
        .where(
            _differs(staging, row, before),
            sa.or_(change.c.old_value.is_distinct_from(change.c.new_value), change.c.stood),
        )
        .order_by(row.c.row)
    )
    names = ["kind", "record_id", "field", "changed_at", "old_value", "new_value", "origin"]
    return count_rows(session, insert(Change).from_select(names, query).on_conflict_do_nothing())


def _stood_at_closing(staging: Staging, name: str, row: sa.FromClause, before: sa.FromClause) -> sa.ColumnElement[bool]:
    if "status" not in staging.fields or not staging.target.c[name].info.get("overwritten_on_close"):
        return sa.false()
    return sa.and_(before.c.status == "open", row.c.status != "open", before.c[name].is_not(None))


def _changed_at(
    staging: Staging, row: sa.FromClause, before: sa.FromClause, imported_at: datetime
) -> sa.ColumnElement[datetime]:
    # Turns of one import that name no moment follow each other by a microsecond, so that they stay in order.
    undated = sa.literal(imported_at, sa.DateTime(timezone=True)) + (row.c.turn - 1) * sa.cast(
        "1 microsecond", sa.Interval
    )
    if "modified_at" not in staging.fields:
        return undated
    later = sa.or_(before.c.modified_at.is_(None), row.c.modified_at > before.c.modified_at)
    return sa.case((sa.and_(row.c.modified_at.is_not(None), later), row.c.modified_at), else_=undated)


def _last(staging: Staging) -> sa.Subquery:
    staged = staging.staged
    final = sa.select(staged.c.id, sa.func.max(staged.c.turn).label("turn")).group_by(staged.c.id).subquery()
    return (
        sa.select(staged)
        .join(final, sa.and_(final.c.id == staged.c.id, final.c.turn == staged.c.turn))
        .where(staged.c.turn > 0)
        .subquery("last")
    )


def _update(session: Session, staging: Staging, imported_at: datetime) -> None:
    target, last, stored = staging.target, _last(staging), staging.staged.alias("stored")
    written: dict[str, sa.ColumnElement[Any]] = {name: last.c[name] for name in staging.fields}
    version = target.c.version + 1
    if staging.customs:
        written["custom"] = _merged(staging, target.c.custom, last.c.custom)
    if "status" in staging.fields and "closed_at" in target.c and "closed_at" not in staging.fields:
        # The moment of one end is not that of another.
        written["closed_at"] = sa.case((target.c.status == last.c.status, target.c.closed_at))
    if not written:
        return
    changed = sa.and_(stored.c.id == last.c.id, stored.c.turn == 0, _differs(staging, last, stored))
    session.execute(
        sa.update(target)
        .where(target.c.id == last.c.id, changed)
        .values(
            **written, version=version, stored_at=imported_at, import_digest=of_version(last.c.import_digest, version)
        )
    )


def _last_of_new(staging: Staging) -> sa.Subquery:
    last, stored = _last(staging), staging.staged.alias("stored")
    known = sa.exists().where(stored.c.id == last.c.id, stored.c.turn == 0)
    return sa.select(last).where(~known).subquery("new")


def _insert(
    session: Session, staging: Staging, new: sa.FromClause, *, source_system: str, imported_at: datetime
) -> None:
    chosen: dict[str, sa.ColumnElement[Any]] = {
        "source_system": sa.literal(source_system),
        "stored_at": sa.literal(imported_at, sa.DateTime(timezone=True)),
        "import_digest": of_version(new.c.import_digest, sa.literal(1)),
        **{name: new.c[name] for name in (*_IDENTITY, *staging.compared)},
    }
    # Our Python-side defaults are the database's own, and are left to it.
    rows = sa.select(*chosen.values())
    session.execute(sa.insert(staging.target).from_select(list(chosen), rows, include_defaults=False))
