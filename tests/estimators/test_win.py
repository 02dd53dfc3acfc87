import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from fitted import PARAMETERS, fit_win, frame, outcomes
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from forecast.estimators.boosting import PATIENCE, Boosting, fit_boosting, fit_boosting_until_worse, training_set
from forecast.estimators.encoding import Encoding, fit_encoding
from forecast.estimators.logistic import fit_logistic
from forecast.estimators.mix import Mix
from forecast.estimators.win import PriorModel, WinModel
from forecast.metrics import auc


@pytest.fixture(scope="module")
def model():
    """A fitted mix."""
    return fit_win(frame(), outcomes(frame()))


UNSEEN = frame(seed=9, count=200).with_columns(
    pl.when(pl.col("size") > 0).then(pl.lit("从未见过")).otherwise("source").alias("source"),
    pl.when(pl.col("size") < -1).then(None).otherwise("size").alias("size"),
)


def with_mix(model, **changed):
    """Give the same model with another mix."""
    return replace(model, mix=replace(model.mix, **changed))


def test_a_model_comes_back_from_text_bit_for_bit(model):
    """JSON with sorted keys and LightGBM's text give the same probabilities and contributions."""
    values = json.loads(json.dumps(model.to_json(), sort_keys=True, ensure_ascii=False))
    back = WinModel.from_json(values, model.texts())
    assert np.array_equal(back.predict(UNSEEN), model.predict(UNSEEN))
    assert np.array_equal(back.explain(UNSEEN)[1], model.explain(UNSEEN)[1])


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_contributions_add_up_to_the_log_odds(model, share):
    """Features and bias together are the calibrated log-odds, of either member and of the mix."""
    mixed = with_mix(model, boosting_share=share)
    contributions = mixed.explain(UNSEEN)[1]
    assert contributions.shape == (UNSEEN.height, len(model.encoding.features) + 1)
    assert contributions.sum(axis=1) == pytest.approx(mixed.log_odds(UNSEEN), abs=1e-9)
    assert mixed.predict(UNSEEN) == pytest.approx(expit(mixed.log_odds(UNSEEN)), abs=1e-15)


def test_the_mix_is_the_formula_of_its_docstring(model):
    """Slope and shift apply to the shares of the members' log-odds."""
    matrix = model.encoding.matrix(UNSEEN)
    boosting, logistic = model.mix.boosting, model.mix.logistic
    expected = 1.2 * (0.6 * boosting.log_odds(matrix) + 0.4 * logistic.log_odds(matrix)) - 0.1
    assert model.log_odds(UNSEEN) == pytest.approx(expected, abs=1e-12)


def test_a_member_without_a_share_may_be_missing(model):
    """A version of one member is whole."""
    trees = with_mix(model, logistic=None, boosting_share=1.0)
    linear = with_mix(model, boosting=None, boosting_share=0.0)
    assert np.array_equal(trees.predict(UNSEEN), with_mix(model, boosting_share=1.0).predict(UNSEEN))
    assert np.array_equal(linear.predict(UNSEEN), with_mix(model, boosting_share=0.0).predict(UNSEEN))
    assert WinModel.from_json(linear.to_json(), linear.texts()) is not None


def test_a_fit_is_repeatable(model):
    """The same rows give the same text and the same numbers."""
    again = fit_win(frame(), outcomes(frame()))
    assert again.mix.boosting.text == model.mix.boosting.text
    assert again.mix.logistic.to_json() == model.mix.logistic.to_json()


def test_one_row_is_predicted_as_among_many(model):
    """A single request gets the number that a batch would, bit for bit."""
    alone = [model.predict(UNSEEN[row : row + 1]).item() for row in range(UNSEEN.height)]
    assert alone == model.predict(UNSEEN).tolist()


def test_no_rows_are_predicted_as_none(model):
    """A pipeline without open opportunities is not an error."""
    assert model.predict(UNSEEN[:0]).shape == (0,)
    assert model.explain(UNSEEN[:0])[1].shape == (0, 5)


