"""The level that a training leaves."""

import numpy as np
import polars as pl
import pytest
from learning import KEY_TYPES, UNTIL, draw_dataset, without_dates
from scipy.special import expit

from forecast.metrics import level_shift
from training.dataset import Dataset, Lesson
from training.levels import STEADY_STEP, follow_level, level_now

WEEKLY = 300


def drawn(levels):
    """Draw opportunities that are known at once, so many a week, at weekly levels; give them with log-odds at level 0."""
    draw = np.random.default_rng(5)
    week = np.repeat(np.arange(len(levels)), WEEKLY)
    log_odds = draw.normal(-0.5, 1.0, len(week))
    won = draw.random(len(week)) < expit(log_odds + np.array(levels)[week])
    moments = pl.Series([UNTIL]).dt.offset_by("-84h").repeat_by(len(week)).explode()
    moments = moments - pl.Series((len(levels) - 1 - week) * 7).cast(pl.Int64) * pl.duration(days=1)
    keys = pl.DataFrame({"opportunity_id": [f"o{number:05d}" for number in range(len(week))], "won": won.astype(int)})
    keys = keys.with_columns(moments.alias(name) for name in ("as_of", "known_at", "closed_at", "created_at"))
    features = keys.select("opportunity_id", "as_of", pl.lit(0.0).alias("age_days"))
    return Dataset(keys=keys.select(list(KEY_TYPES)), features=features, until=UNTIL), log_odds


def test_the_level_now_is_that_of_a_random_walk():
    """It is the last of all weeks' levels that a penalised likelihood has its mode at, found by plain gradient steps."""
    dataset, log_odds = drawn([0.0, 0.3, 0.6, 0.9])
    won, said = dataset.won.reshape(4, WEEKLY), log_odds.reshape(4, WEEKLY)
    levels = np.zeros(4)
    for _ in range(20_000):
        slope = (won - expit(said + levels[:, None])).sum(axis=1)
        steps = np.diff(levels) / STEADY_STEP**2
        slope[0] -= levels[0]
        slope[:-1] += steps
        slope[1:] -= steps
        levels += 0.0004 * slope
    assert level_now(dataset, dataset.lesson(UNTIL), log_odds).shift == pytest.approx(levels[-1], abs=0.01)


def test_what_looks_like_a_jump_is_followed_by_little():
    """Two weeks at another level move the level for months to come by less than that between trainings."""
    dataset, log_odds = drawn([0.0] * 50 + [1.5] * 2)
    lesson = dataset.lesson(UNTIL)
    steady, followed = level_now(dataset, lesson, log_odds), follow_level(dataset, lesson, log_odds, UNTIL)
    assert 0 < steady.shift < followed.shift - 0.3


def test_without_dates_the_level_is_that_of_all():
    """Where nothing tells the time all rows count alike."""
    dataset = without_dates(draw_dataset())
    lesson = dataset.lesson(UNTIL)
    log_odds = np.linspace(-2.0, 2.0, dataset.keys.height)
    used = lesson.used
    expected = level_shift(lesson.won[used], log_odds[used], lesson.weight[used])
    assert level_now(dataset, lesson, log_odds).shift == pytest.approx(expected)


def test_young_ones_speak_by_their_weight():
    """However many of the newest are young and still open, with little weight they leave the level nearly where it was."""
    dataset, log_odds = drawn([0.0] * 6)
    newest = np.arange(dataset.keys.height) >= 5 * WEEKLY
    lesson = dataset.lesson(UNTIL)
    weight = np.where(newest, 0.01, lesson.weight)
    lessons = (
        lesson.within(~newest),
        Lesson(won=np.where(newest, 0.0, lesson.won), weight=weight, young=newest),
        Lesson(won=np.where(newest, 0.0, lesson.won), weight=lesson.weight),
    )
    without, light, heavy = (level_now(dataset, each, log_odds) for each in lessons)
    assert light.shift == pytest.approx(without.shift, abs=0.02)
    assert heavy.shift < without.shift - 0.1
