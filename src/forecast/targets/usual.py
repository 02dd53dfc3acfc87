"""The usual opportunity of a unit: how often it is won, for how much, and how soon."""

from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

import polars as pl

from forecast.revenue.cells import COMPANY
from forecast.runs.booked import UNIT_COLUMNS

LOOK_BACK_DAYS = 365
# So many opportunities of its own a unit needs until they count as much as the company's.
PRIOR_DEALS = 10


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
    days_to_win: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Needed:
    """How many more opportunities would close a gap on average; `in_time_share` of the usual wins come that soon."""

    opportunities: int
    won_share: float
    won_amount: float
    in_time_share: float | None


def usual_deals(deals: pl.DataFrame, today: date, *, level: str, unit_id: str) -> Usual | None:
    """Measure what closed in LOOK_BACK_DAYS before a day; None where the company won nothing with an amount.

    A share and a mean are those of the unit and of PRIOR_DEALS of the company's, as if they were its own.
    """
    closed = deals.filter(
        pl.col("status") != "open", pl.col("closed_on") >= today - timedelta(days=LOOK_BACK_DAYS)
    ).with_columns(won=pl.col("status") == "won")
    won = closed.filter("won", pl.col("won_amount") > 0)
    if won.is_empty():
        return None
    own = closed if level == COMPANY else closed.filter(pl.col(UNIT_COLUMNS[level]) == unit_id)
    own_won = own.filter("won", pl.col("won_amount") > 0)
    share, amount = int(closed["won"].sum()) / closed.height, float(won["won_amount"].sum()) / won.height
    days = won.select((pl.col("closed_on") - pl.col("created_on")).dt.total_days()).to_series().drop_nulls().sort()
    return Usual(
        closed=own.height,
        won_share=(int(own["won"].sum()) + PRIOR_DEALS * share) / (own.height + PRIOR_DEALS),
        won_amount=(float(own_won["won_amount"].sum()) + PRIOR_DEALS * amount) / (own_won.height + PRIOR_DEALS),
        days_to_win=tuple(days.to_list()),
    )


def opportunities_needed(gap: float, usual: Usual, *, days_left: int) -> Needed:
    """Count the further opportunities that would close a gap on average, at the usual share won and amount."""
    soon = sum(days <= days_left for days in usual.days_to_win)
    return Needed(
        opportunities=ceil(gap / (usual.won_share * usual.won_amount)),
        won_share=usual.won_share,
        won_amount=usual.won_amount,
        in_time_share=soon / len(usual.days_to_win) if usual.days_to_win else None,
    )
