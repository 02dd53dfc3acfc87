"""From a recipe to a fitted model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from forecast.estimators.boosting import Boosting, fit_boosting, training_set
from forecast.estimators.encoding import Encoding, fit_encoding
from forecast.estimators.logistic import fit_logistic
from forecast.estimators.mix import Mix
from forecast.estimators.win import PriorModel, WinModel, occasions
from forecast.metrics import Floats, fit_sigmoid, level_shift, log_losses
from training.dataset import Dataset, Lesson
from training.folds import Fold

CALIBRATION_PENALTY_ROWS = 20.0
PRIOR_ROWS = 20.0
MICROSECONDS_A_DAY = 86_400_000_000


@dataclass(frozen=True, kw_only=True)
class Trees:
    """One ensemble of trees: LightGBM's parameters and the number of trees."""

    parameters: Mapping[str, Any]
    rounds: int


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that the search decided.

    Attributes:
        trees: ensembles whose log-odds are averaged, each fitted with a seed of its own; the best first.
        rarer_count: rows of the rarer outcome in the fits that the numbers of trees were chosen on; missing where they hold
            for any.
        penalty: of the logistic regression, in rows.
        boosting_share: weight of the trees in the mix, 0-1.
        own_shares: likewise in the mixes of occasions, by name.
        half_life_days: age at which a row teaches half as much as the newest; missing where all count alike.
        level_half_life_days: likewise where only the level, the share won, is concerned.
        left_out: features that the guard named, or that did not pay.
        seed: of every random choice.
    """

    trees: tuple[Trees, ...]
    rarer_count: float | None = None
    penalty: float
    boosting_share: float
    own_shares: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    half_life_days: float | None = None
    level_half_life_days: float | None = None
    left_out: frozenset[str]
    seed: int


def faded(dataset: Dataset, lesson: Lesson, half_life_days: float | None) -> Lesson:
    """Let rows count less the older they are, by half for each half-life; the mean weight stays."""
    if half_life_days is None or not dataset.dated:
        return lesson
    moments = dataset.keys["as_of"].dt.epoch("us").to_numpy() / MICROSECONDS_A_DAY
    weight = lesson.weight * 0.5 ** ((moments[lesson.used].max() - moments) / half_life_days)
    scale = lesson.weight[lesson.used].mean() / weight[lesson.used].mean()
    return Lesson(won=lesson.won, weight=np.where(lesson.used, weight * scale, 0.0))


def fit_recipe(dataset: Dataset, lesson: Lesson, recipe: Recipe) -> WinModel:
    """Fit all members on a lesson; not calibrated yet."""
    lesson = faded(dataset, lesson, recipe.half_life_days)
    rows = dataset.features.filter(lesson.used)
    won, weight = lesson.won[lesson.used], lesson.weight[lesson.used]
    encoding = fit_encoding(rows, recipe.left_out)
    matrix = encoding.matrix(rows)
    named = occasions(rows)
    any_day = ~named["entry"] if "entry" in recipe.own_shares else np.ones(len(won), bool)

    def fitted(taught: NDArray[np.bool_], share: float) -> Mix:
        own = replace(recipe, boosting_share=share)
        return _fit_mix(encoding, matrix[taught], won[taught], weight[taught], own)

    return WinModel(
        encoding=encoding,
        mix=fitted(any_day, recipe.boosting_share),
        own={name: fitted(named[name], share) for name, share in recipe.own_shares.items()},
    )


def _fit_mix(encoding: Encoding, matrix: Floats, won: Floats, weight: Floats, recipe: Recipe) -> Mix:
    boosting = logistic = None
    if recipe.boosting_share > 0:
        data = training_set(encoding, matrix, won, weight)
        boosting = Boosting.of(
            *(
                fit_boosting(data, trees.parameters, _rounds(trees, recipe, won), recipe.seed + number)
                for number, trees in enumerate(recipe.trees)
            )
        )
    if recipe.boosting_share < 1:
        logistic = fit_logistic(encoding, matrix, won, weight, recipe.penalty)
    return Mix(boosting=boosting, logistic=logistic, boosting_share=recipe.boosting_share)


def _rounds(trees: Trees, recipe: Recipe, won: Floats) -> int:
    """Let the number of trees grow with the square root of the rows of the rarer outcome: more rows, more to be learnt."""
    if recipe.rarer_count is None:
        return trees.rounds
    return max(1, round(trees.rounds * float(np.sqrt(rarer_count(won) / recipe.rarer_count))))


def rarer_count(won: Floats) -> float:
    """Count the rows of the rarer outcome."""
    return float(min(won.sum(), len(won) - won.sum()))


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a recipe predicts for rows that its fit had not seen.

    The level of sales drifts, and how well opportunities are told apart is one question, where the level is going another.
    So each fold's log-odds are shifted to its own share won; the level has its own choice.

    Attributes:
        log_odds: of each judged row, at the level of its fold; NaN elsewhere.
        judged: those rows.
    """

    log_odds: Floats
    judged: Lesson


