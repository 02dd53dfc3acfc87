"""Search the recipe on folds: LightGBM's parameters with Optuna, the penalty, the mix."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import lightgbm as lgb
import numpy as np
import optuna
from optuna.trial import TrialState
from scipy.special import expit

from forecast.errors import InputError
from forecast.estimators.boosting import fit_boosting_until_worse, training_set
from forecast.estimators.encoding import Encoding, fit_encoding
from forecast.estimators.logistic import fit_logistic
from forecast.metrics import Floats, log_losses
from training.config import Experiment, Range
from training.dataset import Dataset, Lesson
from training.fit import Recipe, fit_recipe
from training.folds import Fold

PENALTIES = (1.0, 10.0, 100.0, 1000.0)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a search may take; no trial begins after the time is up, apart from the first.

    Raises:
        InputError: there is not even one trial.
    """

    trials: int
    timeout_seconds: float

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise InputError(f"{self.trials} trials find nothing; give at least 1")


@dataclass(frozen=True, kw_only=True)
class Search:
    """What the search found.

    Attributes:
        recipe: the best.
        log_odds: of each row judged in some fold, by the recipe fitted on that fold's earlier rows; NaN elsewhere.
        judged: those rows.
        trials: log loss of each finished trial, in order.
    """

    recipe: Recipe
    log_odds: Floats
    judged: Lesson
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

    `on_trial` hears the number of finished trials and the best loss so far.
    """
    seen = np.any([fold.fit.used | fold.judged.used for fold in folds], axis=0)
    encoding = fit_encoding(dataset.features.filter(seen), left_out)
    matrix = encoding.matrix(dataset.features)
    study = _search_trees(
        [_part(fold, encoding, matrix) for fold in folds],
        experiment,
        budget=budget,
        on_trial=on_trial,
    )
    recipe = Recipe(
        parameters=_parameters(study.best_trial, experiment.search.space),
        rounds=study.best_trial.user_attrs["rounds"],
        penalty=_best_penalty(folds, encoding, matrix),
        boosting_share=1.0,
        left_out=left_out,
        seed=experiment.seed,
    )
    trees, logistic = (out_of_fold(dataset, folds, replace(recipe, boosting_share=share)) for share in (1.0, 0.0))
    judged = _together(folds)
    share = _best_share(judged, trees, logistic)
    return Search(
        recipe=replace(recipe, boosting_share=share),
        log_odds=share * trees + (1 - share) * logistic,
        judged=judged,
        trials=tuple(
            trial.value for trial in study.get_trials(states=(TrialState.COMPLETE,)) if trial.value is not None
        ),
    )


def _search_trees(
    parts: list[_Part],
    experiment: Experiment,
    *,
    budget: Budget,
    on_trial: Callable[[int, float], None],
) -> optuna.Study:
    folds = ThreadPoolExecutor(os.cpu_count(), "fold")

    def loss(trial: optuna.Trial) -> float:
        parameters = _parameters(trial, experiment.search.space)
        rounds_max, seed = experiment.search.rounds_max, experiment.seed
        fits = [
            folds.submit(fit_boosting_until_worse, part.fit, part.judged, parameters, rounds_max, seed)
            for part in parts
        ]
        losses: list[float] = []
        rounds: list[int] = []
        for step, fit in enumerate(fits):
            booster = fit.result()
            losses.extend(booster.best_score["valid_0"].values())
            rounds.append(booster.best_iteration)
            trial.report(float(np.mean(losses)), step)
            if trial.should_prune():
                for later in fits:
                    later.cancel()
                raise optuna.TrialPruned
        weights = [part.judged_weight for part in parts]
        trial.set_user_attr("rounds", max(1, round(float(np.average(rounds, weights=weights)))))
        return float(np.average(losses, weights=weights))

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


def _part(fold: Fold, encoding: Encoding, matrix: Floats) -> _Part:
    fit, judged = fold.fit.used, fold.judged.used
    data = training_set(encoding, matrix[fit], fold.fit.won[fit], fold.fit.weight[fit])
    valid = data.create_valid(matrix[judged], fold.judged.won[judged], weight=fold.judged.weight[judged])
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
    def loss(penalty: float) -> float:
        total = 0.0
        for fold in folds:
            fit, judged = fold.fit.used, fold.judged.used
            model = fit_logistic(encoding, matrix[fit], fold.fit.won[fit], fold.fit.weight[fit], penalty)
            probability = expit(model.log_odds(matrix[judged]))
            total += float(np.sum(fold.judged.weight[judged] * log_losses(fold.judged.won[judged], probability)))
        return total

    return min(PENALTIES, key=loss)


def out_of_fold(dataset: Dataset, folds: list[Fold], recipe: Recipe) -> Floats:
    """Give each judged row's log-odds by the recipe fitted on its fold's earlier rows; NaN for rows never judged."""
    log_odds = np.full(dataset.keys.height, np.nan)
    for fold in folds:
        judged = fold.judged.used
        log_odds[judged] = fit_recipe(dataset, fold.fit, recipe).log_odds(dataset.features.filter(judged))
    return log_odds


def _together(folds: list[Fold]) -> Lesson:
    """Give the rows judged in any fold."""
    won = np.full(len(folds[0].judged.won), np.nan)
    weight = np.zeros(len(won))
    for fold in folds:
        judged = fold.judged.used
        won[judged], weight[judged] = fold.judged.won[judged], fold.judged.weight[judged]
    return Lesson(won=won, weight=weight)


def _best_share(judged: Lesson, trees: Floats, logistic: Floats) -> float:
    used = judged.used

    def loss(share: float) -> float:
        probability = expit(share * trees[used] + (1 - share) * logistic[used])
        return float(np.sum(judged.weight[used] * log_losses(judged.won[used], probability)))

    return min(SHARES, key=loss)
