from datetime import date

import numpy as np
import polars as pl
import pytest

from forecast.errors import InputError
from forecast.series.calendar import Calendar
from forecast.series.longer_periods import longer_periods
from forecast.series.outlook import Outlook
from forecast.series.panel import Panel
from forecast.series.writing import longer_frames

MONTHLY = Calendar(unit="month", step=1, origin=date(2020, 1, 1), stamp="first")
WEEKLY = Calendar(unit="week", step=1, origin=date(2020, 1, 6), stamp="first")


def outlook_of(calendar, *, horizon=9):
    """Make an outlook of two series after fourteen periods, whose draws are random."""
    generator = np.random.default_rng(1)
    draws = generator.random((2, horizon, 50))
    panel = Panel(
        ids=("a", "b"), history=(np.ones(14), np.full(14, 2.0)), ends=np.array([13, 13]), calendar=calendar, season=12
    )
    return Outlook(
        panel=panel,
        mean=draws.mean(axis=2),
        bounds=np.zeros((2, horizon, 6)),
        draws=draws,
        weights={},
        shares={},
        error=0.0,
        trials_count=0,
    )


def test_months_make_up_quarters_in_every_draw():
    """A quarter is the sum of its months; what of it is history counts as it was; one that is cut off is left out."""
    outlook = outlook_of(MONTHLY)
    found = longer_periods(outlook, "quarter")
    assert found.days[:3] == [date(2021, 1, 1), date(2021, 4, 1), date(2021, 7, 1)]
    assert found.nodes == [0, 0, 0, 1, 1, 1]
    assert np.allclose(found.draws[0], 2 + outlook.draws[0, 0])
    assert np.allclose(found.draws[4], outlook.draws[1, 1:4].sum(axis=0))
    assert found.mean[4] == pytest.approx(outlook.mean[1, 1:4].sum())


def test_a_year_is_the_sum_of_its_quarters_nowhere_twice():
    """The months of a year that are past and those that come are all of it."""
    frame, draws = longer_frames(outlook_of(MONTHLY, horizon=10), None, ["quarter", "year"])
    sums = {unit: part["mean"].sum() for (unit,), part in frame.filter(pl.col("unique_id") == "a").group_by("period")}
    assert sums["year"] == pytest.approx(sums["quarter"]) == pytest.approx(sums["month"] + 2)
    assert draws.height == frame.height


@pytest.mark.parametrize(
    ("calendar", "unit", "message"),
    [
        (WEEKLY, "month", "weekly periods do not make up"),
        (MONTHLY, "month", "do not"),
        (MONTHLY, "decade", "choose of"),
    ],
)
def test_units_that_periods_do_not_make_up_are_refused(calendar, unit, message):
    """Weeks lie across months, and a month is no longer than itself."""
    with pytest.raises(InputError, match=message):
        longer_periods(outlook_of(calendar), unit)


def test_an_outlook_without_a_whole_quarter_is_refused():
    """The error says to look further ahead."""
    with pytest.raises(InputError, match="longer --horizon"):
        longer_periods(outlook_of(MONTHLY, horizon=3), "year")
