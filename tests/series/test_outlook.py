from datetime import date

import numpy as np
import polars as pl
import pytest

from forecast.errors import InputError
from forecast.series import boosting
from forecast.series.backtest import origins
from forecast.series.calendar import Calendar
from forecast.series.hierarchy import span_hierarchy, sum_panel
from forecast.series.outlook import outlook_of_hierarchy, outlook_of_series
from forecast.series.panel import Panel
from forecast.series.seasonality import closeness, likeness, profiles

MONTHLY = Calendar(unit="month", step=1, origin=date(2020, 1, 1), stamp="first")
SEASON = 1 + 0.3 * np.sin(np.arange(12) / 12 * 2 * np.pi)


def panel_of(*histories, season=12):
    """Lay histories side by side that end in the same month."""
    return Panel(
        ids=tuple(f"s{place}" for place in range(len(histories))),
        history=tuple(np.asarray(values, dtype=float) for values in histories),
        ends=np.full(len(histories), 99),
        calendar=MONTHLY,
        season=season,
    )


def seasonal(generator, *, count, noise=0.05):
    """Make a history whose months differ, with noise."""
    return 100 * SEASON[np.arange(count) % 12] * np.exp(noise * generator.standard_normal(count))


@pytest.fixture(scope="module")
def hierarchy_and_panel():
    """Six series of two regions and three products, one of them sparse."""
    generator = np.random.default_rng(4)
    histories = [seasonal(generator, count=40, noise=0.1) * (place + 1) for place in range(5)]
    sparse = np.where(generator.random(40) < 0.3, 50 * generator.random(40), 0)
    panel = panel_of(*histories, sparse)
    series = pl.DataFrame({"unique_id": panel.ids, "region": list("NNNSSS"), "product": list("xyzxyz")})
    return span_hierarchy(series, ["region", "product"]), panel


@pytest.fixture(scope="module")
def outlook(hierarchy_and_panel):
    """Forecast the six series and their totals."""
    hierarchy, panel = hierarchy_and_panel
    return outlook_of_hierarchy(panel, hierarchy, 6)


def test_parts_equal_wholes_in_every_draw(hierarchy_and_panel, outlook):
    """In the mean and in each draw, each total is the sum of its series, to rounding."""
    hierarchy, _ = hierarchy_and_panel
    bottom = outlook.draws[-hierarchy.series_count :]
    assert np.abs(np.tensordot(hierarchy.parts, bottom, axes=1) - outlook.draws).max() < 1e-6
    assert np.abs(hierarchy.parts @ outlook.mean[-hierarchy.series_count :] - outlook.mean).max() < 1e-6


def test_nothing_sold_is_the_least(outlook):
    """Neither means, bounds nor draws fall below zero where history never did."""
    assert min(outlook.mean.min(), outlook.bounds.min(), outlook.draws.min()) >= 0


def test_ranges_lie_within_one_another(outlook):
    """The 95 % range holds the 80 %, and that the 50 %."""
    lo50, hi50, lo80, hi80, lo95, hi95 = np.moveaxis(outlook.bounds, 2, 0)
    assert (lo95 <= lo80).all()
    assert (lo80 <= lo50).all()
    assert (lo50 <= hi50).all()
    assert (hi50 <= hi80).all()
    assert (hi80 <= hi95).all()


def test_more_series_than_can_add_up_are_refused():
    """The error says how many were found, how many fit, and what to do."""
    series = pl.DataFrame({"unique_id": [str(place) for place in range(6001)], "region": ["N"] * 6001})
    with pytest.raises(InputError, match=r"6001 series .* at most 6000"):
        span_hierarchy(series, ["region"])


def test_crossings_that_divide_nothing_anew_are_left_out(hierarchy_and_panel):
    """Region × product is the series themselves here, and spans no totals of its own."""
    hierarchy, panel = hierarchy_and_panel
    assert hierarchy.nodes["level"].value_counts().sort("level").rows() == [
        ("bottom", 6),
        ("product", 3),
        ("region", 2),
        ("total", 1),
    ]
    assert np.allclose(sum_panel(panel, hierarchy).history[0], np.sum(panel.history, axis=0))


