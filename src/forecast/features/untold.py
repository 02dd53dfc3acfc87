"""Features that closing took away without a trace: what still has them is what is still open."""

import polars as pl

OPEN_ONLY = 0.1
"""By so much is the share of ended rows that lack such a feature larger than that of open ones; or all but so many lack it."""
OVERWRITTEN = (
    "stage", "stage_position", "stage_pace", "expected_close_days", "planned_duration_days", "forecast_category",
    "seller_probability",
)  # fmt: skip
"""What is missing where columns that CRMs overwrite on closing are; of their next step all that begins so is, its words too."""
NEXT_STEP = "next_step"


def without_untold(features: pl.DataFrame, ended: pl.Series) -> pl.DataFrame:
    """Blank what closing took from many rows that ended: learnt from, it would tell that what has it never ends.

    An export without history has the stage of open opportunities only; of ended ones it is hidden, as it tells the end.

    Args:
        features: of opportunities as they stood open.
        ended: which of them have ended since.
    """
    open_rows, ended_rows = features.filter(~ended), features.filter(ended)
    if open_rows.is_empty() or ended_rows.is_empty():
        return features
    gone = [
        name
        for name in features.columns
        if _is_overwritten(name)
        and _lacking(ended_rows, name) > min(_lacking(open_rows, name) + OPEN_ONLY, 1 - OPEN_ONLY)
    ]
    return features.with_columns(pl.lit(None, features.schema[name]).alias(name) for name in gone)


def _is_overwritten(name: str) -> bool:
    return name in OVERWRITTEN or name.startswith(NEXT_STEP)


def _lacking(rows: pl.DataFrame, name: str) -> float:
    return rows[name].null_count() / rows.height
