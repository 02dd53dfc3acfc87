"""Search the recipe on folds: features, then LightGBM's parameters with Optuna, the penalty and the mix."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any

import lightgbm as lgb
import numpy as np
import optuna
from optuna.trial import TrialState
from scipy.special import expit, logit

from forecast.errors import InputError
from forecast.estimators.boosting import column_rules, fit_boosting_until_worse, training_set
from forecast.estimators.encoding import Encoding, fit_encoding
from forecast.estimators.logistic import fit_logistic
from forecast.estimators.symmetric import Rows, fit_symmetric
from forecast.estimators.win import WinModel
from forecast.metrics import Floats, at_level, log_losses
from training.choose import USUAL_PENALTY, choose_inputs, choose_level, choose_mix, without_entries
from training.config import Experiment, Range
from training.dataset import Dataset
from training.fit import Evidence, Recipe, Trees, faded, fit_recipe, judge_models, only_logistic, rarer_count
from training.folds import Fold, count_rarer

PENALTIES = (1.0, 10.0, 100.0, 1000.0)
QUICK_ROUNDS = 60
QUICK_PENALTY = 100.0
ENSEMBLES_MIN, ENSEMBLES_MAX = 3, 5
ROWS_FOR_ONE_ENSEMBLE = 60_000
ROWS_FOR_SYMMETRIC, TRIALS_FOR_SYMMETRIC = 20_000, 5
"""Of more rows they were not measured to be better, and they take long; who has no time for so many trials has none for them."""
RARER_FOR_SYMMETRIC = 75
"""With fewer won, or fewer lost, opportunities in every fold the newest part has hardly enough of them to tell that a version is good."""
SYMMETRIC_ROUNDS = (40, 80, 120, 160, 200, 240)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a search may take; no trial begins after the time is up, apart from the first.

    Raises:
        InputError: there is not even one trial, or a time below zero.
    """

    trials: int
    timeout_seconds: float

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise InputError(f"{self.trials} trials find nothing; give at least 1")
        if not self.timeout_seconds >= 0:
            raise InputError(f"a search of {self.timeout_seconds:g} seconds is none; give 0 or more")


@dataclass(frozen=True, kw_only=True)
class Search:
    """What the search found.

    Attributes:
        recipe: the best.
        models: the recipe fitted on each fold.
        evidence: what they predict for the rows judged in the folds.
        level_error: how far, in log-odds, their level was off there.
        trials: log loss of each finished trial, in order.
    """

    recipe: Recipe
    models: tuple[WinModel, ...]
    evidence: Evidence
    level_error: float
    trials: tuple[float, ...]


@dataclass(frozen=True)
class _Part:
    """One fold, encoded and binned once."""

    fit: lgb.Dataset
    judged: lgb.Dataset
    judged_weight: float


def search_recipe(
    dataset: Dataset,
    folds: list[Fold],
    experiment: Experiment,
    *,
    left_out: frozenset[str],
    budget: Budget,
    on_trial: Callable[[int, float], None],
) -> Search:
    """Find the recipe with the lowest log loss over the folds' judged rows; seeded, so found again.

    First which features and how much of the past, by simple fits; then the trees' parameters, the penalty and the mix.
    `on_trial` hears the number of finished trials and the best loss so far.
    """
    start = Recipe(
        trees=(Trees(parameters=_start(experiment.search.space), rounds=QUICK_ROUNDS),),
        penalty=QUICK_PENALTY,
        boosting_share=0.5,
        left_out=left_out,
        monotone=experiment.monotone,
        seed=experiment.seed,
    )
    any_day = without_entries(dataset, folds)
    chosen = choose_inputs(dataset, any_day, start)
    taught = [replace(fold, fit=faded(dataset, fold.fit, chosen.half_life_days)) for fold in any_day]
    seen = np.any([fold.fit.used | fold.judged.used for fold in folds], axis=0)
    encoding = fit_encoding(dataset.features.filter(seen), chosen.left_out)
    matrix = encoding.matrix(dataset.features)
    rules = column_rules(encoding, line_only=chosen.line_only, monotone=chosen.monotone)
    parts = [_part(fold, encoding, matrix) for fold in taught]
    study = _search_trees(parts, experiment, rules=rules, budget=budget, on_trial=on_trial)
    worth = (
        seen.sum() <= ROWS_FOR_SYMMETRIC and len(study.trials) >= TRIALS_FOR_SYMMETRIC and _tell_enough(dataset, folds)
    )
    symmetric = _symmetric_trees(taught, encoding, matrix, chosen) if worth else None
    recipe = replace(
        chosen,
        rarer_count=float(np.mean([rarer_count(fold.fit.won[fold.fit.used]) for fold in taught])),
        trees=_all_trees(study, experiment, symmetric, rows=int(seen.sum())),
        penalty=_best_penalty(taught, encoding, matrix),
    )
    mixed = choose_mix(dataset, folds, replace(recipe, trees=recipe.trees[: 2 if symmetric else 1]))
    trials = tuple(trial.value for trial in _finished(study) if trial.value is not None)
    return _settled(dataset, folds, replace(mixed, trees=recipe.trees), ages_days=experiment.ages_days, trials=trials)


