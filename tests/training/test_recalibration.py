"""The level of a version, set anew between trainings."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from learning import LENIENT, UNTIL, draw_dataset
from scipy.special import expit, logit
from worlds import MOMENT

from forecast.errors import InputError
from forecast.metrics import log_losses
from forecast.snapshot import cut_history
from training.dataset import Dataset
from training.judging import predict_live
from training.levels import Level, follow_level
from training.recalibration import as_trained, find_level, judge_level, newest_weeks, origin_of, recalibrate

DAYS = timedelta(days=1)


def drawn(levels, *, weekly, seed=5):
    """Draw so many opportunities a week, known at once, that follow weekly levels; give them with the log-odds at level 0."""
    draw = np.random.default_rng(seed)
    week = np.repeat(np.arange(len(levels)), weekly)
    log_odds = draw.normal(-0.5, 1.0, len(week))
    moments = pl.Series([UNTIL - float(len(levels) - number - 0.5) * 7 * DAYS for number in week])
    moments = moments.cast(pl.Datetime("us", "UTC"))
    won = draw.random(len(week)) < expit(log_odds + np.array(levels)[week])
    ids = pl.Series([f"o{number:05d}" for number in range(len(week))])
    keys = pl.DataFrame({"opportunity_id": ids, "as_of": moments, "won": won.astype(int)})
    keys = keys.with_columns(known_at=pl.col("as_of"), closed_at=pl.col("as_of"), created_at=pl.col("as_of"))
    features = keys.select("opportunity_id", "as_of", pl.lit(0.0).alias("age_days"))
    return Dataset(keys=keys, features=features, until=UNTIL), log_odds


def level_of(dataset, log_odds):
    """Give the level now."""
    return follow_level(dataset, dataset.lesson(UNTIL), log_odds, UNTIL)


@pytest.mark.parametrize("weekly", [5, 60])
def test_a_level_that_stays_is_found_with_its_error(weekly):
    """Over many companies whose level is right, it is found within its own standard error two times in three."""
    found = [level_of(*drawn([0.0] * 40, weekly=weekly, seed=seed)) for seed in range(40)]
    surprises = np.array([level.shift / np.sqrt(level.variance) for level in found])
    assert np.mean(np.abs(surprises) < 1) > 0.6
    assert np.abs(surprises).max() < 3


def test_a_jump_is_followed_within_weeks():
    """Two weeks after the level has jumped by 1.5 it is within 0.4 of the new one, whatever the year before said."""
    level = level_of(*drawn([0.0] * 50 + [1.5] * 2, weekly=60))
    assert level.shift == pytest.approx(1.5, abs=0.4)


def test_few_outcomes_move_little():
    """With one outcome a week, a streak of four wins moves the level by less than the four alone would say."""
    dataset, log_odds = drawn([0.0] * 50 + [9.0] * 4, weekly=1)
    level = level_of(dataset, log_odds)
    assert 0 < level.shift < 1.5


def test_the_level_is_that_of_a_random_walk_where_nothing_jumps(monkeypatch):
    """Without jumps, the shift is the mode of a penalised likelihood over all weeks' levels, found by plain gradient steps."""
    monkeypatch.setattr("training.levels.JUMP_CHANCE", 1e-12)
    monkeypatch.setattr("training.levels.STEP", 0.3)
    dataset, log_odds = drawn([0.0, 0.3, 0.6, 0.9], weekly=300)
    won = dataset.won.reshape(4, 300)
    said = log_odds.reshape(4, 300)
    levels = np.zeros(4)
    for _ in range(20_000):
        slope = (won - expit(said + levels[:, None])).sum(axis=1)
        steps = np.diff(levels) / 0.3**2
        slope[0] -= levels[0]
        slope[:-1] += steps
        slope[1:] -= steps
        levels += 0.002 * slope
    assert level_of(dataset, log_odds).shift == pytest.approx(levels[-1], abs=0.01)


def test_one_opportunity_speaks_once():
    """Rows of the same opportunities at several moments make the level no surer than the opportunities are many."""
    dataset = draw_dataset(count=400)
    first = dataset.part((dataset.features["age_days"] == 0).to_numpy())
    many, once = (
        follow_level(part, part.lesson(UNTIL), np.zeros(part.keys.height), UNTIL) for part in (dataset, first)
    )
    assert many.variance == pytest.approx(once.variance, rel=0.35)
    assert many.variance > 0.7 * once.variance


