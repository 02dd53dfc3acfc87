"""Learn from backtests how to weigh both views, and how wide ranges must be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from forecast.estimators.revenue import COMPANY, PERSON, RevenueModel, carried_on
from forecast.metrics import Floats
from forecast.revenue.blending import blend_factors
from forecast.revenue.cells import BOUNDS
from forecast.revenue.futures import shocks
from training.revenue_backtest import Origin

SPREADS = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0])
# The usual spreads count as much as what so many origins say that don't overlap.
USUAL_ORIGINS = 8.0
# Weights of the time series lie about as far from the usual ones, from company to company.
SHARE_SPREAD = 0.2
# Origins overlap in what they forecast: so many say as much as one by itself.
OVERLAP = 3.0
# Months ahead lend each other their evidence, the less the further apart.
NEIGHBOUR = 0.5


@dataclass(frozen=True, kw_only=True)
class Blended:
    """What a model would have said at an origin.

    Attributes:
        mean: of the company, one a month.
        bounds: of the company, in the order of BOUNDS, bounds × months.
        person_bounds: bounds × persons × months.
    """

    mean: Floats
    bounds: Floats
    person_bounds: Floats


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What an origin says of weights, and of each spread, tried one by one.

    Attributes:
        share_products: by level, `_products` × months; None where there was no time series to weigh.
        spread_losses: by level, spreads tried × months, at the usual weights.
    """

    origin: Origin
    share_products: Mapping[str, Floats] | None
    spread_losses: Mapping[str, Floats]


def learn(origin: Origin, *, seed: int) -> Lesson:
    """Learn what an origin says of weights, and try every spread on it."""
    levels = (COMPANY, PERSON)
    return Lesson(
        origin=origin,
        share_products=None if origin.series is None else {level: _products(origin, level) for level in levels},
        spread_losses={
            level: np.array(
                [_range_loss(origin, _with_spread(origin.usual, level, spread), level, seed) for spread in SPREADS]
            )
            for level in levels
        },
    )


def fit_revenue_model(lessons: Sequence[Lesson], moment: datetime, *, usual: RevenueModel) -> RevenueModel:
    """Take weights and spreads from what was known of these origins at a moment; the usual ones as far as it was little."""
    shares, spreads = {}, {}
    for level in (COMPANY, PERSON):
        weighed = [(one.origin, one.share_products[level]) for one in lessons if one.share_products is not None]
        shares[level] = _shares(weighed, moment, usual.series_shares[level])
        tried = [(one.origin, one.spread_losses[level]) for one in lessons]
        spreads[level] = _chosen(SPREADS, tried, moment, usual.spreads[level])
    return RevenueModel(series_shares=shares, spreads=spreads)


def _chosen(
    tried: Floats, evidence: Sequence[tuple[Origin, Floats]], moment: datetime, usual: tuple[float, ...]
) -> tuple[float, ...]:
    """Take for each month ahead the value of lowest loss over the months that were over, leaning on the usual one."""
    sums, counts = _sums(evidence, moment, rows=len(tried), months=len(usual))
    return _leaning(tried, sums, counts, carried_on(usual, len(counts)))


def _sums(
    evidence: Sequence[tuple[Origin, Floats]], moment: datetime, *, rows: int, months: int
) -> tuple[Floats, Floats]:
    """Add up what origins say of the months that were over, rows × months, and count them by month."""
    months = max((said.shape[1] for _, said in evidence), default=months)
    sums, counts = np.zeros((rows, months)), np.zeros(months)
    for origin, said in evidence:
        known = origin.known_at(moment)
        sums[:, known] += said[:, known]
        counts += known
    return sums, counts


def _shares(evidence: Sequence[tuple[Origin, Floats]], moment: datetime, usual: tuple[float, ...]) -> tuple[float, ...]:
    """Weigh by regression of what the parts missed on what the series says else, leaning on the usual weights (Bayes).

    So far as both views miss alike, which they mostly do, a few origins can't tell weights apart, and the usual ones stay.
    """
    sums, counts = _sums(evidence, moment, rows=4, months=len(usual))
    about = carried_on(usual, len(counts))
    if not counts.any():
        return tuple(float(share) for share in about)
    kernel = _kernel(len(counts))
    squares, products, missed, cells = sums @ (kernel / kernel.sum(axis=0))
    best = np.clip(products / np.maximum(squares, 1e-12), 0, 1)
    noise = (missed - 2 * best * products + best**2 * squares) / np.maximum(cells, 1.0)
    prior = OVERLAP * noise / SHARE_SPREAD**2
    shares = np.clip((products + prior * about) / np.maximum(squares + prior, 1e-12), 0, 1)
    return tuple(float(share) for share in np.where(cells > 0, shares, about))


