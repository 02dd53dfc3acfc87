import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from learning import EXPERIMENT, UNTIL, draw_dataset, without_dates
from scipy.special import expit

from forecast.estimators.calibration import NOT_CALIBRATED
from forecast.estimators.encoding import fit_encoding
from training.dataset import Lesson
from training.fit import (
    Evidence,
    Recipe,
    Sample,
    Trees,
    calibrate,
    faded,
    fit_recipe,
    judge_on_folds,
    parts_kept,
    set_level,
)
from training.folds import choosing_folds

PARAMETERS = {
    "learning_rate": 0.07,
    "num_leaves": 5,
    "min_data_in_leaf": 11,
    "feature_fraction": 0.9,
    "bagging_fraction": 0.8,
    "lambda_l2": 0.5,
    "cat_smooth": 17.0,
}
RECIPE = Recipe(
    trees=(Trees(parameters=PARAMETERS, rounds=12),),
    penalty=10.0,
    boosting_share=0.5,
    left_out=frozenset(),
    seed=3,
)
AGES = (0.0, 30.0, 90.0)


@pytest.mark.parametrize(("share", "members"), [(0.0, (False, True)), (0.5, (True, True)), (1.0, (True, False))])
def test_only_members_of_the_mix_are_fitted(dataset, lesson, share, members):
    """A model that is all trees has no logistic regression, and the other way round."""
    model = fit_recipe(dataset, lesson, replace(RECIPE, boosting_share=share))
    assert (model.mix.boosting is not None, model.mix.logistic is not None) == members


def test_a_fit_is_found_again(dataset, lesson):
    """The same rows, recipe and seed give the same model."""
    assert fit_recipe(dataset, lesson, RECIPE).to_json() == fit_recipe(dataset, lesson, RECIPE).to_json()
    assert fit_recipe(dataset, lesson, RECIPE).texts() == fit_recipe(dataset, lesson, RECIPE).texts()


def test_lightgbm_is_given_every_parameter_of_the_recipe(dataset, lesson):
    """Each parameter that the search decides stands in LightGBM's own record of how it was trained."""
    assert PARAMETERS.keys() == EXPERIMENT.search.space.keys()
    text = fit_recipe(dataset, lesson, RECIPE).mix.boosting.text
    recorded = dict(re.findall(r"^\[(\w+): (.*)\]$", text, re.MULTILINE))
    assert {name: float(recorded[name]) for name in PARAMETERS} == PARAMETERS
    assert recorded["seed"] == "3"
    assert recorded["bagging_freq"] == "1"


def test_features_left_out_are_not_in_the_model(dataset, lesson):
    """What the guard named is not even looked at."""
    assert "size" in fit_recipe(dataset, lesson, RECIPE).encoding.features
    assert "size" not in fit_recipe(dataset, lesson, replace(RECIPE, left_out=frozenset({"size"}))).encoding.features


def test_only_the_rows_of_the_lesson_are_learnt(dataset, lesson):
    """Features of rows outside the lesson change nothing."""
    half = lesson.within(np.arange(len(lesson.won)) % 2 == 0)
    outside = pl.Series(~half.used)
    other = dataset.features.with_columns(pl.when(outside).then(99.0).otherwise("size").alias("size"))
    changed = replace(dataset, features=other)
    assert fit_recipe(changed, half, RECIPE).to_json() == fit_recipe(dataset, half, RECIPE).to_json()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_weights_count_as_rows(dataset, lesson, share):
    """Trees and logistic regression alike predict, on average by weight, the share won by weight."""
    weight = np.where(lesson.won == 1, 3.0, 1.0) * lesson.used
    model = fit_recipe(dataset, Lesson(won=lesson.won, weight=weight), replace(RECIPE, boosting_share=share))
    rows, used = dataset.features.filter(pl.Series(lesson.used)), lesson.used
    assert np.average(lesson.won[used], weights=weight[used]) > lesson.won[used].mean() + 0.2
    assert np.average(model.predict(rows) - lesson.won[used], weights=weight[used]) == pytest.approx(0, abs=0.02)