def test_what_was_not_seen_in_training_is_predicted(model):
    """Unseen levels and missing values give probabilities strictly between 0 and 1."""
    probability = model.predict(UNSEEN)
    assert np.isfinite(probability).all()
    assert ((probability > 0) & (probability < 1)).all()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_each_member_learns_what_is_there(model, share):
    """On rows it has not seen, either member finds the simulated signal."""
    fresh = frame(seed=21, count=2_000)
    assert auc(outcomes(fresh, seed=22), with_mix(model, boosting_share=share).predict(fresh)) > 0.75


def test_a_row_of_weight_two_teaches_like_two_rows():
    """Repeating rows is weighing them."""
    features, won = frame(), outcomes(frame())
    encoding = fit_encoding(features)
    matrix = encoding.matrix(features)
    weight = np.where(np.arange(600) < 200, 2.0, 1.0)
    fitted = fit_logistic(encoding, matrix, won, weight, 3.0)
    repeated = fitted.design.expand(np.vstack([matrix, matrix[:200]]))
    other = LogisticRegression(C=1 / 3, max_iter=2000, tol=1e-8).fit(repeated, np.concatenate([won, won[:200]]))
    assert fitted.log_odds(matrix) == pytest.approx(other.decision_function(fitted.design.expand(matrix)), abs=0.01)


def test_log_odds_are_the_design_matrix_times_the_coefficients():
    """Adding up column by column gives what the product of matrix and line does, levels unseen and missing included."""
    features = frame()
    encoding = fit_encoding(features)
    fitted = fit_logistic(encoding, encoding.matrix(features), outcomes(features), np.ones(600), 3.0)
    matrix = encoding.matrix(UNSEEN)
    product = fitted.design.expand(matrix).toarray() @ fitted.coefficients + fitted.intercept
    assert fitted.log_odds(matrix) == pytest.approx(product, abs=1e-12)
    assert fitted.contributions(matrix).sum(axis=1) == pytest.approx(product, abs=1e-12)


def test_parts_are_one_newton_step_from_the_whole():
    """Coefficients without a part are the whole's, less the inverse curvature of the kept rows times what the lacked ones pulled."""
    features, won = frame(), outcomes(frame())
    encoding = fit_encoding(features)
    kept = np.arange(600) % 5 != 0
    fitted = fit_logistic(encoding, encoding.matrix(features), won, np.ones(600), 3.0, kept=[kept])
    columns = np.column_stack([fitted.design.expand(encoding.matrix(features)).toarray(), np.ones(600)])
    line = np.append(fitted.coefficients, fitted.intercept)
    expected = 1 / (1 + np.exp(-columns @ line))
    curvature = (columns[kept].T * (expected * (1 - expected))[kept]) @ columns[kept]
    curvature += np.diag([3.0] * (len(line) - 1) + [0.0])
    step = np.linalg.solve(curvature, columns[~kept].T @ (won - expected)[~kept])
    assert fitted.parts[0] == pytest.approx(line - step, abs=1e-6)


def test_a_stronger_penalty_gives_smaller_coefficients():
    """The penalty counts in rows: more of it, less of the data."""
    features, won = frame(), outcomes(frame())
    encoding = fit_encoding(features)
    matrix = encoding.matrix(features)
    sizes = [
        np.abs(fit_logistic(encoding, matrix, won, np.ones(600), penalty).coefficients).sum()
        for penalty in (0.1, 10, 1000)
    ]
    assert sizes == sorted(sizes, reverse=True)


def test_a_regression_takes_huge_missing_and_constant_numbers():
    """Amounts of a million times another's, and columns that are missing on most rows, give finite numbers."""
    draw = np.random.default_rng(1)
    features = pl.DataFrame(
        {"amount": 10 ** draw.uniform(0, 12, 200), "rare": [1.0] + [None] * 199, "same": [3.0] * 200}
    )
    encoding = Encoding(numbers=("amount", "rare", "same"), levels={})
    matrix = encoding.matrix(features)
    fitted = fit_logistic(encoding, matrix, (features["amount"] > 1e6).to_numpy().astype(float), np.ones(200), 1.0)
    assert np.isfinite(fitted.log_odds(matrix)).all()