def test_nothing_known_is_no_level():
    """Before anything is known the level is 0, with the variance of not knowing."""
    dataset, log_odds = drawn([0.0], weekly=5)
    lesson = dataset.lesson(UNTIL - 30 * DAYS)
    assert follow_level(dataset, lesson, log_odds, UNTIL - 30 * DAYS) == Level()


@pytest.fixture(scope="module")
def early(run):
    """A version that a training a year earlier would have made, and whose level is far too low now."""
    version = replace(run.candidate, bundle={**run.candidate.bundle, "until": (UNTIL - 365 * DAYS).isoformat()})
    return replace(version, version="trained", estimator=version.estimator.raised(-1.2))


def moved(history, live, **changes):
    """Recalibrate at the company's last moment."""
    return recalibrate(history, replace(LENIENT, **changes), live, until=UNTIL, version_id="second")


@pytest.fixture(scope="module")
def found(history, early):
    """What is found of it."""
    return moved(history, early)


def test_a_level_that_is_off_is_set_right(found, early):
    """The new version is the old one, shifted by about what it lacks, known until now, and no worse by its gates."""
    assert found.verdict == "promoted: every gate passed"
    assert found.level.shift == pytest.approx(1.2, abs=0.35)
    assert [gate.number for gate in found.gates] == [11, 12]
    made = found.candidate
    assert (made.version, made.basis, made.bundle["until"]) == ("second", "own", UNTIL.isoformat())
    features = found.dataset.features
    lifted = logit(made.estimator.predict(features)) - logit(early.estimator.predict(features))
    assert lifted == pytest.approx(np.full(features.height, found.level.shift))
    lesson = found.dataset.lesson(UNTIL)
    rows = lesson.used
    losses = [
        np.average(log_losses(lesson.won[rows], version.estimator.predict(features)[rows]), weights=lesson.weight[rows])
        for version in (made, early)
    ]
    assert losses[0] < losses[1] - 0.05


def test_what_was_said_and_what_came_is_of_newer_outcomes(history, early, found):
    """Where the level is off, means are over rows whose outcome the training did not know; where it is right nothing is off."""
    standing = find_level(history, LENIENT, early, until=UNTIL)
    dataset, lesson = found.dataset, found.dataset.lesson(UNTIL)
    newer = lesson.used & ~dataset.lesson(UNTIL - 365 * DAYS).used
    assert standing.off
    assert standing.count == dataset.keys.filter(newer)["opportunity_id"].n_unique()
    said = early.estimator.predict(dataset.features.filter(newer))
    assert standing.said == pytest.approx(np.average(said, weights=lesson.weight[newer]))
    assert standing.won_share == pytest.approx(np.average(lesson.won[newer], weights=lesson.weight[newer]))
    assert standing.said < standing.won_share - 0.1
    right = replace(early, estimator=found.candidate.estimator)
    assert not find_level(history, LENIENT, right, until=UNTIL).off


def test_its_gates_are_those_of_its_training_and_its_own(found, early):
    """What was asked in training stands; what compares with the live version is asked anew."""
    numbers = [gate["number"] for gate in found.candidate.bundle["gates"]]
    assert numbers == [*range(1, 11), 11, 12]
    assert found.candidate.bundle["gates"][:10] == early.bundle["gates"][:10]


def test_a_level_that_is_right_stays(history, early, found):
    """Had the training left the level where it is now, nothing changes, and it says so."""
    again = moved(history, replace(early, estimator=found.candidate.estimator))
    assert again.candidate is None
    assert not again.promotable
    assert again.verdict.startswith("nothing changed: in log-odds, outcomes lie ")


def test_few_new_outcomes_leave_nothing_to_follow(history, run):
    """Within a day of a training there is hardly an outcome that it did not know, and the sentence counts them."""
    day_before = replace(run.candidate, bundle={**run.candidate.bundle, "until": (UNTIL - DAYS).isoformat()})
    new = history.closings.filter(pl.col("status") != "open", pl.col("closed_at") >= UNTIL - DAYS).height
    fresh = moved(history, day_before)
    assert new < 20
    assert fresh.verdict == f"nothing changed: {new} outcomes are known that first had not learnt from, 20 are needed"


def test_a_moment_before_what_the_version_knows_is_refused(history, run, found):
    """Neither a training nor a new level is moved by what it knew already, even at the very moment of it."""
    for version, moment in ((run.candidate, UNTIL), (run.candidate, UNTIL - 40 * DAYS), (found.candidate, UNTIL)):
        sentence = (
            f"version {version.version} knows all that came before 2026-11-01.* at {moment:%Y-%m-%d}.*name a later"
        )
        with pytest.raises(InputError, match=sentence):
            recalibrate(history, LENIENT, version, until=moment, version_id="x")


