from datetime import date

import numpy as np
import pytest

from forecast.series.calendar import Calendar
from forecast.series.inputs import Inputs
from forecast.series.outlook import outlook_of_series
from forecast.series.panel import Panel
from forecast.series.ratios import names_of_amounts, ratio_forecast

MONTHLY = Calendar(unit="month", step=1, origin=date(2020, 1, 1), stamp="first")
QUARTERS = np.arange(39) // 3


def panel_of(values):
    """Lay series side by side, series × periods."""
    return Panel(
        ids=tuple(f"s{place}" for place in range(len(values))),
        history=tuple(values),
        ends=np.full(len(values), values.shape[1] - 1),
        calendar=MONTHLY,
        season=12,
    )


def inputs_of(amounts, *, ahead, blocks=QUARTERS):
    """Lay out amounts, series × periods, of which the last are not history."""
    known = amounts.shape[1] - ahead
    return Inputs(
        names=("quota",),
        past=tuple(amounts[:, :known, None]),
        future=amounts[:, known:, None],
        blocks=(blocks,) * len(amounts),
    )


def quarterly(generator, *, series=12):
    """Make revenue by month and quotas by quarter that foresee what moves it, but for a fifth."""
    moves = np.exp(0.4 * generator.standard_normal((series, 13)))
    quotas = 100 * moves
    sold = 90 * moves * np.exp(0.2 * generator.standard_normal((series, 13)))
    return sold[:, QUARTERS] * generator.dirichlet([5] * 3, (series, 13)).reshape(series, -1), quotas[:, QUARTERS]


def test_quotas_that_foresee_revenue_are_used():
    """Forecasts of quarters with quotas miss by far less than without, and less than the quotas themselves."""
    revenue, quotas = quarterly(np.random.default_rng(3))
    panel, came = panel_of(revenue[:, :36]), revenue[:, 36:].sum(axis=1)
    plain = outlook_of_series(panel, 3).mean.sum(axis=1)
    found = outlook_of_series(panel, 3, amounts=inputs_of(quotas, ahead=3))
    missed = np.abs(found.mean.sum(axis=1) - came).mean()
    assert found.shares["quota"] > 0.5
    assert missed < 0.75 * np.abs(plain - came).mean()
    assert missed < np.abs(quotas[:, 36] - came).mean()


def test_amounts_that_foresee_nothing_are_not_used():
    """Quotas of chance have no share, and change no forecast."""
    generator = np.random.default_rng(5)
    revenue = 100 * np.exp(0.1 * generator.standard_normal((12, 36)))
    chance = np.exp(generator.standard_normal((12, 13)))[:, QUARTERS]
    found = outlook_of_series(panel_of(revenue), 3, amounts=inputs_of(chance, ahead=3))
    assert found.shares == {"quota": 0}
    assert np.array_equal(found.mean, outlook_of_series(panel_of(revenue), 3).mean)


def test_an_amount_times_its_ratio_spreads_as_the_series_goes():
    """A quarter's forecast is quota × ratio, its months in the proportions of the ensemble's."""
    revenue = np.tile([10.0, 20.0, 50.0], 12)[None]
    quotas = np.r_[np.full(36, 160.0), np.full(3, 200.0)][None]
    found = ratio_forecast(panel_of(revenue), inputs_of(quotas, ahead=3), np.array([[10.0, 10.0, 20.0]]))
    assert found.ravel() == pytest.approx([25, 25, 50])


def test_a_quarter_that_is_half_over_is_forecast_for_its_rest():
    """What has come of the quarter takes its part of the amount."""
    revenue, blocks = np.full((1, 37), 10.0), np.arange(40) // 3
    quotas = np.r_[np.full(36, 30.0), np.full(4, 60.0)][None]
    found = ratio_forecast(panel_of(revenue), inputs_of(quotas, ahead=3, blocks=blocks), np.full((1, 3), 10.0))
    assert found[0, :2] == pytest.approx([20, 20])


def test_ratios_lean_on_those_of_siblings_where_they_are_alike():
    """Of series that differ by chance alone, one that was lucky is expected to be as usual."""
    generator = np.random.default_rng(4)
    revenue = 10 * np.exp(0.3 * generator.standard_normal((20, 36)))
    amounts = inputs_of(np.full((20, 39), 30.0), ahead=3)
    found = ratio_forecast(panel_of(revenue), amounts, np.full((20, 3), 10.0))
    assert found.std() < 0.6 * revenue.mean(axis=1).std()


def test_series_keep_ratios_that_differ():
    """A price is another number for each series: nothing is borrowed."""
    levels = 10.0 ** np.arange(1, 7)
    revenue = np.tile(levels[:, None], 36) * np.exp(0.05 * np.random.default_rng(4).standard_normal((6, 36)))
    amounts = inputs_of(np.full((6, 39), 3.0), ahead=3, blocks=np.arange(39))
    found = ratio_forecast(panel_of(revenue), amounts, np.zeros((6, 3)))
    assert found[3:] == pytest.approx(np.tile(levels[3:, None], 3), rel=0.1)


def test_flags_are_no_amounts():
    """Promotions that are mostly off, and what may be below zero, are no amounts that revenue is a ratio of."""
    flags = (np.arange(39) % 4 == 0).astype(float)[None]
    assert names_of_amounts(inputs_of(flags, ahead=3)) == []
    assert names_of_amounts(inputs_of(flags - 0.5, ahead=3)) == []
    assert names_of_amounts(inputs_of(flags + 5, ahead=3)) == ["quota"]


def test_an_amount_may_be_known_of_a_small_part_of_history():
    """A quota that was introduced lately is an amount as well: what is unknown is no zero."""
    amounts = np.full((1, 39), np.nan)
    amounts[:, 30:] = 50.0
    assert names_of_amounts(inputs_of(amounts, ahead=3)) == ["quota"]
