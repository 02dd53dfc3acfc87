import lightgbm as lgb
import numpy as np
import pytest

from forecast.estimators import shapley
from forecast.estimators.boosting import ROWS_FOR_TABLES, Boosting
from forecast.estimators.shapley import read_trees, tree_contributions


def rows(seed, count=1_500):
    """Draw numbers of many sizes, zeros, missing ones, counts, and codes of which some are in no split."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(count, 8)) * [1, 1, 1e-3, 1e6, 1, 1, 1, 1]
    matrix[:, 4] = random.poisson(0.7, count)
    matrix[:, 5:7] = random.integers(0, 40, (count, 2))
    matrix[random.random(matrix.shape) < 0.15] = np.nan
    return matrix


def fitted(**parameters):
    """Fit trees to a made-up outcome; two of the columns are codes."""
    matrix = rows(0)
    level = np.random.default_rng(1).normal(size=40)[np.nan_to_num(matrix[:, 5]).astype(int)]
    signal = np.nan_to_num(matrix[:, 0]) * np.nan_to_num(matrix[:, 1]) + level + np.isnan(matrix[:, 4])
    won = (np.random.default_rng(2).random(len(matrix)) < 1 / (1 + np.exp(-signal))).astype(float)
    given = {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5, "num_leaves": 15}
    data = lgb.Dataset(matrix, won, categorical_feature=[5, 6], params={"verbosity": -1})
    return lgb.train({**given, **parameters}, data, num_boost_round=20)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"zero_as_missing": True},
        {"use_missing": False},
        {"num_leaves": 60, "min_data_in_leaf": 2},
        {"max_depth": 1},
    ],
)
def test_payments_are_those_of_the_usual_algorithm(parameters):
    """Whatever stands for missing, and however deep the trees: LightGBM's own contributions, on rows never seen."""
    booster, unseen = fitted(**parameters), rows(9)
    unseen[:50, 5] = 77.0  # a code that came after the training
    unseen[50:90, 4] = 0.0
    found = tree_contributions(read_trees(booster.model_to_string()), unseen)
    assert found == pytest.approx(booster.predict(unseen, pred_contrib=True), abs=1e-10)


def test_paths_of_more_features_than_a_table_has(monkeypatch):
    """Where a path has too many features for a table, the patterns that occur are worked out one by one."""
    booster, unseen = fitted(num_leaves=40), rows(9)
    monkeypatch.setattr(shapley, "FEATURES_IN_A_TABLE", 2)
    found = tree_contributions(read_trees(booster.model_to_string()), unseen)
    assert found == pytest.approx(booster.predict(unseen, pred_contrib=True), abs=1e-10)


def test_rows_come_in_parts_without_seams(monkeypatch):
    """A row's contributions do not depend on which rows come with it."""
    trees, unseen = read_trees(fitted().model_to_string()), rows(9)
    whole = tree_contributions(trees, unseen)
    monkeypatch.setattr(shapley, "ROWS_AT_ONCE", 400)
    assert np.array_equal(tree_contributions(trees, unseen), whole)


def test_many_rows_are_explained_as_few_are():
    """What a batch is told of a row, a single request is told too; both add up to the log-odds."""
    ensembles = Boosting.of(fitted(seed=1, bagging_fraction=0.5, bagging_freq=1), fitted())
    unseen = rows(9)
    many, few = ensembles.contributions(unseen), ensembles.contributions(unseen[: ROWS_FOR_TABLES - 1])
    assert len(unseen) >= ROWS_FOR_TABLES
    assert many[: len(few)] == pytest.approx(few, abs=1e-10)
    assert many.sum(axis=1) == pytest.approx(ensembles.log_odds(unseen), abs=1e-9)


def test_a_tree_without_splits_is_a_bias():
    """Trees that found nothing to split by pay no feature."""
    booster = fitted(min_data_in_leaf=1_400)
    found = tree_contributions(read_trees(booster.model_to_string()), rows(9))
    assert not found[:, :-1].any()
    assert found == pytest.approx(booster.predict(rows(9), pred_contrib=True), abs=1e-12)
