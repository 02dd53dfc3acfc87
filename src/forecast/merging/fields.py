"""Fields of one record, custom ones named `custom.<name>`, read and written with their history."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from forecast.records import Change, CustomField, get_table

CUSTOM = "custom."

_ORIGIN = "merge"
_NOT_FILLED = frozenset({"id", "source_system", "external_id", "created_at", "custom"})


def fillable_fields(session: Session, kind: str) -> list[str]:
    """List the fields whose blanks may be filled: not identity, bookkeeping or outcome."""
    declared = sa.select(CustomField.name).where(CustomField.kind == kind).order_by(CustomField.name)
    columns = get_table(kind).columns
    return [
        *(column.name for column in columns if column.info["time"] != "outcome" and column.name not in _NOT_FILLED),
        *(f"{CUSTOM}{name}" for name in session.scalars(declared)),
    ]


def written(table: sa.Table, at: datetime) -> dict[str, Any]:
    """Give the bookkeeping of rows that are written at a moment."""
    return {"version": table.c.version + 1, "stored_at": at}


def read_text(session: Session, kind: str, record_id: str, field: str) -> str | None:
    """Read a field as PostgreSQL prints it."""
    table = get_table(kind)
    value = table.c.custom.op("->>")(field.removeprefix(CUSTOM)) if field.startswith(CUSTOM) else table.c[field]
    return session.scalar(sa.select(sa.cast(value, sa.Text)).where(table.c.id == record_id))


def copy_field(session: Session, kind: str, field: str, *, source_id: str, target_id: str, at: datetime) -> None:
    """Write a record's field into another record of the kind."""
    other = get_table(kind).alias("other")
    name = field.removeprefix(CUSTOM)
    value = other.c.custom.op("->")(name) if field.startswith(CUSTOM) else other.c[field]
    given = sa.select(value).where(other.c.id == source_id).scalar_subquery()
    old, new = (read_text(session, kind, one, field) for one in (target_id, source_id))
    _write(session, kind, target_id, field=field, value=given, at=at)
    _record(session, kind, target_id, field=field, old=old, new=new, at=at)


def clear_field(session: Session, kind: str, field: str, *, record_id: str, at: datetime) -> None:
    """Empty a record's field."""
    old = read_text(session, kind, record_id, field)
    _write(session, kind, record_id, field=field, value=None, at=at)
    _record(session, kind, record_id, field=field, old=old, new=None, at=at)


def _write(session: Session, kind: str, record_id: str, *, field: str, value: Any, at: datetime) -> None:
    table = get_table(kind)
    column = "custom" if field.startswith(CUSTOM) else field
    if field.startswith(CUSTOM):
        name = field.removeprefix(CUSTOM)
        kept = table.c.custom.op("-")(name)
        value = kept if value is None else sa.func.jsonb_set(table.c.custom, sa.cast([name], ARRAY(sa.Text)), value)
    session.execute(sa.update(table).where(table.c.id == record_id).values({column: value, **written(table, at)}))


def _record(
    session: Session, kind: str, record_id: str, *, field: str, old: str | None, new: str | None, at: datetime
) -> None:
    if not field.startswith(CUSTOM) and get_table(kind).c[field].info["time"] != "tracked":
        return
    session.add(
        Change(kind=kind, record_id=record_id, field=field, changed_at=at, old_value=old, new_value=new, origin=_ORIGIN)
    )
    session.flush()
