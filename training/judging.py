"""Judge what was found on rows that nothing was chosen on, beside what it must beat."""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl

from forecast.estimators.mix import Mix
from forecast.estimators.win import WinModel
from forecast.features import FeaturePlan, opportunity_features
from forecast.metrics import Floats
from forecast.registry import Version
from forecast.snapshot import History, take_snapshot
from training.choose import together
from training.config import Experiment
from training.cut import Cut
from training.dataset import Dataset, Lesson
from training.fit import ROWS_ENOUGH, Evidence, Recipe, calibrate, fit_recipe, judge_models, only_logistic
from training.folds import Fold
from training.gates import Judged, is_worse_than_logistic
from training.prior import follow_prior
from training.recalibration import as_trained, origin_of
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
    folds, rows = cut.folds.folds, cut.test.judged.used
    live_says = predict_live(history, cut.seen, rows, live, plan)
    recipe, lesson = _brief(cut, search.recipe) if live_says is None else (search.recipe, cut.test.fit)
    model = fit_recipe(cut.seen, lesson, recipe)
    lines = _lines_of(model, cut.seen, lesson, recipe)
    ours = _calibrated(model, cut, search)
    judged = _beside_yardsticks(cut, recipe, ours=ours, lines=lines, live=live_says, ages_days=experiment.ages_days)
    if is_worse_than_logistic(judged, experiment.gates, experiment.seed):
        model, search = lines, without_trees(cut.sample, folds, search, experiment.ages_days)
        judged = replace(judged, ours=_calibrated(model, cut, search))
    newest = Fold(fit=cut.taught, judged=cut.test.judged.part(cut.sampled))
    return Judgement(
        judged=judged,
        search=with_newest(cut.sample, [*folds, newest], search, model, experiment.ages_days),
        evidence=together(cut.of_all_rows(search.evidence), judge_models(cut.seen, [cut.test], [model])),
    )


def _brief(cut: Cut, recipe: Recipe) -> tuple[Recipe, Lesson]:
    """Take, where a sample was searched on, the first ensemble of trees for all, on ROWS_ENOUGH rows: they say nearly the same.

    Beside a live version, whose ensembles all speak and have seen all rows, nearly is not enough.
    """
    lesson = cut.test.fit
    if cut.sampled.all():
        return recipe, lesson
    enough = cut.seen.thinned(lesson.used, ROWS_ENOUGH, recipe.seed)
    return replace(recipe, trees=recipe.trees[:1]), lesson.within(enough)


def _lines_of(model: WinModel, seen: Dataset, lesson: Lesson, recipe: Recipe) -> WinModel:
    """Give a model's logistic regressions without its trees; those that it has none of are fitted."""
    if any(mix.logistic is None for mix in (model.mix, *model.own.values())):
        return fit_recipe(seen, lesson, only_logistic(recipe))

    def line_of(mix: Mix) -> Mix:
        return replace(mix, boosting=None, boosting_share=0.0)

    return replace(model, mix=line_of(model.mix), own={name: line_of(mix) for name, mix in model.own.items()})


def _calibrated(model: WinModel, cut: Cut, search: Search) -> Floats:
    """Calibrate a fitted model on the search's evidence, and ask it about the test."""
    fitted = calibrate(model, cut.seen, cut.test.fit, cut.of_all_rows(search.evidence), search.recipe)
    return fitted.predict(cut.seen.features.filter(cut.test.judged.used))


def _beside_yardsticks(
    cut: Cut, recipe: Recipe, *, ours: Floats, lines: WinModel, live: Floats | None, ages_days: tuple[float, ...]
) -> Judged:
    """Give what the yardsticks say of the test beside what is judged."""
    seen, test = cut.seen, cut.test
    rows = test.judged.used
    features = seen.features.filter(rows)
    prior = follow_prior(seen, test.fit, ages_days).now
    return Judged(
        won=seen.won[rows],
        weight=test.judged.weight[rows],
        groups=seen.groups[rows],
        ours=ours,
        prior=prior.predict(features),
        clock=(_fit_clock(cut.sample, cut.taught, recipe) or prior).predict(features),
        logistic=lines.predict(features),
        segments=large_segments(features),
        live=live,
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


def predict_live(
    history: History, seen: Dataset, rows: np.ndarray, live: Version | None, plan: FeaturePlan
) -> Floats | None:
    """Give the live version's probabilities at the level of its training, where that was before the held-out rows began."""
    if live is None or live.basis != "own" or not seen.dated:
        return None
    first = seen.keys.filter(rows)["as_of"].min()
    if not isinstance(first, datetime) or origin_of(live).until > first:
        return None
    live = as_trained(live)
    if live.plan == plan:
        return live.estimator.predict(seen.features.filter(rows))
    snapshot = take_snapshot(history, seen.keys.filter(rows).select("opportunity_id", "as_of"))
    return live.estimator.predict(opportunity_features(snapshot, live.plan))
