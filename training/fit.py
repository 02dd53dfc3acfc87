"""From a recipe to a fitted model."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from forecast.estimators.boosting import Boosting, fit_boosting, training_set
from forecast.estimators.encoding import fit_encoding
from forecast.estimators.logistic import fit_logistic
from forecast.estimators.win import PriorModel, WinModel
from forecast.metrics import Floats, fit_sigmoid
from training.dataset import Dataset, Lesson

CALIBRATION_PENALTY_ROWS = 20.0
PRIOR_ROWS = 20.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that the search decided.

    Attributes:
        parameters: of LightGBM.
        rounds: number of trees.
        penalty: of the logistic regression, in rows.
        boosting_share: weight of the trees in the mix, 0-1.
        left_out: features that the guard named.
        seed: of every random choice.
    """

    parameters: Mapping[str, Any]
    rounds: int
    penalty: float
    boosting_share: float
    left_out: frozenset[str]
    seed: int


def fit_recipe(dataset: Dataset, lesson: Lesson, recipe: Recipe) -> WinModel:
    """Fit both members on a lesson; not calibrated yet."""
    rows = dataset.features.filter(lesson.used)
    won, weight = lesson.won[lesson.used], lesson.weight[lesson.used]
    encoding = fit_encoding(rows, recipe.left_out)
    matrix = encoding.matrix(rows)
    boosting = logistic = None
    if recipe.boosting_share > 0:
        data = training_set(encoding, matrix, won, weight)
        boosting = Boosting.of(fit_boosting(data, recipe.parameters, recipe.rounds, recipe.seed))
    if recipe.boosting_share < 1:
        logistic = fit_logistic(encoding, matrix, won, weight, recipe.penalty)
    return WinModel(
        encoding=encoding,
        boosting=boosting,
        logistic=logistic,
        boosting_share=recipe.boosting_share,
        slope=1.0,
        shift=0.0,
    )


def calibrate(model: WinModel, judged: Lesson, log_odds: Floats) -> WinModel:
    """Set slope and shift from log-odds predicted for rows that the members had not seen."""
    used = judged.used
    slope, shift = fit_sigmoid(judged.won[used], log_odds[used], judged.weight[used], penalty=CALIBRATION_PENALTY_ROWS)
    return replace(model, slope=slope, shift=shift)


def fit_prior(dataset: Dataset, lesson: Lesson, ages_days: tuple[float, ...]) -> PriorModel:
    """Take the weighted share won in each age band, shrunk to the band before it, the first to one half.

    (won + k * before) / (rows + k), with k = PRIOR_ROWS, 1 for the first.
    """
    ages = dataset.features["age_days"].fill_null(ages_days[0]).to_numpy()[lesson.used]
    weight, won = lesson.weight[lesson.used], lesson.won[lesson.used]
    bands = np.searchsorted(ages_days, ages + 1e-6, side="right") - 1
    rows, wins = (np.bincount(bands, weights=values, minlength=len(ages_days)) for values in (weight, weight * won))
    shares: list[float] = []
    for band_rows, band_wins in zip(rows, wins, strict=True):
        before, strength = (shares[-1], PRIOR_ROWS) if shares else (0.5, 1.0)
        shares.append(float((band_wins + strength * before) / (band_rows + strength)))
    return PriorModel(ages_days=ages_days, shares=tuple(shares))