def test_each_setting_gives_an_ensemble_of_its_own(dataset, lesson):
    """Ensembles of one recipe differ by their settings and by their seed."""
    one, other = RECIPE.trees[0], Trees(parameters=PARAMETERS, rounds=5)
    model = fit_recipe(dataset, lesson, replace(RECIPE, trees=(one, one, other)))
    assert [booster.num_trees() for booster in model.mix.boosting.boosters] == [12, 12, 5]
    matrix = model.encoding.matrix(dataset.features)
    first, second, _ = (booster.predict(matrix) for booster in model.mix.boosting.boosters)
    assert not np.array_equal(first, second)


def test_members_lack_a_part_of_the_opportunities_each(dataset, lesson):
    """Every opportunity is lacked by one member of five, with all its rows, and members of few lack none."""
    groups = dataset.groups[lesson.used]
    won = lesson.won[lesson.used]
    sample = Sample(fit_encoding(dataset.features), np.zeros((len(won), 1)), won, np.ones(len(won)), groups)
    kept = np.array(parts_kept(sample, 5, 1))
    assert (kept.sum(axis=0) == 4).all()
    for rows in kept:
        assert not set(groups[rows]) & set(groups[~rows])
    assert all(rows.all() for rows in parts_kept(sample, 2, 1))


def test_what_is_for_the_line_is_not_split_on(dataset, lesson):
    """A feature that only the logistic regression sees moves its log-odds and not the trees'."""
    model = fit_recipe(dataset, lesson, replace(RECIPE, line_only=frozenset({"size"})))
    matrix = model.encoding.matrix(dataset.features)
    column = model.encoding.features.index("size")
    assert not model.mix.boosting.contributions(matrix)[:, column].any()
    assert model.mix.logistic.contributions(matrix)[:, column].any()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_feature_may_only_fall_where_the_user_is_sure(dataset, lesson, share):
    """Where wins rise with size but may only fall with it, more size never gives more."""
    recipe = replace(RECIPE, boosting_share=share, monotone={"size": -1})
    model = fit_recipe(dataset, lesson, recipe)
    sizes = np.linspace(-2, 2, 21)
    rows = pl.concat([dataset.features[:1]] * len(sizes)).with_columns(size=pl.Series(sizes))
    assert (np.diff(model.log_odds(rows)) <= 1e-9).all()
    free = fit_recipe(dataset, lesson, replace(recipe, monotone={})).log_odds(rows)
    assert free[-1] > free[0]


def test_each_age_gets_its_own_level(dataset, lesson):
    """Where the oldest are hardly won, the band's mean follows its share won, and the reasons still add up."""
    old = dataset.features["age_days"].to_numpy() >= AGES[2]
    won = np.where(lesson.used & old, 0.0, lesson.won)
    fewer = Lesson(won=won, weight=lesson.weight)
    model = fit_recipe(dataset, lesson, RECIPE)
    found = set_level(model, dataset, fewer, AGES)
    rows = dataset.features.filter(lesson.used & old)
    assert found.predict(rows).mean() < 0.5 * set_level(model, dataset, fewer).predict(rows).mean()
    assert found.explain(rows)[1].sum(axis=1) == pytest.approx(found.log_odds(rows), abs=1e-9)
    assert "age_days" in found.encoding.features


def test_the_past_fades_by_half_for_each_half_life(dataset, lesson):
    """A row one half-life older than another counts half as much, and all together as much as before."""
    found = faded(dataset, lesson, 100.0)
    days = dataset.keys["as_of"].dt.epoch("ms").to_numpy() / 86_400_000
    used = lesson.used
    expected = lesson.weight[used] * 0.5 ** (-days[used] / 100)
    ratio = found.weight[used] / expected
    assert ratio == pytest.approx(ratio[0])
    assert found.weight.sum() == pytest.approx(lesson.weight.sum())
    np.testing.assert_array_equal(found.used, used)
    assert faded(dataset, lesson, None) is lesson


def calibrated(dataset, lesson, log_odds, won, recipe=RECIPE):
    """Calibrate a fit as if these log-odds of some rows had led to these outcomes."""
    rows = np.full(dataset.keys.height, np.nan)
    rows[: len(won)] = log_odds
    judged = Lesson(won=np.full(len(rows), np.nan), weight=np.zeros(len(rows)))
    judged.won[: len(won)], judged.weight[: len(won)] = won, 1.0
    model = fit_recipe(dataset, lesson, recipe)
    return calibrate(model, dataset, lesson, Evidence(log_odds=rows, judged=judged), recipe)