def test_stopping_early_stops_where_more_trees_are_worse():
    """On pure noise the best iteration comes long before the last."""
    draw = np.random.default_rng(1)
    features = frame()
    encoding = fit_encoding(features)
    matrix = encoding.matrix(features)
    won = draw.integers(0, 2, 600).astype(float)
    data = training_set(encoding, matrix[:400], won[:400], np.ones(400))
    valid = training_set(encoding, matrix[400:], won[400:], np.ones(200)).set_reference(data)
    losses = fit_boosting_until_worse(data, valid, PARAMETERS, 500, 5)
    assert losses.argmin() < 30
    assert len(losses) == losses.argmin() + 1 + PATIENCE


@pytest.fixture(scope="module")
def occasional(model):
    """A model with a mix of its own for each occasion, of another level each."""
    own = {name: replace(model.mix, shift=shift) for name, shift in (("creation", 2.0), ("entry", -2.0))}
    return replace(model, own=own)


@pytest.mark.parametrize(
    ("age", "stage", "moves", "shift"),
    [
        (0.0, 0.0, 0.0, 2.0),
        (0.005, 0.005, 0.0, 2.0),
        (0.005, 0.0, 1.0, -2.0),
        (40.0, 0.005, 2.0, -2.0),
        (40.0, 0.5, 2.0, -0.1),
        (0.5, 0.5, 0.0, -0.1),
        (None, None, 0.0, -0.1),
    ],
)
def test_each_occasion_has_its_own_mix(occasional, model, age, stage, moves, shift):  # noqa: PLR0917
    """At creation, on entering a stage and on any other day, another mix speaks, for the score and its parts alike."""
    moment = UNSEEN.with_columns(
        age_days=pl.lit(age, pl.Float64), stage_days=pl.lit(stage, pl.Float64), stage_change_count=pl.lit(moves)
    )
    expected = with_mix(model, shift=shift).log_odds(moment)
    assert occasional.log_odds(moment) == pytest.approx(expected, abs=1e-12)
    assert occasional.explain(moment)[1].sum(axis=1) == pytest.approx(expected, abs=1e-9)
    back = WinModel.from_json(json.loads(json.dumps(occasional.to_json(), sort_keys=True)), occasional.texts())
    assert np.array_equal(back.log_odds(moment), occasional.log_odds(moment))


def test_several_ensembles_are_averaged():
    """Ensembles kept in one text predict and explain the mean of what each does."""
    features, won = frame(), outcomes(frame())
    encoding = fit_encoding(features)
    matrix = encoding.matrix(features)
    data = training_set(encoding, matrix, won, np.ones(600))
    first, second = (fit_boosting(data, {**PARAMETERS, "bagging_fraction": 0.5}, 20, seed) for seed in (1, 2))
    both, alone = Boosting.of(first, second), [Boosting.of(first), Boosting.of(second)]
    assert not np.array_equal(alone[0].log_odds(matrix), alone[1].log_odds(matrix))
    assert both.log_odds(matrix) == pytest.approx(np.mean([one.log_odds(matrix) for one in alone], axis=0))
    assert both.contributions(matrix) == pytest.approx(np.mean([one.contributions(matrix) for one in alone], axis=0))


def test_a_regression_believes_no_straight_line_far_out():
    """Beyond three standard deviations a number counts no further."""
    matrix = np.exp(np.random.default_rng(1).normal(3, 1, (400, 1)))
    encoding = Encoding(numbers=("amount",), levels={})
    fitted = fit_logistic(encoding, matrix, (matrix[:, 0] > 20).astype(float), np.ones(400), 1.0)
    far, farther = fitted.log_odds(np.array([[1e6], [1e12]]))
    assert far == farther


def test_trees_kept_as_text_are_all_the_trees():
    """The text predicts what the booster in memory did."""
    features, won = frame(), outcomes(frame())
    encoding = fit_encoding(features)
    matrix = encoding.matrix(features)
    booster = fit_boosting(training_set(encoding, matrix, won, np.ones(600)), PARAMETERS, 25, 5)
    assert np.array_equal(Boosting.of(booster).log_odds(matrix), booster.predict(matrix, raw_score=True))


