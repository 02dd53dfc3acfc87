"""High, medium or low: probability crossed with expected value."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

Grade = Literal["high", "medium", "low"]


@dataclass(frozen=True, kw_only=True)
class GradeThresholds:
    """Bounds of the grade matrix, each inclusive from below; see `grade_policy`."""

    probability_high: float
    probability_medium: float
    expected_value_high: float | None = None
    expected_value_medium: float | None = None


def usual_thresholds(base_rate: float, expected_values: pl.Series) -> GradeThresholds:
    """Propose thresholds from the share won and the expected values of a pipeline (missing ones are left out).

    Probability is high from twice the share won (at most 0.6), medium from the share itself; expected value is high in
    the top quarter, medium in the next 35 %.
    """
    known = expected_values.drop_nulls().drop_nans()
    return GradeThresholds(
        probability_high=min(0.6, 2 * base_rate),
        probability_medium=min(0.3, base_rate),
        expected_value_high=_quantile(known, 0.75),
        expected_value_medium=_quantile(known, 0.40),
    )


def _quantile(values: pl.Series, share: float) -> float | None:
    found = values.quantile(share)
    return float(found) if isinstance(found, float) else None


def grade(thresholds: GradeThresholds, probability: pl.Expr, expected_value: pl.Expr) -> pl.Expr:
    """Give `high`, `medium` or `low`.

    Each axis gives 2, 1 or 0 points; 3 or more are high, 2 medium, less low. Where the expected value or its thresholds
    are missing, the probability decides alone.
    """
    likely = _points(probability, thresholds.probability_high, thresholds.probability_medium)
    if thresholds.expected_value_high is None or thresholds.expected_value_medium is None:
        points = 2 * likely
    else:
        worth = _points(expected_value, thresholds.expected_value_high, thresholds.expected_value_medium)
        points = pl.when(expected_value.is_not_null()).then(likely + worth).otherwise(2 * likely)
    return pl.when(points >= 3).then(pl.lit("high")).when(points == 2).then(pl.lit("medium")).otherwise(pl.lit("low"))


def _points(value: pl.Expr, high: float, medium: float) -> pl.Expr:
    return (value >= high).cast(pl.Int8) + (value >= medium).cast(pl.Int8)
