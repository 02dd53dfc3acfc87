"""The usual opportunity of a unit: how often it is won, for how much, and how soon."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecast.revenue.cells import COMPANY, PERSON, TEAM
from forecast.runs.booked import unit_of

LOOK_BACK_DAYS = 365
# So many opportunities of its own a unit needs until they count as much as the company's.
PRIOR_DEALS = 10


@dataclass(frozen=True, kw_only=True)
class Count:
    """So many opportunities closed, and so many of them were won; `priced` of these have an amount, together `amount`."""

    closed: int
    won: int
    priced: int
    amount: float


@dataclass(frozen=True, kw_only=True)
class Closed:
    """What closed in LOOK_BACK_DAYS.

    Attributes:
        counts: by level and unit; a unit of which nothing closed has none.
        days_to_win: of the company's wins with an amount, from creation, sorted.
    """

    counts: Mapping[tuple[str, str], Count]
    days_to_win: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Usual:
    """The usual opportunity of a unit.

    Attributes:
        closed: of the unit in LOOK_BACK_DAYS.
        won_share: 0-1, drawn towards the company's.
        won_amount: mean of those that are won, drawn towards the company's.
        days_to_win: of the company's wins, from creation, sorted.
    """

    closed: int
    won_share: float
    won_amount: float
    days_to_win: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Needed:
    """How many more opportunities would close a gap on average; `in_time_share` of the usual wins come that soon."""

    opportunities: int
    won_share: float
    won_amount: float
    in_time_share: float | None


def count_closed(deals: pl.DataFrame, today: date) -> Closed:
    """Count what closed in LOOK_BACK_DAYS before a day.

    Args:
        deals: as `runs.deals.DEAL_TYPES`.
        today: that day.
    """
    closed = deals.filter(pl.col("status") != "open", pl.col("closed_on") >= today - timedelta(days=LOOK_BACK_DAYS))
    won = pl.col("status") == "won"
    priced = won & (pl.col("won_amount") > 0).fill_null(value=False)
    counts = {
        (level, unit_id): count
        for level in (COMPANY, TEAM, PERSON)
        for unit_id, count in _counted(closed, level, won=won, priced=priced)
    }
    days = closed.filter(priced).select((pl.col("closed_on") - pl.col("created_on")).dt.total_days()).to_series()
    return Closed(counts=counts, days_to_win=days.drop_nulls().sort().to_numpy())


def _counted(closed: pl.DataFrame, level: str, *, won: pl.Expr, priced: pl.Expr) -> Iterator[tuple[str, Count]]:
    found = closed.group_by(unit_of(level)).agg(
        closed=pl.len(), won=won.sum(), priced=priced.sum(), amount=pl.col("won_amount").filter(priced).sum()
    )
    for row in found.iter_rows(named=True):
        yield row.pop("unit_id"), Count(**row)


def usual_deals(closed: Closed, level: str, unit_id: str) -> Usual | None:
    """Measure what a unit's opportunities usually bring; None where the company won nothing with an amount.

    A share and a mean are those of the unit and of PRIOR_DEALS of the company's, as if they were its own.
    """
    company = closed.counts.get((COMPANY, ""))
    if company is None or not company.priced:
        return None
    own = closed.counts.get((level, unit_id), Count(closed=0, won=0, priced=0, amount=0.0))
    share, amount = company.won / company.closed, company.amount / company.priced
    return Usual(
        closed=own.closed,
        won_share=(own.won + PRIOR_DEALS * share) / (own.closed + PRIOR_DEALS),
        won_amount=(own.amount + PRIOR_DEALS * amount) / (own.priced + PRIOR_DEALS),
        days_to_win=closed.days_to_win,
    )


def opportunities_needed(gap: float, usual: Usual, *, days_left: int) -> Needed:
    """Count the further opportunities that would close a gap on average, at the usual share won and amount."""
    soon, wins = int(np.searchsorted(usual.days_to_win, days_left, side="right")), len(usual.days_to_win)
    return Needed(
        opportunities=ceil(gap / (usual.won_share * usual.won_amount)),
        won_share=usual.won_share,
        won_amount=usual.won_amount,
        in_time_share=soon / wins if wins else None,
    )
