"""Stages of pipelines as they were at a moment, whatever became of the pipelines since."""

from datetime import datetime
from typing import Literal

import polars as pl

STAGE_TYPES = pl.Schema(
    {
        "valid_from": pl.Datetime("us", "UTC"),
        "pipeline_id": pl.String(),
        "stage": pl.String(),
        "position": pl.Int64(),
        "kind": pl.String(),
        "usual_days": pl.Float64(),
        "quiet_days_max": pl.Int64(),
    }
)
"""A row for each stage of each version; of the first version, `valid_from` is missing: it holds from the beginning."""

_ANY_PIPELINE = ""
_TOLD = ("position", "kind", "usual_days", "quiet_days_max")


def stages_then(rows: pl.DataFrame, stages: pl.DataFrame) -> pl.DataFrame:
    """Give what was true of each row's stage strictly before its moment; missing where the pipeline did not have it.

    Of a row whose pipeline has no stages, the stage is that of this name in another: the one that stands first there.

    Args:
        rows: `pipeline_id, stage, as_of`; a row without a moment stands before all changes.
        stages: as STAGE_TYPES.

    Returns:
        `position, kind, usual_days, quiet_days_max`, in the order of rows.
    """
    moments = stages["valid_from"].unique().drop_nulls().sort()
    first_of_name = stages.sort("position", "pipeline_id").unique(["valid_from", "stage"], keep="first")
    known = pl.concat([stages, first_of_name.with_columns(pipeline_id=pl.lit(_ANY_PIPELINE))])
    numbered = known.select("pipeline_id", "stage", _version(known["valid_from"], moments, side="right"), *_TOLD)
    has_own = pl.col("pipeline_id").is_in(stages["pipeline_id"].unique().implode())
    return (
        rows.select(
            pl.when(has_own).then("pipeline_id").otherwise(pl.lit(_ANY_PIPELINE)).alias("pipeline_id"),
            "stage",
            _version(rows["as_of"], moments, side="left"),
        )
        .join(numbered, on=["pipeline_id", "stage", "version"], how="left", maintain_order="left")
        .select(_TOLD)
    )


def _version(asked: pl.Series, moments: pl.Series, *, side: Literal["left", "right"]) -> pl.Series:
    """Count the moments before each one asked for, or up to it with side "right"; none before one that is missing."""
    found = moments.search_sorted(asked.cast(moments.dtype), side=side)
    return pl.select(pl.when(asked.is_null()).then(0).otherwise(found).cast(pl.UInt32).alias("version")).to_series()


def stages_at(stages: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """Give the stages of the version in force just before a moment."""
    begun = stages.filter(pl.col("valid_from").is_null() | (pl.col("valid_from") < moment))
    return begun.filter(pl.col("valid_from").eq_missing(pl.col("valid_from").max()))
