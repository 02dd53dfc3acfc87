"""What the calendar alone tells of a period: working days, public holidays, the lunar new year, the end of a month."""

from collections.abc import Mapping
from datetime import date, timedelta

import holidays
import numpy as np

from forecast.errors import InputError
from forecast.series.inputs import Inputs
from forecast.series.panel import Floats, Panel

Holidays = Mapping[date, str]

# Where the lunar new year moves what is sold; its days off alone do not tell of the weeks around it.
LUNAR_COUNTRIES = frozenset({"CN", "HK", "KR", "MO", "MY", "SG", "TW", "VN"})
BEFORE_DAYS, AFTER_DAYS = 21, 14
EDGE_DAYS = 3


def calendar_inputs(panel: Panel, horizon: int, *, country: str | None) -> list[Inputs]:
    """Give what the calendar tells of each period, one group of inputs at a time; none of quarters and years.

    Args:
        country: two letters, such as CN or DE, whose public holidays count; None where none do.

    Raises:
        InputError: the holidays of that country are not known.
    """
    country = country and country.upper()
    starts = panel.ends - panel.lengths + 1
    ordinals = range(int(starts.min()), int(panel.ends.max()) + horizon + 1)
    spans = [panel.calendar.span(ordinal) for ordinal in ordinals]
    known = _holidays(country, range(spans[0][0].year, spans[-1][1].year + 2)) if country else {}
    groups = _groups(panel, spans, known, lunar=_lunar_days(spans) if country in LUNAR_COUNTRIES else [])
    return [
        _laid_out(panel, horizon, names, values) for names, values in groups.items() if np.ptp(values, axis=0).all()
    ]


def _holidays(country: str, years: range) -> Holidays:
    try:
        found: Holidays = holidays.country_holidays(country, years=years)
    except NotImplementedError as error:
        raise InputError(
            f'the public holidays of "{country}" are not known; give two letters as in ISO 3166, such as CN, DE or US'
        ) from error
    return found


def _lunar_days(spans: list[tuple[date, date]]) -> list[date]:
    """Give the first day of each lunar year, as China keeps it."""
    years = range(spans[0][0].year, spans[-1][1].year + 2)
    found = holidays.country_holidays("CN", years=years, language="en_US")
    days = [day for day, name in found.items() if "Spring Festival" in name and "Eve" not in name]
    return [min(day for day in days if day.year == year) for year in years]


def _groups(
    panel: Panel, spans: list[tuple[date, date]], known: Holidays, *, lunar: list[date]
) -> dict[tuple[str, ...], Floats]:
    """Give periods × inputs by the names of the inputs."""
    unit, step = panel.calendar.unit, panel.calendar.step
    found: dict[tuple[str, ...], Floats] = {}
    if lunar and (unit != "month" or step == 1):
        around = ("before the lunar new year", "after the lunar new year")
        found[around] = np.array([_around(span, lunar) for span in spans])
    if (unit, step) == ("month", 1) or (unit == "week" and known):
        found[("working days",)] = np.array([[_working_days(span, known)] for span in spans], dtype=np.float64)
    if unit in {"day", "weekday"}:
        eves = [day + timedelta(days=1) in known for day, _ in spans]
        found[("public holiday", "eve of a holiday")] = np.array(
            [[day in known, eve] for (day, _), eve in zip(spans, eves, strict=True)], dtype=np.float64
        )
        found[("month end", "month start")] = np.array([_edges(day) for day, _ in spans])
    return found


def _working_days(span: tuple[date, date], known: Holidays) -> int:
    return sum(day.weekday() < 5 and day not in known for day in _days(span))


def _days(span: tuple[date, date]) -> list[date]:
    return [span[0] + timedelta(days=place) for place in range((span[1] - span[0]).days + 1)]


def _edges(day: date) -> tuple[float, float]:
    return float((day + timedelta(days=EDGE_DAYS)).month != day.month), float(day.day <= EDGE_DAYS)


def _around(span: tuple[date, date], lunar: list[date]) -> tuple[float, float]:
    """Give the shares of the weeks before and after a lunar new year that lie in a period."""
    before = sum((new - day).days in range(1, BEFORE_DAYS + 1) for day in _days(span) for new in lunar)
    after = sum((day - new).days in range(AFTER_DAYS) for day in _days(span) for new in lunar)
    return before / BEFORE_DAYS, after / AFTER_DAYS


def _laid_out(panel: Panel, horizon: int, names: tuple[str, ...], values: Floats) -> Inputs:
    """Lay values, one row a period of the panel, out by series."""
    starts = panel.ends - panel.lengths + 1
    ends = panel.ends - starts.min() + 1
    return Inputs(
        names=names,
        past=tuple(values[end - length : end] for end, length in zip(ends, panel.lengths, strict=True)),
        future=np.stack([values[end : end + horizon] for end in ends]),
        blocks=tuple(np.arange(end - length, end + horizon) for end, length in zip(ends, panel.lengths, strict=True)),
    )
