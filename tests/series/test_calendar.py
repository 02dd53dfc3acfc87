from datetime import date, timedelta

import numpy as np
import pytest

from forecast.errors import InputError
from forecast.series.calendar import infer_calendar


def inferred(days):
    """Infer the calendar of one series."""
    array = np.array(days, dtype="datetime64[D]")
    return infer_calendar(array, np.diff(array).astype(np.int64))


MONTHS = [date(2020 + place // 12, place % 12 + 1, 1) for place in range(30)]


@pytest.mark.parametrize(
    ("days", "name", "season"),
    [
        (MONTHS, "monthly", 12),
        ([day - timedelta(days=1) for day in MONTHS], "monthly", 12),
        (MONTHS[::3], "quarterly", 4),
        (MONTHS[::12], "yearly", 1),
        ([date(2024, 1, 1) + timedelta(days=7 * place) for place in range(10)], "weekly", 52),
        ([date(2024, 1, 1) + timedelta(days=place) for place in range(20)], "daily", 7),
        (
            [d for d in (date(2024, 1, 1) + timedelta(days=p) for p in range(30)) if d.weekday() < 5],
            "daily from Monday to Friday",
            5,
        ),
    ],
)
def test_frequency_is_inferred(days, name, season):
    """The frequency and its usual season follow from the dates."""
    calendar = inferred(days)
    assert (calendar.name, calendar.season) == (name, season)


@pytest.mark.parametrize("days", [MONTHS, MONTHS[::3], [day - timedelta(days=1) for day in MONTHS]])
def test_numbered_periods_give_their_days_back(days):
    """Every day is the day of its own number, and numbers follow one another."""
    calendar = inferred(days)
    ordinals = calendar.ordinals(np.array(days, dtype="datetime64[D]"))
    assert [calendar.day(int(ordinal)) for ordinal in ordinals] == days
    assert set(np.diff(ordinals)) == {1}


def test_a_gap_is_no_other_frequency():
    """Months missing here and there leave a monthly calendar."""
    assert inferred([day for place, day in enumerate(MONTHS) if place not in {3, 4, 9}]).name == "monthly"


def test_a_period_is_partial_on_its_own_days():
    """A month holds its days, whether it is named by its first or its last."""
    first, last = inferred(MONTHS), inferred([day - timedelta(days=1) for day in MONTHS])
    for calendar, period in ((first, 2), (last, 3)):
        assert calendar.holds(period, date(2020, 3, 1))
        assert calendar.holds(period, date(2020, 3, 31))
        assert not calendar.holds(period, date(2020, 4, 1))


def test_dates_on_no_calendar_are_refused():
    """Dates without order are an error that says what to write."""
    with pytest.raises(InputError, match="first day of the period"):
        inferred([date(2020, 1, 1), date(2020, 1, 20), date(2020, 3, 3), date(2020, 9, 9)])
