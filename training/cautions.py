"""What a reader of a run's figures must know."""

import numpy as np
import polars as pl

from training.config import Experiment
from training.dataset import Dataset, Lesson
from training.fit import CLEARLY
from training.folds import Folds
from training.prior import FollowedPrior

DRIFT_LOG_ODDS = 0.2

_RECORDS = {"opportunity": "opportunities", "lead": "leads"}


def too_little(closed: tuple[int, int], experiment: Experiment) -> str:
    """Say that nothing is trained, since too few opportunities, or leads, have closed."""
    needed = experiment.data.closed_min
    return (
        f"not promoted: {closed[0]} won and {closed[1]} lost {_RECORDS[experiment.population]} are known, {needed} of each are needed; "
        "the share won so far is served"
    )


def data_warnings(dataset: Dataset, experiment: Experiment, closed: tuple[int, int]) -> list[str]:
    """Say what is lacking in the data."""
    found = []
    records = _RECORDS[experiment.population]
    if min(closed) < experiment.data.closed_warning:
        found.append(
            f"only {closed[0]} won and {closed[1]} lost {records}: probabilities are rough "
            f"(from {experiment.data.closed_warning} of each on they are not)"
        )
    if not dataset.dated:
        found.append(
            f"the records have no creation dates: folds are of random {records}, not of time, and the figures say "
            "nothing of how the future differs from the past"
        )
    elif dataset.keys.filter(pl.col("won").is_not_null() & pl.col("closed_at").is_null()).height:
        found.append(
            f"closed {records} without a closing date: their outcome is taken as known from their creation, and they "
            "count in no win rate"
        )
    return found


def order_warnings(dataset: Dataset, *, held_out: Folds, folds: Folds) -> list[str]:
    """Say where something is not judged by time."""
    found = []
    if held_out.order == "created":
        found.append(
            "too few outcomes were known before the newest opportunities came: it is judged on the newest, but learnt from "
            "outcomes of older ones that were known only later, so that the figures are somewhat too good"
        )
    if dataset.dated and folds.order == "random":
        found.append(
            "too few outcomes were known early enough to choose the recipe by time: it is chosen on random opportunities"
        )
    return found


def drift_warnings(dataset: Dataset, lesson: Lesson, prior: FollowedPrior) -> list[str]:
    """Say where the level of now is surely not that of the whole history; `prior` is followed on the lesson."""
    level = prior.level
    if level is None or abs(level.shift) < max(DRIFT_LOG_ODDS, CLEARLY * np.sqrt(level.variance)):
        return []
    features = dataset.features.filter(lesson.used)
    whole, now = (
        np.average(shares.predict(features), weights=lesson.weight[lesson.used]) for shares in (prior.whole, prior.now)
    )
    return [
        (
            f"the share won drifts: {whole:.1%} over all, {now:.1%} lately; "
            "probabilities follow the latter, so train again often, and recalibrate in between"
        )
    ]
