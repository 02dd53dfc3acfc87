"""The calendar of series: which periods there are, and how many of them are a year or a week."""

from dataclasses import dataclass
from datetime import date, timedelta
from math import gcd
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from forecast.errors import InputError

Ordinals = NDArray[np.int64]
Unit = Literal["day", "weekday", "week", "month"]

DAILY_NAMES = {"day": "daily", "weekday": "daily from Monday to Friday"}
WEEKLY_NAMES = {1: "weekly", **{step: f"every {step} weeks" for step in (2, 3, 4, 13)}}
SEASONS = {"day": 7, "weekday": 5, "week": 52}
MONTHLY_NAMES = {1: "monthly", 2: "every 2 months", 3: "quarterly", 4: "every 4 months", 6: "half-yearly", 12: "yearly"}


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """Equal periods, counted from the one that holds `origin`.

    Attributes:
        step: units in a period, such as 3 months in a quarter.
        stamp: whether a period is named by its first or by its last day.
    """

    unit: Unit
    step: int
    origin: date
    stamp: Literal["first", "last"]

    @property
    def name(self) -> str:
        """Name the frequency."""
        if self.unit == "month":
            return MONTHLY_NAMES.get(self.step, f"every {self.step} months")
        if self.unit == "week":
            return WEEKLY_NAMES.get(self.step, f"every {self.step} weeks")
        return DAILY_NAMES[self.unit]

    @property
    def season(self) -> int:
        """Give the usual number of periods after which a pattern repeats; 1 is none."""
        if self.unit == "month":
            return 12 // self.step if 12 % self.step == 0 else 1
        return SEASONS[self.unit] // self.step if SEASONS[self.unit] % self.step == 0 else 1

    def ordinals(self, dates: NDArray[np.datetime64]) -> Ordinals:
        """Number the periods of days; the period of `origin` is 0."""
        days = dates.astype("datetime64[D]")
        origin = np.datetime64(self.origin, "D")
        if self.unit == "month":
            months = days.astype("datetime64[M]").astype(np.int64) - origin.astype("datetime64[M]").astype(np.int64)
            found: Ordinals = months // self.step
            return found
        if self.unit == "weekday":
            return np.busday_count(origin, days)
        days_after: Ordinals = (days - origin).astype(np.int64)
        return days_after // self._days

    def day(self, ordinal: int) -> date:
        """Give the day that names a period."""
        if self.unit == "month":
            first = _month(self.origin, ordinal * self.step)
            if self.stamp == "last":
                return _month(first, 1) - timedelta(days=1)
            return first.replace(day=self.origin.day)
        if self.unit == "weekday":
            return np.busday_offset(np.datetime64(self.origin, "D"), ordinal).astype(date)  # type: ignore[no-any-return]
        return self.origin + timedelta(days=ordinal * self._days)

    @property
    def _days(self) -> int:
        return 7 * self.step if self.unit == "week" else 1

    def span(self, ordinal: int) -> tuple[date, date]:
        """Give the first and the last day of a period."""
        if self.unit in {"day", "weekday"}:
            return self.day(ordinal), self.day(ordinal)
        if self.stamp == "last":
            return self.day(ordinal - 1) + timedelta(days=1), self.day(ordinal)
        return self.day(ordinal), self.day(ordinal + 1) - timedelta(days=1)

    def holds(self, ordinal: int, day: date) -> bool:
        """Say whether a day lies in a period, so that on it the period isn't over."""
        if self.stamp == "last":
            return self.day(ordinal - 1) < day <= self.day(ordinal)
        return self.day(ordinal) <= day < self.day(ordinal + 1)


def infer_calendar(dates: NDArray[np.datetime64], gaps: NDArray[np.int64]) -> Calendar:
    """Find the calendar on which all dates lie.

    Args:
        dates: days of all series, at least one.
        gaps: days between neighbouring rows of a series.

    Raises:
        InputError: there is no such calendar, or one date is all there is.
    """
    days = np.unique(dates.astype("datetime64[D]"))
    if not len(gaps):
        raise InputError(
            f"each series has one row, of {days[0]} to {days[-1]}, so that the frequency can't be inferred; "
            "give at least one series two periods"
        )
    calendar = _months_calendar(days) or _days_calendar(days, gaps)
    if len(days) > 2 and np.diff(calendar.ordinals(days)).min() > 1:
        raise _no_calendar(days)
    return calendar


def _months_calendar(days: NDArray[np.datetime64]) -> Calendar | None:
    ends = (days + 1).astype("datetime64[M]").astype("datetime64[D]") == days + 1
    if not ends.all():
        ends = ends | _last_working(days)
    month_days = (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1
    if not (ends.all() or len(np.unique(month_days)) == 1) or (month_days.max() > 28 and not ends.all()):
        return None
    months = days.astype("datetime64[M]").astype(np.int64)
    step = gcd(*(int(gap) for gap in np.diff(np.unique(months)))) if len(np.unique(months)) > 1 else 0
    if not step:
        return None
    return Calendar(unit="month", step=step, origin=_date(days[0]), stamp="last" if ends.all() else "first")


def _last_working(days: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """Tell which days are the last from Monday to Friday of their month, as business month ends are written."""
    next_month = (days.astype("datetime64[M]") + 1).astype("datetime64[D]")
    found: NDArray[np.bool_] = np.busday_offset(next_month, -1, roll="forward") == days
    return found


def _days_calendar(days: NDArray[np.datetime64], gaps: NDArray[np.int64]) -> Calendar:
    weekdays = (days.astype(np.int64) + 3) % 7
    origin = _date(days[0])
    if len(np.unique(weekdays)) == 1:
        step = gcd(*(int(gap) // 7 for gap in np.diff(days).astype(np.int64)))
        return Calendar(unit="week", step=step, origin=origin, stamp="last" if weekdays[0] == 6 else "first")
    if np.median(gaps) > 4:
        raise _no_calendar(days)
    unit: Unit = "weekday" if weekdays.max() < 5 and len(days) >= 10 else "day"
    return Calendar(unit=unit, step=1, origin=origin, stamp="first")


def _no_calendar(days: NDArray[np.datetime64]) -> InputError:
    return InputError(
        f"the dates from {days[0]} to {days[-1]} lie on no calendar: neither one day of each month, nor one day of every "
        "so many weeks, nor most days; write the first day of the period in ds"
    )


def _month(day: date, later: int) -> date:
    months = day.year * 12 + day.month - 1 + later
    return date(months // 12, months % 12 + 1, 1)


def _date(day: np.datetime64) -> date:
    return day.astype("datetime64[D]").astype(date)  # type: ignore[no-any-return]
