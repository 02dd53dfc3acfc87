from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from buyers import FIRST, history_of, simulate_buyers
from sklearn.metrics import roc_auc_score

from forecast.accounts.scoring import NEXT_PRODUCTS
from forecast.accounts.wording import evidence_sentence
from forecast.customers import LINE_TYPES
from training.prospect_fit import FIRST_BUYERS_MIN, PROSPECTS_MIN
from training.tier_config import read_tier_experiment
from training.tier_evidence import CUSTOMERS_MIN, chance_of_higher_auc, judge_tier_evidence
from training.value_fit import read_lesson

RULES = read_tier_experiment(Path(__file__).parents[2] / "models", "customer_tier").gates
AS_OF = FIRST + timedelta(days=300)


def judge(history, probability=None):
    """Judge what is given as of a moment, for 100 days; by default of a probability that tells nothing."""
    held = read_lesson(history, AS_OF, horizon_days=100)
    guess = np.random.default_rng(0).random(held.features.height) if probability is None else probability(held)
    return judge_tier_evidence(history, held, guess, RULES, seed=1)


@pytest.fixture(scope="module")
def buyers():
    """Customers whose rates differ."""
    return simulate_buyers(5, count=1200, days=400)


def test_areas_are_those_of_scikit_learn_and_their_order_decides_the_chance():
    """Both AUC are right with ties; the better order has a chance above a half, the same one exactly a half."""
    draw = np.random.default_rng(3)
    lost = draw.integers(0, 2, 300).astype(float)
    good, bad = np.round(lost + draw.normal(0, 1, 300), 1), np.round(draw.normal(0, 1, 300), 1)
    ours, theirs, chance = chance_of_higher_auc(lost, good, bad)
    assert (ours, theirs) == pytest.approx((roc_auc_score(lost, good), roc_auc_score(lost, bad)))
    assert chance > 0.99
    assert chance_of_higher_auc(lost, bad, good)[2] == pytest.approx(1 - chance)
    assert chance_of_higher_auc(lost, good, good)[2] == 0.5


def test_a_probability_that_tells_nothing_raises_no_alert(buyers):
    """Days since the last order know better who leaves, and it is said."""
    found = judge(buyers)["dormant_again"]
    assert not found.passed
    assert found.sentence.endswith("not given")


def test_a_probability_that_knows_raises_alerts(buyers):
    """Who knows what will happen does better than days since the last order."""
    found = judge(buyers, lambda held: 0.2 + 0.6 * held.outcomes["active"])
    assert found["churn_risk"].passed
    assert found["churn_risk"].ours == 1.0


def sold(buyers, seed, *, linked):
    """Give the history with products: two lines an order, of one family of six or of any."""
    draw = np.random.default_rng(seed)
    family = {account: int(draw.integers(0, 4)) for account in buyers.orders["account_id"].unique(maintain_order=True)}
    lines = [
        (account, moment, f"p{family[account] * 6 + int(draw.integers(0, 6)) if linked else int(draw.integers(0, 24))}")
        for account, moment in buyers.orders.select("account_id", "ordered_at").iter_rows()
        for _ in range(2)
    ]
    given = history_of(buyers.orders.iter_rows())
    return type(given)(
        orders=given.orders,
        accounts=given.accounts,
        events=given.events,
        lines=pl.DataFrame(lines, schema=LINE_TYPES, orient="row"),
    )


def test_next_products_are_given_only_where_products_go_together(buyers):
    """Where accounts keep to a family of products, they beat those bought most; where anyone buys anything, they don't."""
    assert judge(sold(buyers, 1, linked=True))["next_products"].passed
    assert not judge(sold(buyers, 2, linked=False))["next_products"].passed


def test_too_few_to_judge_by_is_said():
    """Without products or customers enough, the sentence says how many are needed."""
    found = judge(simulate_buyers(1, count=20, days=400))
    assert all(not one.passed for one in found.values())
    assert "are needed; not given" in found["next_products"].sentence


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_needed_is_said_with_the_numbers_in_force(language):
    """The sentence of too little to judge by names the least number that is asked for."""
    least = dict.fromkeys(("churn_risk", "dormant_again", "overdue", "next_products"), (CUSTOMERS_MIN,))
    for kind, numbers in {**least, "prospects": (PROSPECTS_MIN, FIRST_BUYERS_MIN)}.items():
        said = evidence_sentence(kind, {"enough": False, "customers": 7}, language)
        assert all(str(number) in said for number in numbers)


def test_as_many_products_are_said_to_be_proposed_as_are():
    """The sentence about next products names five."""
    found = {"ours": 1.0, "simple": 0.5, "chance": 0.9}
    assert NEXT_PRODUCTS == 5
    assert "of five proposed" in evidence_sentence("next_products", found, "en")
