"""From customers' history to a fitted value model: many earlier cut-offs, each with what was bought afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import lightgbm as lgb
import numpy as np
import polars as pl

from forecast.customers import ATTRIBUTES, CUSTOM_PREFIX, CustomerHistory, purchases_within
from forecast.estimators.boosting import Boosting
from forecast.estimators.buying import fit_buying_rate, fit_purchase_value
from forecast.estimators.offset_glm import Correction, Family, fit_correction
from forecast.estimators.value import (
    DAYS_A_WEEK,
    TARGETS,
    Bands,
    Baseline,
    Target,
    ValueModel,
    linear,
    log_matrix,
    shape_matrix,
)
from forecast.features.customers import customer_features
from forecast.metrics import Floats

FAMILIES: Mapping[Target, Family] = {"active": "logistic", "orders": "poisson", "revenue": "tweedie"}
_OBJECTIVES: Mapping[Target, Mapping[str, object]] = {
    "active": {"objective": "binary"},
    "orders": {"objective": "poisson"},
    "revenue": {"objective": "tweedie", "tweedie_variance_power": 1.5},
}
LEVEL_CUSTOMERS_MIN = 30
LEVELS_MAX = 20
BANDS = 10
PLAIN_PENALTY = 300.0
_HORIZON_POWERS: Mapping[Target, float] = {"active": 0.5, "revenue": 1.0}
THREADS = 1
"""More threads made it slower: the rows are few, and starting threads costs more than it saves."""


@dataclass(frozen=True, kw_only=True)
class ValueRecipe:
    """How a value model is fitted.

    Attributes:
        cuts: shares of the history at which earlier cut-offs lie.
        penalties: of the GLMs, in rows; what they give is averaged.
        tree_share: of the trees beside them.
        ensembles: of trees, each of a seed of its own; what they give is averaged.
        rounds, leaves, learning_rate: of the trees.
        seed: of every random choice.
    """

    cuts: tuple[float, ...]
    penalties: tuple[float, ...]
    tree_share: float
    ensembles: int
    rounds: int
    leaves: int
    learning_rate: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Customers at a cut-off and what they bought within `horizon_days` of it; rows as in `features`."""

    as_of: datetime
    horizon_days: int
    features: pl.DataFrame
    baseline: Baseline
    outcomes: dict[Target, Floats]

    @property
    def given(self) -> dict[Target, Floats]:
        """What the baseline, fitted at the cut-off, says."""
        return self.baseline.predict(self.features, horizon_days=self.horizon_days)


def lesson_moments(
    first: datetime, until: datetime, *, horizon_days: int, cuts: Sequence[float]
) -> list[tuple[datetime, int]]:
    """Give the cut-offs with the horizon of each that is known at `until`, never more than `horizon_days`."""
    whole = (until - first) / timedelta(days=1)
    moments = [first + timedelta(days=int(whole * share)) for share in cuts]
    known = [(moment, min(horizon_days, (until - moment).days)) for moment in moments]
    return [(moment, days) for moment, days in known if days >= 1]


def read_lesson(history: CustomerHistory, as_of: datetime, *, horizon_days: int) -> Lesson | None:
    """Give a lesson; None where nobody had bought yet."""
    features = customer_features(history, as_of, horizon_days=horizon_days)
    if features.is_empty():
        return None
    bought = purchases_within(history, as_of, horizon_days=horizon_days)
    outcomes = features.select("account_id").join(bought, on="account_id", how="left", maintain_order="left")
    orders, revenue = (outcomes[name].fill_null(0.0).to_numpy() for name in ("orders", "revenue"))
    return Lesson(
        as_of=as_of,
        horizon_days=horizon_days,
        features=features,
        baseline=fit_baseline(features),
        outcomes={"active": (orders > 0).astype(np.float64), "orders": orders, "revenue": revenue},
    )


def fit_baseline(features: pl.DataFrame) -> Baseline:
    """Fit buying rate and purchase value to the customers of one moment."""
    numbers = {
        name: features[name].cast(pl.Float64).to_numpy()
        for name in ("purchase_days", "recency_days", "tenure_days", "mean_value", "spent")
    }
    age = numbers["tenure_days"] / DAYS_A_WEEK
    last = age - numbers["recency_days"] / DAYS_A_WEEK
    level = float(numbers["spent"].sum() / numbers["purchase_days"].sum())
    return Baseline(
        rate=fit_buying_rate(numbers["purchase_days"] - 1, last, age),
        value=fit_purchase_value(numbers["purchase_days"], numbers["mean_value"]),
        level=level if level > 0 else 1.0,
    )


