"""The two views of what will be booked: its parts, and its time series."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from forecast.metrics import Floats
from forecast.revenue.amounts import Amounts, expected_amounts
from forecast.revenue.arrivals import Arrivals, new_deals, unannounced_sales
from forecast.revenue.cells import LEVELS, PERSON
from forecast.revenue.closing import won_by_days
from forecast.revenue.futures import Ints, Units, units_of
from forecast.revenue.records import Months, Sales, months_ahead
from forecast.revenue.time_series import forecast_series

CURVE_DAYS_MIN = 200.0


@dataclass(frozen=True, kw_only=True)
class Views:
    """What both views expect, and what futures are drawn from.

    Attributes:
        units: of each level.
        won_by: probability of being won by each month's end, open deals × months.
        amounts: of open deals.
        deal_units: number of each open deal's unit, by level.
        arrivals: what is to come.
        won: booked in the first month already, by level, one a unit.
        series: what the time series still expect of each person, persons × months; None of too short a history.
        remarks: how targets were used in it, in sentences.
    """

    sales: Sales
    months: Months
    units: Units
    won_by: Floats
    amounts: Amounts
    deal_units: Mapping[str, Ints]
    arrivals: tuple[Arrivals, ...]
    won: Mapping[str, Floats]
    series: Floats | None
    remarks: tuple[str, ...]

    @property
    def parts(self) -> Floats:
        """The mean of what each person's deals bring, open and new, persons × months."""
        return self.open(PERSON) + self.new(PERSON)

    def open(self, level: str, factors: Floats | None = None) -> Floats:
        """Give the mean of what open deals bring, units × months; times factors, persons × months."""
        by_month = np.diff(self.won_by, axis=1, prepend=0.0) * self.amounts.mean[:, None]
        if factors is not None:
            by_month = by_month * factors[self.deal_units[PERSON]]
        return _summed(self.deal_units[level], by_month, len(self.units.ids[level]))

    def new(self, level: str, factors: Floats | None = None) -> Floats:
        """Give the mean of what is to come, units × months; times factors, persons × months."""
        found = np.zeros((len(self.units.ids[level]), len(self.months.starts)))
        for arrivals in self.arrivals:
            units = self.units.numbers(arrivals.examples)
            worth = arrivals.expected * arrivals.examples["amount"].to_numpy()[:, None]
            if factors is not None:
                worth = worth * factors[units[PERSON]]
            found += _summed(units[level], worth, len(found))
        return found


def both_views(sales: Sales, *, horizon: int, won_by: Floats | None = None, seed: int) -> Views:
    """Expect what will be booked, from what was known.

    Args:
        horizon: months, the one that holds the moment included.
        won_by: of each open deal by each month's end, where a win model knows it; else it is learnt from the deals.
    """
    months = months_ahead(sales.as_of, horizon, sales.timezone)
    open_deals = sales.open_deals
    units = units_of([open_deals, sales.booked])
    if won_by is None:
        days = max(CURVE_DAYS_MIN, float(months.ends_days[-1]) + 1)
        won_by = won_by_days(sales, months.ends_days, horizon_days=days, seed=seed)
    arrivals = (new_deals(sales, months), unannounced_sales(sales, months))
    this_month = sales.booked.filter(
        pl.col("booked_at").dt.convert_time_zone(sales.timezone).dt.date() >= months.starts[0]
    )
    numbers = units.numbers(this_month)
    series = forecast_series(sales, units, months)
    return Views(
        sales=sales,
        months=months,
        units=units,
        won_by=won_by,
        amounts=expected_amounts(sales),
        deal_units=units.numbers(open_deals),
        arrivals=tuple(found for found in arrivals if found is not None),
        won={
            level: _summed(numbers[level], this_month["amount"].to_numpy()[:, None], len(units.ids[level]))[:, 0]
            for level in LEVELS
        },
        series=None if series is None else series.mean,
        remarks=() if series is None else series.remarks,
    )


def _summed(unit: Ints, values: Floats, size: int) -> Floats:
    found = np.zeros((size, values.shape[1]))
    np.add.at(found, unit, values)
    return found
