import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from buyers import FIRST, history_of, simulate_buyers, simulate_strangers
from polars.testing import assert_frame_equal

from forecast.accounts.reading import read_customers
from forecast.accounts.scoring import score_customers
from forecast.accounts.writing import write_account_scores, write_account_scores_file
from forecast.customers import cut_customers, purchases_within
from forecast.errors import InputError, TooLittleHistoryError
from forecast.estimators.offset_glm import fit_correction
from forecast.estimators.value import ValueModel
from forecast.features.customers import customer_features
from forecast.intake import import_files
from forecast.records import AccountScore
from forecast.registry import read_version, write_version
from forecast.store import unit_of_work
from training.card import compose_card
from training.tier_config import read_tier_experiment
from training.tiers import tier_report, train_and_register_tiers, train_tiers

CHECKOUT = Path(__file__).parents[2]
MODELS = CHECKOUT / "models"
EXPERIMENT = read_tier_experiment(MODELS, "customer_tier")
UNTIL = FIRST + timedelta(days=400)
HORIZON = 100


def train(history, *, until=UNTIL, horizon=HORIZON):
    """Train at a moment, silently."""
    return train_tiers(history, EXPERIMENT, until=until, horizon_days=horizon, version_id="first", step=lambda _: None)


@pytest.fixture(scope="module")
def buyers():
    """Customers whose rates and values differ."""
    return simulate_buyers(8, count=1000)


@pytest.fixture(scope="module")
def run(buyers):
    """A run on them."""
    return train(buyers)


