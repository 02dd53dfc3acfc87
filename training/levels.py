"""How the level of a version's log-odds moves from week to week, and where it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from forecast.metrics import Floats, level_shift, log_losses
from training.dataset import Dataset, Lesson

STEP = 0.05
"""Standard deviation in log-odds by which a level moves in a usual week."""
JUMP_CHANCE = 0.005
JUMP = 0.7
"""Likewise in a week in which it jumps. The three were found on simulated levels that stay, walk, jump and swing."""
STEADY_STEP = 0.03
"""Likewise for the level that a training leaves for months. Faster steps gain more where it moves fast, and lose where it stays."""
START_VARIANCE = 1.0
NEWTON_ROUNDS = 4
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Level:
    """Where the level stands: what log-odds lack to the share won, and the variance of that."""

    shift: float = 0.0
    variance: float = START_VARIANCE


@dataclass(frozen=True)
class _Rows:
    """Rows with what is said of them and what became of them."""

    log_odds: Floats
    won: Floats
    weight: Floats


def follow_level(dataset: Dataset, lesson: Lesson, log_odds: Floats, until: datetime) -> Level:
    """Follow the level from the oldest week to a moment, by the outcomes of a lesson.

    The level is a random walk that now and then jumps (a dynamic logistic regression of two states: West, Harrison and Migon
    1985, Harrison and Stevens 1976). The outcomes of each week's rows draw it, the more the more they are.
    """
    return _followed(dataset, lesson, log_odds, until, step=STEP, draw=_drawn)


def level_now(dataset: Dataset, lesson: Lesson, log_odds: Floats) -> Level:
    """Give the level that a lesson leaves for what comes: where its rows have dates, that of now.

    It is followed likewise, but slower, and as one that never jumps: what looks like a jump within weeks is as often gone again months later.
    """
    if dataset.dated:
        return _followed(dataset, lesson, log_odds, dataset.until, step=STEADY_STEP, draw=_usual)
    used = lesson.used
    return Level(level_shift(lesson.won[used], log_odds[used], lesson.weight[used]), 0.0)


def _followed(
    dataset: Dataset,
    lesson: Lesson,
    log_odds: Floats,
    until: datetime,
    *,
    step: float,
    draw: Callable[[Level, _Rows], Level],
) -> Level:
    taught = np.flatnonzero(lesson.used)
    if not len(taught):
        return Level()
    once = _once(dataset, lesson)
    weeks, number = np.unique(-weeks_before(dataset, until)[taught], return_inverse=True)
    taught = taught[np.argsort(number, kind="stable")]
    level = Level()
    for gap, rows in zip(np.diff(weeks, append=1), np.split(taught, np.cumsum(np.bincount(number))[:-1]), strict=True):
        level = draw(level, _Rows(log_odds[rows], lesson.won[rows], lesson.weight[rows] * once))
        level = Level(level.shift, level.variance + step**2 * float(gap))
    return level


def _once(dataset: Dataset, lesson: Lesson) -> float:
    """Give what weights are to be multiplied by, so that each settled opportunity speaks once.

    Weights let one opportunity stand for several, and by several rows; no more is known than of each once. The young that
    are still open count as a part of one.
    """
    settled = lesson.settled if lesson.settled.used.any() else lesson
    return len(np.unique(dataset.groups[settled.used])) / float(settled.weight.sum())


def _usual(level: Level, rows: _Rows) -> Level:
    """Draw a level towards the share won of some rows, as one that does not jump."""
    return _posterior(level, rows)[0]


def _drawn(level: Level, rows: _Rows) -> Level:
    """Draw a level towards the share won of some rows, as much as it may have jumped by what they say."""
    usual, likelihood = _posterior(level, rows)
    jumped, other = _posterior(Level(level.shift, level.variance + JUMP**2), rows)
    chance = float(expit(other - likelihood + np.log(JUMP_CHANCE / (1 - JUMP_CHANCE))))
    shift = (1 - chance) * usual.shift + chance * jumped.shift
    parts = ((1 - chance, usual), (chance, jumped))
    return Level(shift, sum(share * (part.variance + (part.shift - shift) ** 2) for share, part in parts))


def _posterior(level: Level, rows: _Rows) -> tuple[Level, float]:
    """Give the level after some outcomes, and the log of how likely they were before (Laplace's approximation)."""
    shift, curvature = level.shift, 1 / level.variance
    for _ in range(NEWTON_ROUNDS):
        expected = expit(rows.log_odds + shift)
        slope = float(rows.weight @ (rows.won - expected)) - (shift - level.shift) / level.variance
        curvature = float(rows.weight @ (expected * (1 - expected))) + 1 / level.variance
        shift += float(np.clip(slope / curvature, -1.0, 1.0))
    losses = float(rows.weight @ log_losses(rows.won, expit(rows.log_odds + shift)))
    likelihood = -losses - (shift - level.shift) ** 2 / (2 * level.variance) - np.log(curvature * level.variance) / 2
    return Level(shift, 1 / curvature), float(likelihood)


def weeks_before(dataset: Dataset, until: datetime) -> NDArray[np.int64]:
    """Give the number of whole weeks between each row and a moment."""
    moments = dataset.keys["as_of"].dt.epoch("us").to_numpy()
    return np.floor((until.timestamp() * 1e6 - moments) / (WEEK.total_seconds() * 1e6)).astype(np.int64)
