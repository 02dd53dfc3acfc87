"""Posted opportunities or leads as a history: the frames that snapshots are cut from."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from math import isfinite
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from forecast.errors import InputError
from forecast.history import OPPORTUNITY_COLUMNS
from forecast.history.leads import name_lead_changes
from forecast.snapshot import History
from forecast.snapshot.changes import CHANGE_TYPES
from forecast.snapshot.frames import QUOTE_TYPES
from forecast.store import frame_type
from serving.errors import shown
from serving.schemas import ActivityIn, FieldProblem, LeadIn, OpportunityIn

CENT = Decimal("0.01")
COLUMN_TYPES: Mapping[str, pl.DataType] = MappingProxyType(
    {column.name: frame_type(column.type) for column in OPPORTUNITY_COLUMNS}
)
CUSTOM_TYPES: Mapping[str, pl.DataType] = MappingProxyType(
    {"number": pl.Float64(), "boolean": pl.Boolean(), "date": pl.Date()}
)
Item = OpportunityIn | LeadIn
_MOMENT = pl.Datetime("us", "UTC")
_ACTIVITY_TYPES = pl.Schema(
    {
        "opportunity_id": pl.String(),
        "occurred_at": _MOMENT,
        "type": pl.String(),
        "direction": pl.String(),
        "person_id": pl.String(),
        "contact_id": pl.String(),
        "duration_minutes": pl.Float64(),
        "known_at": _MOMENT,
    }
)
_LEAD_COLUMN_TYPES = pl.Schema(
    {
        "opportunity_id": pl.String(),
        "account_industry": pl.String(),
        "account_region": pl.String(),
        "lead_title": pl.String(),
        "email_known": pl.Boolean(),
        "phone_known": pl.Boolean(),
        "campaign_channel": pl.String(),
    }
)
_CUSTOM_EXPECTED = {
    "number": ("a number", "write 12.5"),
    "boolean": ("true or false", "write true or false"),
    "date": ("a date", "write 2026-03-01"),
    "list": ("a list", "write [ … ]"),
}


def utc(moment: datetime, zone: ZoneInfo) -> datetime:
    """Give a moment in UTC; one without a zone is of `zone`.

    Raises:
        InputError: it lies outside the years 1 to 9999 there.
    """
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError as error:
        raise InputError(
            f"the moment {moment.isoformat()} is out of range in UTC; write one of this century"
        ) from error


def find_problems(
    items: Sequence[Item], *, as_of: datetime, custom_types: Mapping[str, str], zone: ZoneInfo
) -> list[FieldProblem]:
    """List what keeps items from being scored; empty where all can be."""
    return [
        found
        for index, item in enumerate(items)
        for found in (*_late_creation(index, item, as_of, zone), *_unreadable_custom(index, item, custom_types))
    ] + _duplicates(items)


def _late_creation(index: int, item: Item, as_of: datetime, zone: ZoneInfo) -> Iterator[FieldProblem]:
    if item.created_at and utc(item.created_at, zone) > as_of:
        yield FieldProblem(
            index=index,
            field="created_at",
            found=item.created_at.isoformat(),
            expected=f"a moment that is not after as_of, {as_of.isoformat()}",
            remedy="mend it, or score as of a later moment",
        )


def _unreadable_custom(index: int, item: Item, custom_types: Mapping[str, str]) -> Iterator[FieldProblem]:
    for name, value in item.custom.items():
        kind = custom_types.get(f"custom_{name}", "")
        try:
            name.encode()
            read_custom(value, kind)
        except (ValueError, TypeError, AttributeError, OverflowError):
            expected, remedy = _CUSTOM_EXPECTED.get(kind, ("text", "write it without half surrogate pairs"))
            yield FieldProblem(
                index=index, field=f"custom.{shown(name)}", found=shown(value), expected=expected, remedy=remedy
            )


def _duplicates(items: Sequence[Item]) -> list[FieldProblem]:
    counts = Counter(item.id for item in items)
    return [
        FieldProblem(
            index=index,
            field="id",
            found=item.id,
            expected="an id that no other record of the call has",
            remedy="send each record once; score other moments of it in calls of their own",
        )
        for index, item in enumerate(items)
        if counts[item.id] > 1
    ]


def read_custom(value: Any, kind: str) -> Any:
    """Read a custom value as the database would.

    Raises:
        ValueError, TypeError, AttributeError, OverflowError: it is not of this kind.
    """
    if value is None:
        return None
    if kind == "number":
        return _number(value)
    if kind == "boolean":
        return value if isinstance(value, bool) else _boolean(value)
    if kind == "date":
        return date.fromisoformat(value)
    if kind == "list" and not isinstance(value, list):
        raise TypeError(value)
    return _text(value)


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not isfinite(number):
        raise ValueError(value)
    return number


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text.encode()
    return text


def posted_history(
    items: Sequence[OpportunityIn], surroundings: History, *, custom_types: Mapping[str, str], zone: ZoneInfo
) -> History:
    """Put items in the place of a history's opportunities; all of them are open."""
    account_ids = pl.Series([item.account_id for item in items], dtype=pl.String).implode()
    account_changes = surroundings.account_changes.filter(pl.col("record_id").is_in(account_ids))
    records = _records(items, custom_types, zone)
    return _with_records(replace(surroundings, account_changes=account_changes), records, items, custom_types, zone)