def test_ranges_hold_what_came():
    """Of many series with known noise, ranges of 80 % hold about that share of what came."""
    generator = np.random.default_rng(7)
    whole = [seasonal(generator, count=48) for _ in range(40)]
    found = outlook_of_series(panel_of(*[values[:42] for values in whole]), 6)
    future = np.array([values[42:] for values in whole])
    inside = (future >= found.bounds[:, :, 2]) & (future <= found.bounds[:, :, 3])
    assert 0.7 <= inside.mean() <= 0.9


def test_a_pattern_of_two_years_is_used():
    """Two years of a repeating pattern are forecast better than by their mean and by the last year."""
    generator = np.random.default_rng(2)
    whole = [seasonal(generator, count=36, noise=0.1) for _ in range(20)]
    before = panel_of(*[values[:24] for values in whole])
    found = outlook_of_series(before, 12).mean
    future = np.array([values[24:] for values in whole])
    error = np.abs(found - future).mean()
    assert error < np.abs(np.array([values[12:24] for values in whole]) - future).mean()
    assert error < np.abs(np.array([[values[:24].mean()] * 12 for values in whole]) - future).mean()


def test_noise_is_no_pattern():
    """A series without a season keeps little of what its months happened to be."""
    generator = np.random.default_rng(5)
    found = profiles(panel_of(*[100 + 10 * generator.standard_normal(48) for _ in range(20)]))
    assert np.mean([profile.strength for profile in found]) < 0.3
    assert likeness(found) < 0.1


def test_new_series_borrow_the_pattern_of_their_siblings():
    """Three months of history have the year of those beside them, and ranges of their size."""
    generator = np.random.default_rng(6)
    found = outlook_of_series(panel_of(*[seasonal(generator, count=40) for _ in range(8)], [100.0, 110.0, 105.0]), 12)
    new, old = found.mean[-1], found.mean[:-1].mean(axis=0)
    assert np.corrcoef(new, old)[0, 1] > 0.95
    width = (found.bounds[:, :, 3] - found.bounds[:, :, 2]) / found.mean
    assert 0.8 < (width[-1] / width[:-1].mean(axis=0)).mean() < 3


def test_series_without_a_pattern_borrow_none_from_strangers():
    """Where the series' patterns have nothing in common, one that has none keeps none."""
    generator = np.random.default_rng(8)
    strangers = [np.roll(seasonal(generator, count=48), place) for place in range(12)]
    found = profiles(panel_of(*strangers, 100 + 5 * generator.standard_normal(48)))
    assert np.ptp(found[-1].deviations) < 0.1 * np.ptp(found[0].deviations)


def test_errors_from_before_a_season_say_nothing_of_ranges():
    """After a year of history, ranges are what is usual, not what forecasts of half a year missed."""
    generator = np.random.default_rng(9)
    found = outlook_of_series(panel_of(*[seasonal(generator, count=12) for _ in range(30)]), 12)
    assert found.trials_count == 0


def test_patterns_that_series_share_are_seen():
    """Series that rise in the same months are alike."""
    generator = np.random.default_rng(5)
    assert likeness(profiles(panel_of(*[seasonal(generator, count=12) for _ in range(10)]))) > 0.8


def test_one_season_is_told_from_a_walk_by_its_return():
    """A year whose series come back to where they began is a season, whenever each has its peak; a walk and chance are none."""
    generator = np.random.default_rng(5)
    noise = 0.1 * generator.standard_normal((60, 12))
    years = [np.roll(SEASON, place) * np.exp(part) for place, part in enumerate(noise)]
    assert closeness(panel_of(*years)) > 0.3
    assert closeness(panel_of(*np.exp(noise))) < 0.1
    assert closeness(panel_of(*np.exp(noise.cumsum(axis=1)))) == 0
    assert closeness(panel_of(*(np.arange(10, 22) * np.exp(noise)))) == 0


@pytest.mark.parametrize("history", [[5.0] * 30, [0.0] * 30, [7.0], [3.0, 4.0], [2.0] * 10 + [0.0] * 20])
def test_strange_histories_have_sober_answers(history):
    """Constant, empty, tiny and ended series are forecast within what they were."""
    found = outlook_of_series(panel_of(history), 3)
    assert np.isfinite(found.bounds).all()
    assert (found.mean >= 0).all()
    assert found.mean.max() <= max(history)