def _kernel(months: int) -> Floats:
    """Give how much of each month's evidence counts for each, neighbours lending theirs."""
    apart = np.abs(np.arange(months)[:, None] - np.arange(months)[None, :])
    return np.asarray(NEIGHBOUR**apart, dtype=np.float64)


def blended(origin: Origin, model: RevenueModel, *, seed: int) -> Blended:
    """Blend an origin's views and draw its ranges."""
    factors = blend_factors(origin.parts, origin.series, model)
    rest = _struck(origin, factors, model, seed=seed)
    company, persons = rest.sum(axis=0), rest
    at = list(BOUNDS.values())
    first = np.zeros(origin.parts.shape)
    first[:, 0] = origin.won
    return Blended(
        mean=(origin.parts * factors + first).sum(axis=0),
        bounds=np.quantile(company, at, axis=1) + first.sum(axis=0),
        person_bounds=np.quantile(persons, at, axis=2) + first,
    )


def _struck(origin: Origin, factors: Floats, model: RevenueModel, *, seed: int) -> Floats:
    persons, months, count = origin.drawn.shape
    rng = np.random.default_rng(seed)
    every = shocks(model.spread(COMPANY, months), shape=(1, months, count), rng=rng)
    own = shocks(model.spread(PERSON, months), shape=(persons, months, count), rng=rng)
    return np.asarray(origin.drawn * factors[:, :, None] * every * own)


def _products(origin: Origin, level: str) -> Floats:
    """Give by month the sums of (series − parts)², (series − parts)(actual − parts), (actual − parts)², and how many were summed.

    In usual months.
    """
    series = origin.series if origin.series is not None else origin.parts
    won = np.eye(1, origin.parts.shape[1])[0] * origin.won[:, None]
    if level == COMPANY:
        parts, other = (values.sum(axis=0, keepdims=True) for values in (origin.parts, series))
        actual = origin.company[None, :] - won.sum(axis=0)
    else:
        parts, other, actual = origin.parts, series, origin.actual - won
    apart, missed = (other - parts) / _usual_month(origin), (actual - parts) / _usual_month(origin)
    return np.stack(
        [(apart**2).sum(axis=0), (apart * missed).sum(axis=0), (missed**2).sum(axis=0), (apart**0).sum(axis=0)]
    )


def _usual_month(origin: Origin) -> float:
    return max(float(origin.parts.sum(axis=0).mean()), 1e-9)


def _with_spread(usual: RevenueModel, level: str, spread: float) -> RevenueModel:
    return replace(usual, spreads={**usual.spreads, level: (float(spread),)})


def _range_loss(origin: Origin, model: RevenueModel, level: str, seed: int) -> Floats:
    """Give the pinball loss of all bounds, one a month, as a share of the usual month."""
    said = blended(origin, model, seed=seed)
    bounds = said.bounds[:, None, :] if level == COMPANY else said.person_bounds
    actual = origin.company[None, :] if level == COMPANY else origin.actual
    gap = actual - bounds
    at = np.array(list(BOUNDS.values()))[:, None, None]
    return np.asarray(np.maximum(at * gap, (at - 1) * gap).sum(axis=(0, 1)) / _usual_month(origin))


def _leaning(tried: Floats, losses: Floats, counts: Floats, usual: Floats) -> tuple[float, ...]:
    """Take the value of lowest loss, neighbouring months lending theirs, as far as origins are many; the usual one for the rest."""
    months = losses.shape[1]
    kernel = _kernel(months)
    best = tried[np.argmin(losses @ kernel, axis=0)]
    seen = (counts @ kernel / kernel.sum(axis=0) if months else counts) / OVERLAP
    trust = seen / (seen + USUAL_ORIGINS)
    return tuple(float(value) for value in trust * best + (1 - trust) * usual)
