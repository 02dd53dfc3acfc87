"""Past scores of accounts against what they bought since."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.accounts.reading import read_customers
from forecast.customers import CustomerHistory, purchases_within
from forecast.errors import TooLittleHistoryError
from forecast.metrics import auc
from forecast.records import AccountScore
from forecast.store import read_frame

TOP_SHARE = 0.2
_KEPT = (
    "account_id", "version", "as_of", "horizon_days", "probability_active", "expected_revenue", "expected_revenue_low",
    "expected_revenue_high", "median_revenue", "tier",
)  # fmt: skip


def measure_tier_accuracy(session: Session, *, known_until: Mapping[str, datetime], now: datetime) -> pl.DataFrame:
    """Compare scores whose horizon has passed with what was bought within it, one row a version and moment.

    Args:
        session: of the records.
        known_until: by version, the moment it was trained at; scores of an earlier moment were made in hindsight and are
            left out, as are those of versions that are not there.
        now: what happened at it or later is unknown.

    Returns:
        `version, as_of, until, accounts`; `capture_20`, the share of revenue that the fifth of accounts with the
        highest expectation carried, and `tier_a_share`, that of tier A; `auc` of buying; `absolute_error` of the expected
        revenue and `median_absolute_error` of the median; `total_ratio`, expected over actual; `coverage_80`.

    Raises:
        TooLittleHistoryError: no score's horizon has passed.
    """
    columns = [getattr(AccountScore, name) for name in _KEPT]
    scores = read_frame(session, sa.select(*columns).where(AccountScore.as_of < now))
    over = pl.col("as_of") + pl.duration(days=pl.col("horizon_days")) <= now
    trained = pl.col("version").replace_strict(dict(known_until), default=None, return_dtype=pl.Datetime("us", "UTC"))
    judged = scores.filter(over & (trained <= pl.col("as_of")))
    if judged.is_empty():
        raise TooLittleHistoryError(
            f"none of {scores.height} scores of accounts can be judged yet: the horizon of each must have passed, and its "
            "version must have been trained before its moment; score with --as-of an earlier moment to look back"
        )
    history = read_customers(session, until=now)
    groups = judged.partition_by("version", "as_of", "horizon_days", maintain_order=True)
    return pl.DataFrame([_measure(history, group) for group in groups]).sort("as_of", "version")


def _measure(history: CustomerHistory, scores: pl.DataFrame) -> dict[str, object]:
    version, as_of, days = scores.select("version", "as_of", "horizon_days").row(0)
    bought = purchases_within(history, as_of, horizon_days=days)
    joined = scores.join(bought, on="account_id", how="left", maintain_order="left")
    actual = joined["revenue"].fill_null(0.0).to_numpy()
    expected, probability = (joined[name].to_numpy() for name in ("expected_revenue", "probability_active"))
    median = joined["median_revenue"].fill_null(joined["expected_revenue"]).to_numpy()
    top = np.argsort(-expected, kind="stable")[: round(TOP_SHARE * len(expected))]
    inside = (actual >= joined["expected_revenue_low"].to_numpy()) & (
        actual <= joined["expected_revenue_high"].to_numpy()
    )
    total = max(float(actual.sum()), 1e-9)
    return {
        "version": version,
        "as_of": as_of,
        "until": as_of + timedelta(days=days),
        "accounts": len(actual),
        "capture_20": float(actual[top].sum()) / total,
        "tier_a_share": float(actual[(joined["tier"] == "A").to_numpy()].sum()) / total,
        "auc": auc((joined["orders"].fill_null(0.0) > 0).cast(pl.Float64).to_numpy(), probability),
        "absolute_error": float(np.abs(actual - expected).mean()),
        "median_absolute_error": float(np.abs(actual - median).mean()),
        "total_ratio": float(expected.sum()) / total,
        "coverage_80": float(inside.mean()),
    }
