"""What was done on an opportunity, by kind and direction, and how long it has been quiet."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

import polars as pl

from forecast.features.durations import days
from forecast.features.plan import FeaturePlan
from forecast.snapshot import Snapshot

WINDOWS_DAYS = (7, 30, 90)
DIRECTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "inbound": ("inbound", "incoming", "in", "received", "来", "来电", "呼入", "接收", "收到"),
        "outbound": ("outbound", "outgoing", "out", "sent", "去", "去电", "呼出", "发送", "发出"),
    }
)


def activity_features(snapshot: Snapshot, plan: FeaturePlan) -> pl.DataFrame:
    """Give counts and recency of activities, one row a subject; days since something is missing where it never was."""
    direction = pl.col("direction").str.to_lowercase()
    seen = snapshot.activities.with_columns(
        days(pl.col("as_of") - pl.col("occurred_at")).alias("ago"),
        *(direction.is_in(words).alias(name) for name, words in DIRECTIONS.items()),
        *(
            (pl.col("occurred_at") >= pl.col("as_of") - timedelta(days=window)).alias(f"within_{window}d")
            for window in WINDOWS_DAYS
        ),
    )
    past = (
        seen.filter(pl.col("ago") > 0)
        .group_by("row")
        .agg(
            pl.col("ago").min().alias("activity_silence_days"),
            pl.col("person_id").drop_nulls().n_unique().alias("active_person_count"),
            pl.col("contact_id").drop_nulls().n_unique().alias("active_contact_count"),
            pl.col("occurred_at").dt.date().n_unique().alias("active_day_count"),
            *_counts(plan),
            *(
                pl.col("ago").filter(pl.col("type") == kind).min().alias(f"activity_{kind}_silence_days")
                for kind in plan.activity_types
            ),
        )
    )
    ahead = (
        seen.filter(pl.col("ago") <= 0)
        .group_by("row")
        .agg(pl.len().alias("planned_activity_count"), (-pl.col("ago")).min().alias("next_activity_days"))
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


def _counts(plan: FeaturePlan) -> list[pl.Expr]:
    """Count activities so far and within each window: all, by direction, and by type."""
    counted = {"activity": pl.col("ago").is_not_null(), **{f"{name}_activity": pl.col(name) for name in DIRECTIONS}}
    of_type = {kind: pl.col("type") == kind for kind in plan.activity_types}
    recent = counted | {f"activity_{kind}": of_type[kind] for kind in plan.recent_types}
    ever = counted | {f"activity_{kind}": of_kind for kind, of_kind in of_type.items()}
    return [
        *(among.sum().alias(f"{name}_count") for name, among in ever.items()),
        *(
            (among & pl.col(f"within_{window}d")).sum().alias(f"{name}_count_{window}d")
            for name, among in recent.items()
            for window in WINDOWS_DAYS
        ),
    ]