def _tell_enough(dataset: Dataset, folds: list[Fold]) -> bool:
    return max(count_rarer(dataset, fold.fit) for fold in folds) >= RARER_FOR_SYMMETRIC


def _settled(
    dataset: Dataset, folds: list[Fold], recipe: Recipe, *, ages_days: tuple[float, ...], trials: tuple[float, ...]
) -> Search:
    """Fit a recipe on each fold, and choose its level."""
    models = [fit_recipe(dataset, fold.fit, recipe) for fold in folds]
    level = choose_level(dataset, folds, models, recipe, ages_days=ages_days)
    return Search(
        recipe=level.recipe,
        models=tuple(models),
        evidence=judge_models(dataset, folds, models),
        level_error=level.error,
        trials=trials,
    )


def without_trees(dataset: Dataset, folds: list[Fold], search: Search, ages_days: tuple[float, ...]) -> Search:
    """Give what the search would have found, had there been only the logistic regression."""
    return _settled(dataset, folds, only_logistic(search.recipe), ages_days=ages_days, trials=search.trials)


def with_newest(
    dataset: Dataset, folds: list[Fold], search: Search, model: WinModel, ages_days: tuple[float, ...]
) -> Search:
    """Choose the level again with one more fold, the last, on which `model` is the recipe's."""
    level = choose_level(dataset, folds, [*search.models, model], search.recipe, ages_days=ages_days)
    return replace(search, recipe=level.recipe, level_error=level.error)


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(states=(TrialState.COMPLETE,))


