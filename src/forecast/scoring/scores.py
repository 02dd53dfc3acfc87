"""A snapshot and a version in; probabilities, grades and reasons out."""

import math
from datetime import datetime

import polars as pl

from forecast.features import opportunity_features
from forecast.registry import Version
from forecast.scoring.closings import closings
from forecast.scoring.grades import RATINGS, GradePolicies, grade_records, trend
from forecast.scoring.reasons import reason_columns
from forecast.snapshot import History, known_opportunities, take_snapshot

EXPLAINED_AT_ONCE = 50_000
NO_PAST = pl.DataFrame(
    schema={
        "opportunity_id": pl.String,
        "as_of": pl.Datetime("us", "UTC"),
        "last_grade": pl.String,
        "before": pl.Float64,
    }
)


def score_open_opportunities(
    history: History, version: Version, *, as_of: datetime, policies: GradePolicies, past: pl.DataFrame = NO_PAST
) -> pl.DataFrame:
    """Score all opportunities that existed and were open at `as_of`; arguments and columns as `score_opportunities`."""
    return score_opportunities(history, version, known_opportunities(history, as_of), policies=policies, past=past)


def score_opportunities(
    history: History,
    version: Version,
    subjects: pl.DataFrame,
    *,
    policies: GradePolicies,
    past: pl.DataFrame = NO_PAST,
    reasons_share: float = 1.0,
) -> pl.DataFrame:
    """Score each subject as it would have been scored at its `as_of`.

    Args:
        history: what is stored; nothing at or after a subject's `as_of` enters its score.
        version: the model version.
        subjects: `opportunity_id, as_of`.
        policies: of the grades.
        past: what was said before, as `table.read_past_scores` gives it.
        reasons_share: of the rows that get reasons, 0-1, those of the highest expected value first, and among rows
            without one those of the highest probability. The others have none: the columns are missing.

    Returns:
        `opportunity_id, as_of, probability` (0-1) with the ends of its range `probability_low, probability_high`, `amount` and
        `expected_value` (probability times amount; missing where the amount is), `grade, trend` (missing where nothing was said
        before), `basis, version`, the columns of `closings.closings`, and those of `reasons.reason_columns`; rows in the order of
        subjects. Subjects that `refused_subjects` names have no row.
    """
    refused = refused_subjects(history, subjects)
    accepted = subjects.join(
        refused, on=["opportunity_id", "as_of"], how="anti", nulls_equal=True, maintain_order="left"
    )
    snapshot = take_snapshot(history, accepted)
    features = opportunity_features(snapshot, version.plan)
    found = version.estimator.predict_interval(features)
    scored = features.select(
        "opportunity_id",
        "as_of",
        pl.Series("probability", found.probability, dtype=pl.Float64),
        pl.Series("probability_low", found.low, dtype=pl.Float64),
        pl.Series("probability_high", found.high, dtype=pl.Float64),
        "amount",
        "pipeline_id",
        *RATINGS,
    ).join(past, on=["opportunity_id", "as_of"], how="left", maintain_order="left")
    scores = scored.select(
        "opportunity_id",
        "as_of",
        "probability",
        "probability_low",
        "probability_high",
        "amount",
        (pl.col("probability") * pl.col("amount")).alias("expected_value"),
        grade_records(policies, scored),
        trend(pl.col("probability"), pl.col("before")).alias("trend"),
        _basis(version).alias("basis"),
        pl.lit(version.version).alias("version"),
    )
    told = pl.concat([scores, closings(features, version, found.probability)], how="horizontal")
    return _with_reasons(told, features, version, reasons_share)


def _basis(version: Version) -> pl.Expr:
    """Tell what a score rests on: of a pipeline with too few closed records of its own, on what it shares with the others."""
    own = version.bundle.get("own_pipelines")
    if version.basis != "own" or not own:
        return pl.lit(version.basis)
    return pl.when(pl.col("pipeline_id").cast(pl.String).is_in(own)).then(pl.lit("own")).otherwise(pl.lit("pooled"))


def _with_reasons(scores: pl.DataFrame, features: pl.DataFrame, version: Version, share: float) -> pl.DataFrame:
    """Join the reasons of the first rows, worked out part by part: the contributions of a million rows fill a memory."""
    first = pl.arg_sort_by("expected_value", "probability", descending=True, nulls_last=True)
    rows = scores.select(first.head(math.ceil(share * scores.height)).sort().alias("row"))
    asked = features[rows["row"]]
    parts = list(asked.iter_slices(EXPLAINED_AT_ONCE)) or [asked]
    told = pl.concat(pl.DataFrame(reason_columns(part, version.estimator.explain(part)[1], version)) for part in parts)
    return (
        scores.with_row_index("row")
        .join(pl.concat([rows, told], how="horizontal"), on="row", how="left", maintain_order="left")
        .drop("row")
    )


def refused_subjects(history: History, subjects: pl.DataFrame) -> pl.DataFrame:
    """List the subjects that can't be scored: `opportunity_id, as_of, reason`."""
    created = history.opportunities.select("opportunity_id", "created_at", pl.lit(value=True).alias("stored"))
    moment = "%Y-%m-%dT%H:%M:%S%:z"
    return (
        subjects.select("opportunity_id", "as_of")
        .join(created, on="opportunity_id", how="left", maintain_order="left")
        .join(
            history.closings.select("opportunity_id", "status", "closed_at"),
            on="opportunity_id",
            how="left",
            maintain_order="left",
        )
        .join(_departures(history), on="opportunity_id", how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("stored").is_null())
            .then(pl.lit("no such record; import it first"))
            .when(pl.col("as_of").is_null())
            .then(pl.lit("no moment was asked for; give as_of"))
            .when(pl.col("left_at") < pl.col("as_of"))
            .then(pl.format("converted at {}, before the moment asked for", pl.col("left_at").dt.strftime(moment)))
            .when(pl.col("created_at") > pl.col("as_of"))
            .then(pl.format("created at {}, after the moment asked for", pl.col("created_at").dt.strftime(moment)))
            .when(pl.col("closed_at") < pl.col("as_of"))
            .then(pl.format("closed at {}, before the moment asked for", pl.col("closed_at").dt.strftime(moment)))
            .when((pl.col("status") != "open") & pl.col("closed_at").is_null())
            .then(pl.lit("closed at an unknown moment, perhaps before the one asked for; import its closing date"))
            .alias("reason")
        )
        .filter(pl.col("reason").is_not_null())
        .select("opportunity_id", "as_of", "reason")
    )


def _departures(history: History) -> pl.DataFrame:
    if history.departures is not None:
        return history.departures
    return pl.DataFrame(schema={"opportunity_id": pl.String, "left_at": pl.Datetime("us", "UTC")})
