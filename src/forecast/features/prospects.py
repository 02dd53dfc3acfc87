"""What is known at a moment of accounts that have not bought yet."""

from datetime import datetime

import polars as pl

from forecast.customers import EVENTS, CustomerHistory, account_attributes, open_pipeline
from forecast.features.customers import event_counts

PROSPECT_NUMBERS = ("age_days", "open_wins", "open_value", *(f"{kind}_count" for kind in EVENTS))


def prospect_features(history: CustomerHistory, as_of: datetime, *, horizon_days: int) -> pl.DataFrame:
    """Give every account that was known strictly before `as_of` and had not bought by then.

    An account is known from its creation, or from its first activity, case or opportunity; one without any of these
    moments is left out.

    Returns:
        `account_id`, sorted; `age_days` since it is known; `open_wins, open_value` of the open pipeline; counts of cases,
        activities and opportunities within the last horizon; the account's attributes and custom fields.
    """
    known = _first_known(history).filter(pl.col("known_at") < as_of)
    bought = history.orders.filter((pl.col("ordered_at") < as_of) & (pl.col("amount").fill_null(0.0) >= 0))
    age = (pl.lit(as_of) - pl.col("known_at")).dt.total_days()
    return (
        known.join(bought.select("account_id").unique(), on="account_id", how="anti")
        .select("account_id", age_days=age)
        .join(open_pipeline(history, as_of).drop("open_count"), on="account_id", how="left")
        .join(event_counts(history, as_of, horizon_days), on="account_id", how="left")
        .join(account_attributes(history, as_of), on="account_id", how="left")
        .with_columns(pl.col(PROSPECT_NUMBERS).fill_null(0).cast(pl.Float64))
        .sort("account_id")
    )


def _first_known(history: CustomerHistory) -> pl.DataFrame:
    """Give the first moment of each account that has a row of its own: `account_id, known_at`."""
    moments = [
        history.events.select("account_id", pl.col("happened_at").alias("known_at")),
        history.pipeline.select("account_id", pl.col("created_at").alias("known_at")),
    ]
    if "created_at" in history.accounts.columns:
        moments.append(history.accounts.select("account_id", pl.col("created_at").alias("known_at")))
    first = pl.concat(moments).drop_nulls().group_by("account_id").agg(pl.col("known_at").min())
    return first.join(history.accounts.select("account_id"), on="account_id", how="semi")
