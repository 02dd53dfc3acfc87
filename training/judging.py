"""Judge what was found on rows that nothing was chosen on, beside what it must beat."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl

from forecast.estimators.win import WinModel
from forecast.features import FeaturePlan, opportunity_features
from forecast.metrics import Floats
from forecast.registry import Version
from forecast.snapshot import History, take_snapshot
from training.choose import together
from training.cut import Cut
from training.dataset import Dataset, Lesson
from training.fit import Evidence, Recipe, calibrate, fit_prior, fit_recipe, judge_models
from training.gates import Judged
from training.tune import Search

SEGMENTS = ("pipeline_id", "account_region", "team_id", "source", "product_id")
SEGMENT_RECORDS_MIN = 200
CLOCK = frozenset({"age_days", "quarter_end_days", "moment_month", "created_weekday", "created_hour"})


def judge(
    history: History,
    cut: Cut,
    search: Search,
    *,
    live: Version | None,
    plan: FeaturePlan,
    ages_days: tuple[float, ...],
) -> tuple[Judged, Evidence]:
    """Fit the recipe on what comes before the test, and give what it and its yardsticks say of the test.

    Besides, all that was predicted unseen, in the folds and here, as evidence of all rows. Where a sample was searched on, the
    first ensemble of trees is judged for all: of so many rows they say nearly the same.
    """
    seen, test = cut.seen, cut.test
    rows = test.judged.used
    features = seen.features.filter(rows)
    recipe = search.recipe if cut.sampled.all() else replace(search.recipe, trees=search.recipe.trees[:1])
    fitted, evidence = fit_recipe(seen, test.fit, recipe), cut.of_all_rows(search.evidence)
    model = calibrate(fitted, seen, test.fit, evidence, recipe)
    logistic = fit_recipe(seen, test.fit, _only_logistic(recipe))
    prior = fit_prior(seen, test.fit, ages_days, recipe.level_half_life_days)
    judged = Judged(
        won=seen.won[rows],
        weight=test.judged.weight[rows],
        groups=seen.groups[rows],
        ours=model.predict(features),
        prior=prior.predict(features),
        clock=(_fit_clock(cut.sample, cut.taught, recipe) or prior).predict(features),
        logistic=logistic.predict(features),
        segments=large_segments(features),
        live=_predict_live(history, seen, rows, live, plan),
    )
    return judged, together(evidence, judge_models(seen, [test], [fitted]))


def large_segments(features: pl.DataFrame) -> dict[str, np.ndarray]:
    """Mark the rows of each segment of at least SEGMENT_RECORDS_MIN records, by its name; the whole is none."""
    found = {}
    for column in SEGMENTS:
        sizes = features.drop_nulls(column).group_by(column).agg(pl.col("opportunity_id").n_unique().alias("records"))
        large = sizes.filter(pl.col("records") >= SEGMENT_RECORDS_MIN)[column].sort()
        if sizes.height > 1:
            found.update(
                {f"{column} {value}": (features[column] == value).fill_null(value=False).to_numpy() for value in large}
            )
    return found


def _only_logistic(recipe: Recipe) -> Recipe:
    return replace(recipe, boosting_share=0.0, own_shares=dict.fromkeys(recipe.own_shares, 0.0))


def _fit_clock(seen: Dataset, lesson: Lesson, recipe: Recipe) -> WinModel | None:
    """Fit the recipe on age and calendar alone; None where the rows have neither."""
    known = seen.features.filter(lesson.used).select(sorted(CLOCK - recipe.left_out))
    if all(known[name].n_unique() < 2 for name in known.columns):
        return None
    others = frozenset(seen.features.columns) - CLOCK
    return fit_recipe(seen, lesson, replace(recipe, left_out=recipe.left_out | others, own_shares={}))


def _predict_live(
    history: History, seen: Dataset, rows: np.ndarray, live: Version | None, plan: FeaturePlan
) -> Floats | None:
    """Give the live version's probabilities, where it was trained before the held-out rows began."""
    if live is None or live.basis != "own" or not seen.dated:
        return None
    first = seen.keys.filter(rows)["as_of"].min()
    if not isinstance(first, datetime) or datetime.fromisoformat(live.bundle["until"]) > first:
        return None
    if live.plan == plan:
        return live.estimator.predict(seen.features.filter(rows))
    snapshot = take_snapshot(history, seen.keys.filter(rows).select("opportunity_id", "as_of"))
    return live.estimator.predict(opportunity_features(snapshot, live.plan))
