"""What the account had bought, asked and said before, and what else is open with it."""

import polars as pl

from forecast.features.durations import days
from forecast.snapshot import Snapshot
from forecast.snapshot.tallies import totals_before

_AS_OF = pl.col("as_of")
_YEAR, _QUARTER = pl.duration(days=365), pl.duration(days=90)


def account_features(snapshot: Snapshot) -> pl.DataFrame:
    """Give the history of each row's account without the row's own opportunity; missing where the account is."""
    orders, orders_of_year = _totals(snapshot, "order"), _totals(snapshot, "order", since=_AS_OF - _YEAR)
    cases = _totals(snapshot, "case", since=_AS_OF - _QUARTER)
    feedback = _totals(snapshot, "feedback", since=_AS_OF - _YEAR)
    beside = _totals(snapshot, "open")
    newer = _totals(snapshot, "opened", since=pl.col("created_at"))
    created = snapshot.rows["created_at"].is_not_null()
    return snapshot.rows.select(
        orders["count"].cast(pl.Float64).alias("account_order_count"),
        orders_of_year["count"].cast(pl.Float64).alias("account_order_count_365d"),
        orders_of_year["amount"].alias("account_order_amount_365d"),
        days(_AS_OF - orders["last_at"]).alias("account_order_silence_days"),
        cases["count"].cast(pl.Float64).alias("account_case_count_90d"),
        (feedback["amount"] / feedback["count"].replace(0, None)).alias("account_satisfaction"),
        beside["count"].cast(pl.Float64).alias("account_open_count"),
        beside["amount"].alias("account_open_amount"),
        pl.when(created).then(newer["count"].cast(pl.Float64)).alias("account_newer_count"),
    )


def _totals(snapshot: Snapshot, kind: str, *, since: pl.Expr | None = None) -> pl.DataFrame:
    """Sum what happened with each row's account before its moment, and not before `since`."""
    rows = snapshot.rows.select("row", "account_id", "opportunity_id", "as_of", "created_at")
    events = snapshot.account_events.filter(pl.col("kind") == kind)
    found = totals_before(rows, events)
    if since is not None:
        earlier = totals_before(rows.with_columns(since.alias("as_of")), events)
        found = found.with_columns(found[name] - earlier[name] for name in ("count", "amount"))
    return found.select(
        pl.when(rows["account_id"].is_not_null()).then(pl.col(name)).alias(name) for name in found.columns
    )