def test_the_prior_is_the_share_of_the_age_band():
    """Where nothing is learnt, the share won at that age is served; its lower bound is within a band."""
    prior = PriorModel(ages_days=(0.0, 30.0, 90.0), shares=(0.2, 0.3, 0.5))
    features = pl.DataFrame({"age_days": [0.0, 29.9, 30.0, 89.0, 90.0, 5000.0, None, -1.0]})
    assert prior.predict(features).tolist() == [0.2, 0.2, 0.3, 0.3, 0.5, 0.5, 0.2, 0.2]
    assert prior.explain(features)[1][:, -1] == pytest.approx(logit(prior.predict(features)))
    assert prior.predict(features[:0]).shape == (0,)
    assert prior.explain(features[:0])[1].shape == (0, 2)
    assert prior.encoding.features == ("age_days",)


def jackknifed(features, won, share):
    """Fit a mix of five members that lack a fifth of the rows each."""
    encoding = fit_encoding(features)
    matrix, weight, part = encoding.matrix(features), np.ones(len(won)), np.arange(len(won)) % 5
    kept = [part != number for number in range(5)]
    trees = [
        fit_boosting(training_set(encoding, matrix[rows], won[rows], weight[rows]), PARAMETERS, 40, 5) for rows in kept
    ]
    logistic = fit_logistic(encoding, matrix, won, weight, 3.0, kept=kept)
    return WinModel(encoding=encoding, mix=Mix(boosting=Boosting.of(*trees), logistic=logistic, boosting_share=share))


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_ranges_hold_the_probability_and_shrink_with_rows(share):
    """Of four times as many rows the ranges are narrower; each holds its probability, which is that of `predict`."""
    widths = []
    for count in (400, 1600):
        features = frame(count=1600).head(count)
        model = jackknifed(features, outcomes(features), share)
        found = model.predict_interval(UNSEEN)
        assert np.array_equal(found.probability, model.predict(UNSEEN))
        assert ((found.low < found.probability) & (found.probability < found.high)).all()
        widths.append(np.mean(found.high - found.low))
    assert widths[1] < 0.75 * widths[0]


def test_a_level_that_was_off_widens_every_range():
    """An error of the level of one in log-odds makes each range wider than two thirds of one to either side."""
    model = jackknifed(frame(), outcomes(frame()), 0.6)
    for error, least in ((0.0, 0.0), (1.0, 2 * 1.28)):
        found = replace(model, level_error=error).predict_interval(UNSEEN)
        assert (logit(found.high) - logit(found.low) >= least - 1e-6).all()


def test_parts_of_the_regression_are_those_of_fits_without_them():
    """One Newton step comes as near to a fit without the rows as makes no difference."""
    features, won = frame(count=1000), outcomes(frame(count=1000))
    encoding = fit_encoding(features)
    matrix, weight = encoding.matrix(features), np.ones(1000)
    rows = np.arange(1000) % 5 != 0
    _, parts = fit_logistic(encoding, matrix, won, weight, 3.0, kept=[rows]).log_odds_with_parts(matrix)
    without = fit_logistic(encoding, matrix, won, np.where(rows, 1.0, 1e-12), 3.0).log_odds(matrix)
    assert parts[0] == pytest.approx(without, abs=0.05)


def test_a_range_of_the_share_won_is_that_of_its_rows():
    """The prior's range is a beta's quantiles: narrow for many rows, wide for few, and it holds the share."""
    prior = PriorModel(ages_days=(0.0, 30.0), shares=(0.3, 0.2), rows=(1000.0, 10.0))
    found = prior.predict_interval(pl.DataFrame({"age_days": [5.0, 50.0]}))
    assert found.probability.tolist() == [0.3, 0.2]
    assert found.low[0] == pytest.approx(0.282, abs=0.002)
    assert found.high[0] == pytest.approx(0.319, abs=0.002)
    assert found.low[1] < 0.1
    assert found.high[1] > 0.35


def test_ranges_come_back_from_text_bit_for_bit():
    """JSON and LightGBM's text give the same ranges."""
    model = replace(jackknifed(frame(), outcomes(frame()), 0.6), level_error=0.3)
    values = json.loads(json.dumps(model.to_json(), sort_keys=True, ensure_ascii=False))
    again, found = (each.predict_interval(UNSEEN) for each in (WinModel.from_json(values, model.texts()), model))
    assert np.array_equal(again.low, found.low)
    assert np.array_equal(again.high, found.high)
