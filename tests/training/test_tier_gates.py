from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.tier_config import read_tier_experiment
from training.tier_gates import JudgedCustomers, decide_tier_gates

RULES = read_tier_experiment(Path(__file__).parents[2] / "models", "customer_tier").gates


@pytest.fixture
def judged():
    """Customers of whom this version is right within a tenth; the last period and the baseline are right within a fifth."""
    draw = np.random.default_rng(4)
    revenue = draw.gamma(1.0, 100.0, 400)
    near, far = (revenue * draw.uniform(1 - share, 1 + share, 400) for share in (0.1, 0.2))
    outcomes = {"active": draw.integers(0, 2, 400).astype(float), "orders": revenue / 50, "revenue": revenue}
    likely = {"active": np.full(400, 0.5), "orders": near / 50}
    return JudgedCustomers(
        actual=outcomes,
        ours={**likely, "revenue": near},
        baseline={**likely, "revenue": far},
        last_period=far,
        recency_days=draw.uniform(0, 100, 400),
    )


def last_period_gate(judged):
    """Decide the gate against the last period."""
    gate = decide_tier_gates(judged, RULES, 1, learnable=True)[1]
    assert gate.name == "no worse than the last period on absolute error"
    return gate


def test_a_larger_error_than_that_of_the_last_period_is_refused(judged):
    """Where the last period was nearer, and what would be served instead is no further off, the version isn't served."""
    assert last_period_gate(judged).passed
    last = replace(judged, last_period=judged.actual["revenue"] * 1.01, baseline=judged.ours)
    assert not last_period_gate(last).passed


def test_it_is_served_all_the_same_where_what_would_be_served_instead_is_worse(judged):
    """Refused for the sake of the last period, it would be replaced by buying rate and purchase value, which are further off."""
    gate = last_period_gate(replace(judged, last_period=judged.actual["revenue"] * 1.01))
    assert gate.passed
    assert "would be served instead" in gate.sentence
