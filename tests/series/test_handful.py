from dataclasses import replace

import numpy as np
import pytest

from forecast.series.handful import errors_of_level, level, shared_pace
from forecast.series.members import forecast_members
from forecast.series.outlook import outlook_of_series
from forecast.series.reconciliation import projection
from tests.series.test_outlook import panel_of, seasonal


def walks(generator, *, count, series=80):
    """Make series whose level moves a few percent a period, for good."""
    return [100 * np.exp(0.05 * generator.standard_normal(count).cumsum()) for _ in range(series)]


def noise(generator, *, count, series=80):
    """Make series of one level each, with noise."""
    return [100 + 10 * generator.standard_normal(count) for _ in range(series)]


def test_levels_that_move_are_followed_and_noise_is_not():
    """Where all series wander the last values count most, where they are noise all count alike."""
    generator = np.random.default_rng(2)
    assert shared_pace(walks(generator, count=6)) > 0.6
    assert shared_pace(noise(generator, count=6)) < 0.15


def test_what_one_series_tells_of_its_pace_is_little():
    """A single rise of a few periods does not say that the last value is all that counts."""
    assert shared_pace([np.array([90.0, 100.0, 110.0, 120.0])]) < 0.35
    assert shared_pace([]) == shared_pace([np.array([5.0, 5.0, 5.0])])


def test_a_level_counts_newer_values_more():
    """At a pace of a half each value counts twice the one before it."""
    mean, doubt = level(np.array([0.0, 0.0, 7.0]), 0.5)
    assert mean == pytest.approx(4.0)
    assert doubt == pytest.approx((1 + 4 + 16) / 49)


def test_errors_of_a_level_have_the_spread_of_values():
    """What the mean of so few values misses more than the true level is taken out."""
    generator = np.random.default_rng(3)
    errors = np.array([errors_of_level(values, 0.0) for values in noise(generator, count=4, series=4000)])
    assert errors.std(axis=0) == pytest.approx([10, 10, 10], rel=0.05)


@pytest.mark.parametrize("make", [walks, noise])
@pytest.mark.parametrize("count", [4, 6])
def test_ranges_of_a_handful_of_quarters_hold_what_they_say(make, count):
    """Of four or six quarters, ranges of 80 % hold about as much as they say, whether levels move or not."""
    histories = make(np.random.default_rng(5), count=count + 4, series=150)
    found = outlook_of_series(panel_of(*[values[:count] for values in histories], season=4), 4)
    came = np.array([values[count:] for values in histories])
    held = ((came >= found.bounds[:, :, 2]) & (came <= found.bounds[:, :, 3])).mean()
    assert 0.68 <= held <= 0.9


def test_a_season_that_comes_again_leaves_less_to_miss():
    """A year whose series are alike is forecast with narrower deviations than the same values in a panel without a season."""
    generator = np.random.default_rng(6)
    panel = panel_of(*[seasonal(generator, count=12) for _ in range(30)])
    once, none = forecast_members(panel, 3), forecast_members(replace(panel, season=1), 3)
    assert np.median(once.deviations / none.deviations) < 0.85


def test_small_parts_take_no_errors_of_large_ones():
    """After a handful of errors what a total misses is shared by how much its parts usually miss, not evenly."""
    errors = np.array([1.0, -1.0, 1.0, -1.0])
    shares = projection(np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]), (100 * errors, 100 * errors, errors))
    assert shares[1, 0] < 0.03 * shares[0, 0]
