"""How long won opportunities stayed in each stage."""

import polars as pl

from forecast.moments import MICROSECONDS_A_DAY

STAY_TYPES = pl.Schema(
    {
        "key": pl.String(),
        "closed_at": pl.Datetime("us", "UTC"),
        "stay_count": pl.Int64(),
        "log_days": pl.Float64(),
    }
)
"""A row for each stay: its stage as `stay_key` gives it, the moment from which it is known, 1, and the logarithm of its days and one more."""


def stay_key() -> pl.Expr:
    """Name a stage of a pipeline, from `pipeline_id` and `stage`; missing where the stage is."""
    return pl.concat_str(pl.col("pipeline_id").fill_null(""), "stage", separator="\n").alias("key")


def stays_of_won(opportunities: pl.DataFrame, closings: pl.DataFrame, changes: pl.DataFrame) -> pl.LazyFrame:
    """List each stay of a won opportunity in a stage, known once it had closed.

    A stay begins with a change to the stage, or with the creation, in the stage that the first change left. It ends with the next
    change, or with the closing. Opportunities without changes of stage or without a moment of closing tell nothing.

    Returns:
        As STAY_TYPES, worked out when it is asked for.
    """
    won = (
        closings.lazy()
        .filter(pl.col("status") == "won", pl.col("closed_at").is_not_null())
        .select("opportunity_id", "closed_at")
        .join(opportunities.lazy().select("opportunity_id", "created_at", "pipeline_id"), on="opportunity_id")
    )
    moves = (
        changes.lazy()
        .filter(pl.col("field") == "stage")
        .select(
            pl.col("record_id").alias("opportunity_id"), "changed_at", "old_value", pl.col("new_value").alias("stage")
        )
        .join(won, on="opportunity_id", maintain_order="left")
    )
    first = moves.group_by("opportunity_id", maintain_order=True).first()
    begun = first.filter(pl.col("created_at") <= pl.col("changed_at")).with_columns(
        stage=pl.col("old_value"), changed_at=pl.col("created_at")
    )
    entries = pl.concat([begun, moves]).filter(pl.col("changed_at") < pl.col("closed_at"))
    left_at = pl.coalesce(pl.col("changed_at").shift(-1).over("opportunity_id"), "closed_at")
    ordered = entries.sort("changed_at", maintain_order=True)
    took = (left_at - pl.col("changed_at")).dt.total_microseconds() / MICROSECONDS_A_DAY
    return (
        ordered.with_columns(took.log1p().alias("log_days"), stay_key(), pl.lit(1, pl.Int64).alias("stay_count"))
        .filter(pl.col("key").is_not_null())
        .select(STAY_TYPES.names())
    )
