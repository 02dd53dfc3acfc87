"""The blend of both views, and futures that agree with it."""

import numpy as np

from forecast.estimators.revenue import RevenueModel
from forecast.metrics import Floats
from forecast.revenue.cells import COMPANY, PERSON
from forecast.revenue.futures import Drawn, add_up, draw_arrivals, draw_open, shocks, struck
from forecast.revenue.views import Views

DRAWS_MIN, DRAWS_MAX = 200, 1000
SALES_MAX = 4_000_000
# A person's time series may raise or lower their deals by so much; beyond, it knows another person.
FACTOR_MAX = 4.0


def blend_factors(parts: Floats, series: Floats | None, model: RevenueModel) -> Floats:
    """Give by how much the blend raises or lowers each person's deals, persons × months.

    The company's blend is made of its own two views; persons' blends are scaled to it, so that they add up.

    Args:
        parts: what is expected of each person's open and new deals, persons × months.
        series: what the time series expects beyond what is booked; None where there is none.
    """
    if series is None:
        return np.ones_like(parts)
    months = parts.shape[1]
    own, whole = (model.series_share(level, months) for level in (PERSON, COMPANY))
    person = (1 - own) * parts + own * series
    company = (1 - whole) * parts.sum(axis=0) + whole * series.sum(axis=0)
    factors = np.clip(_ratio(person, parts), 1 / FACTOR_MAX, FACTOR_MAX)
    return np.asarray(factors * _ratio(company, (factors * parts).sum(axis=0)))


def _ratio(wanted: Floats, found: Floats) -> Floats:
    return np.where(found > 0, wanted / np.where(found > 0, found, 1), 1.0)


def draws_count(views: Views) -> int:
    """Give how many futures are drawn: fewer of very many sales, so that memory stays within bounds."""
    expected = float(views.won_by[:, -1].sum()) + sum(float(arrivals.counts.sum()) for arrivals in views.arrivals)
    return int(np.clip(SALES_MAX / max(expected, 1.0), DRAWS_MIN, DRAWS_MAX))


def draw_sales(views: Views, factors: Floats, *, count: int, seed: int) -> list[Drawn]:
    """Draw every sale of so many futures, at the level of the blend; nothing strikes them together yet."""
    rng = np.random.default_rng(seed)
    amounts = views.amounts
    found = [
        draw_open(views.deal_units, views.won_by, amounts.mean, amounts.spread, count=count, rng=rng),
        *(draw_arrivals(arrivals, views.units, count=count, rng=rng) for arrivals in views.arrivals),
    ]
    level = np.broadcast_to(factors[:, :, None], (*factors.shape, count))
    return [struck(drawn, level) for drawn in found]


def strike(views: Views, drawn: list[Drawn], model: RevenueModel, *, count: int, seed: int) -> list[Drawn]:
    """Let what strikes the company, and what strikes each person, fall upon drawn sales."""
    rng = np.random.default_rng(seed + 1)
    months = len(views.months.starts)
    every = shocks(model.spread(COMPANY, months), shape=(1, months, count), rng=rng)
    persons = len(views.units.ids[PERSON])
    own = shocks(model.spread(PERSON, months), shape=(persons, months, count), rng=rng)
    return [struck(sales, every * own) for sales in drawn]


def totals(views: Views, drawn: list[Drawn], level: str, *, count: int) -> Floats:
    """Give units × months × futures of a level, what is booked already included."""
    sums = add_up(drawn, views.units, level, months=len(views.months.starts), count=count)
    sums[:, 0] += views.won[level][:, None]
    return sums
