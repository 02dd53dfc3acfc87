"""What may be sent of each kind of record, made of its columns, and its values as they are stored."""

import difflib
import math
from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from pydantic import AfterValidator, ConfigDict, Field, ValidationError, create_model

from forecast.errors import InputError
from forecast.intake.columns import ID_CHARACTERS_MAX
from forecast.intake.fieldtypes import field_bounds, field_type, required_fields
from forecast.intake.vocabulary import record_columns, status_words
from serving.errors import InvalidItemsError, field_problem, shown
from serving.posted import CENT, utc
from serving.schemas import Day, FieldProblem, Moment, Posted

BOOKKEEPING = frozenset({"version", "stored_at", "deleted_at"})
IDENTITY = ("id", "source_system", "external_id")


def _none_if_empty(text: str | None) -> str | None:
    return text or None


_Text = Annotated[str | None, AfterValidator(_none_if_empty)]
_Id = Annotated[str, Field(min_length=1, max_length=ID_CHARACTERS_MAX)]


class RecordIn(Posted):
    """What records of every kind have; the fields of a kind come beside these. Texts are trimmed, as imports do."""

    model_config = ConfigDict(str_strip_whitespace=True)

    id: _Id | None = None
    source_system: _Id | None = None
    external_id: _Id | None = None
    version: Annotated[int | None, Field(ge=1)] = None
    stored_at: Moment | None = None
    deleted_at: Moment | None = None
    custom: dict[str, Any] = Field(default_factory=dict)


@cache
def fields_of(kind: str) -> Mapping[str, sa.Column[Any]]:
    """Give the fields of a kind that callers may set, by name."""
    return {name: column for name, column in record_columns(kind).items() if name not in {*IDENTITY, *BOOKKEEPING}}


@cache
def record_schema(kind: str) -> type[RecordIn]:
    """Make the schema of a kind of record of its columns; every field may be left out."""
    types: dict[str, Any] = {name: (value_type(kind, name), None) for name in fields_of(kind)}
    return create_model(f"{kind.title().replace('_', '')}In", __base__=RecordIn, **types)


def value_type(kind: str, name: str) -> Any:
    """Give the type of a field as pydantic reads it."""
    kind_of_value = field_type(kind, name)
    low, high = field_bounds(kind, name)
    if kind_of_value == "word":
        return Literal[tuple(sorted({*status_words(kind).values()}))] | None
    if kind_of_value == "reference":
        return Annotated[Annotated[str, Field(max_length=ID_CHARACTERS_MAX)] | None, AfterValidator(_none_if_empty)]
    if kind_of_value == "integer":
        return Annotated[int, Field(ge=int(low), le=int(high))] | None
    if kind_of_value in {"number", "share"}:
        return _number_type(fields_of(kind)[name].type, low, high)
    plain = {"moment": Moment | None, "date": Day | None, "boolean": bool | None}
    return plain.get(kind_of_value, _Text)


def _number_type(column_type: sa.types.TypeEngine[Any], low: float, high: float) -> Any:
    least, greatest = (low, high) if math.isfinite(high) else (None, None)
    bounds = Field(allow_inf_nan=False, ge=least, le=greatest)
    return Annotated[float, bounds] | None if isinstance(column_type, sa.Float) else Annotated[Decimal, bounds] | None


def read_record(kind: str, text: bytes) -> RecordIn:
    """Read a record from JSON.

    Raises:
        InvalidItemsError: it is no JSON, or holds what this kind of record does not.
    """
    try:
        return record_schema(kind).model_validate_json(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise invalid("body", shown(text), "JSON in UTF-8", "encode it as UTF-8") from error
    except ValidationError as error:
        raise InvalidItemsError([_problem(kind, found) for found in error.errors(include_url=False)]) from error


def _problem(kind: str, found: Mapping[str, Any]) -> FieldProblem:
    problem = field_problem(found)
    if found["type"] != "extra_forbidden":
        return problem
    near = difflib.get_close_matches(problem.field, fields_of(kind), n=3) or fields_of(kind)
    expected = f"a field of {kind}: {', '.join(near)}"
    return problem.model_copy(update={"expected": expected, "remedy": "mend its name, or put it under `custom`"})


def stored_values(kind: str, item: RecordIn, zone: ZoneInfo) -> dict[str, Any]:
    """Give the fields that were sent, as the database keeps them."""
    given = [name for name in fields_of(kind) if name in item.model_fields_set]
    return {name: _stored(name, getattr(item, name), zone) for name in given}


def _stored(name: str, value: Any, zone: ZoneInfo) -> Any:
    if isinstance(value, Decimal):
        return value.quantize(CENT, ROUND_HALF_UP)
    if not isinstance(value, datetime):
        return value
    try:
        return utc(value, zone)
    except InputError as error:
        raise invalid(
            name, value.isoformat(), "a moment of the years 1 to 9999", "write one of this century"
        ) from error


def default_of(column: sa.Column[Any]) -> Any:
    """Give what stands in for an empty value of a column; None where nothing does."""
    return getattr(column.default, "arg", None)


def invalid(field: str, found: Any, expected: str, remedy: str) -> InvalidItemsError:
    """Make the error of one field."""
    return InvalidItemsError([FieldProblem(index=None, field=field, found=found, expected=expected, remedy=remedy)])


def check_required(kind: str, row: Mapping[str, Any]) -> None:
    """Refuse a record that lacks what it can't do without.

    Raises:
        InvalidItemsError: with each missing field.
    """
    missing = [name for name in required_fields(kind) if row[name] is None]
    if missing:
        raise InvalidItemsError(
            [
                FieldProblem(
                    index=None, field=name, found=None, expected="a value", remedy=f"give every {kind} a {name}"
                )
                for name in missing
            ]
        )
