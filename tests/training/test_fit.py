import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from learning import EXPERIMENT, UNTIL, draw_dataset
from scipy.special import expit, logit

from training.dataset import Lesson
from training.fit import PRIOR_ROWS, Recipe, calibrate, fit_prior, fit_recipe

RECIPE = Recipe(
    parameters={
        "learning_rate": 0.07,
        "num_leaves": 5,
        "min_data_in_leaf": 11,
        "feature_fraction": 0.9,
        "bagging_fraction": 0.8,
        "lambda_l2": 0.5,
        "cat_smooth": 17.0,
    },
    rounds=12,
    penalty=10.0,
    boosting_share=0.5,
    left_out=frozenset(),
    seed=3,
)
AGES = (0.0, 30.0, 90.0)


@pytest.fixture(scope="module")
def dataset():
    """A data set in which wins follow one feature."""
    return draw_dataset()


@pytest.fixture(scope="module")
def lesson(dataset):
    """All that is known of it."""
    return dataset.lesson(UNTIL)


@pytest.mark.parametrize(("share", "members"), [(0.0, (False, True)), (0.5, (True, True)), (1.0, (True, False))])
def test_only_members_of_the_mix_are_fitted(dataset, lesson, share, members):
    """A model that is all trees has no logistic regression, and the other way round."""
    model = fit_recipe(dataset, lesson, replace(RECIPE, boosting_share=share))
    assert (model.boosting is not None, model.logistic is not None) == members


def test_a_fit_is_found_again(dataset, lesson):
    """The same rows, recipe and seed give the same model."""
    assert fit_recipe(dataset, lesson, RECIPE).to_json() == fit_recipe(dataset, lesson, RECIPE).to_json()
    assert fit_recipe(dataset, lesson, RECIPE).boosting == fit_recipe(dataset, lesson, RECIPE).boosting


def test_lightgbm_is_given_every_parameter_of_the_recipe(dataset, lesson):
    """Each parameter that the search decides stands in LightGBM's own record of how it was trained."""
    assert RECIPE.parameters.keys() == EXPERIMENT.search.space.keys()
    recorded = dict(re.findall(r"^\[(\w+): (.*)\]$", fit_recipe(dataset, lesson, RECIPE).boosting.text, re.MULTILINE))
    assert {name: float(recorded[name]) for name in RECIPE.parameters} == RECIPE.parameters
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


def test_calibration_pulls_a_mis_scaled_model_right(dataset):
    """From log-odds three times too far out and shifted, slope and shift lead back to the truth."""
    draw = np.random.default_rng(5)
    truth = draw.normal(-0.5, 1, 8000)
    won = (draw.random(8000) < expit(truth)).astype(float)
    model = fit_recipe(dataset, dataset.lesson(UNTIL), RECIPE)
    mended = calibrate(model, Lesson(won=won, weight=np.ones(8000)), 3 * truth + 1)
    assert mended.slope == pytest.approx(1 / 3, rel=0.1)
    assert mended.slope * 1 + mended.shift == pytest.approx(0, abs=0.1)
    assert mended.encoding == model.encoding


def test_calibration_leaves_a_right_model_nearly_alone(dataset):
    """Few rows that chance has tilted do not turn slope and shift far from 1 and 0."""
    draw = np.random.default_rng(6)
    truth = draw.normal(0, 1, 30)
    won = (draw.random(30) < expit(truth)).astype(float)
    found = calibrate(fit_recipe(dataset, dataset.lesson(UNTIL), RECIPE), Lesson(won=won, weight=np.ones(30)), truth)
    assert 0.6 < found.slope < 1.5
    assert abs(found.shift) < 0.5


def test_calibration_looks_at_judged_rows_only(dataset):
    """Rows that no fold judged have neither outcome nor log-odds."""
    model = fit_recipe(dataset, dataset.lesson(UNTIL), RECIPE)
    won, log_odds = np.array([1.0, 0.0, np.nan]), np.array([2.0, -2.0, np.nan])
    judged = Lesson(won=won, weight=np.array([1.0, 1.0, 0.0]))
    short = Lesson(won=won[:2], weight=np.ones(2))
    assert calibrate(model, judged, log_odds).to_json() == calibrate(model, short, log_odds[:2]).to_json()


def plain_shares(dataset, lesson):
    """Shrink each age band's share to the one before, by a plain loop."""
    shares = []
    for number, low in enumerate(AGES):
        high = AGES[number + 1] if number + 1 < len(AGES) else float("inf")
        rows = wins = 0.0
        for age, won, weight in zip(dataset.features["age_days"], lesson.won, lesson.weight, strict=True):
            if weight > 0 and low <= age < high:
                rows, wins = rows + weight, wins + weight * won
        before, strength = (shares[-1], PRIOR_ROWS) if shares else (0.5, 1.0)
        shares.append((wins + strength * before) / (rows + strength))
    return shares


def test_the_prior_is_the_share_won_at_each_age(dataset, lesson):
    """Each age band has its weighted share won, shrunk to the band before it."""
    assert fit_prior(dataset, lesson, AGES).shares == pytest.approx(plain_shares(dataset, lesson))


def test_an_age_that_nobody_reached_has_the_share_of_the_one_before(dataset, lesson):
    """Where nothing is known the nearest younger age speaks."""
    shares = fit_prior(dataset, lesson, (*AGES, 5000.0)).shares
    assert shares[3] == shares[2]


def test_the_prior_is_never_quite_sure(dataset, lesson):
    """Where everything was won so far the share stays below 1."""
    won = Lesson(won=np.where(lesson.used, 1.0, np.nan), weight=lesson.weight)
    shares = fit_prior(dataset, won, AGES).shares
    assert 0.9 < min(shares) <= max(shares) < 1
    assert logit(shares[0]) < 10
