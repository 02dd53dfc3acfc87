"""Find features that look as if they knew the outcome, before anything is learnt from them."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from forecast.estimators.encoding import LEVEL_ROWS_MIN
from forecast.metrics import Floats, auc
from training.dataset import Dataset

AUC_SUSPICIOUS = 0.95
FILL_GAP_SUSPICIOUS = 0.5


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """A feature that is left out, and why."""

    feature: str
    reason: str


def find_leaks(dataset: Dataset, vouched: tuple[str, ...]) -> list[Suspicion]:
    """List features that alone separate won from lost, or that are filled on closed opportunities only.

    Args:
        dataset: rows with and without a known outcome.
        vouched: features that the user answers for.
    """
    known = ~np.isnan(dataset.won)
    won = dataset.won[known]
    suspicions = []
    for name in dataset.features.columns:
        if name in vouched or name in {"opportunity_id", "as_of"}:
            continue
        column = dataset.features[name]
        reason = _separates(column.filter(pl.Series(known)), won) or _filled_late(column, known)
        if reason:
            suspicions.append(Suspicion(feature=name, reason=reason))
    return suspicions


def _separates(column: pl.Series, won: Floats) -> str | None:
    if column.null_count() == len(column) or len(np.unique(won)) < 2:
        return None
    found = max(_separation(column, won), _separation(column.is_null().cast(pl.Float64), won))
    return f"alone it separates won from lost (AUC {found:.3f})" if found > AUC_SUSPICIOUS else None


def _separation(column: pl.Series, won: Floats) -> float:
    values = _shares_by_level(column, won) if column.dtype == pl.String else column
    ranks = values.fill_null(float(values.mean() or 0.0)).to_numpy()  # type: ignore[arg-type]
    found = auc(won, ranks)
    return max(found, 1 - found)


def _shares_by_level(column: pl.Series, won: Floats) -> pl.Series:
    """Give each level's share won; levels of few rows together, since one row alone always tells its own outcome."""
    frame = pl.DataFrame({"level": column, "won": won}).with_columns(pl.len().over("level").alias("rows"))
    level = pl.when(pl.col("rows") >= LEVEL_ROWS_MIN).then("level")
    return frame.select(pl.col("won").mean().over(level).alias("share"))["share"]


def _filled_late(column: pl.Series, known: np.ndarray) -> str | None:
    if known.all():
        return None
    filled = column.is_not_null().to_numpy()
    closed, still_open = float(filled[known].mean()), float(filled[~known].mean())
    if closed - still_open <= FILL_GAP_SUSPICIOUS:
        return None
    return f"filled on {closed:.0%} of closed opportunities but on {still_open:.0%} of open ones"
