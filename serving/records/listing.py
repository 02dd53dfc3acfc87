"""Records one page at a time: filters on columns, an order, and cursors that hold under writes."""

import base64
import binascii
import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.orm import Session

from forecast.errors import InputError
from forecast.records import CustomField, get_table
from serving.errors import InvalidItemsError, field_problem
from serving.posted import utc
from serving.records.edits import Row
from serving.records.schemas import BOOKKEEPING, IDENTITY, fields_of, invalid, value_type
from serving.records.writing import shown_columns
from serving.schemas import Moment

Sort = Literal["id", "modified", "-modified"]
RESERVED = frozenset({"limit", "cursor", "sort", "modified_since", "include_deleted"})

_COMPARISONS: Mapping[str, str] = MappingProxyType({"gte": ">=", "gt": ">", "lte": "<=", "lt": "<"})
_CUSTOM_TYPES: Mapping[str, tuple[sa.types.TypeEngine[Any], Any]] = MappingProxyType(
    {"number": (sa.Float(), float), "boolean": (sa.Boolean(), bool)}
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a page ended, in its order: the next begins right after, whatever was written in between."""

    sort: Sort
    stored_at: datetime | None
    record_id: str

    @classmethod
    def of(cls, row: Row, sort: Sort) -> Self:
        """Give the place of a row."""
        return cls(sort=sort, stored_at=None if sort == "id" else row["stored_at"], record_id=row["id"])

    def to_text(self) -> str:
        """Give the place as callers carry it."""
        moment = self.stored_at.isoformat() if self.stored_at else None
        return base64.urlsafe_b64encode(json.dumps([self.sort, moment, self.record_id]).encode()).decode()

    @classmethod
    def from_text(cls, text: str, sort: Sort) -> Self:
        """Read what `to_text` gave for the same order.

        Raises:
            InvalidItemsError: it gave something else.
        """
        try:
            found, moment, record_id = json.loads(base64.urlsafe_b64decode(text.encode()))
            stored_at = None if sort == "id" else datetime.fromisoformat(moment)
        except (ValueError, TypeError, binascii.Error):
            found, record_id, stored_at = None, "", None
        if found != sort or not isinstance(record_id, str):
            raise invalid(
                "cursor", text, f"the next_cursor of an answer with sort={sort}", "leave it out to start again"
            )
        return cls(sort=sort, stored_at=stored_at, record_id=record_id)


def list_records(
    session: Session,
    kind: str,
    *,
    conditions: Iterable[sa.ColumnElement[bool]],
    sort: Sort,
    after: Place | None,
    limit: int,
) -> list[Row]:
    """List records that meet all conditions."""
    table = get_table(kind)
    statement = sa.select(*shown_columns(kind)).where(*conditions).order_by(*_order(table, sort)).limit(limit)
    if after is not None:
        statement = statement.where(_comes_after(table, after))
    return [dict(row) for row in session.execute(statement).mappings()]


def _order(table: sa.Table, sort: Sort) -> Sequence[sa.ColumnElement[Any]]:
    if sort == "id":
        return (table.c.id,)
    if sort == "modified":
        return (table.c.stored_at, table.c.id)
    return (table.c.stored_at.desc(), table.c.id.desc())


def _comes_after(table: sa.Table, place: Place) -> sa.ColumnElement[bool]:
    if place.sort == "id":
        return table.c.id > place.record_id
    row = sa.tuple_(table.c.stored_at, table.c.id)
    bound = sa.tuple_(sa.literal(place.stored_at, sa.DateTime(timezone=True)), sa.literal(place.record_id))
    return row > bound if place.sort == "modified" else row < bound


def read_conditions(
    kind: str, query: Iterable[tuple[str, str]], *, declared: Mapping[str, CustomField], zone: ZoneInfo
) -> list[sa.ColumnElement[bool]]:
    """Read filters from the parameters of an address.

    `field=value` keeps what is equal (several of one field: to any of them; empty: what has no value), `field.gte`,
    `.gt`, `.lte` and `.lt` what lies on a side of it; a custom field is `custom.<name>`.

    Raises:
        InvalidItemsError: a field does not exist, or a value is not of its type.
    """
    equal: dict[str, list[str]] = {}
    conditions = []
    for parameter, text in query:
        if parameter in RESERVED:
            continue
        name, _, ending = parameter.rpartition(".")
        if ending in _COMPARISONS:
            column, value = _read(kind, name, text, declared, zone)
            conditions.append(column.op(_COMPARISONS[ending], is_comparison=True)(value))
        else:
            equal.setdefault(parameter, []).append(text)
    return conditions + [_any_of(kind, name, texts, declared, zone) for name, texts in equal.items()]


def _any_of(
    kind: str, name: str, texts: Sequence[str], declared: Mapping[str, CustomField], zone: ZoneInfo
) -> sa.ColumnElement[bool]:
    custom = declared.get(name.removeprefix("custom."))
    if custom is not None and custom.type == "list" and name != custom.name:
        return _holds_any(get_table(kind).c.custom.op("->")(custom.name), texts)
    column, _ = _column(kind, name, declared)
    values = [_read(kind, name, text, declared, zone)[1] for text in texts if text]
    return sa.or_(column.in_(values), column.is_(None)) if "" in texts else column.in_(values)


def _holds_any(entries: sa.ColumnElement[Any], texts: Sequence[str]) -> sa.ColumnElement[bool]:
    """Tell whether a list has one of these entries; an empty text asks for no list."""
    held = [entries.op("?", is_comparison=True)(text) for text in texts if text]
    return sa.or_(sa.false(), *held, *([entries.is_(None)] if "" in texts else []))


def _read(
    kind: str, name: str, text: str, declared: Mapping[str, CustomField], zone: ZoneInfo
) -> tuple[sa.ColumnElement[Any], Any]:
    """Give a column and a value to compare it with."""
    column, type_ = _column(kind, name, declared)
    try:
        value = TypeAdapter(type_).validate_python(text)
        return column, utc(value, zone) if isinstance(value, datetime) else value
    except ValidationError as error:
        problems = [field_problem(found) for found in error.errors(include_url=False)[:1]]
        raise InvalidItemsError([one.model_copy(update={"field": name}) for one in problems]) from error
    except InputError as error:
        raise invalid(name, text, "a moment of the years 1 to 9999", "write one of this century") from error


def _column(kind: str, name: str, declared: Mapping[str, CustomField]) -> tuple[sa.ColumnElement[Any], Any]:
    """Find a column and the type of its values."""
    table = get_table(kind)
    custom = name.removeprefix("custom.")
    if custom != name and custom in declared:
        text = table.c.custom.op("->>", return_type=sa.Text())(custom)
        sql_type, type_ = _CUSTOM_TYPES.get(declared[custom].type, (sa.Text(), str))
        return sa.cast(text, sql_type), type_
    if name in fields_of(kind):
        return table.c[name], value_type(kind, name)
    if name in {*IDENTITY, *BOOKKEEPING}:
        return table.c[name], int if name == "version" else Moment if name.endswith("_at") else str
    known = [*IDENTITY, *fields_of(kind), *BOOKKEEPING, *(f"custom.{one}" for one in sorted(declared)), *RESERVED]
    near = difflib.get_close_matches(name, known, n=3) or known
    raise invalid(name, name, f"a parameter, or a field of {kind}: {', '.join(near)}", "mend its name")
