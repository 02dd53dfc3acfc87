"""High, medium or low: probability crossed with expected value and the evaluation matrix; and where scores are heading."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal

import polars as pl

from forecast.errors import InputError

Grade = Literal["high", "medium", "low"]
Trend = Literal["improving", "steady", "declining"]

GRADES: tuple[Grade, ...] = ("low", "medium", "high")
NOISE = 0.05
RATINGS = ("need_fit", "purchasing_power", "competition")


@dataclass(frozen=True, kw_only=True)
class GradeThresholds:
    """Bounds of the grade matrix, each inclusive; see `grade`.

    Attributes:
        probability_high, probability_medium: 0-1, from below.
        expected_value_high, expected_value_medium: from below; without them the probability decides alone.
        rating_high, rating_low: of the mean of the ratings that are given (1-5), from below and from above; without them ratings
            don't count.

    Raises:
        InputError: a bound is out of its range, or a pair is out of order.
    """

    probability_high: float
    probability_medium: float
    expected_value_high: float | None = None
    expected_value_medium: float | None = None
    rating_high: float | None = None
    rating_low: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.probability_medium <= self.probability_high <= 1:
            raise InputError(
                f"probability_medium is {self.probability_medium} and probability_high {self.probability_high}; "
                "give 0 to 1, medium at most as high as high"
            )
        _check_pair(
            self.expected_value_medium, self.expected_value_high, "expected_value_medium and expected_value_high"
        )
        _check_pair(self.rating_low, self.rating_high, "rating_low and rating_high")


def _check_pair(lower: float | None, upper: float | None, names: str) -> None:
    if (lower is None) != (upper is None) or (lower is not None and upper is not None and lower > upper):
        raise InputError(
            f"{names} are {lower} and {upper}; give both, the first at most as high as the second, or neither"
        )


@dataclass(frozen=True, kw_only=True)
class GradePolicies:
    """The thresholds in force: `pipelines` have their own, all others the default; `decided_at` is when the newest were."""

    default: GradeThresholds
    pipelines: Mapping[str, GradeThresholds] = field(default_factory=lambda: MappingProxyType({}))
    decided_at: datetime | None = None


def usual_thresholds(base_rate: float, expected_values: pl.Series) -> GradeThresholds:
    """Propose thresholds from the share won and the expected values of a pipeline (missing ones are left out).

    Probability is high from twice the share won (at most 0.6), medium from the share itself; expected value is high in
    the top quarter, medium in the next 35 %; a mean rating of 4 or more lifts, of 2 or less lowers.
    """
    known = expected_values.drop_nulls().drop_nans()
    return GradeThresholds(
        probability_high=min(0.6, 2 * base_rate),
        probability_medium=min(0.3, base_rate),
        expected_value_high=_quantile(known, 0.75),
        expected_value_medium=_quantile(known, 0.40),
        rating_high=4.0,
        rating_low=2.0,
    )


def _quantile(values: pl.Series, share: float) -> float | None:
    found = values.quantile(share)
    return float(found) if isinstance(found, float) else None


def grade_records(policies: GradePolicies, records: pl.DataFrame) -> pl.Series:
    """Grade records, keeping the grade before where only noise speaks for another.

    A grade stays where a probability less than NOISE away would give it, so that a probability that wavers by less than 5
    points never moves it.

    Args:
        policies: in force.
        records: `probability, amount, pipeline_id`, RATINGS, and `last_grade` (missing where there is none that counts).
    """
    probability = pl.col("probability")
    if not policies.pipelines:
        return records.select(_steady(policies.default, probability).alias("grade")).to_series()
    by_pipeline = pl.col("pipeline_id").replace_strict(
        {name: number for number, name in enumerate(policies.pipelines, start=1)}, default=0, return_dtype=pl.Int64
    )
    steady = [_steady(thresholds, probability) for thresholds in (policies.default, *policies.pipelines.values())]
    chosen = steady[0]
    for number, own in enumerate(steady[1:], start=1):
        chosen = pl.when(by_pipeline == number).then(own).otherwise(chosen)
    return records.select(chosen.alias("grade")).to_series()


def _steady(thresholds: GradeThresholds, probability: pl.Expr) -> pl.Expr:
    now, least, most = (
        _grade_at(thresholds, shifted) for shifted in (probability, probability - NOISE, probability + NOISE)
    )
    last = _rank(pl.col("last_grade"))
    reachable = (_rank(least) <= last) & (last <= _rank(most))
    return pl.when(reachable.fill_null(value=False)).then("last_grade").otherwise(now)


def _grade_at(thresholds: GradeThresholds, probability: pl.Expr) -> pl.Expr:
    return grade(thresholds, probability, probability * pl.col("amount"), pl.mean_horizontal(*RATINGS))


def _rank(grades: pl.Expr) -> pl.Expr:
    return grades.replace_strict({name: rank for rank, name in enumerate(GRADES)}, return_dtype=pl.Int8)


def grade(thresholds: GradeThresholds, probability: pl.Expr, expected_value: pl.Expr, rating: pl.Expr) -> pl.Expr:
    """Give `high`, `medium` or `low`.

    Probability and expected value give 2, 1 or 0 points each; where the expected value or its thresholds are missing, the
    probability counts twice. A high rating adds a point, a low one takes one. 3 or more are high, 2 medium, less low.
    """
    likely = _points(probability, thresholds.probability_high, thresholds.probability_medium)
    if thresholds.expected_value_high is None or thresholds.expected_value_medium is None:
        points = 2 * likely
    else:
        worth = _points(expected_value, thresholds.expected_value_high, thresholds.expected_value_medium)
        points = pl.when(expected_value.is_not_null()).then(likely + worth).otherwise(2 * likely)
    if thresholds.rating_high is not None and thresholds.rating_low is not None:
        lifted = (rating >= thresholds.rating_high).cast(pl.Int8) - (rating <= thresholds.rating_low).cast(pl.Int8)
        points = points + lifted.fill_null(0)
    return pl.when(points >= 3).then(pl.lit("high")).when(points == 2).then(pl.lit("medium")).otherwise(pl.lit("low"))


def _points(value: pl.Expr, high: float, medium: float) -> pl.Expr:
    return (value >= high).cast(pl.Int8) + (value >= medium).cast(pl.Int8)


def trend(probability: pl.Expr, before: pl.Expr) -> pl.Expr:
    """Say where scores are heading: `improving` or `declining` from 5 points against the mean of those before, else `steady`.

    Missing where there was none before.
    """
    moved = probability - before
    return (
        pl.when(moved >= NOISE)
        .then(pl.lit("improving"))
        .when(moved <= -NOISE)
        .then(pl.lit("declining"))
        .when(moved.is_not_null())
        .then(pl.lit("steady"))
    )
