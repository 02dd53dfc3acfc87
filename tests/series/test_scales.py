from datetime import date

import numpy as np
import pytest

from forecast.series.backtest import Trial
from forecast.series.calendar import Calendar
from forecast.series.combination import VOTES
from forecast.series.members import forecast_members
from forecast.series.panel import Panel
from forecast.series.scales import by_disagreement, leaning_on_siblings, with_own_scales

SERIES, STEPS = 60, 6
CUTS = (18, 12, 6, 3)
GROUPS = np.array(["one"] * SERIES)
MONTHLY = Calendar(unit="month", step=1, origin=date(2020, 1, 1), stamp="first")


def trials_of(sizes, *, alike=1.0, seed=1):
    """Make a trial a cut whose errors are as large as each series' size in it, in deviations of 1."""
    rng = np.random.default_rng(seed)
    return [
        Trial(
            cut=cut,
            chosen=np.arange(SERIES),
            forecasts={},
            deviations=np.ones((SERIES, STEPS)),
            actual=size[:, None] * rng.normal(0, 1, (SERIES, STEPS)),
            scale=np.ones(SERIES),
            alike=np.full(SERIES, alike),
        )
        for cut, size in zip(CUTS, sizes, strict=True)
    ]


def scaled(trials):
    """Scale them, where nothing but zero was forecast."""
    return with_own_scales(trials, [np.zeros((SERIES, STEPS)) for _ in trials], GROUPS)


def panel_of(history):
    """Make a monthly panel."""
    names, ends = tuple(str(number) for number in range(len(history))), np.full(len(history), 99)
    return Panel(ids=names, history=tuple(history), ends=ends, calendar=MONTHLY, season=12)


