"""How often things come, lately and ahead: their seasons and their growth, each as far as it stands out from chance."""

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecast.metrics import Floats
from forecast.revenue.records import Sales

YEAR_DAYS = 365.25
MONTH_DAYS = YEAR_DAYS / 12
RATE_HALF_LIFE_DAYS = 120.0
GROWTH_HALF_LIFE_DAYS = 550.0
# Growth a year, as a logarithm, usually lies within so much of none; that of amounts within less.
USUAL_GROWTH, USUAL_AMOUNT_GROWTH = 0.3, 0.1
# Months resemble their neighbours, so that they tell half of what as many independent ones would.
ALIKE = 2.0
# Growth fades: after a year two thirds of all that is still to come of it have come.
FADING_DAYS = 365.25
MONTHS_MIN, DEALS_MIN = 4, 20
# A calendar month's own rate counts as much as the usual one after so many years.
SEASON_YEARS = 2.0
SEASON_DAYS_MIN = 540.0
TURNS = 3
# Tenths of a month are told apart from so many whole months on.
TENTHS, TENTHS_MONTHS_MIN = 10, 4


@dataclass(frozen=True, kw_only=True)
class Course:
    """How often something comes beside its usual rate.

    Attributes:
        growth: logarithm of the growth a year.
        season: ratio of each calendar month to all.
        tenths: ratio of each tenth of a month to the whole month.
    """

    growth: float
    season: Floats
    tenths: Floats


def daily_rates(sales: Sales, ages: Floats, days: float) -> Floats:
    """Give how many come on each day ahead: as lately, times the season, grown from then on and ever less.

    Args:
        ages: days since each that came.
        days: to look ahead.
    """
    span = max(float(ages.max()), 1.0)
    course = find_course(sales, ages, span)
    decay = np.log(2) / RATE_HALF_LIFE_DAYS
    lately = float(np.exp(-decay * ages).sum() * decay / (1 - np.exp(-decay * span)))
    before, ahead = np.arange(0.5, span), np.arange(0.5, days)
    past = _usual(sales, course, -before) * np.exp(-course.growth * before / YEAR_DAYS)
    now = lately / np.average(past, weights=np.exp(-decay * before))
    grown = course.growth * FADING_DAYS / YEAR_DAYS * (1 - np.exp(-ahead / FADING_DAYS))
    return np.asarray(now * _usual(sales, course, ahead) * np.exp(grown))


def _usual(sales: Sales, course: Course, days: Floats) -> Floats:
    """Give how many usually come at moments so many days after `as_of`, as a ratio to all, growth left out."""
    return np.asarray(course.season[_month(sales, days)] * course.tenths[_tenth(sales, days)])


def find_course(sales: Sales, ages: Floats, span: float) -> Course:
    """Estimate growth without the season, and the season without growth, in turns; no season below a year and a half."""
    course = Course(growth=0.0, season=np.ones(12), tenths=_tenths(sales, ages))
    for _ in range(TURNS):
        season = _season(sales, ages, span, course.growth) if span >= SEASON_DAYS_MIN else course.season
        course = replace(course, growth=_growth(sales, ages, span, season), season=season)
    return course


def _season(sales: Sales, ages: Floats, span: float, growth: float) -> Floats:
    """Give how many come a day in each calendar month, as a ratio to what growth expects, shrunk to 1 by how few years are known."""
    before = np.arange(0.5, span)
    usual = np.exp(-growth * before / YEAR_DAYS)
    came = np.bincount(_month(sales, -ages), minlength=12)
    expected = np.bincount(_month(sales, -before), usual * len(ages) / usual.sum(), minlength=12)
    ratio = np.where(expected > 0, came / np.maximum(expected, 1e-9), 1.0)
    years = span / YEAR_DAYS
    return np.asarray(1 + (ratio - 1) * years / (years + SEASON_YEARS))


