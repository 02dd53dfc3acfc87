"""When open opportunities will end, and which of them by when: the win curve of a version, read off for people."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from forecast.errors import TooLittleHistoryError
from forecast.estimators.win import WinModel
from forecast.estimators.win_curve import at_days, days_until, won_as_scored
from forecast.features import opportunity_features
from forecast.metrics import Floats
from forecast.moments import MICROSECONDS_A_DAY
from forecast.registry import Version
from forecast.snapshot import History, take_snapshot

INTERVAL = (0.1, 0.5, 0.9)
MONTHS = 3
ROWS_AT_ONCE = 20_000
_MOMENT = pl.Datetime("us", "UTC")
_SHOWN = {
    "expected_close_on": pl.Date(),
    "expected_close_low": pl.Date(),
    "expected_close_high": pl.Date(),
    "probability_of_slipping": pl.Float64(),
}
_NAMES = dict(zip(("closes_on", "closes_from", "closes_until", "slip_probability"), _SHOWN, strict=True))


@dataclass(frozen=True, kw_only=True)
class _Curves:
    """Features of subjects, and the probabilities that each has ended, and is won, by each edge."""

    features: pl.DataFrame
    edges_days: tuple[float, ...]
    ended: Floats
    won: Floats


def has_win_curve(version: Version[Any]) -> bool:
    """Tell whether a version knows when opportunities end."""
    return isinstance(version.estimator, WinModel) and version.estimator.curve is not None


def closings(features: pl.DataFrame, version: Version[Any], probability: Floats) -> pl.DataFrame:
    """Tell when each subject is expected to end and to be won, as files, the score table and the API show it.

    Args:
        features: as the version's plan gives them.
        version: whose win curve is read.
        probability: of being won, by the version.

    Returns:
        `expected_close_on`, its 80 % interval `expected_close_low, expected_close_high`, `probability_of_slipping` (all as
        `expected_closings` has them), and `won_by`, a list of `month_end, probability` for MONTHS months (as `won_by_month_ends`
        has them); rows in the order of features. All is missing where the version has no win curve, but for the month ends.
    """
    if not has_win_curve(version):
        nothing = {name: pl.lit(None, kind) for name, kind in _SHOWN.items()}
        untold = _won_by(features, np.full((features.height, MONTHS), np.nan))
        return features.with_columns(untold, **nothing).select(*_SHOWN, "won_by")
    curves = _curves(features, version, probability)
    return _expected(curves).rename(_NAMES).select(*_SHOWN, _won_by(features, _won_at_ends(curves, MONTHS)))


def won_by_month_ends(history: History, version: Version[Any], subjects: pl.DataFrame, *, months: int) -> pl.DataFrame:
    """Give the probability that each subject is won by the end of its own month and of each of the months that follow.

    Returns:
        `opportunity_id, as_of, month_end` (the last day of the month, UTC) and `won_by` (0-1, never falling); `months` rows a
        subject, in the order of subjects. Beyond the curve's horizon `won_by` stays where it is.

    Raises:
        TooLittleHistoryError: the version has no win curve.
    """
    return _month_ends(_read_curves(history, version, subjects), months)


def won_by_days(history: History, version: Version[Any], subjects: pl.DataFrame, days: Floats) -> Floats:
    """Give the probability that each subject is won within so many days, subjects × days, in the order of subjects.

    Raises:
        TooLittleHistoryError: the version has no win curve.
    """
    curves = _read_curves(history, version, subjects)
    return at_days(curves.won, curves.edges_days, days)


def expected_closings(history: History, version: Version[Any], subjects: pl.DataFrame) -> pl.DataFrame:
    """Tell when each subject is expected to end, if it ends within the curve's horizon.

    Returns:
        `opportunity_id, as_of, won_within_horizon` (0-1), `closes_on` (by when one half of such opportunities have ended, won
        or lost), `closes_from, closes_until` (an 80 % interval) and `slip_probability` (0-1, of being open still when the
        day of its expected close date is over; 1 once it is over, missing without such a date); rows in the order of subjects.

    Raises:
        TooLittleHistoryError: the version has no win curve.
    """
    return _expected(_read_curves(history, version, subjects))


def _read_curves(history: History, version: Version[Any], subjects: pl.DataFrame) -> _Curves:
    features = opportunity_features(take_snapshot(history, subjects), version.plan)
    return _curves(features, version, version.estimator.predict(features))


def _curves(features: pl.DataFrame, version: Version[Any], probability: Floats) -> _Curves:
    model = version.estimator
    if not isinstance(model, WinModel) or model.curve is None:
        raise TooLittleHistoryError(
            f"version {version.version} of {version.name} has no win curve: it was not learnt from opportunities with dates "
            "of creation and closing; import those and train again"
        )
    slices = list(features.iter_slices(ROWS_AT_ONCE)) or [features]
    parts = [model.curve.ended(model.encoding.matrix(part)) for part in slices]
    won, lost = (np.concatenate(ends) for ends in zip(*parts, strict=True))
    ended, won = (np.clip(curve, 0, 1) for curve in (won + lost, won_as_scored(won, lost, probability)))
    return _Curves(features=features, edges_days=model.curve.edges_days, ended=ended, won=won)


def _month_ends(curves: _Curves, months: int) -> pl.DataFrame:
    features = curves.features
    ends = _last_days(features, months)
    return pl.DataFrame(
        {
            "opportunity_id": features["opportunity_id"].to_numpy().repeat(months).tolist(),
            "as_of": features.select(pl.col("as_of").repeat_by(months).explode()).to_series(),
            "month_end": ends.select(pl.concat_list(pl.all()).explode()).to_series(),
            "won_by": _won_at_ends(curves, months).ravel(),
        },
        schema_overrides={"opportunity_id": pl.String},
    )


def _won_at_ends(curves: _Curves, months: int) -> Floats:
    over = _last_days(curves.features, months).select(pl.all().cast(_MOMENT).dt.offset_by("1d"))
    ahead = over.select((pl.all() - curves.features["as_of"]).dt.total_microseconds() / MICROSECONDS_A_DAY).to_numpy()
    return at_days(curves.won, curves.edges_days, ahead)


def _last_days(rows: pl.DataFrame, months: int) -> pl.DataFrame:
    """Give the last day of each row's own month and of those that follow, a column each."""
    return rows.select(
        pl.col("as_of").dt.truncate("1mo").dt.offset_by(f"{month}mo").dt.offset_by("-1d").dt.date().alias(str(month))
        for month in range(1, months + 1)
    )