def _all_trees(study: optuna.Study, experiment: Experiment, symmetric: Trees | None, *, rows: int) -> tuple[Trees, ...]:
    """Take as many ensembles as so few rows need to be steady; where there are symmetric trees, every second is of them."""
    count = min(max(ENSEMBLES_MIN, ROWS_FOR_ONE_ENSEMBLE // rows), ENSEMBLES_MAX)
    if symmetric is None:
        return _best_trees(study, experiment, count)
    others = iter(_best_trees(study, experiment, count - count // 2))
    return tuple(symmetric if number % 2 else next(others) for number in range(count))


def _best_trees(study: optuna.Study, experiment: Experiment, count: int) -> tuple[Trees, ...]:
    """Take the best trials and, last, the one that every search begins with.

    What happened to be best on the folds is not best later. A mean of several good settings is steadier, and a safe one
    among them keeps it from going far astray.
    """
    start, *searched = _finished(study)
    best = sorted(searched, key=lambda trial: (trial.value, trial.number))
    taken = [*islice(cycle(best), count - 1), start] if best else [start] * count
    return tuple(
        Trees(parameters=_parameters(trial, experiment.search.space), rounds=trial.user_attrs["rounds"])
        for trial in taken
    )


def _symmetric_trees(folds: list[Fold], encoding: Encoding, matrix: Floats, recipe: Recipe) -> Trees | None:
    """Choose the number of symmetric trees by the loss on the folds; none where directions are given, which they don't keep."""
    if recipe.monotone.keys() & set(encoding.numbers):
        return None
    losses = np.zeros(len(SYMMETRIC_ROUNDS))
    for fold in folds:
        fit, judged = fold.fit.used, fold.judged.used
        taught = Rows(matrix[fit], fold.fit.won[fit], fold.fit.weight[fit])
        trees = fit_symmetric(encoding, taught, SYMMETRIC_ROUNDS[-1], seed=recipe.seed, unseen=recipe.line_only)
        won, weight = fold.judged.won[judged], fold.judged.weight[judged]
        for number, rounds in enumerate(SYMMETRIC_ROUNDS):
            found = expit(np.asarray(trees.predict(matrix[judged], raw_score=True, num_iteration=rounds)))
            losses[number] += weight @ log_losses(won, at_level(won, found, weight))
    return Trees(parameters={}, rounds=SYMMETRIC_ROUNDS[int(losses.argmin())], shape="symmetric")


def _search_trees(
    parts: list[_Part],
    experiment: Experiment,
    *,
    rules: Mapping[str, Any],
    budget: Budget,
    on_trial: Callable[[int, float], None],
) -> optuna.Study:
    folds = ThreadPoolExecutor(os.cpu_count(), "fold")

    def loss(trial: optuna.Trial) -> float:
        parameters = {**_parameters(trial, experiment.search.space), **rules}
        rounds_max, seed = experiment.search.rounds_max, experiment.seed
        fits = [
            folds.submit(fit_boosting_until_worse, part.fit, part.judged, parameters, rounds_max, seed)
            for part in parts
        ]
        curves: list[Floats] = []
        for step, fit in enumerate(fits):
            curves.append(fit.result())
            trial.report(float(np.mean([curve.min() for curve in curves])), step)
            if trial.should_prune():
                for later in fits:
                    later.cancel()
                raise optuna.TrialPruned
        together = _mean_curve(curves, [part.judged_weight for part in parts])
        trial.set_user_attr("rounds", int(together.argmin()) + 1)
        return float(together.min())

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=experiment.seed, n_startup_trials=8),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    study.enqueue_trial(_start(experiment.search.space))
    callbacks = [lambda study, trial: on_trial(trial.number + 1, study.best_value)]
    with folds:
        study.optimize(loss, n_trials=1, callbacks=callbacks)
        study.optimize(loss, n_trials=budget.trials - 1, timeout=budget.timeout_seconds, callbacks=callbacks)
    return study


def _mean_curve(curves: list[Floats], weights: list[float]) -> Floats:
    """Average losses by number of trees; a fold that has stopped stays where it was."""
    length = max(len(curve) for curve in curves)
    return np.asarray(
        np.average([np.pad(curve, (0, length - len(curve)), "edge") for curve in curves], axis=0, weights=weights)
    )


def _part(fold: Fold, encoding: Encoding, matrix: Floats) -> _Part:
    fit, judged = fold.fit.used, fold.judged.used
    data = training_set(encoding, matrix[fit], fold.fit.won[fit], fold.fit.weight[fit])
    won, weight = fold.judged.won[judged], fold.judged.weight[judged]
    drift = logit(np.average(won, weights=weight)) - logit(np.average(fold.fit.won[fit], weights=fold.fit.weight[fit]))
    # Where the level has drifted, the number of trees would be the one that happens to come nearest to the new level.
    valid = data.create_valid(matrix[judged], won, weight=weight, init_score=np.full(len(won), drift))
    return _Part(fit=data, judged=valid, judged_weight=float(fold.judged.weight.sum()))


def _start(space: Mapping[str, Range]) -> dict[str, float]:
    """Give the middle of each range, a safe first guess."""
    middles = {
        name: (bounds.low + bounds.high) / 2 if bounds.scale == "linear" else float(np.sqrt(bounds.low * bounds.high))
        for name, bounds in space.items()
    }
    return {name: round(value) if space[name].scale == "log-int" else value for name, value in middles.items()}


def _parameters(trial: optuna.trial.BaseTrial, space: Mapping[str, Range]) -> dict[str, float]:
    return {
        name: trial.suggest_int(name, int(bounds.low), int(bounds.high), log=True)
        if bounds.scale == "log-int"
        else trial.suggest_float(name, bounds.low, bounds.high, log=bounds.scale == "log")
        for name, bounds in space.items()
    }


def _best_penalty(folds: list[Fold], encoding: Encoding, matrix: Floats) -> float:
    """Give the penalty of the lowest loss, or the usual one where none is lower by more than a standard error."""

    def losses(penalty: float) -> Floats:
        found = []
        for fold in folds:
            fit, judged = fold.fit.used, fold.judged.used
            model = fit_logistic(encoding, matrix[fit], fold.fit.won[fit], fold.fit.weight[fit], penalty)
            won, weight = fold.judged.won[judged], fold.judged.weight[judged]
            probability = at_level(won, expit(model.log_odds(matrix[judged])), weight)
            found.append(weight * log_losses(won, probability))
        return np.concatenate(found)

    tried = {penalty: losses(penalty) for penalty in PENALTIES}
    best = min(PENALTIES, key=lambda penalty: float(tried[penalty].sum()))
    gains = tried[USUAL_PENALTY] - tried[best]
    return best if gains.sum() > np.sqrt(np.sum(gains**2)) else USUAL_PENALTY