def drawn_truth(count, spread):
    """Draw true log-odds, and outcomes that come with them."""
    draw = np.random.default_rng(5)
    truth = draw.normal(0, spread, count)
    return truth, (draw.random(count) < expit(truth)).astype(float)


def test_calibration_pulls_a_mis_scaled_model_right(dataset, lesson):
    """From log-odds three times too far out the slope leads back to the truth."""
    truth, won = drawn_truth(dataset.keys.height, 1.5)
    calibration = calibrated(dataset, lesson, 3 * truth, won).mix.calibration
    assert calibration.of(np.array([3.0]))[0] - calibration.of(np.array([-3.0]))[0] == pytest.approx(2, rel=0.2)


def test_calibration_leaves_a_right_model_nearly_alone(dataset, lesson):
    """Rows of true probabilities, and few rows that chance has tilted, leave the log-odds as they are."""
    for count in (30, dataset.keys.height):
        truth, won = drawn_truth(count, 1.0)
        assert calibrated(dataset, lesson, truth, won).mix.calibration == NOT_CALIBRATED


def test_the_level_is_the_share_won_where_nothing_tells_the_time():
    """Without dates the mean probability of the rows that were learnt from is their share won, after calibration too."""
    dataset = without_dates(draw_dataset())
    lesson = dataset.lesson(UNTIL)
    truth, won = drawn_truth(dataset.keys.height, 1.5)
    model = calibrated(dataset, lesson, 3 * truth, won)
    mean = np.average(model.predict(dataset.features.filter(lesson.used)), weights=lesson.weight[lesson.used])
    assert mean == pytest.approx(np.average(lesson.won[lesson.used], weights=lesson.weight[lesson.used]), abs=1e-6)


def test_the_level_is_that_of_now(dataset, lesson):
    """Of opportunities that are all lost in the older half of time and won in the newer, more than half of the next are said to be won."""
    newer = dataset.keys["as_of"] > dataset.keys["as_of"].median()
    moved = Lesson(won=np.where(lesson.used, newer.cast(pl.Float64).to_numpy(), np.nan), weight=lesson.weight)
    recipe = replace(RECIPE, left_out=frozenset({"age_days"}))
    model = set_level(fit_recipe(dataset, lesson, recipe), dataset, moved)
    share = np.average(moved.won[moved.used], weights=moved.weight[moved.used])
    assert model.predict(dataset.features).mean() > max(0.6, share + 0.1)


def test_all_occasions_move_alike(dataset, lesson):
    """Where the share won moves, what lies between the mixes of two occasions stays."""
    newer = dataset.keys["as_of"] > dataset.keys["as_of"].median()
    moved = Lesson(won=np.where(lesson.used, newer.cast(pl.Float64).to_numpy(), np.nan), weight=lesson.weight)
    model = fit_recipe(dataset, lesson, replace(RECIPE, own_shares={"creation": 0.5}))
    undated = replace(dataset, keys=dataset.keys.with_columns(as_of=pl.lit(None, pl.Datetime("us", "UTC"))))
    now, always = (set_level(model, rows, moved) for rows in (dataset, undated))
    assert now.mix.shift > always.mix.shift + 0.1
    assert now.own["creation"].shift - now.mix.shift == pytest.approx(always.own["creation"].shift - always.mix.shift)


def test_folds_are_judged_at_their_own_level(dataset, lesson):
    """Evidence has in each fold a mean probability that is the share won there, and nothing outside the folds."""
    folds = choosing_folds(dataset, lesson, 3, gap_days=0, seed=1).folds
    evidence = judge_on_folds(dataset, folds, RECIPE)
    for fold in folds:
        rows, weight = fold.judged.used, fold.judged.weight
        share = np.average(fold.judged.won[rows], weights=weight[rows])
        assert np.average(expit(evidence.log_odds[rows]), weights=weight[rows]) == pytest.approx(share, abs=1e-6)
    np.testing.assert_array_equal(~np.isnan(evidence.log_odds), np.any([fold.judged.used for fold in folds], axis=0))
    np.testing.assert_array_equal(evidence.judged.used, ~np.isnan(evidence.log_odds))
