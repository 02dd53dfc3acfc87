"""A snapshot and a version in; probabilities, grades and reasons out."""

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from forecast.features import opportunity_features
from forecast.grades import GradeThresholds, grade
from forecast.metrics import Floats
from forecast.registry import Version
from forecast.snapshot import History, known_opportunities, take_snapshot

REASONS_MAX = 5
REASON_LOG_ODDS_MIN = 0.02

_REASON = pl.Struct(
    {
        "feature": pl.String(),
        "value": pl.String(),
        "usual": pl.Float64(),
        "contribution": pl.Float64(),
    }
)


def score_open_opportunities(
    history: History, version: Version, *, as_of: datetime, thresholds: GradeThresholds
) -> pl.DataFrame:
    """Score all opportunities that existed and were open at `as_of`; columns as `score_opportunities`."""
    return score_opportunities(history, version, known_opportunities(history, as_of), thresholds=thresholds)


def score_opportunities(
    history: History, version: Version, subjects: pl.DataFrame, *, thresholds: GradeThresholds
) -> pl.DataFrame:
    """Score each subject as it would have been scored at its `as_of`.

    Args:
        history: what is stored; nothing at or after a subject's `as_of` enters its score.
        version: the model version.
        subjects: `opportunity_id, as_of`.
        thresholds: of the grades.

    Returns:
        `opportunity_id, as_of, probability` (0-1), `amount` and `expected_value` (probability times amount; missing where
        the amount is), `grade, basis, version, reasons_for, reasons_against` (lists of at most five {feature, value,
        usual, contribution in log-odds}, strongest first); rows in the order of subjects. Subjects that `refused_subjects`
        names have no row.
    """
    refused = refused_subjects(history, subjects)
    accepted = subjects.join(
        refused, on=["opportunity_id", "as_of"], how="anti", nulls_equal=True, maintain_order="left"
    )
    snapshot = take_snapshot(history, accepted)
    features = opportunity_features(snapshot, version.plan)
    probability, parts = version.estimator.explain(features)
    reasons = _reasons(features, parts[:, :-1], version)
    return features.select(
        "opportunity_id",
        "as_of",
        pl.Series("probability", probability),
        pl.col("amount"),
        (pl.Series("probability", probability) * pl.col("amount")).alias("expected_value"),
        pl.lit(version.basis).alias("basis"),
        pl.lit(version.version).alias("version"),
        *reasons,
    ).with_columns(grade(thresholds, pl.col("probability"), pl.col("expected_value")).alias("grade"))


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


def _reasons(features: pl.DataFrame, parts: Floats, version: Version) -> tuple[pl.Series, pl.Series]:
    names = version.estimator.encoding.features
    shown = [_shown(features[name]) for name in names]

    def strongest(sign: float, position: int) -> list[dict[str, Any]]:
        pulls = sign * parts[position]
        return [
            {
                "feature": names[column],
                "value": shown[column][position],
                "usual": version.usual.get(names[column]),
                "contribution": float(parts[position, column]),
            }
            for column in np.argsort(-pulls, kind="stable")[:REASONS_MAX]
            if pulls[column] >= REASON_LOG_ODDS_MIN
        ]

    supporting, opposing = ([strongest(sign, position) for position in range(features.height)] for sign in (1.0, -1.0))
    return (
        pl.Series("reasons_for", supporting, dtype=pl.List(_REASON)),
        pl.Series("reasons_against", opposing, dtype=pl.List(_REASON)),
    )


def _shown(column: pl.Series) -> list[str | None]:
    """Give values as text, numbers with at most four decimals."""
    if column.dtype == pl.String:
        return column.to_list()
    return [None if value is None else f"{round(value, 4):.15g}" for value in column.to_list()]
