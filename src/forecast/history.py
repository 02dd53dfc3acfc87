"""Read what is stored into the frames that snapshots are cut from."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.records import Account, Activity, Change, CustomField, Opportunity, Person, Product, Stage
from forecast.snapshot import CHANGE_TYPES, History, cut_history
from forecast.store import Statement, read_frame

_CUSTOM_SQL_TYPES: Mapping[str, sa.types.TypeEngine[Any]] = MappingProxyType(
    {
        "number": sa.Float(),
        "boolean": sa.Boolean(),
        "date": sa.Date(),
    }
)

OPPORTUNITY_COLUMNS = tuple(
    column for column in Opportunity.__table__.columns if column.info["time"] != "outcome" and column.name != "custom"
)
OVERWRITTEN_ON_CLOSE = frozenset(
    column.name for column in Opportunity.__table__.columns if column.info.get("overwritten_on_close")
)
_ACCOUNT_ATTRIBUTES = (
    "industry", "region", "country", "channel", "size", "employees", "annual_revenue", "founded_year",
)  # fmt: skip


def read_history(session: Session, *, until: datetime | None = None) -> History:
    """Read opportunities and their surroundings, cut by `cut_history` at `until` where one is given.

    Tombstoned records are left out.
    """
    custom = _custom_columns(session, "opportunity")
    account_custom = _custom_columns(session, "account", prefix="account_")
    opportunities = _read_opportunities(session, custom)
    identity = [pl.col("id").alias("opportunity_id"), "status", "closed_at", "won_amount"]
    history = History(
        opportunities=opportunities.rename({"id": "opportunity_id"}).drop("status", "closed_at", "won_amount"),
        closings=opportunities.select(identity),
        changes=_read_changes(session, "opportunity", ""),
        account_changes=_read_changes(session, "account", "account_"),
        activities=_read_activities(session),
        accounts=_read_accounts(session, account_custom),
        people=read_frame(session, _attributes(Person, "owner_", ("team_id", "title", "manager_id"))),
        products=read_frame(session, _attributes(Product, "product_", ("family", "line", "list_price"))),
        stages=read_stages(session),
        custom_types={name: kind for name, (_, kind) in {**custom, **account_custom}.items()},
        overwritten_on_close=OVERWRITTEN_ON_CLOSE,
    )
    return history if until is None else cut_history(history, until)


def read_stages(session: Session) -> pl.DataFrame:
    """Read `stage, position, kind`, in order."""
    statement = sa.select(Stage.name.label("stage"), Stage.position, Stage.kind).order_by(Stage.position, Stage.name)
    return read_frame(session, statement).unique("stage", keep="first", maintain_order=True)


def _custom_columns(session: Session, kind: str, *, prefix: str = "") -> dict[str, tuple[str, str]]:
    """Give column name -> (field name, type) of the custom fields that may enter a snapshot."""
    declared = session.execute(
        sa.select(CustomField.name, CustomField.type)
        .where(CustomField.kind == kind, CustomField.time != "outcome")
        .order_by(CustomField.name)
    )
    return {f"{prefix}custom_{name}": (name, field_type) for name, field_type in declared}


def _custom_expressions(table: type[Any], custom: Mapping[str, tuple[str, str]]) -> list[sa.ColumnElement[Any]]:
    return [
        sa.cast(table.custom.op("->>")(name), _CUSTOM_SQL_TYPES[kind]).label(column)
        if kind in _CUSTOM_SQL_TYPES
        else table.custom.op("->>", return_type=sa.Text())(name).label(column)
        for column, (name, kind) in custom.items()
    ]


def _read_opportunities(session: Session, custom: Mapping[str, tuple[str, str]]) -> pl.DataFrame:
    statement = sa.select(
        *OPPORTUNITY_COLUMNS,
        Opportunity.status,
        Opportunity.closed_at,
        Opportunity.won_amount,
        *_custom_expressions(Opportunity, custom),
    ).where(Opportunity.deleted_at.is_(None))
    return read_frame(session, statement).sort("id")


def _read_changes(session: Session, kind: str, prefix: str) -> pl.DataFrame:
    statement = (
        sa.select(*(getattr(Change, name) for name in CHANGE_TYPES), Change.id)
        .where(Change.kind == kind)
        .order_by(Change.changed_at, Change.id)
    )
    named = pl.concat_str(pl.lit(prefix), pl.col("field").str.replace("custom.", "custom_", literal=True))
    return read_frame(session, statement).drop("id").with_columns(named.alias("field"))


def _read_activities(session: Session) -> pl.DataFrame:
    known_at = sa.func.coalesce(Activity.created_at, Activity.occurred_at)
    names: Sequence[str] = ("opportunity_id", "occurred_at", "type", "direction", "person_id", "duration_minutes")
    statement = sa.select(*(getattr(Activity, name) for name in names), known_at.label("known_at"), Activity.id).where(
        Activity.opportunity_id.is_not(None), Activity.deleted_at.is_(None)
    )
    return read_frame(session, statement).sort("occurred_at", "id").drop("id")


def _attributes(table: type[Any], prefix: str, names: Sequence[str]) -> Statement:
    key = {"owner_": "owner_id", "product_": "product_id", "account_": "account_id"}[prefix]
    return sa.select(table.id.label(key), *(getattr(table, name).label(prefix + name) for name in names))


def _read_accounts(session: Session, custom: Mapping[str, tuple[str, str]]) -> pl.DataFrame:
    statement = _attributes(Account, "account_", _ACCOUNT_ATTRIBUTES)
    return read_frame(session, statement.add_columns(*_custom_expressions(Account, custom)))
