"""Records -> booked revenue by month, person and team."""

from datetime import datetime
from typing import Literal

import polars as pl

from forecast.errors import InputError, TooLittleHistoryError

CANCELLED = ("cancelled", "canceled", "void", "draft")
NOBODY = "nobody"
NO_TEAM = "no team"

Source = Literal["orders", "won opportunities"]


def booked_revenue(
    orders: pl.DataFrame, opportunities: pl.DataFrame, *, as_of: datetime, currency: str | None
) -> tuple[pl.DataFrame, Source]:
    """Give `owner_id, booked_at, amount` of orders before a moment; of won opportunities where there are no orders.

    Args:
        orders: `owner_id, ordered_at, amount, currency, status`.
        opportunities: `owner_id, closed_at, amount, won_amount, currency, status`.
        currency: whose amounts count; may be None where there is one only.

    Raises:
        TooLittleHistoryError: nothing was booked.
        InputError: amounts are in several currencies, and none was named.
    """
    ordered = orders.filter(~pl.col("status").fill_null("").str.to_lowercase().is_in(CANCELLED)).select(
        "owner_id", pl.col("ordered_at").alias("booked_at"), "amount", "currency"
    )
    won = opportunities.filter(pl.col("status") == "won").select(
        "owner_id",
        pl.col("closed_at").alias("booked_at"),
        pl.coalesce("won_amount", "amount").alias("amount"),
        "currency",
    )
    for rows, source in ((ordered, "orders"), (won, "won opportunities")):
        known = rows.filter(pl.col("booked_at") < as_of).drop_nulls("amount")
        if known.height:
            return _of_one_currency(known, currency).drop("currency"), source  # type: ignore[return-value]
    raise TooLittleHistoryError(
        f"neither orders nor won opportunities with an amount are known before {as_of:%Y-%m-%d}; import some first"
    )


def _of_one_currency(rows: pl.DataFrame, currency: str | None) -> pl.DataFrame:
    found = rows["currency"].drop_nulls().value_counts(sort=True)
    if currency is not None:
        kept = rows.filter(pl.col("currency") == currency)
        if kept.is_empty():
            raise InputError(f'nothing is booked in "{currency}"; found {", ".join(found["currency"])}')
        return kept
    if found.height > 1:
        counts = ", ".join(f"{name} ({count})" for name, count in found.iter_rows())
        raise InputError(f"amounts are in several currencies, {counts}; name one with --currency")
    return rows


def monthly_revenue(booked: pl.DataFrame, people: pl.DataFrame, *, as_of: datetime, timezone: str) -> pl.DataFrame:
    """Give `unique_id, ds, y, team`: what each person booked each month, from the person's first to that of the moment.

    Args:
        booked: `owner_id, booked_at, amount`.
        people: `id, team_id`, the team as it is now.
    """
    month = pl.col("booked_at").dt.convert_time_zone(timezone).dt.date().dt.truncate("1mo")
    sums = (
        booked.group_by(pl.col("owner_id").fill_null(NOBODY).alias("unique_id"), month.alias("ds"))
        .agg(pl.col("amount").cast(pl.Float64).sum().alias("y"))
        .sort("unique_id", "ds")
    )
    last = pl.Series([as_of]).dt.convert_time_zone(timezone).dt.date().dt.truncate("1mo")[0]
    months = sums.group_by("unique_id", maintain_order=True).agg(
        pl.date_ranges(pl.col("ds").min(), pl.lit(last), interval="1mo").first().alias("ds")
    )
    teams = people.select(pl.col("id").alias("unique_id"), pl.col("team_id").alias("team"))
    return (
        months.explode("ds")
        .join(sums, on=["unique_id", "ds"], how="left", maintain_order="left")
        .join(teams, on="unique_id", how="left", maintain_order="left")
        .with_columns(pl.col("y").fill_null(0), pl.col("team").fill_null(NO_TEAM))
    )
