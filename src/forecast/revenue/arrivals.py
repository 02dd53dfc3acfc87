"""What opportunities bring that don't exist yet, and orders that never were opportunities."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecast.metrics import Floats
from forecast.revenue.cells import PERSON
from forecast.revenue.records import DAY_SECONDS, UNITS, Months, Sales, days_since

RATE_HALF_LIFE_DAYS = 90.0
LAG_HALF_LIFE_DAYS = 365.0
EXAMPLE_HALF_LIFE_DAYS = 180.0
LAG_INTERVALS = 16
# A calendar month's own rate counts as much as the usual one after so many years.
SEASON_YEARS = 2.0
SEASON_DAYS_MIN = 540.0
# So many wins are added to those of each person at work.
PERSON_WINS = 1.0
AT_WORK_DAYS = 120.0


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """Revenue to come of which nothing is known yet but how much there usually is.

    Attributes:
        counts: expected number of sales in each month.
        dispersion: variance of a month's number of sales beyond its mean, as a share of the squared mean.
        examples: `amount` and units of past sales, that those to come are like.
        shares: how likely a sale to come is like each of them; they add up to 1.
    """

    counts: Floats
    dispersion: float
    examples: pl.DataFrame
    shares: Floats


def new_deals(sales: Sales, months: Months) -> Arrivals | None:
    """Expect wins of opportunities that will be created: how many a day, the share of them won, and how long it takes."""
    won = sales.booked.filter("from_deal")
    if won.is_empty() or sales.deals.is_empty():
        return None
    created = days_since(sales.deals["created_at"], sales.as_of)
    rates = _daily_rates(sales, created, float(months.ends_days[-1]))
    edges, by_age = _won_by_age(sales, created)
    return Arrivals(
        counts=_landing(rates, months, edges, by_age),
        dispersion=_dispersion(created),
        examples=_net(won),
        shares=_shares(sales, won),
    )


def unannounced_sales(sales: Sales, months: Months) -> Arrivals | None:
    """Expect orders without an opportunity, and sales whose opportunity has no creation date, as many and as large as lately."""
    orders = sales.booked.filter(~pl.col("from_deal"))
    if orders.is_empty():
        return None
    ages = days_since(orders["booked_at"], sales.as_of)
    rates = _daily_rates(sales, ages, float(months.ends_days[-1]))
    return Arrivals(
        counts=_landing(rates, months, np.array([0.0, 1e-9]), np.array([0.0, 1.0])),
        dispersion=_dispersion(ages),
        examples=_net(orders),
        shares=_shares(sales, orders),
    )


def _net(sold: pl.DataFrame) -> pl.DataFrame:
    """Give sales with what was taken back spread over them: no month is drawn below zero."""
    gross = pl.col("amount").clip(lower_bound=0)
    kept = pl.col("amount").sum().clip(lower_bound=0) / gross.sum()
    return sold.select((gross * kept.fill_nan(0)).alias("amount"), *UNITS)


def _daily_rates(sales: Sales, ages: Floats, days: float) -> Floats:
    """Give how many come on each day ahead: as lately, times the season's usual ratio where it was seen before."""
    span = max(float(ages.max()), 1.0)
    decay = np.log(2) / RATE_HALF_LIFE_DAYS
    lately = float(np.exp(-decay * ages).sum() * decay / (1 - np.exp(-decay * span)))
    ahead = np.arange(0.5, days)
    if span < SEASON_DAYS_MIN:
        return np.full(len(ahead), lately)
    ratio = _season(sales, ages, span)
    before = np.arange(0.5, span)
    usual = np.average(ratio[_month(sales, -before)], weights=np.exp(-decay * before))
    return np.asarray(lately * ratio[_month(sales, ahead)] / usual)


def _season(sales: Sales, ages: Floats, span: float) -> Floats:
    """Give how many come a day in each calendar month, as a ratio to all days, shrunk to 1 by how few years are known."""
    came = np.bincount(_month(sales, -ages), minlength=12)
    days = np.bincount(_month(sales, -np.arange(0.5, span)), minlength=12)
    ratio = np.where(days > 0, came / np.maximum(days, 1) * span / len(ages), 1.0)
    years = span / 365.25
    return np.asarray(1 + (ratio - 1) * years / (years + SEASON_YEARS))


def _month(sales: Sales, days: Floats) -> NDArray[np.int64]:
    """Give the calendar month, 0 to 11, of moments so many days after `as_of`."""
    moments = pl.from_epoch(pl.Series(sales.as_of.timestamp() + days * DAY_SECONDS).cast(pl.Int64))
    local = moments.dt.replace_time_zone("UTC").dt.convert_time_zone(sales.timezone)
    return local.dt.month().cast(pl.Int64).to_numpy() - 1


def _won_by_age(sales: Sales, created: Floats) -> tuple[Floats, Floats]:
    """Give the share of deals created that is won by each age: increments over deals that have come to the age already."""
    is_won = (sales.deals["status"] == "won").to_numpy()
    took = created - days_since(sales.deals["closed_at"], sales.as_of)
    timed = is_won & np.isfinite(took)
    inner = np.quantile(np.maximum(took[timed], 0), np.linspace(0, 1, LAG_INTERVALS + 1)) if timed.any() else [0.0]
    edges = np.unique(np.concatenate([[0.0], np.asarray(inner) + 1e-6]))
    weight = 0.5 ** (created / LAG_HALF_LIFE_DAYS)
    shares = [0.0]
    for low, high in pairwise(edges):
        seen = created >= high
        if not seen.any():
            break
        landed = seen & timed & (took > low - (low == 0)) & (took <= high)
        shares.append(shares[-1] + float(weight[landed].sum() / weight[seen].sum()))
    return edges[: len(shares)], np.minimum(np.array(shares), 1.0)


def _landing(rates: Floats, months: Months, edges: Floats, by_age: Floats) -> Floats:
    """Give how many of those to come are sold by the end of each month, less those of the month before."""
    created = np.arange(len(rates)) + 0.5
    by_end = [float((rates * np.interp(end - created, edges, by_age, left=0.0)).sum()) for end in months.ends_days]
    return np.diff([0.0, *by_end])


def _dispersion(ages: Floats) -> float:
    counts = np.bincount((ages[ages < 720] // 30).astype(np.int64))[:-1]
    if len(counts) < 3 or counts.mean() == 0:
        return 0.1
    return float(np.clip((counts.var(ddof=1) - counts.mean()) / counts.mean() ** 2, 0.0, 1.0))


def _shares(sales: Sales, sold: pl.DataFrame) -> Floats:
    """Let newer examples count more, and add a few to those of each person at work: what one sold lately is partly luck."""
    ages = days_since(sold["booked_at"], sales.as_of)
    people = sold.select(PERSON, pl.Series("weight", 0.5 ** (ages / EXAMPLE_HALF_LIFE_DAYS)), pl.Series("age", ages))
    own = pl.col("weight").sum().over(PERSON)
    at_work = pl.col("age").min().over(PERSON) < AT_WORK_DAYS
    weight = people.select(
        pl.col("weight") * pl.when(at_work).then((own + PERSON_WINS) / own).otherwise(1.0)
    ).to_series()
    return np.asarray(weight.to_numpy() / weight.sum())
