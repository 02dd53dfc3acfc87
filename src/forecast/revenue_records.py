"""Read what is stored of sales."""

from collections.abc import Collection, Mapping
from datetime import datetime

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.history import read_history, read_pipeline
from forecast.records import IS_CANCELLED, Change, Order, OrderLine, Person, Product, Quota, Team
from forecast.revenue.cells import COMPANY, LEVELS, PERSON, PRODUCT, REGION, TEAM
from forecast.revenue.planned import REVENUE_METRICS, TARGET_TYPES
from forecast.revenue.records import SalesRecords
from forecast.snapshot import History
from forecast.snapshot.changes import CHANGE_TYPES
from forecast.store import read_frame

DEAL_FIELDS = (
    "name", "account_id", "owner_id", "team_id", "product_id", "stage", "amount", "expected_close_on", "forecast_category",
    "seller_probability",
)  # fmt: skip
# Levels that opportunities and orders name themselves, without their lines.
OWNERS = (COMPANY, TEAM, PERSON)


def read_sales_records(session: Session, *, timezone: str) -> SalesRecords:
    """Read opportunities with all that was done on them, orders, and the units that they belong to."""
    return _with_orders(session, read_history(session), timezone)


def read_deal_records(
    session: Session,
    *,
    timezone: str,
    fields: Collection[str] = DEAL_FIELDS,
    since: datetime | None = None,
    levels: Collection[str] = LEVELS,
) -> SalesRecords:
    """Read what is enough for telling deals of past moments: opportunities without what was done on them, and orders.

    Args:
        session: an open transaction.
        timezone: of months.
        fields: of opportunities that are asked for as of a moment; others are as they stand now.
        since: the first moment that is asked for; opportunities that had closed before it are as they stand now.
        levels: of units that are asked for; where product lines are not among them, orders have none.
    """
    return _with_orders(session, read_pipeline(session, fields, since=since), timezone, levels)


def _with_orders(session: Session, history: History, timezone: str, levels: Collection[str] = LEVELS) -> SalesRecords:
    people = read_frame(session, sa.select(Person.id, Person.team_id, Person.name))
    teams = read_frame(session, sa.select(Team.id, Team.region, Team.name))
    products = read_frame(session, sa.select(Product.id, Product.line, Product.family, Product.name))
    lines = products.select(
        pl.col("id").alias("product_id"), pl.coalesce("line", "family", "name", "id").alias(PRODUCT)
    )
    orders = _read_orders(session, lines, levels)
    named = [rows.select(pl.col("owner_id").alias("id"), "team_id") for rows in (history.opportunities, orders)]
    usual_team = (
        pl.concat(named).drop_nulls().group_by("id").agg(pl.col("team_id").mode().sort().first().alias("usual_team"))
    )
    placed = people.join(usual_team, on="id", how="full", coalesce=True).select(
        pl.col("id").alias(PERSON), pl.coalesce("team_id", "usual_team").alias(TEAM)
    )
    return SalesRecords(
        history=history,
        orders=orders,
        people=placed,
        products=lines,
        teams=teams.select(pl.col("id").alias(TEAM), pl.col("region").alias(REGION)),
        names={**_names(PERSON, people), **_names(TEAM, teams)},
        timezone=timezone,
        targets=_read_targets(session),
        target_changes=read_frame(session, _CHANGED_TARGETS),
    )


_CHANGED_TARGETS = (
    sa.select(*(getattr(Change, name) for name in CHANGE_TYPES))
    .where(Change.kind == "quota", Change.field == "amount")
    .order_by(Change.changed_at, Change.id)
)


