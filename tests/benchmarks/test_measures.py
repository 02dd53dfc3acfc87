import numpy as np
import pytest

from benchmarks.measures import (
    calibration_error_by_chance,
    difference,
    expected_calibration_error,
    lift,
    log_losses,
    measure,
)

WON = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0])


def test_one_probability_for_all_has_neither_lift_nor_order():
    """Rows of equal probability share their win rate, whatever their order."""
    flat = np.full(10, 0.4)
    by_outcome = np.sort(WON)
    assert expected_calibration_error(by_outcome, flat) == pytest.approx(0)
    assert lift(by_outcome, flat) == pytest.approx(1)
    assert measure(by_outcome, flat) == measure(WON, flat)


def test_gap_between_probability_and_rate_is_the_calibration_error():
    """A constant that is off by .2 has an error of .2."""
    assert expected_calibration_error(WON, np.full(10, 0.6)) == pytest.approx(0.2)


def test_calibration_error_averages_over_bins():
    """Bins that err in opposite directions do not cancel."""
    won = np.array([0.0] * 10 + [1.0] * 10)
    probability = np.array([0.3] * 10 + [0.7] * 10)
    assert expected_calibration_error(won, probability, bins=2) == pytest.approx(0.3)


def test_lift_is_the_win_rate_of_the_top_over_that_of_all():
    """The two of ten with the highest probability, both won, give 1 / .4."""
    probability = np.where(np.arange(10) < 1, 0.9, 0.1) + np.where(np.arange(10) == 2, 0.7, 0)
    assert lift(WON, probability, share=0.2) == pytest.approx(2.5)


def test_log_loss_of_a_coin_is_the_log_of_two():
    """Half is worth ln 2 whatever happens, and a certain mistake stays finite."""
    assert log_losses(WON, np.full(10, 0.5)) == pytest.approx(np.log(2))
    assert np.isfinite(log_losses(WON, 1 - WON)).all()


def test_difference_is_negative_where_ours_is_better():
    """Ours less theirs: what loses less has a negative difference, and none to itself."""
    sure, coin = np.where(WON == 1, 0.9, 0.1), np.full(10, 0.5)
    assert difference(WON, sure, coin)[0] == pytest.approx(np.log(0.5 / 0.9))
    assert difference(WON, coin, coin) == (0, 0)


def test_few_rows_show_a_calibration_error_by_chance():
    """A bin of n outcomes that come half the time is off by sqrt(2 / pi) * .5 / sqrt(n); a certain one never."""
    half = np.linspace(0.499, 0.501, 15 * 60)
    assert calibration_error_by_chance(half) == pytest.approx(np.sqrt(2 / np.pi) * 0.5 / np.sqrt(60), rel=0.05)
    assert calibration_error_by_chance(np.ones(30)) == 0
