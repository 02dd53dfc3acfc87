"""Judge what was found on rows that nothing was chosen on, beside what it must beat."""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl

from forecast.estimators.win import WinModel
from forecast.features import FeaturePlan, opportunity_features
from forecast.metrics import Floats
from forecast.registry import Version
from forecast.snapshot import History, take_snapshot
from training.choose import together
from training.config import Experiment
from training.cut import Cut
from training.dataset import Dataset, Lesson
from training.fit import Evidence, Recipe, calibrate, fit_prior, fit_recipe, judge_models, only_logistic
from training.folds import Fold
from training.gates import Judged, is_worse_than_logistic
from training.tune import Search, with_newest, without_trees

SEGMENTS = ("pipeline_id", "account_region", "team_id", "source", "product_id")
SEGMENT_RECORDS_MIN = 200
CLOCK = frozenset({"age_days", "quarter_end_days", "moment_month", "created_weekday", "created_hour"})


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What was said of rows that nothing was chosen on, and what follows for what was found.

    Attributes:
        judged: those rows.
        search: what goes on from here: what was found, or its regression alone, with its level chosen again.
        evidence: all that was predicted unseen, in the folds and here, of all rows.
    """

    judged: Judged
    search: Search
    evidence: Evidence


def judge(
    history: History, cut: Cut, search: Search, experiment: Experiment, *, live: Version | None, plan: FeaturePlan
) -> Judgement:
    """Fit the recipe on what comes before the test, and let it and its yardsticks speak of the test.

    Where the logistic regression alone is clearly better, it takes the recipe's place.
    """
    ages_days, folds = experiment.ages_days, cut.folds.folds
    yardsticks = _yardsticks(history, cut, search, live=live, plan=plan, ages_days=ages_days)
    model, judged = _judged(cut, search, yardsticks)
    if is_worse_than_logistic(judged, experiment.gates, experiment.seed):
        search = without_trees(cut.sample, folds, search, ages_days)
        model, judged = _judged(cut, search, yardsticks)
    newest = Fold(fit=cut.taught, judged=cut.test.judged.part(cut.sampled))
    return Judgement(
        judged=judged,
        search=with_newest(cut.sample, [*folds, newest], search, model, ages_days),
        evidence=together(cut.of_all_rows(search.evidence), judge_models(cut.seen, [cut.test], [model])),
    )


def _judged(cut: Cut, search: Search, yardsticks: Judged) -> tuple[WinModel, Judged]:
    """Give the recipe fitted, not calibrated, and what it says, calibrated, beside its yardsticks."""
    seen, lesson = cut.seen, cut.test.fit
    recipe = _brief(cut, search.recipe) if yardsticks.live is None else search.recipe
    fitted = fit_recipe(seen, lesson, recipe)
    model = calibrate(fitted, seen, lesson, cut.of_all_rows(search.evidence), recipe)
    return fitted, replace(yardsticks, ours=model.predict(seen.features.filter(cut.test.judged.used)))


def _brief(cut: Cut, recipe: Recipe) -> Recipe:
    """Take the first ensemble of trees for all where a sample was searched on: of so many rows they say nearly the same.

    Beside a live version, whose ensembles all speak, nearly is not enough.
    """
    return recipe if cut.sampled.all() else replace(recipe, trees=recipe.trees[:1])


def _yardsticks(
    history: History,
    cut: Cut,
    search: Search,
    *,
    live: Version | None,
    plan: FeaturePlan,
    ages_days: tuple[float, ...],
) -> Judged:
    """Give what the yardsticks say of the test; in the place of ours stands the prior."""
    seen, test, recipe = cut.seen, cut.test, _brief(cut, search.recipe)
    rows = test.judged.used
    features = seen.features.filter(rows)
    logistic = fit_recipe(seen, test.fit, only_logistic(recipe))
    prior = fit_prior(seen, test.fit, ages_days, recipe.level_half_life_days)
    shares = prior.predict(features)
    return Judged(
        won=seen.won[rows],
        weight=test.judged.weight[rows],
        groups=seen.groups[rows],
        ours=shares,
        prior=shares,
        clock=(_fit_clock(cut.sample, cut.taught, recipe) or prior).predict(features),
        logistic=logistic.predict(features),
        segments=large_segments(features),
        live=_predict_live(history, seen, rows, live, plan),
    )


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
