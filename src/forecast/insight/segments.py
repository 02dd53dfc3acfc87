"""Segments of the market: revenue, growth, tiers and concentration, and what sets a segment apart."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.accounts.reading import IS_PURCHASE, first_places, worth_of_orders
from forecast.metrics import Floats
from forecast.records import Account, AccountScore
from forecast.store import read_frame

SegmentKey = Literal["industry", "region", "size", "channel"]

SEGMENT_KEYS: tuple[SegmentKey, ...] = ("industry", "region", "size", "channel")
FIGURES = ("expected_revenue", "probability_active", "orders", "order_value", "in_tier_a")
TOP = 10
YEAR = timedelta(days=365)
ACCOUNTS_TO_COMPARE = 5
APART = 2.0
APART_MAX = 3


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A figure in which accounts of the segment differ from all others: both means, and t as Welch has it."""

    figure: str
    value: float
    others: float
    t: float


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Accounts of one industry, region, size or channel.

    Attributes:
        name: missing for accounts of which it is not known.
        accounts: scored ones.
        revenue, revenue_before: of the year before the scores, and of the year before that.
        growth: of revenue, as a share; missing unless both years are known and the first had revenue.
        revenue_share: of the revenue of all segments, 0-1.
        expected_revenue: within the horizon of the scores.
        tiers: accounts by tier.
        top_share: share of revenue that the ten largest accounts carry.
        gini: of revenue; 0 where all accounts are alike.
        herfindahl: sum of squared shares of revenue, 0-1.
        differences: the strongest first.
    """

    name: str | None
    accounts: int
    revenue: float
    revenue_before: float
    growth: float | None
    revenue_share: float
    expected_revenue: float
    tiers: dict[str, int]
    top_share: float
    gini: float
    herfindahl: float
    differences: tuple[Difference, ...]


def read_segment_accounts(session: Session) -> pl.DataFrame:
    """Read every scored account with the figures that segments are made of.

    Returns:
        `account_id, as_of, expected_revenue, probability_active, tier`, SEGMENT_KEYS, `first_order_at` of the company, and of
        the year before `as_of` `revenue, orders, order_value`, of the year before that `revenue_before`.
    """
    orders, places = worth_of_orders().where(*IS_PURCHASE).subquery(), first_places().subquery()
    last, before = (
        sa.and_(
            orders.c.ordered_at < AccountScore.as_of - YEAR * ago,
            orders.c.ordered_at >= AccountScore.as_of - YEAR * (ago + 1),
        )
        for ago in (0, 1)
    )
    columns = (
        AccountScore.account_id,
        AccountScore.as_of,
        AccountScore.expected_revenue,
        AccountScore.probability_active,
        AccountScore.tier,
        *(_segment_column(key, places) for key in SEGMENT_KEYS),
    )
    amount = sa.cast(orders.c.amount, sa.Float)
    bought = (
        sa.func.coalesce(sa.func.sum(amount).filter(last), 0.0).label("revenue"),
        sa.func.count().filter(last).label("orders"),
        sa.func.coalesce(sa.func.sum(amount).filter(before), 0.0).label("revenue_before"),
    )
    first = sa.select(sa.func.min(orders.c.ordered_at)).scalar_subquery()
    statement = (
        sa.select(*columns, *bought, first.label("first_order_at"))
        .outerjoin(Account, sa.and_(Account.id == AccountScore.account_id, Account.deleted_at.is_(None)))
        .outerjoin(places, places.c.account_id == AccountScore.account_id)
        .outerjoin(orders, orders.c.account_id == AccountScore.account_id)
        .where(AccountScore.latest)
        .group_by(*columns)
    )
    found = read_frame(session, statement).sort("account_id")
    value = pl.when(pl.col("orders") > 0).then(pl.col("revenue") / pl.col("orders"))
    return found.with_columns(order_value=value)


def _segment_column(key: SegmentKey, places: sa.Subquery) -> sa.ColumnElement[str | None]:
    """Select what an account itself names, else what its first order does."""
    own: sa.ColumnElement[str | None] = getattr(Account, key)
    return sa.func.coalesce(own, places.c[key]).label(key) if key in places.c else own


def segments(accounts: pl.DataFrame, by: SegmentKey) -> list[Segment]:
    """Profile each segment, the one of most revenue first; `accounts` as `read_segment_accounts` gives them."""
    judged = accounts.with_columns(in_tier_a=(pl.col("tier") == "A").cast(pl.Float64))
    total = float(judged["revenue"].clip(lower_bound=0.0).sum())
    found = []
    for (name,), inside in judged.group_by(by, maintain_order=True):
        apart = pl.col(by).is_null() if name is None else pl.col(by).eq_missing(pl.lit(name))
        found.append(_profile(None if name is None else str(name), inside, judged.filter(~apart), total))
    return sorted(found, key=lambda one: (-one.revenue, one.name or ""))


def whole_market(accounts: pl.DataFrame) -> Segment:
    """Profile all accounts together."""
    judged = accounts.with_columns(in_tier_a=(pl.col("tier") == "A").cast(pl.Float64))
    return _profile(None, judged, judged.clear(), float(judged["revenue"].clip(lower_bound=0.0).sum()))


def _profile(name: str | None, inside: pl.DataFrame, others: pl.DataFrame, total: float) -> Segment:
    spent = np.sort(np.maximum(inside["revenue"].to_numpy(), 0.0))[::-1]
    revenue, before = (float(inside[column].sum()) for column in ("revenue", "revenue_before"))
    tiers = dict(inside["tier"].value_counts().iter_rows())
    return Segment(
        name=name,
        accounts=inside.height,
        revenue=revenue,
        revenue_before=before,
        growth=revenue / before - 1 if before > 0 and _two_years_known(inside) else None,
        revenue_share=float(spent.sum()) / total if total > 0 else 0.0,
        expected_revenue=float(inside["expected_revenue"].sum()),
        tiers={tier: int(tiers.get(tier, 0)) for tier in ("A", "B", "C")},
        top_share=float(spent[:TOP].sum() / spent.sum()) if spent.sum() > 0 else 0.0,
        gini=gini(spent),
        herfindahl=float(((spent / spent.sum()) ** 2).sum()) if spent.sum() > 0 else 0.0,
        differences=_differences(inside, others),
    )


def _two_years_known(inside: pl.DataFrame) -> bool:
    first, as_of = inside["first_order_at"].min(), inside["as_of"].max()
    return isinstance(first, datetime) and isinstance(as_of, datetime) and first <= as_of - 2 * YEAR


def gini(values: Floats) -> float:
    """Give the Gini coefficient of values from 0 up; 0 where there is nothing to share."""
    ordered, count = np.sort(values), len(values)
    if count == 0 or ordered.sum() <= 0:
        return 0.0
    ranks = np.arange(1, count + 1)
    return float(2 * (ranks * ordered).sum() / (count * ordered.sum()) - (count + 1) / count)


def _differences(inside: pl.DataFrame, others: pl.DataFrame) -> tuple[Difference, ...]:
    """Compare the means of each figure (Welch 1947); those at least APART standard errors apart, the strongest first."""
    found = [
        difference
        for figure in FIGURES
        if (difference := _difference(figure, inside[figure].drop_nulls(), others[figure].drop_nulls()))
    ]
    return tuple(sorted(found, key=lambda one: -abs(one.t))[:APART_MAX])


def _difference(figure: str, inside: pl.Series, others: pl.Series) -> Difference | None:
    if min(len(inside), len(others)) < ACCOUNTS_TO_COMPARE:
        return None
    mine, theirs = (part.cast(pl.Float64).to_numpy() for part in (inside, others))
    error = float(np.sqrt(mine.var(ddof=1) / len(mine) + theirs.var(ddof=1) / len(theirs)))
    gap = float(mine.mean() - theirs.mean())
    if error <= 0 or abs(gap) < APART * error:
        return None
    return Difference(figure=figure, value=float(mine.mean()), others=float(theirs.mean()), t=gap / error)