def last_days() -> sa.Subquery:
    """Select `id, ends_on` of quotas.

    One that names no last day lasts until the next of its unit and metric begins, and the last of them as many months, else days, as the one
    before.
    """
    unit = (Quota.person_id, Quota.team_id, sa.func.lower(Quota.metric))
    following, before = (
        beside(Quota.starts_on).over(partition_by=unit, order_by=Quota.starts_on)
        for beside in (sa.func.lead, sa.func.lag)
    )
    same_day = sa.extract("day", before) == sa.extract("day", Quota.starts_on)
    months = sa.func.age(Quota.starts_on, before)
    ends_on = sa.case(
        (Quota.ends_on.is_not(None), Quota.ends_on),
        (following > Quota.starts_on, following - 1),
        (sa.and_(before < Quota.starts_on, same_day), sa.cast(Quota.starts_on + months, sa.Date) - 1),
        (before < Quota.starts_on, Quota.starts_on + (Quota.starts_on - before) - 1),
    )
    return sa.select(Quota.id, ends_on.label("ends_on")).where(Quota.deleted_at.is_(None)).subquery()


def _read_targets(session: Session) -> pl.DataFrame:
    """Read targets of revenue; one whose source does not say since when it stands, is known since it was stored."""
    whose = sa.case((Quota.person_id.is_not(None), PERSON), (Quota.team_id.is_not(None), TEAM), else_=COMPANY)
    statement = sa.select(
        Quota.id.label("target_id"),
        whose.label("level"),
        sa.func.coalesce(Quota.person_id, Quota.team_id, "").label("unit_id"),
        *(Quota.starts_on, Quota.ends_on, Quota.amount, Quota.currency),
        sa.func.coalesce(Quota.created_at, Quota.stored_at).label("known_at"),
    ).where(
        Quota.deleted_at.is_(None),
        Quota.amount.is_not(None),
        Quota.starts_on.is_not(None),
        sa.func.lower(sa.func.trim(Quota.metric)).in_(REVENUE_METRICS),
    )
    return read_frame(session, statement).select(pl.col(name).cast(kind) for name, kind in TARGET_TYPES.items())


def _read_orders(session: Session, lines: pl.DataFrame, levels: Collection[str]) -> pl.DataFrame:
    """Read orders that are sales; one without an amount is worth its lines."""
    orders = read_frame(
        session,
        sa.select(
            Order.id,
            *(Order.opportunity_id, Order.account_id, Order.owner_id, Order.team_id, Order.ordered_at),
            *(Order.amount, Order.currency, Order.region),
        ).where(Order.deleted_at.is_(None), ~IS_CANCELLED),
    )
    known = orders.join(_read_worth(session, lines, levels), on="id", how="left", maintain_order="left")
    return known.with_columns(pl.coalesce(pl.col("amount").cast(pl.Float64), "worth").alias("amount")).drop(
        "id", "worth"
    )


def _read_worth(session: Session, lines: pl.DataFrame, levels: Collection[str]) -> pl.DataFrame:
    """Read `id, product, worth` of orders by their lines: the product line of the largest, and what they add up to.

    Where product lines are not asked for, of orders without an amount.
    """
    unpriced = sa.select(Order.id).where(Order.amount.is_(None))
    asked = sa.true() if PRODUCT in levels else OrderLine.order_id.in_(unpriced)
    parts = read_frame(
        session,
        sa.select(
            *(OrderLine.order_id, OrderLine.product_id, OrderLine.amount),
            *(OrderLine.quantity, OrderLine.unit_price, OrderLine.discount_share),
        ).where(OrderLine.deleted_at.is_(None), asked),
    )
    price, discount = pl.col("unit_price").cast(pl.Float64), pl.col("discount_share").fill_null(0)
    worth = pl.coalesce(pl.col("amount").cast(pl.Float64), pl.col("quantity") * price * (1 - discount))
    return (
        parts.with_columns(worth.alias("worth"))
        .join(lines, on="product_id", how="left", maintain_order="left")
        .with_columns(pl.coalesce(PRODUCT, "product_id").alias(PRODUCT))
        .sort("worth", descending=True, nulls_last=True)
        .group_by(pl.col("order_id").alias("id"), maintain_order=True)
        .agg(pl.col(PRODUCT).first(), pl.col("worth").sum())
    )


def _names(level: str, rows: pl.DataFrame) -> Mapping[tuple[str, str], str]:
    return {(level, unit): name for unit, name in rows.select("id", "name").iter_rows() if name}
