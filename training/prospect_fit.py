"""From customers' history to a model of accounts that have not bought yet, judged on held-out time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl

from forecast.customers import CustomerHistory, purchases_within
from forecast.estimators.offset_glm import Correction, fit_correction
from forecast.estimators.prospects import YEAR_DAYS, ProspectModel, prospect_matrix
from forecast.estimators.value import BANDED, TARGETS, Bands, Target
from forecast.features.prospects import prospect_features
from forecast.metrics import Floats, chance_of_gain
from training.tier_config import TierExperiment
from training.tier_evidence import Evidence, too_few, weighed
from training.tier_guard import leaking_fields
from training.value_fit import FAMILIES, fit_bands, frequent_levels, lesson_moments

PROSPECTS_MIN = 60
FIRST_BUYERS_MIN = 15
PENALTY = 100.0


@dataclass(frozen=True, kw_only=True)
class ProspectLesson:
    """Accounts without a purchase at a cut-off, and what they bought within `horizon_days` of it; rows as in `features`."""

    horizon_days: int
    features: pl.DataFrame
    outcomes: dict[Target, Floats]


def read_prospect_lesson(history: CustomerHistory, as_of: datetime, *, horizon_days: int) -> ProspectLesson:
    """Give the accounts that had not bought before `as_of`, with what they bought afterwards."""
    features = prospect_features(history, as_of, horizon_days=horizon_days)
    bought = purchases_within(history, as_of, horizon_days=horizon_days)
    outcomes = features.select("account_id").join(bought, on="account_id", how="left", maintain_order="left")
    orders, revenue = (outcomes[name].fill_null(0.0).to_numpy() for name in ("orders", "revenue"))
    active = (orders > 0).astype(np.float64)
    return ProspectLesson(
        horizon_days=horizon_days,
        features=features,
        outcomes={"active": active, "orders": orders, "revenue": revenue},
    )


def prospect_leaks(past: CustomerHistory, held_from: datetime, *, until: datetime) -> dict[str, str]:
    """Give the custom fields that tell too well which prospects bought since `held_from`, each with the reason."""
    seen = read_prospect_lesson(past, held_from, horizon_days=(until - held_from).days)
    return leaking_fields(seen.features, seen.outcomes["active"])


def train_prospects(
    past: CustomerHistory,
    experiment: TierExperiment,
    *,
    until: datetime,
    held_from: datetime,
    horizon_days: int,
    unit: float,
) -> tuple[ProspectModel | None, Evidence]:
    """Fit the model on everything, after judging it on the time since `held_from` against what is usual of all.

    Returns:
        The model, which gives all prospects what is usual unless telling them apart did better; None where too few
        accounts bought for the first time. And the finding.
    """
    held_days = (until - held_from).days
    held = read_prospect_lesson(past, held_from, horizon_days=held_days)
    before = _lessons(past, held_from, held_days, experiment)
    lessons = _lessons(past, until, horizon_days, experiment)
    for part in ([held], before, lessons):
        count = sum(lesson.features.height for lesson in part)
        buyers = int(sum(lesson.outcomes["active"].sum() for lesson in part))
        if count < PROSPECTS_MIN or buyers < FIRST_BUYERS_MIN:
            return None, too_few("prospects", min(count, buyers))
    earlier = fit_prospects(before, horizon_days=held_days, unit=unit)
    alike = without_differences(earlier, before)
    ours, simple = (_losses(model.predict(held.features), held, unit) for model in (earlier, alike))
    chance = chance_of_gain(ours, simple, np.arange(len(ours)), experiment.seed)
    finding = weighed("prospects", len(ours), (ours.mean(), simple.mean()), chance, experiment.gates)
    fitted = fit_prospects(lessons, horizon_days=horizon_days, unit=unit)
    model, judged = (fitted, earlier) if finding.passed else (without_differences(fitted, lessons), alike)
    predicted = judged.predict(held.features)
    bands: dict[str, Bands] = {name: fit_bands(predicted[name], held.outcomes[name]) for name in BANDED}
    return replace(model, bands=bands), finding


def _lessons(
    past: CustomerHistory, until: datetime, horizon_days: int, experiment: TierExperiment
) -> list[ProspectLesson]:
    moments = lesson_moments(past.first_day or until, until, horizon_days=horizon_days, cuts=experiment.fit.cuts)
    return [read_prospect_lesson(past, moment, horizon_days=days) for moment, days in moments]


def fit_prospects(lessons: Sequence[ProspectLesson], *, horizon_days: int, unit: float) -> ProspectModel:
    """Fit the GLM of each target on all lessons."""
    levels = frequent_levels(lessons[0].features)
    matrix = np.vstack([prospect_matrix(lesson.features, unit, levels) for lesson in lessons])
    models = {}
    for target in TARGETS:
        actual = _actual(lessons, target) / (unit if target == "revenue" else 1.0)
        models[target] = fit_correction(FAMILIES[target], matrix, actual, _offsets(lessons), penalties=(PENALTY,))
    return ProspectModel(horizon_days=horizon_days, unit=unit, levels=levels, models=models)


def without_differences(model: ProspectModel, lessons: Sequence[ProspectLesson]) -> ProspectModel:
    """Give a model that expects of every prospect what is usual."""
    offsets = _offsets(lessons)
    models: dict[Target, Correction] = {}
    for target, fitted in model.models.items():
        actual = _actual(lessons, target) / (model.unit if target == "revenue" else 1.0)
        none = np.zeros((len(actual), 0))
        level = fit_correction(FAMILIES[target], none, actual, offsets, penalties=(PENALTY,)).intercept
        models[target] = replace(fitted, weights=(0.0,) * len(fitted.weights), intercept=level)
    return replace(model, models=models, basis="prior")


def _actual(lessons: Sequence[ProspectLesson], target: Target) -> Floats:
    return np.concatenate([lesson.outcomes[target] for lesson in lessons])


def _offsets(lessons: Sequence[ProspectLesson]) -> Floats:
    each = [np.full(lesson.features.height, np.log(lesson.horizon_days / YEAR_DAYS)) for lesson in lessons]
    return np.concatenate(each)


def _losses(predicted: dict[Target, Floats], held: ProspectLesson, unit: float) -> Floats:
    """Give the Tweedie deviance (power 1.5) of revenue, in units of the mean value of a purchase day."""
    actual, expected = held.outcomes["revenue"] / unit, np.maximum(predicted["revenue"] / unit, 1e-9)
    return np.asarray(2 * actual / np.sqrt(expected) + 2 * np.sqrt(expected))
