"""What was done on an opportunity, and how long it has been quiet."""

from datetime import timedelta

import polars as pl

from forecast.features.durations import days
from forecast.features.plan import FeaturePlan
from forecast.snapshot import Snapshot

WINDOWS_DAYS = (7, 30, 90)
_INBOUND = ("inbound", "incoming", "in", "received", "来", "呼入", "接收")


def activity_features(snapshot: Snapshot, plan: FeaturePlan) -> pl.DataFrame:
    """Give counts and recency of activities, one row a subject; days since something is missing where it never was."""
    done = snapshot.activities.filter(pl.col("occurred_at") < pl.col("as_of"))
    planned = snapshot.activities.filter(pl.col("occurred_at") >= pl.col("as_of"))
    ago = days(pl.col("as_of") - pl.col("occurred_at"))
    past = done.group_by("row").agg(
        pl.len().alias("activity_count"),
        ago.min().alias("activity_silence_days"),
        pl.col("person_id").drop_nulls().n_unique().alias("active_person_count"),
        pl.col("contact_id").drop_nulls().n_unique().alias("active_contact_count"),
        pl.col("occurred_at").dt.date().n_unique().alias("active_day_count"),
        pl.col("direction").str.to_lowercase().is_in(_INBOUND).sum().alias("inbound_activity_count"),
        *(
            (pl.col("occurred_at") >= pl.col("as_of") - timedelta(days=window)).sum().alias(f"activity_count_{window}d")
            for window in WINDOWS_DAYS
        ),
        *((pl.col("type") == kind).sum().alias(f"activity_{kind}_count") for kind in plan.activity_types),
        *(
            ago.filter(pl.col("type") == kind).min().alias(f"activity_{kind}_silence_days")
            for kind in plan.activity_types
        ),
    )
    ahead = planned.group_by("row").agg(
        pl.len().alias("planned_activity_count"), (-ago).min().alias("next_activity_days")
    )
    joined = (
        snapshot.rows.select("row")
        .join(past, on="row", how="left", maintain_order="left")
        .join(ahead, on="row", how="left", maintain_order="left")
        .drop("row")
    )
    return joined.select(
        pl.col(name).cast(pl.Float64) if name.endswith("_days") else pl.col(name).cast(pl.Float64).fill_null(0)
        for name in joined.columns
    )