def test_the_training_it_comes_from_is_remembered(history, found, early):
    """However often the level was set anew, the version at the level of its training can be had again."""
    day_before = {**found.candidate.bundle, "until": (UNTIL - DAYS).isoformat()}
    higher = replace(found.candidate, estimator=found.candidate.estimator.raised(2.0), bundle=day_before)
    second = moved(history, higher).candidate
    for made in (found.candidate, second):
        origin = origin_of(made)
        assert (origin.version, origin.until) == ("trained", UNTIL - 365 * DAYS)
    features = found.dataset.features
    back = as_trained(found.candidate).estimator.predict(features)
    assert back == pytest.approx(early.estimator.predict(features))
    assert as_trained(early) is early


def test_the_newest_outcomes_may_refuse():
    """A level drawn by many earlier weeks is refused by gates 11 and 12 where the newest week speaks clearly against it."""
    dataset, log_odds = drawn([0.8] * 30 + [-1.0], weekly=120)
    newest = newest_weeks(dataset, dataset.lesson(UNTIL), UNTIL)
    assert newest.used.sum() == 120
    gates = judge_level(dataset, newest, log_odds, Level(0.8, 0.01), LENIENT)
    assert [(gate.number, gate.passed) for gate in gates] == [(11, False), (12, False)]
    assert all(gate.passed for gate in judge_level(dataset, newest, log_odds, Level(-0.5, 0.01), LENIENT))


def test_as_many_weeks_judge_as_hold_enough_outcomes():
    """Weeks are added, from the newest back, until there are twenty opportunities."""
    dataset, _ = drawn([0.0] * 60, weekly=3)
    lesson = dataset.lesson(UNTIL)
    rows = newest_weeks(dataset, lesson, UNTIL).used
    assert rows.tolist() == [False] * 159 + [True] * 21


def test_weeks_of_one_outcome_judge_nothing():
    """Weeks are added until something was won and something lost: losses alone would refuse any level that is higher."""
    dataset, _ = drawn([0.0] * 10 + [-20.0] * 3, weekly=30)
    rows = newest_weeks(dataset, dataset.lesson(UNTIL), UNTIL).used
    assert rows.tolist() == [False] * 270 + [True] * 120


def test_nothing_later_is_used(history, early):
    """The level at a moment is the same whether or not what came later is in the history, and another than that of now."""
    moment = UNTIL - 90 * DAYS
    cut, whole = (
        recalibrate(known, LENIENT, early, until=moment, version_id="x").level
        for known in (cut_history(history, moment), history)
    )
    assert cut == whole
    assert cut != moved(history, early).level


def test_a_candidate_is_compared_with_the_training_of_what_is_live(history, found, early):
    """What was recalibrated after the judged rows is compared at the level of its training, if that came before them."""
    dataset, made = found.dataset, found.candidate
    rows = dataset.lesson(UNTIL).used & (dataset.keys["as_of"] >= origin_of(made).until).to_numpy()
    said = predict_live(history, dataset, rows, made, made.plan)
    assert said == pytest.approx(early.estimator.predict(dataset.features.filter(rows)))
    assert predict_live(history, dataset, dataset.lesson(UNTIL).used, made, made.plan) is None


def test_a_prior_is_set_right_too(history, run):
    """Where the share won is served, its shares follow, and rest on no more rows than the level is sure of."""
    low = replace(run.prior, bundle={**run.prior.bundle, "until": (UNTIL - 365 * DAYS).isoformat()})
    low = replace(low, estimator=low.estimator.raised(-1.5))
    found = moved(history, low)
    assert found.promotable
    assert found.candidate.version == "second-prior"
    shares, before = np.array(found.candidate.estimator.shares), np.array(low.estimator.shares)
    assert logit(shares) - logit(before) == pytest.approx(np.full(len(shares), found.level.shift))
    known = np.array(found.candidate.estimator.rows) * shares * (1 - shares)
    assert (known <= (1 + 1e-9) / found.level.variance).all()
    assert known.max() > 0


def test_without_dates_there_is_no_newer_outcome(history, run):
    """Records without creation dates are left alone, with the reason."""
    undated = replace(history, opportunities=history.opportunities.with_columns(created_at=pl.lit(None, MOMENT)))
    day_before = replace(run.candidate, bundle={**run.candidate.bundle, "until": (UNTIL - DAYS).isoformat()})
    assert "without creation dates" in moved(undated, day_before).verdict
