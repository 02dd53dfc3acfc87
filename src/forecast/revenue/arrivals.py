"""What opportunities bring that don't exist yet, and orders that never were opportunities."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from forecast.metrics import Floats
from forecast.revenue.cells import PERSON
from forecast.revenue.growth import YEAR_DAYS, amount_growth, daily_rates
from forecast.revenue.records import UNITS, Months, Sales, days_since

LAG_HALF_LIFE_DAYS = 365.0
EXAMPLE_HALF_LIFE_DAYS = 180.0
LAG_INTERVALS = 24
# So many wins are added to those of each person at work.
PERSON_WINS = 1.0
AT_WORK_DAYS = 120.0


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """Revenue to come of which nothing is known yet but how much there usually is.

    Attributes:
        expected: number of sales in each month that are like each example, examples × months.
        dispersion: variance of a month's number of sales beyond its mean, as a share of the squared mean.
        examples: `amount` and units of past sales, that those to come are like.
    """

    expected: Floats
    dispersion: float
    examples: pl.DataFrame

    @property
    def counts(self) -> Floats:
        """The expected number of sales in each month."""
        return np.asarray(self.expected.sum(axis=0))


def new_deals(sales: Sales, months: Months) -> Arrivals | None:
    """Expect wins of opportunities that will be created: how many a day, the share of them won, and how long it takes.

    What takes longer is often worth more, so that each month's sales are like those past ones that took as long.
    """
    won = sales.booked.filter("from_deal")
    if won.is_empty() or sales.deals.is_empty():
        return None
    created = days_since(sales.deals["created_at"], sales.as_of)
    rates = daily_rates(sales, created, float(months.ends_days[-1]))
    return Arrivals(
        expected=_landing(sales, won, rates, months), dispersion=_dispersion(created), examples=_as_now(sales, won)
    )


def unannounced_sales(sales: Sales, months: Months) -> Arrivals | None:
    """Expect orders without an opportunity, and sales whose opportunity has no creation date, as many and as large as lately."""
    orders = sales.booked.filter(~pl.col("from_deal"))
    if orders.is_empty():
        return None
    ages = days_since(orders["booked_at"], sales.as_of)
    rates = daily_rates(sales, ages, float(months.ends_days[-1]))
    return Arrivals(
        expected=np.outer(_shares(sales, orders), _landed(rates, months, 0.0, 1e-9)),
        dispersion=_dispersion(ages),
        examples=_as_now(sales, orders),
    )


def _as_now(sales: Sales, sold: pl.DataFrame) -> pl.DataFrame:
    """Give sales at the amounts of today, and with what was taken back spread over them: no month is drawn below zero."""
    gross = pl.col("amount").clip(lower_bound=0)
    kept = pl.col("amount").sum().clip(lower_bound=0) / gross.sum()
    net = sold.select((gross * kept.fill_nan(0)).alias("amount"), *UNITS)
    ages = days_since(sold["booked_at"], sales.as_of)
    growth = amount_growth(net["amount"].to_numpy(), ages)
    return net.with_columns(pl.col("amount") * pl.Series(np.exp(growth * ages / YEAR_DAYS)))


def _landing(sales: Sales, won: pl.DataFrame, rates: Floats, months: Months) -> Floats:
    """Give how many wins there will be in each month like each past one, by how long those took."""
    lags = days_since(won["created_at"], sales.as_of) - days_since(won["booked_at"], sales.as_of)
    weights, found = _shares(sales, won), np.zeros((won.height, len(months.starts)))
    for low, high, share in _won_by_age(sales):
        like = (lags > low - (low == 0)) & (lags <= high)
        if share > 0 and like.any():
            found[like] = np.outer(weights[like] / weights[like].sum(), share * _landed(rates, months, low, high))
    return found


def _won_by_age(sales: Sales) -> list[tuple[float, float, float]]:
    """Give the share of deals created that is won between one age and another, of those that have come to the older one.

    No deal is won twice: few come to the oldest ages, and where they were lucky the shares would add up to more than one.
    """
    created = days_since(sales.deals["created_at"], sales.as_of)
    took = created - days_since(sales.deals["closed_at"], sales.as_of)
    timed = (sales.deals["status"] == "won").to_numpy() & np.isfinite(took)
    inner = np.quantile(np.maximum(took[timed], 0), np.linspace(0, 1, LAG_INTERVALS + 1)) if timed.any() else [0.0]
    weight = 0.5 ** (created / LAG_HALF_LIFE_DAYS)
    found, left = [], 1.0
    for low, high in pairwise(np.unique(np.concatenate([[0.0], np.asarray(inner) + 1e-6]))):
        seen = created >= high
        if not seen.any():
            break
        landed = seen & timed & (took > low - (low == 0)) & (took <= high)
        share = min(left, float(weight[landed].sum() / weight[seen].sum()))
        left -= share
        found.append((float(low), float(high), share))
    return found


def _landed(rates: Floats, months: Months, low: float, high: float) -> Floats:
    """Give how many of those that come each day are at an age between two by each month's end, less the month before."""
    ages = months.ends_days[:, None] - (np.arange(len(rates)) + 0.5)
    return np.diff(np.clip((ages - low) / (high - low), 0, 1) @ rates, prepend=0.0)


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