def _won_by(rows: pl.DataFrame, probability: Floats) -> pl.Series:
    """Give a list of `month_end, probability` a row; not a number is missing."""
    ends = _last_days(rows, probability.shape[1])
    return ends.select(
        pl.concat_list(
            pl.struct(month_end=end, probability=pl.Series(column, dtype=pl.Float64).fill_nan(None))
            for end, column in zip(ends, probability.T, strict=True)
        ).alias("won_by")
    ).to_series()


def _expected(curves: _Curves) -> pl.DataFrame:
    days = days_until(curves.ended, curves.edges_days, INTERVAL)
    due = curves.features["expected_close_days"].to_numpy() + 1
    still_open = 1 - at_days(curves.ended, curves.edges_days, np.nan_to_num(due)[:, None])[:, 0]
    slips = np.where(np.isnan(due), np.nan, np.where(due <= 0, 1.0, still_open))
    return curves.features.select(
        "opportunity_id",
        "as_of",
        pl.Series("won_within_horizon", curves.won[:, -1]),
        *(
            (pl.col("as_of") + _duration(days[:, column])).dt.date().alias(name)
            for column, name in enumerate(("closes_from", "closes_on", "closes_until"))
        ),
        pl.Series("slip_probability", slips).fill_nan(None),
    )


def _duration(days: Floats) -> pl.Series:
    return pl.Series((days * MICROSECONDS_A_DAY).astype(np.int64)).cast(pl.Duration("us"))