def test_a_series_that_is_missed_by_more_is_missed_by_more_again():
    """Series whose errors were three times their siblings' at every origin get ranges wider by more than half of that."""
    sizes = np.where(np.arange(SERIES) < SERIES // 2, 3.0, 1.0)
    _, factors = scaled(trials_of([sizes] * len(CUTS)))
    wide, narrow = factors[: SERIES // 2].mean(), factors[SERIES // 2 :].mean()
    assert 3**0.5 < wide / narrow < 3


def test_chance_is_not_carried_on():
    """Series that are missed by more at one origin and by less at the next keep about the ranges of all."""
    rng = np.random.default_rng(3)
    _, factors = scaled(trials_of(np.exp(rng.normal(0, 1, (len(CUTS), SERIES)))))
    assert np.log(factors).std() < 0.12


def test_errors_of_another_history_say_less():
    """The less a history was like the one now, the less its errors change ranges."""
    sizes = np.where(np.arange(SERIES) < SERIES // 2, 3.0, 1.0)
    near, far = (np.log(scaled(trials_of([sizes] * len(CUTS), alike=share))[1]).std() for share in (1.0, 0.4))
    assert far < 0.6 * near


def test_a_trial_is_scaled_by_origins_that_share_no_period_with_it():
    """What came at an origin changes neither its own deviations nor those of origins whose months it overlaps."""
    sizes = np.where(np.arange(SERIES) < SERIES // 2, 3.0, 1.0)
    before = trials_of([sizes] * len(CUTS))
    after = [*before[:3], trials_of([sizes] * 3 + [sizes[::-1]], seed=2)[3]]
    own = [[trial.deviations for trial in scaled(trials)[0]] for trials in (before, after)]
    assert not np.array_equal(own[0][0], own[1][0])  # 18 and 3 periods before the end share none
    pair = [with_own_scales(trials[2:], [np.zeros((SERIES, STEPS))] * 2, GROUPS)[0] for trials in (before, after)]
    for one, other in zip(*pair, strict=True):  # 6 and 3 periods before the end share three
        assert (one.deviations == 1).all()
        assert (other.deviations == 1).all()


def test_series_without_trials_keep_their_deviations():
    """Where no origin could be tried, nothing is known of a series' own scale."""
    trials, factors = with_own_scales([], [], GROUPS)
    assert trials == []
    assert (factors == 1).all()


def test_a_series_errs_as_it_did_of_late():
    """Of two series with the same ups and downs, the one whose large ones came last has the wider ranges."""
    rng = np.random.default_rng(5)
    calm, wild = rng.normal(0, 1, 48), rng.normal(0, 5, 48)
    values = (100 + np.concatenate([calm, wild]), 100 + np.concatenate([wild, calm]))
    panel = Panel(ids=("later", "earlier"), history=values, ends=np.array([95, 95]), calendar=MONTHLY, season=12)
    later, earlier = forecast_members(panel, 3).deviations[:, 0]
    assert later > 1.5 * earlier


def test_a_forecast_its_members_disagree_on_is_less_sure():
    """Steps whose members lie apart get wider ranges, those whose members agree narrower ones, by no more than the power of it."""
    apart = np.array([[0.05, 0.33, 2.0]])
    wide = by_disagreement(np.ones((1, 3)), {"theta": 10 - apart, "smoothing": 10 + apart}, VOTES)[0]
    assert 0.6 < wide[0] < 0.8 < wide[1] < 1.1 < wide[2] < 2


def test_a_forecast_by_one_method_alone_keeps_its_deviations():
    """Where one member suits a series there is nothing to disagree with, and no deviation becomes one."""
    forecasts = {"theta": np.full((2, 3), np.nan), "smoothing": np.ones((2, 3))}
    deviations = np.array([[2.0, 3.0, 4.0], [0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(by_disagreement(deviations, forecasts, VOTES), deviations)


def test_what_disagreement_tells_can_be_seen():
    """Of siblings as calm as each other, the ones of a trend that only some members follow get wider ranges than flat ones."""
    rng = np.random.default_rng(6)
    noise = rng.normal(0, 1, (12, 60))
    rising = np.where(np.arange(12) < 6, 2.0, 0.0)[:, None] * np.maximum(0, np.arange(60) - 48)
    panel = panel_of(100 + noise + rising)
    found = forecast_members(panel, 6)
    wider = by_disagreement(found.deviations, found.forecasts, VOTES) / found.deviations
    assert wider[:6].mean() > 1.05 * wider[6:].mean()


def leant(length, noise):
    """Lean deviations of two siblings and one without, whose levels differ and who are so noisy beside them."""
    panel = panel_of([np.full(length, level) for level in (100.0, 10.0, 50.0, 50.0)])
    deviations = np.array([[100.0], [10.0], [50.0], [0.0]]) * np.array([[*noise, 0.1, 0.0]]).T
    return leaning_on_siblings(deviations, panel, np.array(["one", "one", "other", "other"]))[:, 0] / [100, 10, 50, 50]


def too_low(length):
    """Give by how much the logarithm of a standard deviation of normal errors is too low on average."""
    return 0.5 / (length - 1)


def test_what_siblings_differ_by_chance_is_leant():
    """Noise of siblings that differ as far as chance makes them counts as the same, of ones that differ by more as their own."""
    alike, apart = leant(12, (0.09, 0.11)), leant(12, (0.01, 1.0))
    np.testing.assert_allclose(alike[:2], (0.09 * 0.11) ** 0.5 * np.exp(too_low(12)))
    assert 0.01 < apart[0] < 0.013
    assert 0.8 < apart[1] * np.exp(-too_low(12)) < 1.0


def test_a_short_history_leans_more_than_a_long_one():
    """Between siblings of a tenth of each other's noise an eighth of the history leans eight times as far."""
    short, long = (np.log(leant(length, (0.01, 0.1))[0] / 0.01) - too_low(length) for length in (12, 96))
    assert short == pytest.approx(8 * long)


def test_a_series_without_siblings_keeps_its_deviations():
    """Nobody to lean on, or no errors at all, leave a series as it is, but for what so few values are too low by."""
    assert leant(12, (0.01, 0.1))[2:].tolist() == pytest.approx([0.1 * np.exp(too_low(12)), 0.0])


def test_a_handful_of_values_leans_where_all_are_short():
    """With longer siblings those of a handful were leant before; where there are none they lean on each other, strongly."""
    found = leant(4, (0.05, 0.2))
    assert found[1] / found[0] < 2
