"""Values of custom fields, checked against what was declared of them."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.errors import InputError
from forecast.records import CustomField
from serving.errors import InvalidItemsError, shown
from serving.posted import utc
from serving.schemas import FieldProblem

_EXPECTED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "number": ("a number", "write 12.5"),
        "boolean": ("true or false", "write true or false"),
        "date": ("a date or a moment", "write 2026-03-01 or 2026-03-01T09:30:00+08:00"),
        "list": ("a list of texts", 'write ["a", "b"]'),
    }
)
_TEXT_EXPECTED = ("text", "write it in quotation marks, without NUL and half surrogate pairs")


def read_custom_types(session: Session, kind: str) -> dict[str, CustomField]:
    """Read the custom fields that are declared for a kind, by name."""
    return {field.name: field for field in session.scalars(sa.select(CustomField).where(CustomField.kind == kind))}


def stored_custom(
    kind: str, given: Mapping[str, Any], declared: Mapping[str, CustomField], zone: ZoneInfo
) -> dict[str, Any]:
    """Give custom values as the database keeps them; None where a field is to be emptied.

    Raises:
        InvalidItemsError: a field is not declared, or its value is not of its type.
    """
    problems: list[FieldProblem] = []
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in declared:
            problems.append(_undeclared(kind, name, declared))
            continue
        try:
            values[name] = None if _is_empty(value) else _custom_value(value, declared[name].type, zone)
        except (ValueError, TypeError, OverflowError, InputError):
            problems.append(_unreadable(name, value, declared[name].type))
    if problems:
        raise InvalidItemsError(problems)
    return values


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _undeclared(kind: str, name: str, declared: Mapping[str, CustomField]) -> FieldProblem:
    known = ", ".join(sorted(declared)) or "none"
    return FieldProblem(
        index=None,
        field=f"custom.{shown(name)}",
        found=shown(name),
        expected=f"a custom field of {kind}; declared are: {known}",
        remedy=f"declare it by PUT /v1/custom-fields/{kind}/{{name}}, or by importing a file that has it",
    )


def _unreadable(name: str, value: Any, kind: str) -> FieldProblem:
    expected, remedy = _EXPECTED.get(kind, _TEXT_EXPECTED)
    return FieldProblem(index=None, field=f"custom.{name}", found=shown(value), expected=expected, remedy=remedy)


def _custom_value(value: Any, kind: str, zone: ZoneInfo) -> Any:
    if kind == "number":
        return _custom_number(value)
    if kind == "boolean":
        if not isinstance(value, bool):
            raise TypeError(value)
        return value
    if kind == "date":
        return _custom_date(value, zone)
    if kind == "list":
        if not isinstance(value, list):
            raise TypeError(value)
        return [_custom_text(entry) for entry in value]
    return _custom_text(value)


def _custom_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(value)
    return float(value)


def _custom_date(value: Any, zone: ZoneInfo) -> str:
    """Read a date or a moment; a date stays one, a moment becomes UTC, both as imports write them."""
    if len(value) == len("2026-03-01"):
        return date.fromisoformat(value).isoformat()
    return utc(datetime.fromisoformat(value), zone).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _custom_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(value)
    text = str(value).strip()
    text.encode()
    if "\0" in text:
        raise ValueError(text)
    return text