def test_customers_that_differ_are_learnt(run, buyers):
    """Where rates and values differ, every gate is passed, and the future is told better than by the last period."""
    assert run.promotable, run.verdict
    assert [gate.number for gate in run.gates] == [1, 2, 3, 4, 5]
    scores = score_customers(buyers, run.candidate, as_of=UNTIL)
    bought = purchases_within(buyers, UNTIL, horizon_days=HORIZON)
    actual = scores.select("account_id").join(bought, on="account_id", how="left", maintain_order="left").fill_null(0)
    revenue = actual["revenue"].to_numpy()
    assert scores["expected_revenue"].sum() == pytest.approx(revenue.sum(), rel=0.2)
    top = scores.with_columns(actual["revenue"]).sort("expected_revenue", descending=True).head(scores.height // 5)
    assert top["revenue"].sum() > 0.4 * revenue.sum()
    inside = (revenue >= scores["expected_revenue_low"].to_numpy()) & (
        revenue <= scores["expected_revenue_high"].to_numpy()
    )
    assert 0.65 < inside.mean() <= 0.97


def test_custom_fields_of_accounts_are_learnt_unless_they_know_the_future(buyers):
    """A category enters as its levels; one that tells who bought since better than all purchases before is left out."""
    lately = pl.col("ordered_at").is_between(UNTIL - timedelta(days=HORIZON), UNTIL, closed="left")
    bought = buyers.orders.filter(lately)["account_id"].unique()
    spent = buyers.orders.group_by("account_id").agg(pl.col("amount").mean()).sort("account_id")
    accounts = spent.select(
        "account_id",
        *(pl.lit(None, pl.String).alias(name) for name in ("name", "industry", "region", "size", "channel")),
        custom_plan=pl.when(pl.col("amount") > 60).then(pl.lit("gold")).otherwise(pl.lit("basic")),
        custom_state=pl.when(pl.col("account_id").is_in(bought.implode()))
        .then(pl.lit("active"))
        .otherwise(pl.lit("lost")),
    )
    found = train(replace(buyers, accounts=accounts))
    assert set(found.candidate.estimator.levels) == {("custom_plan", "gold"), ("custom_plan", "basic")}
    (told,) = (warning for warning in found.warnings if "left out" in warning)
    assert told.startswith("state of accounts is left out: alone it tells who buys with an AUC of 1.000")
    assert found.candidate.bundle["warnings"] == found.warnings
    assert "custom_plan" in found.candidate.estimator.encoding.levels
    assert score_customers(buyers, found.candidate, as_of=UNTIL).height, "a field that is gone has no level"


def test_where_the_past_tells_nothing_nothing_is_promoted():
    """Purchases that anyone may make on any day must fail the gates, and the baseline is served."""
    run = train(simulate_strangers(3))
    assert not run.promotable
    assert "gate 1 (beats taking all customers as alike)" in run.verdict


def test_the_future_changes_nothing(run, buyers):
    """A version trained at a moment is the same whatever was stored later."""
    again = train(cut_customers(buyers, UNTIL))
    assert again.candidate.estimator.to_json() == run.candidate.estimator.to_json()
    assert again.metrics == run.metrics


def test_scores_of_a_past_moment_know_no_later_order(run, buyers):
    """Scored as of a moment, all that is stored later might as well not be there."""
    moment = FIRST + timedelta(days=300)
    whole = score_customers(buyers, run.candidate, as_of=moment)
    assert_frame_equal(whole, score_customers(cut_customers(buyers, moment), run.candidate, as_of=moment))
    assert whole["tier"].unique().sort().to_list() == ["A", "B", "C"]


def test_a_version_scores_after_reading_as_before(run, buyers, tmp_path):
    """What is read from the folder gives the same scores, bit for bit."""
    back = read_version(write_version(tmp_path, run.candidate, "# card"))
    assert_frame_equal(score_customers(buyers, back, as_of=UNTIL), score_customers(buyers, run.candidate, as_of=UNTIL))


def test_reasons_add_up_to_what_sets_an_account_apart(run, buyers):
    """Between two accounts, all parts together explain the difference in the log of expected revenue."""
    model = run.candidate.estimator
    from forecast.features.customers import customer_features

    features = customer_features(buyers, UNTIL, horizon_days=HORIZON)
    logs, parts = np.log(model.predict(features)), model.explain(features).sum(axis=1)
    np.testing.assert_allclose(logs - logs[0], parts - parts[0], atol=1e-9)


def test_a_short_history_gets_a_short_horizon():
    """Where less than twice the horizon is stored, half of it is predicted, and that is said."""
    run = train(simulate_buyers(2), horizon=None)
    assert run.prior.estimator.horizon_days == 199
    assert "only 399 days are stored: the horizon is 199 days, not 365" in run.warnings


def test_a_horizon_beyond_what_is_stored_is_said():
    """Where more days are asked for than are stored, what lies beyond is extrapolated, and that is said."""
    beyond = train(simulate_buyers(2, days=300, count=30), until=FIRST + timedelta(days=290), horizon=365)
    assert any("365 days is longer than" in warning for warning in beyond.warnings)
    assert not any("longer than" in warning for warning in train(simulate_buyers(2, count=30)).warnings)


def test_a_file_that_ends_long_before_the_moment_is_told_of():
    """Orders that stopped long ago are probably not all imported: the moment to train as of is named."""
    history = simulate_buyers(2, count=30)
    newest = history.orders["ordered_at"].max()
    run = train(history, until=newest + timedelta(days=200))
    day = (newest + timedelta(days=1)).date()
    assert any("200 days before" in warning and f"--as-of {day}" in warning for warning in run.warnings)
    assert not any("silent" in warning for warning in train(history, until=newest + timedelta(days=2)).warnings)


def test_a_season_that_was_never_seen_is_said():
    """With less than a year stored, the level is not learnable: in the warnings, the gate and each score."""
    history = simulate_buyers(4, days=300)
    run = train(history, until=FIRST + timedelta(days=250), horizon=60)
    assert any(warning.startswith("level not learnable") for warning in run.warnings)
    assert "level not learnable" in run.gates[3].sentence
    scores = score_customers(history, run.prior, as_of=FIRST + timedelta(days=250))
    assert scores["level"].unique().to_list() == ["not learnable"]


@pytest.mark.parametrize("count", [1, 2, 30])
def test_few_customers_get_the_baseline(count):
    """Too few to judge by: buying rate and purchase value are served, with a sentence that says so."""
    history = simulate_buyers(9, count=count)
    run = train(history, horizon=50)
    assert run.candidate is None
    assert "too little to judge by" in run.verdict
    scores = score_customers(history, run.prior, as_of=UNTIL)
    assert scores["basis"].unique().to_list() == ["prior"]
    numbers = scores.select(pl.col(pl.Float64).exclude("^expected_margin.*$"))
    assert numbers.select(pl.all().is_finite().all()).row(0) == (True,) * 8


def test_without_orders_there_is_nothing_to_learn_from():
    """The sentence says what to do."""
    with pytest.raises(
        TooLittleHistoryError, match=r"no order of a known customer and moment before .* is stored.*import orders"
    ):
        train(history_of([("a", UNTIL, 1.0)]))


def test_the_card_says_what_was_fitted_and_found(run):
    """Parameters, figures, gates and warnings are in the card."""
    card = tier_report(run, run.candidate, MODELS).card
    for text in ("## Buying rate and purchase value", "model_capture_20", "## Gates", "horizon 100 days"):
        assert text in card
    assert compose_card(run.candidate, run.verdict, MODELS, []) in card or card.startswith("# customer_tier")


def test_a_config_that_is_wrong_says_where(tmp_path):
    """The sentence names the key and what was found there."""
    folder = tmp_path / "customer_tier"
    folder.mkdir()
    (folder / "config.toml").write_text(EXPERIMENT.text.replace("horizon_days = 365", "horizon_days = 0"))
    with pytest.raises(InputError, match="horizon_days is 0: input should be greater than or equal to 7"):
        read_tier_experiment(tmp_path, "customer_tier")
    with pytest.raises(InputError, match=r'no model "other".*there are: customer_tier; start in the folder'):
        read_tier_experiment(tmp_path, "other")


@pytest.mark.filterwarnings("ignore:::mlflow")
def test_from_a_bare_file_to_stored_scores(engine, settings, buyers, tmp_path):
    """customer_id, date, spend is enough; the same file twice changes nothing; equal orders of a day are kept."""
    frame = buyers.orders.select(
        customer_id="account_id", date=pl.col("ordered_at").dt.date().cast(pl.String), spend="amount"
    )
    doubled = pl.concat([frame, frame.head(1)])
    doubled.write_csv(tmp_path / "orders.csv")
    for _ in range(2):
        import_files(engine, [tmp_path / "orders.csv"], imported_at=UNTIL, rejects_folder=tmp_path)
    with unit_of_work(engine) as session:
        assert read_customers(session).orders.height == doubled.height
    host = replace(settings, database_url=engine.url.render_as_string(hide_password=False))
    release = train_and_register_tiers(
        engine,
        host,
        EXPERIMENT,
        models=MODELS,
        until=UNTIL,
        now=UNTIL,
        horizon_days=HORIZON,
        promote=True,
        step=lambda _: None,
    )
    assert release.live == release.run.candidate.version
    with unit_of_work(engine) as session:
        history = read_customers(session, until=UNTIL)
        scores = score_customers(history, release.run.candidate, as_of=UNTIL)
        earlier = score_customers(history, release.run.candidate, as_of=UNTIL - timedelta(days=30))
        for found in (scores, earlier, scores):
            write_account_scores(session, found)
    with unit_of_work(engine) as session:
        kept = session.query(AccountScore).filter(AccountScore.latest).all()
        assert session.query(AccountScore).count() == scores.height + earlier.height
    assert {one.account_id: one.expected_revenue for one in kept} == dict(
        scores.select("account_id", "expected_revenue").iter_rows()
    )
    write_account_scores_file(scores, tmp_path / "scores.csv", language="zh")
    first = pl.read_csv(tmp_path / "scores.csv").row(0, named=True)
    assert first["as_of"] == "2024-02-05T00:00:00Z"
    assert "预期" in json.loads(first["reasons"])[0]["sentence"]


def test_orders_without_amounts_are_refused_with_words(buyers):
    """Where no order has an amount there is no value to learn, and it is said."""
    empty = replace(buyers, orders=buyers.orders.with_columns(amount=pl.lit(0.0)))
    with pytest.raises(TooLittleHistoryError, match="has an amount above 0"):
        train(empty)


def test_amounts_that_are_known_only_lately_are_too_little_to_judge_by(buyers):
    """Where nothing was spent before the held-out part, buying rate and purchase value are served, without a crash."""
    late = pl.col("ordered_at") >= UNTIL - timedelta(days=HORIZON)
    given = replace(buyers, orders=buyers.orders.with_columns(amount=pl.when(late).then("amount").otherwise(0.0)))
    run = train(given)
    assert run.candidate is None
    assert "too little to judge by" in run.verdict


def test_the_plain_model_has_its_say_in_revenue(run, buyers):
    """Its share lies between both predictions, is kept in the file, and is part of the reasons."""
    features = customer_features(buyers, UNTIL, horizon_days=HORIZON)
    none, half, whole = (replace(run.candidate.estimator, plain_share=share) for share in (0.0, 0.5, 1.0))
    first, middle, last = (np.log(model.predict(features)) for model in (none, half, whole))
    np.testing.assert_allclose(middle, (first + last) / 2, atol=1e-9)
    again = ValueModel.from_json(half.to_json(), half.texts())
    np.testing.assert_allclose(np.log(again.predict(features)), middle, atol=1e-9)
    parts = [model.explain(features) for model in (none, half, whole)]
    np.testing.assert_allclose(parts[1], (parts[0] + parts[2]) / 2, atol=1e-9)
    assert np.abs(parts[2]).max() > 0
    assert np.ptp(parts[2].sum(axis=1) - last) < 1e-6, (
        "its GLM and its trees explain the whole difference between customers"
    )


def test_a_version_from_before_trees_upon_the_plain_model_is_served_by_its_glm(run, buyers):
    """Without their files the plain GLM speaks alone, and its reasons explain the whole difference between customers."""
    features = customer_features(buyers, UNTIL, horizon_days=HORIZON)
    model = replace(run.candidate.estimator, plain_share=1.0)
    texts = {name: text for name, text in model.texts().items() if not name.startswith("plain_")}
    before = ValueModel.from_json(model.to_json(), texts)
    found = np.log(before.predict(features))
    assert np.ptp(before.explain(features).sum(axis=1) - found) < 1e-6
    assert np.abs(found - np.log(model.predict(features))).max() > 0


def test_glms_of_several_penalties_are_averaged():
    """What several penalties give is the mean of what each gives."""
    draw = np.random.default_rng(3)
    matrix, offset = draw.normal(size=(500, 4)), draw.normal(size=500)
    actual = draw.poisson(np.exp(offset + matrix[:, 0])).astype(np.float64)
    penalties = (3.0, 300.0)
    alone = [fit_correction("poisson", matrix, actual, offset, penalties=(one,)).shift(matrix) for one in penalties]
    both = fit_correction("poisson", matrix, actual, offset, penalties=penalties).shift(matrix)
    np.testing.assert_allclose(both, np.mean(alone, axis=0), atol=1e-3)
    assert np.abs(alone[0] - alone[1]).max() > 0.1
