"""Find features that look as if they knew the outcome, before anything is learnt from them."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from forecast.insight.leaks import find_late_filling, find_separation
from forecast.metrics import Floats
from training.dataset import Dataset


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
    found = find_separation(column, won)
    return None if found is None else f"alone it separates won from lost (AUC {found:.3f})"


def _filled_late(column: pl.Series, known: np.ndarray) -> str | None:
    shares = find_late_filling(column, known)
    return shares and f"filled on {shares[0]:.0%} of closed opportunities but on {shares[1]:.0%} of open ones"
