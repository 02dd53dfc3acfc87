"""Divide an amount among units and months by what is usual, keep what was decided by hand, and round without loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecast.errors import InputError
from forecast.metrics import Floats

Mask = NDArray[np.bool_]
MONTHS_A_YEAR = 12
_ROUNDS_MAX = 500
_CENT = 0.01


@dataclass(frozen=True, kw_only=True)
class Decided:
    """The sum of some parts of a proposal, decided by hand; `what` names it in messages."""

    parts: Mask
    amount: float
    what: str


def credible_rates(monthly: Floats) -> Floats:
    """Estimate what each unit books a month, drawn towards the mean of all the more, the less its own months tell.

    Args:
        monthly: units × months; not a number where the unit was not there yet.

    Source: Bühlmann-Straub credibility with the unbiased estimators of Klugman, Panjer and Willmot, Loss Models, 20.4.
    """
    counts = np.isfinite(monthly).sum(axis=1)
    means = np.divide(np.nansum(monthly, axis=1), counts, out=np.zeros(len(counts)), where=counts > 0)
    total = counts.sum()
    if total == 0:
        return np.ones(len(counts))
    overall = (counts * means).sum() / total
    within = np.nansum((monthly - means[:, None]) ** 2) / max(1, (counts - 1).clip(min=0).sum())
    spread = (counts * (means - overall) ** 2).sum() - ((counts > 0).sum() - 1) * within
    between = max(0.0, spread / max(1.0, total - (counts**2).sum() / total))
    own = counts * between
    weight = np.divide(own, own + within, out=np.zeros(len(counts)), where=own > 0)
    return np.asarray(weight * means + (1 - weight) * overall, dtype=np.float64)


def month_shares(years: Floats) -> Floats:
    """Estimate the share of each calendar month in a year's revenue, drawn towards a twelfth: n years count n / (n + 1).

    Args:
        years: past years × 12 calendar months; may have no rows.
    """
    sums = years.sum(axis=1)
    known = years[sums > 0] / sums[sums > 0][:, None]
    even = np.full(MONTHS_A_YEAR, 1 / MONTHS_A_YEAR)
    if not len(known):
        return even
    weight = len(known) / (len(known) + 1)
    shares = np.clip(weight * known.mean(axis=0) + (1 - weight) * even, 0, None)
    return np.asarray(shares / shares.sum(), dtype=np.float64)


def keep_decided(parts: Floats, decided: Sequence[Decided]) -> Floats:
    """Scale parts until each decided sum holds and the whole is what it was; the rest shares what is left as before.

    Source: iterative proportional fitting; each step gives a decided sum to its parts and what is left to the others.

    Raises:
        InputError: the sums contradict one another or the whole.
    """
    total, fitted = parts.sum(), parts.copy()
    for _ in range(_ROUNDS_MAX if len(decided) > 1 else 1):
        for one in decided:
            fitted = _with_sum(fitted, one, total)
        if all(abs(fitted[one.parts].sum() - one.amount) < _CENT / 4 for one in decided):
            return fitted
    said = "; ".join(f"{one.what} = {one.amount:,.2f}" for one in decided)
    raise InputError(f"these decisions contradict one another within {total:,.2f}: {said}; change or leave out one")


def _with_sum(parts: Floats, decided: Decided, total: float) -> Floats:
    inside, rest = parts[decided.parts].sum(), total - decided.amount
    outside = parts[~decided.parts].sum()
    if not 0 <= decided.amount <= total + _CENT / 4 or (outside == 0 and abs(rest) > _CENT / 4):
        raise InputError(
            f"{decided.what} = {decided.amount:,.2f} does not go into {total:,.2f}; nothing is left to share"
        )
    scaled = np.empty_like(parts)
    own = parts[decided.parts]
    scaled[decided.parts] = own * decided.amount / inside if inside > 0 else decided.amount / max(1, own.size)
    scaled[~decided.parts] = parts[~decided.parts] * (rest / outside if outside > 0 else 0)
    return scaled


def in_cents(parts: Floats, total: float, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Round parts to cents by largest remainders, so that groups of them, and their whole, lose none.

    Args:
        parts: amounts.
        total: their whole, of whole cents.
        groups: the number of each part's group, from 0; of parts that were decided together.
    """
    sums = np.array([parts[groups == group].sum() for group in range(int(groups.max()) + 1)])
    cents = np.zeros(parts.shape, dtype=np.int64)
    for group, whole in enumerate(_largest_remainders(sums * 100, round(total * 100))):
        inside = groups == group
        cents[inside] = _largest_remainders(parts[inside] * 100, int(whole))
    return cents


def _largest_remainders(values: Floats, whole: int) -> NDArray[np.int64]:
    floors = np.floor(values + 1e-6).astype(np.int64)
    left = whole - int(floors.sum())
    order = np.argsort(floors - values, kind="stable")
    rounds, more = divmod(left, len(values))
    floors += rounds
    floors[order[:more]] += 1
    return floors
