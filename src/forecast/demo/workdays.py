"""Working time: when each region works, and how much business its days bring."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from forecast.demo.columns import SECONDS_A_DAY, Bools, Floats, Ints

HISTORY_DAYS = 1096
GROWTH_A_YEAR = 1.2

_MARGIN_BEFORE_DAYS, _MARGIN_AFTER_DAYS = 500, 1000
_MONTH_FACTORS = np.array([0.9, 0.9, 1.25, 0.9, 0.95, 1.2, 0.9, 0.9, 1.2, 0.95, 1.0, 1.3])
_OPENS_SECONDS, _OPEN_SECONDS = 9 * 3600, 9 * 3600
_EPOCH = date(1970, 1, 1)
_NEW_MOON_DAYS, _LUNAR_MONTH_DAYS = 10_963.093, 29.530588853


@dataclass(frozen=True, kw_only=True)
class Region:
    """A sales region: its towns with their countries, its standard time, and whether it speaks Chinese.

    A region that speaks Chinese keeps the Chinese New Year.
    """

    name: str
    team: str
    towns: tuple[tuple[str, str], ...]
    utc_offset_hours: int
    chinese: bool


@dataclass(frozen=True, kw_only=True)
class Workdays:
    """Working time of every region, counted in working days from a day long before the history.

    12.5 is local 13:30 on the thirteenth working day. Later in working time is later on the clock, and every point is
    in business hours.

    Attributes:
        days: region by working day: days since 1970.
        offsets_seconds: of local time before UTC, a region.
        quarter_ends: region by working day: number of the last working day of its quarter.
        business: region by working day: share of the history's business that came by the end of that day.
        start_day: first day of the history, days since 1970.
        until_seconds: end of the history, exclusive, seconds since 1970.
    """

    days: Ints
    offsets_seconds: Ints
    quarter_ends: Ints
    business: Floats
    start_day: int
    until_seconds: int

    def seconds(self, region: Ints, worked: Floats) -> Ints:
        """Give the moments of points in working time, in seconds since 1970."""
        day = np.floor(worked).astype(np.int64)
        into_day = ((worked - day) * _OPEN_SECONDS).astype(np.int64)
        opened: Ints = self.days[region, day] * SECONDS_A_DAY + _OPENS_SECONDS - self.offsets_seconds[region]
        return opened + into_day

    def business_before(self, region: Ints, worked: Floats) -> Floats:
        """Give the share of the history's business, 0-1, that came before points in working time."""
        share: Floats = self.business[region, np.floor(worked).astype(np.int64)]
        return share

    def worked_at(self, region: Ints, share: Floats, *, rng: np.random.Generator) -> Floats:
        """Draw points in working time by which the given share of the history's business came."""
        day = np.empty(len(region), dtype=np.int64)
        share = np.minimum(share, np.nextafter(1, 0))
        for number, business in enumerate(self.business):
            of_region = region == number
            day[of_region] = np.searchsorted(business, share[of_region], side="right")
        return day + rng.random(len(region))


def lunar_new_year(year: int) -> int:
    """Give the day of the Chinese New Year in days since 1970, right to a day: the new moon from 21 January on."""
    earliest = (date(year, 1, 21) - _EPOCH).days
    months = np.ceil((earliest - _NEW_MOON_DAYS) / _LUNAR_MONTH_DAYS)
    return int(_NEW_MOON_DAYS + months * _LUNAR_MONTH_DAYS)


def lay_out_workdays(until: datetime, regions: Sequence[Region]) -> Workdays:
    """Lay out the working time of the regions around the history that ends at `until`."""
    start_day = (until.date() - _EPOCH - timedelta(days=HISTORY_DAYS)).days
    every_day = np.arange(start_day - _MARGIN_BEFORE_DAYS, start_day + HISTORY_DAYS + _MARGIN_AFTER_DAYS)
    years = range((until - timedelta(days=HISTORY_DAYS + _MARGIN_BEFORE_DAYS)).year, until.year + 4)
    new_years = np.array([lunar_new_year(year) for year in years])
    rows = [_working_days(every_day, new_years, chinese=region.chinese) for region in regions]
    days = np.stack([row[: min(map(len, rows))] for row in rows])
    offsets = np.array([region.utc_offset_hours * 3600 for region in regions])
    until_seconds = int(until.timestamp())
    closes = days * SECONDS_A_DAY + _OPENS_SECONDS + _OPEN_SECONDS - offsets[:, None]
    weights = _day_weights(days, start_day) * ((days >= start_day) & (closes <= until_seconds))
    chinese = np.array([region.chinese for region in regions])
    weights = np.where(chinese[:, None] & _near_new_year(days, new_years), weights * 0.4, weights)
    cumulated = np.cumsum(weights, axis=1)
    return Workdays(
        days=days,
        offsets_seconds=offsets,
        quarter_ends=_quarter_ends(days),
        business=cumulated / cumulated[:, -1:],
        start_day=start_day,
        until_seconds=until_seconds,
    )


def _working_days(every_day: Ints, new_years: Ints, *, chinese: bool) -> Ints:
    weekdays = every_day[(every_day + 3) % 7 < 5]
    if not chinese:
        return weekdays
    after = weekdays[:, None] - new_years
    return weekdays[~((after >= -1) & (after <= 6)).any(axis=1)]


def _near_new_year(days: Ints, new_years: Ints) -> Bools:
    after = days[:, :, None] - new_years
    return np.asarray(((after >= -10) & (after <= 14)).any(axis=2))


def _day_weights(days: Ints, start_day: int) -> Floats:
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    return np.asarray(GROWTH_A_YEAR ** ((days - start_day) / 365.25) * _MONTH_FACTORS[month])


def _quarter_ends(days: Ints) -> Ints:
    quarter = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) // 3
    return np.stack([np.searchsorted(row, row, side="right") - 1 for row in quarter])
