"""Find features that look as if they knew the outcome, before anything is learnt from them."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from forecast.features.rates import RATES
from forecast.insight.leaks import FILL_GAP_SUSPICIOUS, find_deciding_levels, find_late_filling, find_separation
from forecast.metrics import Floats
from training.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """A feature that is left out, and why."""

    feature: str
    reason: str


def find_leaks(dataset: Dataset, vouched: tuple[str, ...]) -> list[Suspicion]:
    """List features that know the outcome or of which no moment before it is known, with what is made of them.

    Args:
        dataset: rows with and without a known outcome.
        vouched: features that the user answers for.
    """
    known = ~np.isnan(dataset.won)
    first = known & dataset.keys["opportunity_id"].is_first_distinct().to_numpy()
    won = dataset.won[known]
    suspicions = []
    for name in dataset.features.columns:
        if name in vouched or name in {"opportunity_id", "as_of"}:
            continue
        column = dataset.features[name]
        reason = (
            _separates(column.filter(pl.Series(known)), won)
            or _filled_late(column, known)
            or _gone_with_the_end(column, known)
            or _decides(column.filter(pl.Series(first)), dataset.won[first])
        )
        if reason:
            suspicions.append(Suspicion(feature=name, reason=reason))
    return suspicions + _made_of(suspicions, [name for name in dataset.features.columns if name not in vouched])


def _made_of(suspicions: list[Suspicion], features: list[str]) -> list[Suspicion]:
    """List the rates by levels of suspicious features: they know what the levels know."""
    found = {suspicion.feature for suspicion in suspicions}
    rates = {f"{name.removesuffix('_id')}{rate}": name for name in sorted(found) for rate in RATES}
    return [
        Suspicion(feature=name, reason=f"made of {rates[name]}")
        for name in features
        if name in rates and name not in found
    ]


def _separates(column: pl.Series, won: Floats) -> str | None:
    found = find_separation(column, won)
    return None if found is None else f"alone it separates won from lost (AUC {found:.3f})"


def _filled_late(column: pl.Series, known: np.ndarray) -> str | None:
    shares = find_late_filling(column, known)
    return shares and f"filled on {shares[0]:.0%} of closed opportunities but on {shares[1]:.0%} of open ones"


def _gone_with_the_end(column: pl.Series, known: np.ndarray) -> str | None:
    if "_says_" in column.name:  # the words of a text are gone with it, and its length is named
        return None
    filled = column.is_not_null().to_numpy()
    if known.all() or filled[known].any() or filled[~known].mean() <= FILL_GAP_SUSPICIOUS:
        return None
    return (
        f"filled on {filled[~known].mean():.0%} of open opportunities but on no closed one: what stood there before its end "
        "is not known; import the history of its changes"
    )


def _decides(column: pl.Series, won: Floats) -> str | None:
    shares = find_deciding_levels(column, won)
    return (
        shares and f"{shares[0]:.0%} of won and {shares[1]:.0%} of lost have a value that hardly any of the others has"
    )
