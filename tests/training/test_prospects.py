from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from buyers import EVENTS, FIRST, ORDERS

from forecast.accounts.scoring import score_customers
from forecast.customers import ATTRIBUTES, PIPELINE_TYPES, CustomerHistory, cut_customers
from forecast.estimators.prospects import ProspectModel
from training.prospect_fit import prospect_leaks, train_prospects
from training.tier_config import read_tier_experiment
from training.tiers import train_tiers

EXPERIMENT = read_tier_experiment(Path(__file__).parents[2] / "models", "customer_tier")
UNTIL = FIRST + timedelta(days=500)
ACCOUNTS = pl.Schema(
    {**dict.fromkeys(("account_id", "name", *ATTRIBUTES), pl.String()), "created_at": ORDERS["ordered_at"]}
)


def simulate_market(seed, count=1500, *, telling=True):
    """Draw accounts: those in trade, or with an open opportunity, buy four times as often, or no one does more than others."""
    draw = np.random.default_rng(seed)
    accounts, orders, pipeline = [], [], []
    for number in range(count):
        account, start = f"a{number:04d}", int(draw.integers(0, 400))
        trade, offer = draw.random() < 0.4, draw.random() < 0.3
        accounts.append((account, None, "trade" if trade else "other", None, None, None, FIRST + timedelta(days=start)))
        rate = 0.0006 * (4.0 if telling and trade else 1.0) * (4.0 if telling and offer else 1.0)
        day = start + 5 + draw.exponential(1 / rate)
        if offer:
            closed = FIRST + timedelta(days=day) if day < 500 else None
            opened = FIRST + timedelta(days=start + 1)
            pipeline.append((account, f"o{number}", opened, closed, "won" if closed else "open", 1000.0))
        while day < 600:
            orders.append((account, FIRST + timedelta(days=day), float(draw.gamma(4, 50))))
            day += draw.exponential(60)
    return CustomerHistory(
        orders=pl.DataFrame(orders, schema=ORDERS, orient="row").sort("account_id", "ordered_at"),
        accounts=pl.DataFrame(accounts, schema=ACCOUNTS, orient="row"),
        events=pl.DataFrame(schema=EVENTS),
        pipeline=pl.DataFrame(pipeline, schema=PIPELINE_TYPES, orient="row"),
    )


def train(history):
    """Train on what was known at UNTIL, judged on the last 100 days."""
    return train_prospects(
        cut_customers(history, UNTIL),
        EXPERIMENT,
        until=UNTIL,
        held_from=UNTIL - timedelta(days=100),
        horizon_days=100,
        unit=200.0,
    )


@pytest.fixture(scope="module")
def market():
    """A market in which industry and open pipeline tell who will buy."""
    return simulate_market(1)


def test_attributes_and_pipeline_tell_prospects_apart(market):
    """Where they do, the model is learnt, and a stored one predicts the same."""
    model, finding = train(market)
    assert finding.passed, finding.sentence
    assert model.basis == "own"
    back = ProspectModel.from_json(model.to_json())
    assert back == model


def test_where_nothing_tells_them_apart_all_get_what_is_usual():
    """Every prospect has the same expectation, and the finding says why."""
    model, finding = train(simulate_market(2, telling=False))
    assert not finding.passed
    assert model.basis == "prior"
    assert all(correction.weights == (0.0,) * len(correction.weights) for correction in model.models.values())


def test_few_prospects_get_no_score():
    """Too few first orders to learn from are said to be too few."""
    model, finding = train(simulate_market(3, count=50))
    assert model is None
    assert "first orders of them are needed" in finding.sentence


def test_what_became_of_prospects_is_no_field_to_learn_from(market):
    """A type that says today who is a customer names those who bought since; one drawn by chance is kept."""
    draw, held_from = np.random.default_rng(5), UNTIL - timedelta(days=100)
    bought = cut_customers(market, UNTIL).orders["account_id"].unique()
    accounts = market.accounts.with_columns(
        custom_type=pl.when(pl.col("account_id").is_in(bought.implode()))
        .then(pl.lit("customer"))
        .otherwise(pl.lit("prospect")),
        custom_colour=pl.Series(draw.choice(["red", "blue"], market.accounts.height)),
    )
    found = prospect_leaks(replace(market, accounts=accounts), held_from, until=UNTIL)
    assert list(found) == ["custom_type"]
    assert "alone it tells who buys" in found["custom_type"]


def test_prospects_are_scored_beside_customers(market):
    """Every account has one score; those without an order are prospects, trade with an offer worth the most of them."""
    run = train_tiers(market, EXPERIMENT, until=UNTIL, horizon_days=100, version_id="first", step=lambda _: None)
    version = run.candidate or run.prior
    scores = score_customers(market, version, as_of=UNTIL)
    known = cut_customers(market, UNTIL)
    bought = set(known.orders["account_id"])
    prospects = scores.filter(pl.col("potential") == "prospect")
    assert set(prospects["account_id"]) == set(known.accounts["account_id"]) - bought
    assert scores["account_id"].is_sorted()
    assert scores["account_id"].is_unique().all()
    later = market.orders.filter(pl.col("ordered_at").is_between(UNTIL, UNTIL + timedelta(days=100), closed="left"))
    first = later.join(prospects, on="account_id", how="semi")
    assert prospects["expected_revenue"].sum() == pytest.approx(first["amount"].sum(), rel=0.35)
    industry = (
        prospects.join(market.accounts, on="account_id").group_by("industry").agg(pl.col("expected_revenue").mean())
    )
    mean = dict(industry.iter_rows())
    assert mean["trade"] > 2 * mean["other"]


def test_later_records_change_no_prospect(market):
    """What is stored later might as well not be there."""
    version = train_tiers(
        market, EXPERIMENT, until=UNTIL, horizon_days=100, version_id="first", step=lambda _: None
    ).prior
    moment = UNTIL - timedelta(days=50)
    whole = score_customers(market, version, as_of=moment)
    assert whole.equals(score_customers(cut_customers(market, moment), version, as_of=moment))
