"""Opportunities of the same account: when each came, changed its amount or its account, and went."""

import polars as pl

from forecast.snapshot import History
from forecast.snapshot.changes import as_known
from forecast.snapshot.frames import ACCOUNT_EVENT_TYPES

_INSTANT = pl.duration(microseconds=1)
_MOVING = ("account_id", "amount")


def opportunity_events(history: History) -> pl.DataFrame:
    """List what opportunities did to the open ones of their accounts, as `History.account_events` has it.

    `opened` is a creation. `open` adds one opportunity with its amount, or takes it away: at the creation, at the closing, and,
    to what it was and from what it was, where the account or the amount changes between. Those of an unknown creation or closing are left out.
    """
    lives = history.opportunities.select("opportunity_id", "created_at").join(history.closings, on="opportunity_id")
    lives = lives.filter(
        pl.col("created_at").is_not_null(), (pl.col("status") == "open") | pl.col("closed_at").is_not_null()
    ).select("opportunity_id", "created_at", "closed_at")
    states = _states(history, lives)
    begins = states.with_columns(pl.lit(1, pl.Int64).alias("count"))
    ends = states.with_columns(
        pl.col("until").alias("happened_at"), pl.lit(-1, pl.Int64).alias("count"), -pl.col("amount")
    )
    opened = begins.filter(pl.col("happened_at") == pl.col("created_at")).with_columns(pl.lit("opened").alias("kind"))
    moves = pl.concat([begins, ends]).with_columns(pl.lit("open").alias("kind"))
    return (
        pl.concat([opened, moves])
        .filter(pl.col("happened_at").is_not_null(), pl.col("account_id").is_not_null())
        .select(ACCOUNT_EVENT_TYPES.names())
    )


def _states(history: History, lives: pl.DataFrame) -> pl.DataFrame:
    """List the spans in which account and amount of an opportunity stayed: `happened_at`, `until` (missing while it lasts)."""
    changed = (
        history.changes.filter(pl.col("field").is_in(_MOVING))
        .select(pl.col("record_id").alias("opportunity_id"), pl.col("changed_at").alias("happened_at"))
        .join(lives, on="opportunity_id")
        .filter(
            pl.col("happened_at") > pl.col("created_at"),
            pl.col("closed_at").is_null() | (pl.col("happened_at") < pl.col("closed_at")),
        )
        .select("opportunity_id", "happened_at", "created_at", "closed_at")
    )
    begun = lives.select("opportunity_id", pl.col("created_at").alias("happened_at"), "created_at", "closed_at")
    moments = (
        pl.concat([begun, changed])
        .unique()
        .sort("opportunity_id", "happened_at")
        .with_columns(
            pl.coalesce(pl.col("happened_at").shift(-1).over("opportunity_id"), "closed_at").alias("until"),
            (pl.col("happened_at") + _INSTANT).alias("as_of"),
        )
        .with_row_index("row")
    )
    records = history.opportunities.select("opportunity_id", *_MOVING)
    return as_known(moments, records, history.change_index, "opportunity_id").with_columns(
        pl.col("amount").fill_null(0)
    )
