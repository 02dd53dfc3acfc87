"""Two versions of a win model on the same rows, which neither has learnt from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from forecast.errors import TooLittleHistoryError
from forecast.features import opportunity_features
from forecast.metrics import Floats, brier_losses, chance_of_gain, log_losses
from forecast.registry import Version
from forecast.snapshot import History, take_snapshot
from training.config import Experiment, parse_config
from training.dataset import Dataset, build_dataset
from training.folds import count_rarer
from training.gates import measure
from training.recalibration import OUTCOMES_MIN, known_until


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much higher the loss of the first version is than that of the second.

    Attributes:
        loss: `log_loss` or `brier`.
        mean: of the first less that of the second; below 0 the first is better.
        error: standard error of it, rows of one opportunity taken together.
        chance: share of paired bootstrap draws in which the first is better.
    """

    loss: str
    mean: float
    error: float
    chance: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What two versions said of the same rows, and what they are made of.

    Attributes:
        since: what both knew ends before it.
        opportunities: that the rows are of.
        figures: of each version, as `training.gates.measure` has them, and `predicted`, the mean probability.
        differences: of log loss and Brier score.
        features: those that only the first uses, and those that only the second uses.
        parameters: by name, those in which their recipes differ; None where a recipe has no such one.
    """

    since: datetime
    opportunities: int
    figures: tuple[Mapping[str, float], Mapping[str, float]]
    differences: tuple[Difference, ...]
    features: tuple[frozenset[str], frozenset[str]]
    parameters: Mapping[str, tuple[object, object]]


def compare_versions(history: History, first: Version, second: Version, *, until: datetime) -> Comparison:
    """Measure two versions as they stand on rows after all that either knew, with outcomes known at `until`.

    Args:
        history: as known at `until`.
        first: a version.
        second: another of the same model.
        until: outcomes known later count as unknown.

    Raises:
        TooLittleHistoryError: there are too few such rows.
    """
    since = max(known_until(first), known_until(second))
    experiments = [parse_config(version.bundle["config"], Experiment) for version in (first, second)]
    ages = sorted({age for experiment in experiments for age in experiment.ages_days})
    dataset = build_dataset(history, first.plan, tuple(ages), until)
    newer = (dataset.keys["as_of"] >= since).fill_null(value=False).to_numpy()
    lesson = dataset.lesson(until).within(newer)
    count = len(np.unique(dataset.groups[lesson.used]))
    if count < OUTCOMES_MIN or count_rarer(dataset, lesson) == 0:
        raise TooLittleHistoryError(
            f"since {since.isoformat()}, up to when one of the two versions knows everything, {count} outcomes are known; "
            f"{OUTCOMES_MIN} are needed, won and lost ones: train with an earlier --as-of to compare on what came after"
        )
    judged, rows = dataset.part(lesson.used), lesson.used
    won, weight = lesson.won[rows], lesson.weight[rows]
    said = _said(history, judged, first), _said(history, judged, second)
    return Comparison(
        since=since,
        opportunities=count,
        figures=(_figures(won, said[0], weight), _figures(won, said[1], weight)),
        differences=tuple(_differences(won, said, weight, judged.groups, seed=experiments[0].seed)),
        features=(_features(first) - _features(second), _features(second) - _features(first)),
        parameters=_different(_recipe(first), _recipe(second)),
    )


def _said(history: History, judged: Dataset, version: Version) -> Floats:
    snapshot = take_snapshot(history, judged.keys.select("opportunity_id", "as_of"))
    return version.estimator.predict(opportunity_features(snapshot, version.plan))


def _figures(won: Floats, said: Floats, weight: Floats) -> dict[str, float]:
    return {**measure(won, said, weight), "predicted": float(np.average(said, weights=weight))}


def _differences(
    won: Floats, said: tuple[Floats, Floats], weight: Floats, groups: np.ndarray, *, seed: int
) -> list[Difference]:
    found = []
    for name, losses in (("log_loss", log_losses), ("brier", brier_losses)):
        ours, theirs = (losses(won, one) * weight for one in said)
        total = weight.sum()
        mean = float((ours - theirs).sum() / total)
        _, position = np.unique(groups, return_inverse=True)
        spread = np.bincount(position, weights=ours - theirs - mean * weight)
        error = float(np.sqrt((spread**2).sum()) / total)
        chance = chance_of_gain(ours, theirs, groups, seed)
        found.append(Difference(loss=name, mean=mean, error=error, chance=chance))
    return found


def _features(version: Version) -> frozenset[str]:
    encoding = version.estimator.encoding
    return frozenset(encoding.numbers) | frozenset(encoding.levels)


def _recipe(version: Version) -> dict[str, Any]:
    recipe = version.bundle.get("recipe", {})
    plain = {name: value for name, value in recipe.items() if name not in {"parameters", "other_trees", "left_out"}}
    return {**plain, **recipe.get("parameters", {}), "trees": 1 + len(recipe.get("other_trees", ()))} if recipe else {}


def _different(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    names = sorted({*first, *second})
    return {name: (first.get(name), second.get(name)) for name in names if first.get(name) != second.get(name)}