def posted_lead_history(
    items: Sequence[LeadIn],
    surroundings: History,
    *,
    custom_types: Mapping[str, str],
    channels: Mapping[str, str],
    zone: ZoneInfo,
) -> History:
    """Put leads in the place of a history's leads; all of them are open.

    Args:
        channels: of campaigns by their id.
    """
    records = _records(items, custom_types, zone).join(_lead_columns(items, channels), on="opportunity_id")
    history = _with_records(surroundings, records, items, custom_types, zone)
    return replace(history, changes=name_lead_changes(history.changes))


def _lead_columns(items: Sequence[LeadIn], channels: Mapping[str, str]) -> pl.DataFrame:
    """Give what `history.leads` reads besides the columns that leads share with opportunities."""
    rows = [
        (
            item.id,
            item.industry,
            item.region,
            item.title,
            item.email is not None,
            item.phone is not None,
            channels.get(item.campaign_id or ""),
        )
        for item in items
    ]
    return pl.DataFrame(rows, schema=_LEAD_COLUMN_TYPES, orient="row")


def _with_records(
    surroundings: History,
    records: pl.DataFrame,
    items: Sequence[Item],
    custom_types: Mapping[str, str],
    zone: ZoneInfo,
) -> History:
    return replace(
        surroundings,
        opportunities=records.sort("opportunity_id"),
        closings=_open_closings(records["opportunity_id"].sort(), surroundings.closings.schema),
        changes=_changes(items, zone),
        activities=_activities(items, zone),
        quotes=_quotes(items, zone),
        custom_types=custom_types,
    )


def _records(items: Sequence[Item], custom_types: Mapping[str, str], zone: ZoneInfo) -> pl.DataFrame:
    """Give the columns of opportunities, empty where an item has none, and the custom fields."""
    columns = {
        name: pl.Series(name, [_stored(getattr(item, name, None), zone) for item in items], dtype=kind)
        for name, kind in COLUMN_TYPES.items()
    }
    custom = {
        column: pl.Series(
            column,
            [read_custom(item.custom.get(column.removeprefix("custom_")), kind) for item in items],
            dtype=CUSTOM_TYPES.get(kind, pl.String()),
        )
        for column, kind in custom_types.items()
        if column.startswith("custom_")
    }
    return pl.DataFrame({**columns, **custom}).rename({"id": "opportunity_id"})


def _stored(value: Any, zone: ZoneInfo) -> Any:
    """Give a value as the database would keep it and frames read it."""
    if isinstance(value, Decimal):
        return float(value.quantize(CENT, ROUND_HALF_UP))
    return utc(value, zone) if isinstance(value, datetime) else value


def _open_closings(opportunity_ids: pl.Series, schema: pl.Schema) -> pl.DataFrame:
    open_ = pl.select(opportunity_ids, status=pl.lit("open"))
    return open_.with_columns(pl.lit(None, schema[name]).alias(name) for name in ("closed_at", "won_amount"))


def _changes(items: Sequence[Item], zone: ZoneInfo) -> pl.DataFrame:
    rows = [
        (item.id, change_column(change.field), utc(change.changed_at, zone), change.old_value, change.new_value)
        for item in items
        for change in item.changes
    ]
    return pl.DataFrame(rows, schema=CHANGE_TYPES, orient="row").sort("changed_at", maintain_order=True)


def change_column(field: str) -> str:
    """Give the column that a change's field names."""
    return f"custom_{field.removeprefix('custom.')}" if field.startswith("custom.") else field


def _activities(items: Sequence[Item], zone: ZoneInfo) -> pl.DataFrame:
    activities = [activity for item in items for activity in item.activities]
    columns: dict[str, list[Any]] = {
        name: [getattr(activity, name) for activity in activities]
        for name in ("type", "direction", "person_id", "contact_id", "duration_minutes")
    }
    columns["opportunity_id"] = [item.id for item in items for _ in item.activities]
    columns["occurred_at"] = [activity.occurred_at and utc(activity.occurred_at, zone) for activity in activities]
    columns["known_at"] = [known_at(activity, zone) for activity in activities]
    return pl.DataFrame(columns, schema=_ACTIVITY_TYPES).sort("occurred_at", maintain_order=True)


def _quotes(items: Sequence[Item], zone: ZoneInfo) -> pl.DataFrame:
    rows = [
        (item.id, utc(quote.created_at, zone), _stored(quote.amount, zone), quote.discount_share)
        for item in items
        if isinstance(item, OpportunityIn)
        for quote in item.quotes
        if quote.created_at
    ]
    return pl.DataFrame(rows, schema=QUOTE_TYPES, orient="row")


def known_at(activity: ActivityIn, zone: ZoneInfo) -> datetime | None:
    """Give the moment from which an activity counts."""
    moment = activity.created_at or activity.occurred_at
    return utc(moment, zone) if moment else None