def _tenths(sales: Sales, ages: Floats) -> Floats:
    """Give how many come in each tenth of a month, as a ratio to all, as far as whole months are alike in it beyond chance."""
    local = _local(sales, -ages)
    month = (local.dt.year().cast(pl.Int64) * 12 + local.dt.month()).to_numpy()
    place = (month - month.min()) * TENTHS + _tenth(sales, -ages)
    whole = int(month.max() - month.min()) + 1
    counts = np.bincount(place, minlength=whole * TENTHS).reshape(whole, TENTHS)[1:-1]
    counts = counts[counts.sum(axis=1) > 0]
    if len(counts) < TENTHS_MONTHS_MIN:
        return np.ones(TENTHS)
    ratios = TENTHS * counts / counts.sum(axis=1, keepdims=True)
    apart = ratios.mean(axis=0) - 1
    chance = float((ratios.var(axis=0, ddof=1) / len(ratios)).sum())
    return np.asarray(1 + apart * max(0.0, 1 - chance / max(float((apart**2).sum()), 1e-9)))


def _growth(sales: Sales, ages: Floats, span: float, season: Floats) -> float:
    """Fit a line through the logarithms of monthly counts, newer ones counting more, and shrink its slope by its error."""
    count = int(span // MONTH_DAYS)
    if count < MONTHS_MIN:
        return 0.0
    before = np.arange(0.5, count * MONTH_DAYS)
    place = np.minimum(before // MONTH_DAYS, count - 1).astype(np.int64)
    came = np.bincount((ages // MONTH_DAYS).astype(np.int64), minlength=count)[:count].astype(np.float64) + 0.5
    rate = np.asarray(
        np.log(came / np.bincount(place, season[_month(sales, -before)], minlength=count)), dtype=np.float64
    )
    age_days = np.arange(0.5, count) * MONTH_DAYS
    return _slope(age_days, rate, came, usual=USUAL_GROWTH)


def amount_growth(amounts: Floats, ages: Floats) -> float:
    """Give the logarithm of the growth a year of what deals are sold for; 0 of few."""
    known = (amounts > 0) & np.isfinite(ages)
    if known.sum() < DEALS_MIN:
        return 0.0
    logs = np.asarray(np.log(amounts[known]))
    precision = np.full(len(logs), 1 / max(float(logs.var()), 1e-9))
    return _slope(ages[known], logs, precision, usual=USUAL_AMOUNT_GROWTH)


def _slope(age_days: Floats, values: Floats, precision: Floats, *, usual: float) -> float:
    """Give the weighted slope a year towards now, shrunk to 0 by its variance beside that of usual slopes.

    Args:
        precision: one over the variance of each value, were there nothing but counting or spread behind it.
        usual: standard deviation of slopes.
    """
    at = -age_days / YEAR_DAYS
    weight = precision * 0.5 ** (age_days / GROWTH_HALF_LIFE_DAYS)
    apart = at - np.average(at, weights=weight)
    whole = float((weight * apart**2).sum())
    if whole <= 0:
        return 0.0
    slope = float((weight * apart * values).sum()) / whole
    rest = values - np.average(values, weights=weight) - slope * apart
    excess = max(1.0, float((precision * rest**2).sum()) / max(1, len(values) - 2))
    variance = ALIKE * excess * float((weight**2 / precision * apart**2).sum()) / whole**2
    return slope * usual**2 / (usual**2 + variance)


def _month(sales: Sales, days: Floats) -> NDArray[np.int64]:
    """Give the calendar month, 0 to 11, of moments so many days after `as_of`."""
    return _local(sales, days).dt.month().cast(pl.Int64).to_numpy() - 1


def _tenth(sales: Sales, days: Floats) -> NDArray[np.int64]:
    """Give the tenth of its month, 0 to 9, of moments so many days after `as_of`."""
    local = _local(sales, days)
    start = local.dt.truncate("1mo")
    over = ((local - start) / (start.dt.offset_by("1mo") - start)).to_numpy()
    return np.asarray(np.minimum((over * TENTHS).astype(np.int64), TENTHS - 1))


def _local(sales: Sales, days: Floats) -> pl.Series:
    """Give moments so many days after `as_of` by the clock of the sales."""
    seconds = sales.as_of.timestamp() + days * timedelta(days=1).total_seconds()
    moments = pl.from_epoch(pl.Series(seconds).cast(pl.Int64))
    return moments.dt.replace_time_zone("UTC").dt.convert_time_zone(sales.timezone)
