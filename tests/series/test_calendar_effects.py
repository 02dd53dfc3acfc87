from datetime import date, timedelta

import numpy as np
import pytest

from forecast.errors import InputError
from forecast.series.calendar import Calendar
from forecast.series.calendar_effects import calendar_inputs
from forecast.series.known_ahead import effects
from forecast.series.panel import Panel

MONTHLY = Calendar(unit="month", step=1, origin=date(2018, 1, 1), stamp="first")
DAILY = Calendar(unit="day", step=1, origin=date(2023, 1, 1), stamp="first")


def panel_of(values, calendar, *, season):
    """Make a panel of rows of values that begin at the calendar's origin."""
    return Panel(
        ids=tuple(f"s{place}" for place in range(len(values))),
        history=tuple(np.asarray(row, dtype=float) for row in values),
        ends=np.full(len(values), len(values[0]) - 1),
        calendar=calendar,
        season=season,
    )


def known(panel, horizon, country):
    """Give past and future of each input of the first series, by name."""
    return {
        name: np.concatenate([group.past[0][:, place], group.future[0][:, place]])
        for group in calendar_inputs(panel, horizon, country=country)
        for place, name in enumerate(group.names)
    }


def test_working_days_are_those_of_the_month():
    """February 2018 had twenty days from Monday to Friday; in China, four of them were the new year's."""
    panel = panel_of([[1.0] * 12], MONTHLY, season=12)
    assert known(panel, 1, None)["working days"][1] == 20
    assert known(panel, 1, "CN")["working days"][1] < 20


def test_the_lunar_new_year_moves():
    """It began on 16 February 2018 and on 5 February 2019, so that January 2019 had more of the weeks before."""
    panel = panel_of([[1.0] * 14], MONTHLY, season=12)
    before = known(panel, 1, "cn")["before the lunar new year"]
    assert before[[0, 1]].sum() == pytest.approx(1)
    assert before[12] > before[0] > 0


def test_countries_without_known_holidays_are_refused():
    """The error says what to write."""
    with pytest.raises(InputError, match='"XX" are not known; give two letters'):
        calendar_inputs(panel_of([[1.0] * 12], MONTHLY, season=12), 1, country="XX")


def days(generator, *, month_end):
    """Make 400 days whose last three of each month differ."""
    dates = [date(2023, 1, 1) + timedelta(days=place) for place in range(400)]
    ends = np.array([(day + timedelta(days=3)).month != day.month for day in dates])
    return 100 * np.exp(month_end * ends + 0.1 * generator.standard_normal(400))


@pytest.mark.parametrize("month_end", [0.5, 0.0])
def test_month_ends_are_used_where_they_tell_of_later_days(month_end):
    """A rush at the end of each month is found; where there is none, nothing is."""
    panel = panel_of([days(np.random.default_rng(3), month_end=month_end)], DAILY, season=7)
    edges = next(group for group in calendar_inputs(panel, 28, country=None) if "month end" in group.names)
    found = effects(panel, edges, margin=1.5)
    assert found is None if month_end == 0 else found[0, 0] == pytest.approx(month_end, abs=0.15)
