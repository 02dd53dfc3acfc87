"""The share won at each age: the yardstick of every version, and what is served where the data carry no signal."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from forecast.estimators.win import PriorModel, occasions
from training.dataset import Dataset, Lesson
from training.levels import Level, level_now

PRIOR_ROWS = 20.0


@dataclass(frozen=True)
class FollowedPrior:
    """The shares won over all the time, and what their log-odds lack to the level of now; missing where rows have no dates."""

    whole: PriorModel
    level: Level | None

    @property
    def now(self) -> PriorModel:
        """The shares won at the level of now, as far as it is known."""
        if self.level is None:
            return self.whole
        return self.whole.raised(self.level.shift, error=float(np.sqrt(self.level.variance)))


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


def follow_prior(dataset: Dataset, lesson: Lesson, ages_days: tuple[float, ...]) -> FollowedPrior:
    """Fit the shares won, and follow their level to now where rows have dates."""
    prior = fit_prior(dataset, lesson, ages_days)
    if not dataset.dated:
        return FollowedPrior(prior, None)
    log_odds = np.asarray(logit(prior.predict(dataset.features)))
    return FollowedPrior(prior, level_now(dataset, any_day(dataset, lesson), log_odds))


def any_day(dataset: Dataset, lesson: Lesson) -> Lesson:
    """Give a lesson without the moments at which a stage is entered."""
    return lesson.within(~occasions(dataset.features)["entry"])
