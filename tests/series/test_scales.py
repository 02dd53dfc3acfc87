from datetime import date

import numpy as np

from forecast.series.backtest import Trial
from forecast.series.calendar import Calendar
from forecast.series.members import forecast_members
from forecast.series.panel import Panel
from forecast.series.scales import with_own_scales

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
