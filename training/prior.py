"""The share won at each age: the yardstick of every version, and what is served where the data carry no signal."""

import numpy as np
from scipy.special import logit

from forecast.estimators.win import PriorModel, occasions
from training.dataset import Dataset, Lesson
from training.levels import Level, level_now

PRIOR_ROWS = 20.0


def fit_prior(dataset: Dataset, lesson: Lesson, ages_days: tuple[float, ...]) -> PriorModel:
    """Take the weighted share won in each age band, shrunk to the band before it, the first to one half.

    (won + k * before) / (rows + k), with k = PRIOR_ROWS, 1 for the first. Moments at which a stage is entered don't count:
    what has just moved is won more often than what stands.
    """
    lesson = any_day(dataset, lesson)
    ages = dataset.features["age_days"].fill_null(ages_days[0]).to_numpy()[lesson.used]
    weight, won = lesson.weight[lesson.used], lesson.won[lesson.used]
    bands = np.searchsorted(ages_days, ages + 1e-6, side="right") - 1
    rows, wins = (np.bincount(bands, weights=values, minlength=len(ages_days)) for values in (weight, weight * won))
    shares: list[float] = []
    for band_rows, band_wins in zip(rows, wins, strict=True):
        before, strength = (shares[-1], PRIOR_ROWS) if shares else (0.5, 1.0)
        shares.append(float((band_wins + strength * before) / (band_rows + strength)))
    squares = np.bincount(bands, weights=weight**2, minlength=len(ages_days))
    effective = tuple(float(value) for value in rows**2 / np.maximum(squares, 1e-12))
    return PriorModel(ages_days=ages_days, shares=tuple(shares), rows=effective)


def prior_of_now(dataset: Dataset, lesson: Lesson, ages_days: tuple[float, ...]) -> PriorModel:
    """Give the shares won at the level of now, as far as rows with dates tell it."""
    prior = fit_prior(dataset, lesson, ages_days)
    if not dataset.dated:
        return prior
    level = prior_level(dataset, lesson, prior)
    return prior.raised(level.shift, error=float(np.sqrt(level.variance)))


def prior_level(dataset: Dataset, lesson: Lesson, prior: PriorModel) -> Level:
    """Give what the shares of each age lack, in log-odds, to the level of now."""
    return level_now(dataset, any_day(dataset, lesson), np.asarray(logit(prior.predict(dataset.features))))


def any_day(dataset: Dataset, lesson: Lesson) -> Lesson:
    """Give a lesson without the moments at which a stage is entered."""
    return lesson.within(~occasions(dataset.features)["entry"])