def fit_value_model(
    lessons: Sequence[Lesson], baseline: Baseline, recipe: ValueRecipe, *, horizon_days: int
) -> ValueModel:
    """Fit every target on all lessons; `baseline` is what will be corrected. Revenue has no plain share yet."""
    levels = frequent_levels(max(lessons, key=lambda one: one.as_of).features)
    matrix = np.vstack([shape_matrix(one.features, one.baseline, one.horizon_days, levels) for one in lessons])
    aims = {target: _aim(lessons, target) for target in TARGETS}
    plain = {target: _fit_plain(target, lessons, horizon_days, recipe) for target in _HORIZON_POWERS}
    return ValueModel(
        baseline=baseline,
        horizon_days=horizon_days,
        levels=levels,
        corrections={
            target: fit_correction(FAMILIES[target], matrix, *aim, penalties=recipe.penalties)
            for target, aim in aims.items()
        },
        trees={target: _fit_trees(target, matrix, *aim, recipe) for target, aim in aims.items()},
        plain={target: correction for target, (correction, _) in plain.items()},
        plain_trees={target: trees for target, (_, trees) in plain.items()},
        tree_share=recipe.tree_share,
    )


def _fit_plain(
    target: Target, lessons: Sequence[Lesson], horizon_days: int, recipe: ValueRecipe
) -> tuple[Correction, Boosting]:
    """Fit a target on logs alone, then trees upon it; the linear predictor is taken to grow with a power of the horizon."""
    power, unit = _HORIZON_POWERS[target], _unit(lessons, target)
    matrix = np.vstack([log_matrix(one.features, one.baseline.level) for one in lessons])
    actual = np.concatenate([one.outcomes[target] for one in lessons]) / unit
    offset = np.concatenate([np.full(one.features.height, power * np.log(one.horizon_days)) for one in lessons])
    found = fit_correction(FAMILIES[target], matrix, actual, offset, penalties=(PLAIN_PENALTY,))
    trees = _fit_trees(target, matrix, actual, offset + found.shift(matrix), recipe)
    return replace(found, intercept=found.intercept + float(power * np.log(horizon_days) + np.log(unit))), trees


def _unit(lessons: Sequence[Lesson], target: Target) -> float:
    """Give the unit of a target: revenue is measured by the company's purchase value."""
    return float(np.mean([one.baseline.level for one in lessons])) if target == "revenue" else 1.0


def _aim(lessons: Sequence[Lesson], target: Target) -> tuple[Floats, Floats]:
    """Give what happened and the linear predictor of the baseline, in units of the target."""
    unit = _unit(lessons, target)
    actual = np.concatenate([one.outcomes[target] for one in lessons]) / unit
    return actual, linear(target, np.concatenate([one.given[target] for one in lessons]) / unit)


def _fit_trees(target: Target, matrix: Floats, actual: Floats, offset: Floats, recipe: ValueRecipe) -> Boosting:
    parameters = {
        **_OBJECTIVES[target],
        "verbosity": -1,
        "num_threads": THREADS,
        "deterministic": True,
        "force_row_wise": True,
        "learning_rate": recipe.learning_rate,
        "num_leaves": recipe.leaves,
        "min_data_in_leaf": max(30, len(matrix) // 400),
        "feature_fraction": 0.6,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 10.0,
    }
    names = [f"f{position}" for position in range(matrix.shape[1])]
    data = lgb.Dataset(matrix, actual, init_score=offset, feature_name=names)
    seeds = range(recipe.seed, recipe.seed + recipe.ensembles)
    return Boosting.of(
        *(lgb.train({**parameters, "seed": seed}, data, num_boost_round=recipe.rounds) for seed in seeds)
    )


def frequent_levels(features: pl.DataFrame) -> tuple[tuple[str, str], ...]:
    """Choose the most frequent values of each attribute and custom field."""
    found: list[tuple[str, str]] = []
    for name in features.select(*ATTRIBUTES, f"^{CUSTOM_PREFIX}.*$").columns:
        counts = features[name].drop_nulls().value_counts(sort=True).filter(pl.col("count") >= LEVEL_CUSTOMERS_MIN)
        found += [(name, value) for value in counts[name].head(LEVELS_MAX)]
    return tuple(found)


def fit_bands(predicted: Floats, actual: Floats) -> Bands:
    """Take the 10 %, 50 % and 90 % quantiles of actual over predicted in bands of equal count of held-out rows."""
    count = min(BANDS, len(predicted) // 20)
    if count < 1:
        return Bands()
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, count)
    ratios = [actual[part] / predicted[part] for part in parts]
    return Bands(
        edges=tuple(float(predicted[part[0]]) for part in parts[1:]),
        **{
            name: tuple(float(np.quantile(ratio, share)) for ratio in ratios)
            for name, share in (("low", 0.1), ("middle", 0.5), ("high", 0.9))
        },
    )
