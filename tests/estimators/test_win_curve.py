import numpy as np
import pytest

from forecast.estimators.deal_clock import DealClock
from forecast.estimators.win_curve import (
    FEW_ROWS,
    LOST,
    OPEN,
    WON,
    WinCurve,
    at_days,
    cut_time,
    days_until,
    fit_win_curve,
    won_as_scored,
)

EDGES = (10.0, 30.0, 90.0, 365.0)


def drawn(count=6000, seed=1):
    """Draw ends whose hazards are known: wins come at a constant rate that one number doubles, losses at another."""
    draw = np.random.default_rng(seed)
    fast = draw.integers(0, 2, count)
    won_at, lost_at = draw.exponential(120 / (1 + fast)), draw.exponential(80, count)
    watched = draw.uniform(5, 400, count)
    took = np.minimum(np.minimum(won_at, lost_at), watched)
    end = np.where(took == watched, OPEN, np.where(won_at < lost_at, WON, LOST))
    return fast[:, None].astype(float), took, end


@pytest.fixture(scope="module")
def curve():
    """A curve fitted on what was seen of them."""
    matrix, took, end = drawn()
    return fit_win_curve(matrix, took, end, edges_days=EDGES, category_positions=[], seed=1)


@pytest.mark.parametrize("fast", [0.0, 1.0])
def test_the_curve_is_the_true_one_though_many_are_still_open(curve, fast):
    """Censored opportunities count as open for as long as they were seen, so that each end comes as often as it truly does."""
    won, lost = curve.ended(np.array([[fast]]))
    win_rate, rate = (1 + fast) / 120, (1 + fast) / 120 + 1 / 80
    truth = (1 - np.exp(-rate * np.array(EDGES))) / rate
    assert won[0] == pytest.approx(win_rate * truth, abs=0.04)
    assert lost[0] == pytest.approx(truth / 80, abs=0.04)


def test_curves_never_fall_and_never_say_more_than_all(curve):
    """Probabilities by later days are no smaller, and both ends together at most certain."""
    won, lost = curve.ended(np.array([[0.0], [1.0], [np.nan]]))
    assert (np.diff(won, axis=1) >= 0).all()
    assert ((won + lost)[:, -1] <= 1 + 1e-9).all()


def test_the_classifier_says_which_end_and_the_hazards_when(curve):
    """Of all that end within the horizon, the share won is the classifier's probability."""
    matrix, probability = np.array([[0.0], [1.0]]), np.array([0.2, 0.7])
    won, lost = curve.ended(matrix)
    mixed = won_as_scored(won, lost, probability)
    assert mixed[:, -1] / (won + lost)[:, -1] == pytest.approx(probability)
    assert mixed / mixed[:, -1:] == pytest.approx(won / won[:, -1:])


def drawn_widely(draw, count):
    """Draw numbers with gaps, a category that has values unknown to training, and a flag."""
    matrix = draw.normal(size=(count, 6))
    matrix[draw.random(matrix.shape) < 0.2] = np.nan
    matrix[:, 1] = draw.integers(-1, 30, count)
    matrix[:, 2] = draw.choice([0.0, 0.0, 1.0, np.nan], count)
    return matrix


CLOCK = DealClock(amount_column=0, age_column=3, usual=1.0, exponent=0.5, low=0.2, high=4.0)


@pytest.mark.parametrize("clock", [None, CLOCK])
def test_many_rows_are_told_what_each_is_told_alone(clock):
    """Leaves added up by spans of intervals give LightGBM's own probabilities, whatever is missing, new or a category."""
    draw = np.random.default_rng(3)
    matrix = drawn_widely(draw, 3000)
    pace = 60 * np.exp(np.nan_to_num(matrix[:, 0]) + matrix[:, 1] % 3)
    took, end = draw.exponential(pace), draw.integers(0, 3, 3000)
    curve = fit_win_curve(matrix, took, end, edges_days=EDGES, category_positions=[1], seed=1, clock=clock)
    asked = drawn_widely(draw, 2 * FEW_ROWS)
    asked[:50, 1] += 10
    parts = [curve.ended(part) for part in np.array_split(asked, 5)]
    for end, whole in enumerate(curve.ended(asked)):
        np.testing.assert_allclose(whole, np.concatenate([part[end] for part in parts]), rtol=1e-12)
        assert whole.std(axis=0).min() > 0.01


def test_a_curve_comes_back_from_text(curve):
    """JSON and LightGBM's text give the same curve, one row as among many, and none for no rows."""
    back = WinCurve.from_json(curve.to_json(), curve.text)
    matrix = np.array([[0.0], [1.0], [np.nan]])
    np.testing.assert_array_equal(back.ended(matrix)[0], curve.ended(matrix)[0])
    np.testing.assert_array_equal(curve.ended(matrix[1:2])[0][0], curve.ended(matrix)[0][1])
    assert curve.ended(matrix[:0])[0].shape == (0, 4)


def test_a_clock_comes_back_with_its_curve():
    """JSON and LightGBM's text give the same curve by the same clock, and none for no rows."""
    draw = np.random.default_rng(4)
    matrix = drawn_widely(draw, 1000)
    took, end = draw.exponential(60, 1000), draw.integers(0, 3, 1000)
    curve = fit_win_curve(matrix, took, end, edges_days=EDGES, category_positions=[1], seed=1, clock=CLOCK)
    back = WinCurve.from_json(curve.to_json(), curve.text)
    np.testing.assert_array_equal(back.ended(matrix)[0], curve.ended(matrix)[0])
    assert curve.ended(matrix[:0])[0].shape == (0, 4)


def test_a_curve_of_an_earlier_version_has_no_clock(curve):
    """A curve stored before there were clocks is read, and is the same."""
    back = WinCurve.from_json({"edges_days": list(EDGES)}, curve.text)
    np.testing.assert_array_equal(back.ended(np.array([[1.0]]))[0], curve.ended(np.array([[1.0]]))[0])


def test_time_is_cut_where_ends_come_and_ever_finer_where_few_are_left():
    """A twelfth of the ends is in each interval but the last, which is divided; nothing beyond the horizon is counted."""
    took = np.append(np.arange(1.0, 1201.0), [5000.0] * 100)
    edges = cut_time(took, np.full(1300, LOST), 2000.0)
    assert edges[:2] == pytest.approx((101, 201), abs=1)
    assert edges[-4:] == pytest.approx((1140, 1176, 1194, 2000), abs=1)
    assert cut_time(took, np.full(1300, OPEN), 2000.0) == (2000.0,)


def test_curves_are_read_off_between_their_edges():
    """Straight between edges, nothing before now, level after the last; and the other way round."""
    values = np.array([[0.1, 0.3, 0.4, 0.5]])
    assert at_days(values, EDGES, np.array([-1.0, 0.0, 5.0, 20.0, 365.0, 999.0]))[0] == pytest.approx(
        [0.0, 0.0, 0.05, 0.2, 0.5, 0.5]
    )
    assert days_until(values, EDGES, (0.1, 0.4, 1.0))[0] == pytest.approx([5.0, 20.0, 365.0])
