import lightgbm as lgb
import numpy as np
import pytest
from scipy.special import expit

from forecast.estimators.encoding import Encoding
from forecast.estimators.shapley import read_trees, tree_contributions
from forecast.estimators.symmetric import Rows, fit_symmetric
from forecast.estimators.tree_text import Leaf, Question, Split, symmetric_tree, write_trees
from forecast.metrics import log_losses

ENCODING = Encoding(numbers=("a", "b", "noise"), levels={"source": tuple("pqr"), "region": tuple("stuvwxyz")})


def draw(seed, count=3_000):
    """Draw encoded rows, some values missing, and the log-odds that two numbers together and a category give them."""
    random = np.random.default_rng(seed)
    codes = [random.integers(0, size, count) for size in (4, 9)]
    matrix = np.column_stack([random.normal(size=(count, 3)), *codes]).astype(float)
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    log_odds = 1.5 * np.sign(np.nan_to_num(matrix[:, 0]) * np.nan_to_num(matrix[:, 1])) + (matrix[:, 3] == 2) - 1.0
    return matrix, log_odds


def taught(seed=0, count=3_000):
    """Draw rows with outcomes."""
    matrix, log_odds = draw(seed, count)
    won = (np.random.default_rng(seed + 100).random(count) < expit(log_odds)).astype(float)
    return Rows(matrix, won, np.ones(count))


@pytest.fixture(scope="module")
def booster():
    """Trees fitted once."""
    return fit_symmetric(ENCODING, taught(), 80, seed=1)


def walked(tree, row):
    """Follow a row to its leaf by the questions alone."""
    while isinstance(tree, Split):
        value, question = row[tree.question.column], tree.question
        if question.goes_left is None:
            left = np.isnan(value) or value <= question.threshold
        else:
            left = not np.isnan(value) and value < len(question.goes_left) and question.goes_left[int(value)]
        tree = tree.left if left else tree.right
    return tree.value


def test_a_written_tree_is_read_as_it_was_meant():
    """LightGBM sends every row the way the questions say, missing values and codes never seen among them."""
    levels = np.arange(70) % 3 == 1
    questions = [Question(column=0, threshold=0.25), Question(column=1, goes_left=levels), Question(column=0)]
    counts = np.array([5, 4, 3, 2, 1, 0, 0, 9])
    trees = [symmetric_tree(questions, np.arange(8.0) + shift, counts) for shift in (0.0, 0.5)] + [Leaf(2.0, 24)]
    matrix = np.column_stack([np.random.default_rng(0).normal(size=400), np.arange(400) % 80]).astype(float)
    matrix[::7, 0], matrix[::11, 1] = np.nan, np.nan
    read = lgb.Booster(model_str=write_trees(trees, 2))
    expected = [sum(walked(tree, row) for tree in trees) for row in matrix]
    np.testing.assert_allclose(read.predict(matrix, raw_score=True), expected)


def test_a_split_that_sends_all_rows_one_way_is_left_out(booster):
    """Every split and every leaf has rows, so that contributions have something to divide by."""
    for tree in read_trees(booster.model_to_string()):
        assert (tree.leaf_rows > 0).all()
        assert (tree.node_rows > 0).all()


def test_contributions_add_up(booster):
    """LightGBM's own contributions of the trees, and ours, add up to the log-odds and are the same."""
    matrix, _ = draw(5, 1_200)
    found = tree_contributions(read_trees(booster.model_to_string()), matrix)
    np.testing.assert_allclose(found, booster.predict(matrix, pred_contrib=True), atol=1e-10)
    np.testing.assert_allclose(found.sum(axis=1), booster.predict(matrix, raw_score=True), atol=1e-10)


def test_they_learn_what_two_columns_say_together(booster):
    """On rows never seen they come nearer to the true probabilities than the share won, by most of what can be known."""
    matrix, log_odds = draw(9)
    won = expit(log_odds)

    def loss(probability):
        return float(
            np.mean(
                won * log_losses(np.ones(len(won)), probability)
                + (1 - won) * log_losses(np.zeros(len(won)), probability)
            )
        )

    best, prior = loss(won), loss(np.full(len(won), taught().won.mean()))
    assert loss(booster.predict(matrix)) < best + 0.35 * (prior - best)


def test_a_step_never_goes_beyond_what_was_seen():
    """Where few rows are won but most of some, a tree lifts those from the share won of all toward their own, not over it."""
    flagged = np.repeat([1.0, 0.0], [400, 3_600])
    won = np.concatenate([np.arange(400) % 4 > 0, np.arange(3_600) % 36 == 0]).astype(float)
    encoding = Encoding(numbers=("a",), levels={})
    for rounds in (1, 200):
        booster = fit_symmetric(encoding, Rows(flagged[:, None], won, np.ones(4_000)), rounds, seed=0)
        rare, frequent = booster.predict(np.array([[0.0], [1.0]]))
        assert 1 / 36 - 0.001 < rare < 0.1 < frequent < 0.751


def test_a_seed_gives_the_same_trees_again():
    """The same rows and seed give the same trees, another seed others."""
    rows = taught(count=400)
    first, again, other = (fit_symmetric(ENCODING, rows, 5, seed=seed).model_to_string() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_unseen_features_are_not_asked_for():
    """A feature that only the line may see is in no tree."""
    booster = fit_symmetric(ENCODING, taught(count=600), 20, seed=1, unseen=frozenset({"a", "source"}))
    asked = {int(column) for tree in read_trees(booster.model_to_string()) for column in tree.feature}
    assert asked
    assert asked.isdisjoint({0, 3})


def test_with_nothing_to_ask_they_give_the_share_won():
    """Without features, and with one that never varies, every row has the weighted share won."""
    rows = Rows(np.full((50, 1), 3.0), np.arange(50) % 2.0, np.where(np.arange(50) % 2, 3.0, 1.0))
    for unseen in (frozenset(), frozenset({"a"})):
        booster = fit_symmetric(Encoding(numbers=("a",), levels={}), rows, 3, seed=0, unseen=unseen)
        assert booster.predict(rows.matrix) == pytest.approx(0.75)
