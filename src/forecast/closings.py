"""When open opportunities will end, and which of them by when: the win curve of a version, read off for people."""

from typing import Any

import numpy as np
import polars as pl

from forecast.errors import TooLittleHistoryError
from forecast.estimators.win import WinModel
from forecast.estimators.win_curve import WinCurve, at_days, days_until
from forecast.features import opportunity_features
from forecast.metrics import Floats
from forecast.registry import Version
from forecast.snapshot import History, take_snapshot

INTERVAL = (0.1, 0.5, 0.9)
DAY_MICROSECONDS = 86_400_000_000


def won_by_month_ends(history: History, version: Version[Any], subjects: pl.DataFrame, *, months: int) -> pl.DataFrame:
    """Give the probability that each subject is won by the end of its own month and of each of the months that follow.

    Returns:
        `opportunity_id, as_of, month_end` (the last day of the month, UTC) and `won_by` (0-1, never falling); `months` rows a
        subject, in the order of subjects. Beyond the curve's horizon `won_by` stays where it is.

    Raises:
        TooLittleHistoryError: the version has no win curve.
    """
    features, curve, won = _curves(history, version, subjects)
    ends = features.select(
        pl.col("as_of").dt.truncate("1mo").dt.offset_by(f"{month}mo").alias(str(month))
        for month in range(1, months + 1)
    )
    ahead = ends.select((pl.all() - features["as_of"]).dt.total_microseconds() / DAY_MICROSECONDS).to_numpy()
    return pl.DataFrame(
        {
            "opportunity_id": features["opportunity_id"].to_numpy().repeat(months).tolist(),
            "as_of": features.select(pl.col("as_of").repeat_by(months).explode()).to_series(),
            "month_end": ends.select(pl.concat_list(pl.all()).explode().dt.date().dt.offset_by("-1d")).to_series(),
            "won_by": at_days(won, curve.edges_days, ahead).ravel(),
        },
        schema_overrides={"opportunity_id": pl.String},
    )


def expected_closings(history: History, version: Version[Any], subjects: pl.DataFrame) -> pl.DataFrame:
    """Tell when each subject is expected to end, if it ends within the curve's horizon.

    Returns:
        `opportunity_id, as_of, won_within_horizon` (0-1), `closes_on` (by when one half of such opportunities have ended, won
        or lost), `closes_from, closes_until` (an 80 % interval) and `slip_probability` (0-1, of being open still when the
        day of its expected close date is over; 1 once it is over, missing without such a date); rows in the order of subjects.

    Raises:
        TooLittleHistoryError: the version has no win curve.
    """
    features, curve, won = _curves(history, version, subjects)
    ended = np.sum(curve.ended(version.estimator.encoding.matrix(features)), axis=0)
    days = days_until(ended, curve.edges_days, INTERVAL)
    due = features["expected_close_days"].to_numpy() + 1
    still_open = 1 - at_days(ended, curve.edges_days, np.nan_to_num(due)[:, None])[:, 0]
    return features.select(
        "opportunity_id",
        "as_of",
        pl.Series("won_within_horizon", won[:, -1]),
        *(
            (pl.col("as_of") + _duration(days[:, column])).dt.date().alias(name)
            for column, name in enumerate(("closes_from", "closes_on", "closes_until"))
        ),
        pl.Series("slip_probability", np.where(np.isnan(due), np.nan, np.where(due <= 0, 1.0, still_open))).fill_nan(
            None
        ),
    )


def _duration(days: Floats) -> pl.Series:
    return pl.Series((days * DAY_MICROSECONDS).astype(np.int64)).cast(pl.Duration("us"))


def _curves(history: History, version: Version[Any], subjects: pl.DataFrame) -> tuple[pl.DataFrame, WinCurve, Floats]:
    """Give the subjects' features, the version's curve, and the probability of being won by each of its edges."""
    model = version.estimator
    if not isinstance(model, WinModel) or model.curve is None:
        raise TooLittleHistoryError(
            f"version {version.version} of {version.name} has no win curve: it was not learnt from opportunities with dates "
            "of creation and closing; import those and train again"
        )
    features = opportunity_features(take_snapshot(history, subjects), version.plan)
    return features, model.curve, model.curve.won_by(model.encoding.matrix(features), model.predict(features))
