"""What is known of each customer at a moment, one row an account that had bought before."""

from datetime import datetime, timedelta

import polars as pl

from forecast.customers import (
    EVENTS,
    CustomerHistory,
    account_attributes,
    open_pipeline,
    purchase_days,
    returned_before,
)

YEAR_DAYS = 365
_PLACED = ("region", "channel")
_COUNTS = ("returned_amount", "product_count", "open_wins", *(f"{kind}_count" for kind in EVENTS))


def customer_features(history: CustomerHistory, as_of: datetime, *, horizon_days: int) -> pl.DataFrame:
    """Give what was known of each customer strictly before `as_of`.

    Returns:
        `account_id`, sorted; `purchase_days`; `spent` and `returned_amount`; `recency_days` and `tenure_days`, since the
        last and the first purchase; `mean_value, last_value, max_value` of a purchase day; `gap_sd_days` between purchases
        (missing below three) and `gap_max_days`, the longest; `recent_…` within the last horizon, `half_…` its newer half, `previous_…` the horizon
        before, `season_…` the same days a year ago; counts of cases, activities and opportunities within the last horizon;
        `product_count` of different products; mean `satisfaction`, 0-1 (missing where never asked); `open_wins` of the
        open pipeline; the account's attributes and custom fields, region and channel else as its first order names them.
    """
    days = purchase_days(history, as_of).with_columns(gap=_gap())
    return (
        days.lazy()
        .with_columns(account=pl.col("account_id").rle_id())
        .set_sorted("account")
        .group_by("account", maintain_order=True)
        .agg(pl.col("account_id").first(), *_whole(), *_windows(horizon_days))
        .drop("account")
        .collect()
        .join(returned_before(history, as_of), on="account_id", how="left", maintain_order="left")
        .join(event_counts(history, as_of, horizon_days), on="account_id", how="left", maintain_order="left")
        .join(_products(history, as_of), on="account_id", how="left", maintain_order="left")
        .join(_satisfaction(history, as_of), on="account_id", how="left", maintain_order="left")
        .join(
            open_pipeline(history, as_of).drop("open_count", "open_value"),
            on="account_id",
            how="left",
            maintain_order="left",
        )
        .join(account_attributes(history, as_of), on="account_id", how="left", maintain_order="left")
        .join(_places(history, as_of), on="account_id", how="left", maintain_order="left")
        .with_columns(pl.coalesce(name, f"{name}_of_order").alias(name) for name in _PLACED)
        .drop(f"{name}_of_order" for name in _PLACED)
        .with_columns(pl.col(_COUNTS).fill_null(0))
    )


def _gap() -> pl.Expr:
    """Days since the purchase before; rows are sorted by account, oldest first."""
    same = pl.col("account_id") == pl.col("account_id").shift(1)
    return pl.when(same).then(pl.col("ago_days").shift(1) - pl.col("ago_days"))


def _whole() -> list[pl.Expr]:
    return [
        pl.len().cast(pl.Int64).alias("purchase_days"),
        pl.col("spent").sum(),
        pl.col("ago_days").min().cast(pl.Int64).alias("recency_days"),
        pl.col("ago_days").max().cast(pl.Int64).alias("tenure_days"),
        pl.col("spent").mean().alias("mean_value"),
        pl.col("spent").last().alias("last_value"),
        pl.col("spent").max().alias("max_value"),
        pl.col("gap").std().alias("gap_sd_days"),
        pl.col("gap").max().cast(pl.Int64).alias("gap_max_days"),
    ]


def _windows(horizon_days: int) -> list[pl.Expr]:
    bounds = {
        "recent": (0, horizon_days),
        "half": (0, horizon_days // 2),
        "previous": (horizon_days, 2 * horizon_days),
        "season": (YEAR_DAYS - horizon_days, YEAR_DAYS),
    }
    found = []
    for name, (first, end) in bounds.items():
        inside = (pl.col("ago_days") >= first) & (pl.col("ago_days") < end)
        found += [
            inside.sum().cast(pl.Int64).alias(f"{name}_purchases"),
            (pl.col("spent") * inside).sum().alias(f"{name}_spent"),
        ]
    return found


def event_counts(history: CustomerHistory, as_of: datetime, horizon_days: int) -> pl.DataFrame:
    """Count cases, activities and opportunities within the last horizon: `account_id, …_count` of those with any."""
    start = as_of - timedelta(days=horizon_days)
    recent = history.events.filter((pl.col("happened_at") < as_of) & (pl.col("happened_at") >= start))
    counts = [(pl.col("kind") == kind).sum().cast(pl.Int64).alias(f"{kind}_count") for kind in EVENTS]
    return recent.group_by("account_id").agg(counts)


def _products(history: CustomerHistory, as_of: datetime) -> pl.DataFrame:
    bought = history.lines.filter(pl.col("happened_at") < as_of)
    return bought.group_by("account_id").agg(product_count=pl.col("product_id").n_unique().cast(pl.Int64))


def _places(history: CustomerHistory, as_of: datetime) -> pl.DataFrame:
    known = history.places.filter(pl.col("happened_at") < as_of)
    return known.select("account_id", pl.col(_PLACED).name.suffix("_of_order"))


def _satisfaction(history: CustomerHistory, as_of: datetime) -> pl.DataFrame:
    given = history.ratings.filter(pl.col("happened_at") < as_of)
    return given.group_by("account_id").agg(pl.col("satisfaction").mean())
