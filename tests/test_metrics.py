from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from forecast.metrics import (
    auc,
    brier_losses,
    calibration_slope,
    chance_of_gain,
    expected_calibration_error,
    fit_sigmoid,
    lift,
    log_losses,
    reliability,
)

rows = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=40)
several = settings(derandomize=True, max_examples=50)


def arrays(given_rows):
    """Give outcomes and probabilities as arrays."""
    won, probability = zip(*given_rows, strict=True)
    return np.array(won, dtype=float), np.array(probability)


@several
@given(rows)
def test_losses_are_those_of_scikit_learn(given_rows):
    """The mean of each row's loss is the loss that the field reports."""
    won, probability = arrays(given_rows)
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    assert log_losses(won, probability).mean() == pytest.approx(log_loss(won, clipped, labels=[0, 1]), rel=1e-9)
    assert brier_losses(won, probability).mean() == pytest.approx(
        brier_score_loss(won, probability, pos_label=1), abs=1e-12
    )


@several
@given(rows)
def test_auc_is_that_of_scikit_learn_or_not_a_number(given_rows):
    """Ranking is undefined where only one class is there."""
    won, probability = arrays(given_rows)
    if len(set(won)) < 2:
        assert np.isnan(auc(won, probability))
    else:
        assert auc(won, probability) == roc_auc_score(won, probability)


def test_auc_takes_weights():
    """A row of weight 2 counts like two rows."""
    won, probability = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.9, 0.6, 0.4, 0.1])
    doubled = auc(np.append(won, 1.0), np.append(probability, 0.4))
    assert auc(won, probability, np.array([1.0, 1.0, 2.0, 1.0])) == pytest.approx(doubled)


def test_impossible_outcomes_cost_a_finite_loss():
    """A certain prediction that is wrong costs the loss of the clip."""
    assert log_losses(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx([-np.log(1e-6)] * 2)


def test_calibration_error_by_hand():
    """Two bins of two rows: gaps of 0.35 and 0.25, half the rows each."""
    won, probability = np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.1, 0.2, 0.7, 0.8])
    assert expected_calibration_error(won, probability, bins=2) == pytest.approx((0.35 + 0.25) / 2)


@several
@given(rows, st.integers(1, 20))
def test_bins_hold_every_row_once_in_order(given_rows, bins):
    """Bins are as even as can be, ordered by what was predicted, and none is empty."""
    won, probability = arrays(given_rows)
    found = reliability(won, probability, bins)
    sizes = [len(part.won) for part in found]
    assert sum(sizes) == len(won)
    assert max(sizes) - min(sizes) <= 1
    assert all(earlier.predicted <= later.predicted + 1e-12 for earlier, later in pairwise(found))
    assert sum(part.observed * len(part.won) for part in found) == pytest.approx(won.sum())
    assert sum(part.predicted * len(part.won) for part in found) == pytest.approx(probability.sum())


def simulated(slope, shift, count=40_000):
    """Draw outcomes whose log-odds are slope times the predicted ones plus shift."""
    draw = np.random.default_rng(3)
    log_odds = draw.normal(0, 1.5, count)
    return (draw.random(count) < expit(slope * log_odds + shift)).astype(float), log_odds


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (0.4, -0.7), (2.0, 1.0)])
def test_a_sigmoid_is_found_again(slope, shift):
    """Slope and shift of simulated outcomes come back, as the slope of calibration does."""
    won, log_odds = simulated(slope, shift)
    assert fit_sigmoid(won, log_odds) == pytest.approx((slope, shift), abs=0.06)
    assert calibration_slope(won, expit(log_odds)) == pytest.approx(slope, abs=0.06)


def test_a_sigmoid_is_the_unpenalised_logistic_regression():
    """With weights too, the fit is that of scikit-learn."""
    won, log_odds = simulated(0.7, 0.2, 2_000)
    weight = np.random.default_rng(4).uniform(0, 3, len(won))
    other = LogisticRegression(C=np.inf, tol=1e-10).fit(log_odds[:, None], won, sample_weight=weight)
    expected = (other.coef_.item(), other.intercept_.item())
    assert fit_sigmoid(won, log_odds, weight) == pytest.approx(expected, abs=1e-3)


def test_a_penalty_pulls_towards_no_change():
    """Few rows barely move the calibration, many move it freely."""
    won, log_odds = simulated(0.3, 1.0, 30)
    free, pulled, held = (fit_sigmoid(won, log_odds, penalty=rows_) for rows_ in (0.0, 20.0, 1e6))
    assert abs(pulled[0] - 1) < abs(free[0] - 1)
    assert held == pytest.approx((1.0, 0.0), abs=1e-3)


def test_separable_outcomes_give_a_finite_slope():
    """A perfect ranking does not run off to infinity."""
    slope, shift = fit_sigmoid(np.array([0.0, 0.0, 1.0, 1.0]), np.array([-2.0, -1.0, 1.0, 2.0]))
    assert 1 < slope <= 20
    assert abs(shift) <= 20


def test_lift_by_hand():
    """The best fifth was won always, all of them by half: twice as often."""
    won = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert lift(won, np.linspace(1, 0, 10), share=0.2) == 2.0
    assert lift(won, np.linspace(0, 1, 10), share=0.2) == 0.0
    assert np.isnan(lift(np.zeros(10), np.linspace(0, 1, 10)))


def chances(clusters, size, gain=0.0):
    """Repeat an experiment of clustered losses; give our chance of gain each time."""
    draw = np.random.default_rng(11)
    groups = np.repeat(np.arange(clusters), size)
    found = []
    for seed in range(150):
        ours = np.repeat(draw.normal(0, 1, clusters), size)
        theirs = np.repeat(draw.normal(gain, 1, clusters), size)
        found.append(chance_of_gain(ours, theirs, groups, seed, rounds=200))
    return np.array(found)


@pytest.mark.parametrize("size", [1, 8])
def test_without_a_difference_the_chance_of_gain_is_uniform(size):
    """At 0.95 about one experiment in twenty passes by luck, also where rows come in clusters."""
    found = chances(60, size)
    assert found.mean() == pytest.approx(0.5, abs=0.08)
    assert np.mean(found >= 0.95) == pytest.approx(0.05, abs=0.05)
    assert np.mean(found < 0.25) == pytest.approx(0.25, abs=0.1)


def test_clusters_taken_for_rows_would_pass_by_luck():
    """Drawing rows instead of opportunities is what the groups prevent."""
    draw = np.random.default_rng(12)
    passed = []
    for seed in range(100):
        difference = np.repeat(draw.normal(0, 1, 20), 25)
        passed.append(chance_of_gain(difference, np.zeros(500), np.arange(500), seed, rounds=100) >= 0.95)
    assert np.mean(passed) > 0.2


def test_a_real_gain_is_found():
    """A clear difference passes nearly always, and its opposite never."""
    assert np.mean(chances(60, 3, gain=1.0) >= 0.95) > 0.95
    assert np.mean(chances(60, 3, gain=-1.0) >= 0.95) == 0.0


def test_the_same_seed_gives_the_same_chance():
    """A gate decides the same whenever it is asked again."""
    draw = np.random.default_rng(5)
    ours, theirs, groups = draw.random(50), draw.random(50), np.arange(50) // 2
    assert chance_of_gain(ours, theirs, groups, 9) == chance_of_gain(ours, theirs, groups, 9)
