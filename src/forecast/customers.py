"""Customers and their purchases as stored, and what was known of them strictly before a moment."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

DAY_MICROSECONDS = 86_400_000_000
DAYS_MAX = 10_000_000

ATTRIBUTES = ("industry", "region", "size", "channel")
EVENTS = ("case", "activity", "opportunity")


@dataclass(frozen=True, kw_only=True)
class CustomerHistory:
    """Purchases and what surrounds them, uncut, each with its moment.

    Attributes:
        orders: `account_id, ordered_at, amount`, by account and moment; a return has a negative amount.
        accounts: `account_id, name` and ATTRIBUTES as they stand now; an account that is known from its orders only has no
            row.
        events: `account_id, happened_at, kind`, the kind one of EVENTS: a case opened, an activity done, an opportunity
            created.
        warnings: what a reader of the figures must know.
    """

    orders: pl.DataFrame
    accounts: pl.DataFrame
    events: pl.DataFrame
    warnings: tuple[str, ...] = ()

    @property
    def first_day(self) -> datetime | None:
        """The moment of the first order."""
        first = self.orders["ordered_at"].min()
        return first if isinstance(first, datetime) else None


def cut_customers(history: CustomerHistory, until: datetime) -> CustomerHistory:
    """Give the history as it was known before `until`."""
    return CustomerHistory(
        orders=history.orders.filter(pl.col("ordered_at") < until),
        accounts=history.accounts,
        events=history.events.filter(pl.col("happened_at") < until),
        warnings=history.warnings,
    )


def purchase_days(history: CustomerHistory, as_of: datetime) -> pl.DataFrame:
    """Give the purchases before `as_of` by day: `account_id, ago_days, spent, returned`, by account, oldest first.

    A day is 24 hours counted back from `as_of`, so that no time zone enters; 0 is the last of them. Days with nothing but
    returns are not purchases: their amount counts in `returned` of no day, see `returned_before`.
    """
    return _days_before(history.orders, as_of).filter(pl.col("bought")).drop("bought")


def returned_before(history: CustomerHistory, as_of: datetime) -> pl.DataFrame:
    """Sum what each customer gave back before `as_of`: `account_id, returned_amount` of those who did."""
    returns = history.orders.filter((pl.col("ordered_at") < as_of) & (pl.col("amount") < 0))
    return returns.group_by("account_id", maintain_order=True).agg(returned_amount=-pl.col("amount").sum())


def purchases_within(history: CustomerHistory, as_of: datetime, *, horizon_days: int) -> pl.DataFrame:
    """Count and sum purchases from `as_of` on, for as many days: `account_id, orders, revenue` of those who bought.

    This is what happened afterwards: only training and measures of accuracy may ask.
    """
    end = as_of + timedelta(days=horizon_days)
    later = history.orders.filter((pl.col("ordered_at") >= as_of) & (pl.col("ordered_at") < end))
    return (
        _days_before(later, end)
        .group_by("account_id", maintain_order=True)
        .agg(orders=pl.col("bought").sum().cast(pl.Float64), revenue=(pl.col("spent") - pl.col("returned")).sum())
        .filter(pl.col("orders") > 0)
        .with_columns(pl.col("revenue").clip(lower_bound=0.0))
    )


def _days_before(orders: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Sum up each day; as orders are sorted, days are runs of rows, which Polars finds without hashing or sorting text."""
    since = (pl.lit(as_of) - pl.col("ordered_at")).dt.total_microseconds()
    amount = pl.col("amount").fill_null(0.0)
    day = pl.col("account_id").rle_id().cast(pl.Int64) * DAYS_MAX - pl.col("ago_days")
    return (
        orders.filter(pl.col("ordered_at") < as_of)
        .with_columns(ago_days=((since - 1) // DAY_MICROSECONDS).cast(pl.Int32))
        .with_columns(day.alias("day"))
        .set_sorted("day")
        .group_by("day", maintain_order=True)
        .agg(
            pl.col("account_id", "ago_days").first(),
            spent=amount.clip(lower_bound=0.0).sum(),
            returned=(-amount).clip(lower_bound=0.0).sum(),
            bought=(amount >= 0).any(),
        )
        .drop("day")
    )
