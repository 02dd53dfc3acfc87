from datetime import date

import numpy as np

from forecast.series.calendar import Calendar
from forecast.series.closed import closed_places
from forecast.series.outlook import outlook_of_series
from forecast.series.panel import Panel

MONTHLY = Calendar(unit="month", step=1, origin=date(2020, 1, 1), stamp="first")
WINTER = np.array([1.5, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 4])


def places(count):
    """Give the months of so many periods."""
    return np.arange(count) % 12


def test_months_without_sales_are_told_after_two_years():
    """A shop that sold in the same four months of two years is closed in the others."""
    assert list(closed_places(np.tile(WINTER, 2), places(24), 12)) == list(WINTER == 0)


def test_places_seen_once_are_not_closed():
    """What one year lacks may be chance."""
    assert not closed_places(WINTER, places(12), 12).any()


def test_zeros_by_chance_close_nothing():
    """Zeros that fall anywhere, few or many, are taken for a season one time in thirty at most."""
    generator = np.random.default_rng(3)
    for share in (0.08, 0.5, 0.85):
        tries = [(generator.random(24) >= share).astype(float) for _ in range(300)]
        assert np.mean([closed_places(values, places(24), 12).any() for values in tries]) < 1 / 30


def test_what_is_closed_is_forecast_as_zero_and_the_season_as_it_was():
    """A seasonal shop is not taken for one of rare sales: nothing in summer, winters as before."""
    generator = np.random.default_rng(5)
    values = 1000 * np.tile(WINTER, 4) * np.exp(0.1 * generator.standard_normal(48))
    panel = Panel(ids=("ski",), history=(values,), ends=np.array([47]), calendar=MONTHLY, season=12)
    outlook = outlook_of_series(panel, 12)
    closed = WINTER == 0
    assert not outlook.mean[0][closed].any()
    assert not outlook.bounds[0][closed].any()
    np.testing.assert_allclose(outlook.mean[0][~closed], 1000 * WINTER[~closed], rtol=0.3)
