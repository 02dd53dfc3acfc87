"""How each field of ours is read: its type, its bounds, and whether a record can do without it."""

import math
from typing import Any

import sqlalchemy as sa

from forecast.intake import vocabulary
from forecast.intake.columns import FieldType

_BOUNDS = {
    "need_fit": (1, 5),
    "purchasing_power": (1, 5),
    "competition": (1, 5),
    "founded_year": (1000, 3000),
}
_MONEY_BOUNDS = (-9.99e15, 9.99e15)


def field_type(kind: str, field: str) -> FieldType:
    """Give how a field of ours is read."""
    column = vocabulary.record_columns(kind).get(field)
    if column is None:
        return "boolean" if field.startswith("is_") else _bare_type(field)
    if (field == "status" or (kind, field) == ("stage", "kind")) and vocabulary.status_words(kind):
        return "word"
    if field.endswith("_id"):
        return "reference"
    return _sql_type(column.type, field)


def _bare_type(field: str) -> FieldType:
    if field.endswith("_at") or field == "close_date":
        return "moment"
    return "reference" if field.endswith("_id") else "text"


def _sql_type(sql: sa.types.TypeEngine[Any], field: str) -> FieldType:
    if isinstance(sql, sa.DateTime):
        return "moment"
    if isinstance(sql, sa.Date):
        return "date"
    if isinstance(sql, sa.Boolean):
        return "boolean"
    if isinstance(sql, sa.Integer):
        return "integer"
    if isinstance(sql, sa.Numeric | sa.Float):
        return "share" if field == "seller_probability" or field.endswith("_share") else "number"
    return "text"


def required_fields(kind: str) -> list[str]:
    """List the fields without which a record can't be stored; its id is made where a file has none."""
    if kind == "change":
        return ["changed_at"]
    return [
        name
        for name, column in vocabulary.record_columns(kind).items()
        if not column.nullable and column.server_default is None and name != "external_id"
    ]


def field_bounds(kind: str, field: str) -> tuple[float, float]:
    """Give the least and the greatest number that a field holds."""
    kind_of_value = field_type(kind, field)
    column = vocabulary.record_columns(kind).get(field)
    if kind_of_value == "share":
        return (0.0, 1.0)
    if field in _BOUNDS:
        return _BOUNDS[field]
    if kind_of_value == "integer" and column is not None:
        bits = 15 if isinstance(column.type, sa.SmallInteger) else 53 if isinstance(column.type, sa.BigInteger) else 31
        return (-(2.0**bits), 2.0**bits - 1)
    return _MONEY_BOUNDS if column is not None else (-math.inf, math.inf)