def judge_on_folds(dataset: Dataset, folds: list[Fold], recipe: Recipe) -> Evidence:
    """Predict each fold's judged rows by the recipe fitted on what the fold learns from."""
    return judge_models(dataset, folds, [fit_recipe(dataset, fold.fit, recipe) for fold in folds])


def judge_models(dataset: Dataset, folds: list[Fold], models: list[WinModel]) -> Evidence:
    """Predict each fold's judged rows by the model fitted on what the fold learns from."""
    log_odds = np.full(dataset.keys.height, np.nan)
    for fold, model in zip(folds, models, strict=True):
        used = fold.judged.used
        found = model.log_odds(dataset.features.filter(used))
        log_odds[used] = found + level_shift(fold.judged.won[used], found, fold.judged.weight[used])
    return Evidence(log_odds=log_odds, judged=judged_rows(folds))


def judged_rows(folds: list[Fold]) -> Lesson:
    """Give the rows judged in any fold."""
    used = [fold.judged.used for fold in folds]
    return Lesson(
        won=np.select(used, [fold.judged.won for fold in folds], np.nan),
        weight=np.select(used, [fold.judged.weight for fold in folds], 0.0),
    )


def calibrate(model: WinModel, dataset: Dataset, lesson: Lesson, evidence: Evidence, recipe: Recipe) -> WinModel:
    """Set slope and level of a model fitted on a lesson.

    The slope is that of outcomes on the evidence's log-odds, if that clearly lowers the loss; else 1, since fits on more rows
    than a fold had need less of it. The level is the lesson's share won, where what is old counts less by the recipe's
    half-life for it.
    """

    def sloped(mix: Mix, rows: NDArray[np.bool_]) -> Mix:
        return replace(mix, slope=_slope(dataset, evidence, evidence.judged.used & rows))

    return set_level(_each_mix(model, dataset, sloped), dataset, faded(dataset, lesson, recipe.level_half_life_days))


def _slope(dataset: Dataset, evidence: Evidence, rows: NDArray[np.bool_]) -> float:
    won, weight, log_odds = evidence.judged.won[rows], evidence.judged.weight[rows], evidence.log_odds[rows]
    slope, shift = fit_sigmoid(won, log_odds, weight, penalty=CALIBRATION_PENALTY_ROWS)
    losses = [log_losses(won, expit(scores)) for scores in (log_odds, slope * log_odds + shift)]
    gains = np.bincount(dataset.groups[rows], weights=(losses[0] - losses[1]) * weight)
    return slope if gains.sum() > np.sqrt(np.sum(gains**2)) else 1.0


def set_level(model: WinModel, dataset: Dataset, lesson: Lesson) -> WinModel:
    """Shift a model so that its mean probability is a lesson's share won, for each of its mixes that the lesson speaks of."""
    matrix = model.encoding.matrix(dataset.features)

    def shifted(mix: Mix, rows: NDArray[np.bool_]) -> Mix:
        taught = lesson.used & rows
        if not taught.any():
            return mix
        log_odds = replace(mix, shift=0.0).log_odds(matrix[taught])
        return replace(mix, shift=level_shift(lesson.won[taught], log_odds, lesson.weight[taught]))

    return _each_mix(model, dataset, shifted)


def _each_mix(model: WinModel, dataset: Dataset, change: Callable[[Mix, NDArray[np.bool_]], Mix]) -> WinModel:
    """Change each mix by the rows that it predicts."""
    changed = [change(mix, rows) for mix, rows in model.divided(dataset.features)]
    return replace(model, mix=changed[0], own=dict(zip(model.own, changed[1:], strict=True)))


def fit_prior(
    dataset: Dataset, lesson: Lesson, ages_days: tuple[float, ...], half_life_days: float | None = None
) -> PriorModel:
    """Take the weighted share won in each age band, shrunk to the band before it, the first to one half.

    (won + k * before) / (rows + k), with k = PRIOR_ROWS, 1 for the first. Moments at which a stage is entered don't count:
    what has just moved is won more often than what stands.
    """
    lesson = faded(dataset, lesson.within(~occasions(dataset.features)["entry"]), half_life_days)
    ages = dataset.features["age_days"].fill_null(ages_days[0]).to_numpy()[lesson.used]
    weight, won = lesson.weight[lesson.used], lesson.won[lesson.used]
    bands = np.searchsorted(ages_days, ages + 1e-6, side="right") - 1
    rows, wins = (np.bincount(bands, weights=values, minlength=len(ages_days)) for values in (weight, weight * won))
    shares: list[float] = []
    for band_rows, band_wins in zip(rows, wins, strict=True):
        before, strength = (shares[-1], PRIOR_ROWS) if shares else (0.5, 1.0)
        shares.append(float((band_wins + strength * before) / (band_rows + strength)))
    return PriorModel(ages_days=ages_days, shares=tuple(shares))
