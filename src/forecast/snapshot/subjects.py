"""Moments at which opportunities are looked at, to learn from them: subjects of snapshots."""

from collections.abc import Sequence

import polars as pl

from forecast.moments import MICROSECONDS_A_DAY
from forecast.snapshot.cutting import History, without_departed


def opportunities_at_ages(history: History, ages_days: Sequence[float]) -> pl.DataFrame:
    """List each opportunity at each of these ages, as subjects, as long as it had not closed.

    One that closed at an unknown moment is listed at its creation only, one of unknown creation once, without a moment.
    """
    ages = pl.DataFrame({"age_days": [float(age) for age in ages_days]}, schema={"age_days": pl.Float64})
    as_of = pl.col("created_at") + pl.duration(microseconds=(pl.col("age_days") * MICROSECONDS_A_DAY).cast(pl.Int64))
    closed_sometime = (pl.col("status") != "open") & pl.col("closed_at").is_null()
    subjects = (
        history.opportunities.select("opportunity_id", "created_at")
        .join(history.closings, on="opportunity_id")
        .join(ages, how="cross")
        .with_columns(as_of.alias("as_of"))
        .filter(
            pl.when(closed_sometime | pl.col("created_at").is_null())
            .then(pl.col("age_days") == min(ages_days))
            .otherwise(pl.col("closed_at").is_null() | (pl.col("as_of") <= pl.col("closed_at")))
        )
        .sort("opportunity_id", "as_of")
        .select("opportunity_id", "as_of")
    )
    return without_departed(history, subjects)


def opportunities_entering_stages(history: History, stages: Sequence[str]) -> pl.DataFrame:
    """List each opportunity just after it first entered each of these stages, as subjects, as long as it had not closed."""
    into = (pl.col("field") == "stage") & pl.col("new_value").is_in(stages)
    entered = history.changes.filter(into).rename({"record_id": "opportunity_id"})
    just_after = (pl.col("changed_at").min() + pl.duration(microseconds=1)).alias("as_of")
    subjects = (
        entered.group_by("opportunity_id", "new_value")
        .agg(just_after)
        .join(history.closings, on="opportunity_id")
        .join(history.opportunities.select("opportunity_id", "created_at"), on="opportunity_id")
        .filter(
            pl.col("as_of") > pl.col("created_at"),
            (pl.col("status") == "open") | (pl.col("as_of") <= pl.col("closed_at")),
        )
        .select("opportunity_id", "as_of")
        .unique()
        .sort("opportunity_id", "as_of")
    )
    return without_departed(history, subjects)