def test_a_series_that_has_ended_is_forecast_as_zero():
    """What sold for years and stands still for two is not expected back."""
    generator = np.random.default_rng(5)
    found = outlook_of_series(panel_of(np.r_[seasonal(generator, count=30), np.zeros(24)]), 3)
    assert found.mean.max() == 0


def test_series_below_zero_stay_signed():
    """Returns and corrections may be forecast below zero."""
    generator = np.random.default_rng(5)
    found = outlook_of_series(panel_of(-50 + 10 * generator.standard_normal(36)), 3)
    assert found.mean.max() < 0


def test_what_is_booked_already_is_the_least_of_a_partial_period():
    """The first period ahead holds at least what it holds already; the others are as they were."""
    generator = np.random.default_rng(5)
    panel = panel_of(seasonal(generator, count=36))
    plain = outlook_of_series(panel, 3, draws_count=50)
    lifted = outlook_of_series(panel, 3, so_far=np.array([400.0]), draws_count=50)
    assert lifted.mean[0, 0] == 400
    assert lifted.draws[0, 0].min() >= 400
    assert lifted.mean[0, 1:] == pytest.approx(plain.mean[0, 1:])


def test_the_same_history_gives_the_same_outlook(hierarchy_and_panel, outlook):
    """Nothing is left to chance but by the seed."""
    hierarchy, panel = hierarchy_and_panel
    assert np.array_equal(outlook_of_hierarchy(panel, hierarchy, 6).draws, outlook.draws)


def test_of_very_many_series_some_are_learnt_from_and_all_are_forecast(monkeypatch):
    """What is learnt from stays of one size; each series has its forecast, whatever block it is forecast in."""
    monkeypatch.setattr(boosting, "ROWS_MAX", 400)
    generator = np.random.default_rng(5)
    panel = panel_of(*[10.0**place * seasonal(generator, count=40) for place in range(6) for _ in range(4)])
    found = boosting.boosted(panel, 3, seed=1)["boosted"]
    assert np.isfinite(found).all()
    assert np.allclose(found.mean(axis=1) / [values[-12:].mean() for values in panel.history], 1, atol=0.4)
    monkeypatch.setattr(boosting, "SERIES_AT_ONCE", 5)
    assert np.array_equal(boosting.boosted(panel, 3, seed=1)["boosted"], found)


def test_origins_leave_enough_to_learn_from():
    """Backtests judge the horizon where history allows, and fewer steps where it is short."""
    assert {steps for _, steps in origins(panel_of(np.ones(80)), 6)} == {6}
    assert all(12 - cut >= 2 for cut, _ in origins(panel_of(np.ones(12)), 12))
    assert origins(panel_of([1.0, 2.0]), 12) == []


def test_the_unit_of_the_amounts_changes_nothing():
    """Revenue in millions has the outlook of the same revenue in cents."""
    values = seasonal(np.random.default_rng(2), count=30)
    millions, cents = (outlook_of_series(panel_of(values * unit), 3).mean / unit for unit in (1e-6, 1e2))
    np.testing.assert_allclose(millions, cents, rtol=5e-3)


def test_more_than_was_expected_is_not_all_that_can_come():
    """Where a period holds more than its range already, the range begins there and goes on, and parts still add up."""
    panel = panel_of(*(seasonal(np.random.default_rng(seed), count=40) for seed in range(3)))
    hierarchy = span_hierarchy(pl.DataFrame({"unique_id": panel.ids, "region": list("NNS")}), ["region"])
    known = np.array([400.0, np.nan, 500.0])
    alone = outlook_of_series(panel, 2, so_far=known)
    together = outlook_of_hierarchy(panel, hierarchy, 2, so_far=known)
    for outlook, place in ((alone, 0), (together, -3)):
        low, high = outlook.bounds[place, 0, -2:]
        assert (outlook.mean[place, 0], low) == (400, 400)
        assert 402 < high < 500
    np.testing.assert_allclose(together.draws[0], together.draws[-3:].sum(axis=0))
