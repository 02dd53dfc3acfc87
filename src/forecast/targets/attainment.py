"""How far targets are reached, how far they will be, and how likely."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from forecast.metrics import Floats
from forecast.revenue.cells import COMPANY, PERSON, TEAM
from forecast.revenue.questions import chance_of_reaching, expected_shortfall
from forecast.runs.booked import unit_of
from forecast.targets.quotas import Target
from forecast.targets.usual import Closed, Needed, count_closed, opportunities_needed, usual_deals

RANGE = (0.1, 0.9)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What attainment is judged by.

    Attributes:
        today: nothing booked on it or later counts as attained yet, unless it is in `bookings`.
        bookings: as `runs.booked.BOOKING_TYPES`, of one currency.
        cells: of the newest kept forecast, without the months before it; empty where none is kept.
        deals: as `runs.deals.DEAL_TYPES`, of today.
    """

    today: date
    bookings: pl.DataFrame
    cells: pl.DataFrame
    deals: pl.DataFrame

    @cached_property
    def closed(self) -> Closed:
        """What closed lately, counted once for all targets."""
        return count_closed(self.deals, self.today)

    def booked_by(self, level: str, unit_id: str) -> pl.DataFrame:
        """Give the bookings of a unit."""
        return self._bookings.get((level, unit_id), self.bookings.clear())

    @cached_property
    def _bookings(self) -> dict[tuple[str, str], pl.DataFrame]:
        named = ((level, self.bookings.with_columns(unit_of(level))) for level in (COMPANY, TEAM, PERSON))
        return {
            (level, unit_id): rows
            for level, bookings in named
            for (unit_id,), rows in bookings.partition_by("unit_id", as_dict=True).items()
        }


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a unit will have booked when the period is over, or at `until`, the last day that the forecast reaches.

    Attributes:
        mean: projected, with the 80 % range `low, high`.
        probability: of attaining the target; missing where the forecast ends before the period.
        shortfall: expected, futures that attain the target counting as zero; likewise.
    """

    mean: float
    low: float
    high: float
    until: date
    probability: float | None
    shortfall: float | None


@dataclass(frozen=True, kw_only=True)
class Attainment:
    """A target and where it stands.

    Attributes:
        attained: booked so far; missing where its metric is not revenue or its period is not known.
        outlook: missing where no forecast knows the unit.
        gap: by how much the projected mean falls short, 0 where it does not; by what is booked where the period is over.
        needed: what would close the gap; missing where there is none, or no usual opportunity to count by.
    """

    target: Target
    attained: float | None
    outlook: Outlook | None
    gap: float | None
    needed: Needed | None


def attain(target: Target, ground: Ground) -> Attainment:
    """Say where a target stands."""
    starts, ends = target.starts_on, target.ends_on
    if target.amount is None or starts is None or ends is None or not target.counts_revenue:
        return Attainment(target=target, attained=None, outlook=None, gap=None, needed=None)
    own = ground.booked_by(target.level, target.unit_id).filter(pl.col("booked_on").is_between(starts, ends))
    attained = float(own["amount"].sum())
    outlook = _outlook(target, ground, own, amount=target.amount)
    gap = None
    if ends < ground.today:
        gap = max(0.0, target.amount - attained)
    elif outlook is not None and outlook.probability is not None:
        gap = max(0.0, target.amount - outlook.mean)
    return Attainment(
        target=target,
        attained=attained,
        outlook=outlook,
        gap=gap,
        needed=_needed(target, ground, gap) if ends >= ground.today else None,
    )


def _needed(target: Target, ground: Ground, gap: float | None) -> Needed | None:
    if not gap or target.ends_on is None:
        return None
    usual = usual_deals(ground.closed, target.level, target.unit_id)
    if usual is None:
        return None
    return opportunities_needed(gap, usual, days_left=(target.ends_on - ground.today).days + 1)


def _outlook(target: Target, ground: Ground, booked: pl.DataFrame, *, amount: float) -> Outlook | None:
    """Add what is booked in the months that are over to the futures of those that are not."""
    starts, ends = target.starts_on, target.ends_on
    if starts is None or ends is None or ends < ground.today:
        return None
    this_month = ground.today.replace(day=1)
    ahead = ground.cells.filter(
        pl.col("level") == target.level,
        pl.col("unit_id") == target.unit_id,
        pl.col("month") >= this_month,
        pl.col("month").is_between(starts.replace(day=1), ends),
    ).sort("month")
    # A gap between what is over and what is forecast would count as no revenue.
    if ahead.is_empty() or ahead["month"][0] > max(this_month, starts.replace(day=1)):
        return None
    over = float(booked.filter(pl.col("month") < this_month)["amount"].sum())
    months = [_month(row, booked, starts, ends) for row in ahead.iter_rows(named=True)]
    draws = over + np.stack([draws for _, draws in months]).sum(axis=0)
    low, high = np.quantile(draws, RANGE)
    last = ahead["month"].dt.month_end()[-1]
    covered = last >= ends
    return Outlook(
        mean=over + sum(mean for mean, _ in months),
        low=float(low),
        high=float(high),
        until=min(last, ends),
        probability=chance_of_reaching(draws, amount) if covered else None,
        shortfall=expected_shortfall(draws, amount) if covered else None,
    )


def _month(row: dict[str, Any], booked: pl.DataFrame, starts: date, ends: date) -> tuple[float, Floats]:
    """Give the mean and the draws of a month, for its days in the period; no less than what is booked in it."""
    month: date = row["month"]
    next_month = (month + timedelta(days=31)).replace(day=1)
    days = (min(ends + timedelta(days=1), next_month) - max(starts, month)).days
    share = days / (next_month - month).days
    known = float(booked.filter(pl.col("month") == month)["amount"].sum())
    draws = np.asarray(row["draws"], dtype=np.float64)
    return max(row["mean"] * share, known), np.maximum(draws * share, known)


def overlapping(targets: Sequence[Target]) -> Iterator[tuple[Target, Target]]:
    """Give pairs of one unit and metric that share days: they are counted each by itself; the earlier of `targets` first."""
    same: dict[tuple[str, str, str], list[Target]] = {}
    for second in targets:
        before = same.setdefault((second.level, second.unit_id, second.metric), [])
        yield from ((first, second) for first in before if _share_days(first, second))
        before.append(second)


def _share_days(one: Target, other: Target) -> bool:
    if not (one.starts_on and one.ends_on and other.starts_on and other.ends_on):
        return False
    return one.starts_on <= other.ends_on and other.starts_on <= one.ends_on
