import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.errors import InputError
from forecast.policies import DEFAULT_THRESHOLDS, decide_thresholds, find_thresholds, list_policies, read_policies
from forecast.population import Population
from forecast.scoring.grades import (
    GRADES,
    NOISE,
    GradePolicies,
    GradeThresholds,
    grade,
    grade_records,
    trend,
    usual_thresholds,
)
from forecast.store import unit_of_work

MATRIX = GradeThresholds(
    probability_high=0.6, probability_medium=0.3, expected_value_high=1000.0, expected_value_medium=100.0
)
RATED = GradeThresholds(probability_high=0.6, probability_medium=0.3, rating_high=4.0, rating_low=2.0)
LEADS = Population(kind="lead", target="converted")
shares = st.floats(0, 1)
values = st.one_of(st.none(), st.floats(-1e6, 1e6))
RECORD = {
    "probability": pl.Float64,
    "amount": pl.Float64,
    "pipeline_id": pl.String,
    "need_fit": pl.Float64,
    "purchasing_power": pl.Float64,
    "competition": pl.Float64,
    "last_grade": pl.String,
}


def graded(thresholds, rows):
    """Grade (probability, expected value) pairs."""
    frame = pl.DataFrame(rows, schema={"p": pl.Float64, "value": pl.Float64}, orient="row")
    chosen = grade(thresholds, pl.col("p"), pl.col("value"), pl.lit(None, pl.Float64))
    return frame.select(chosen.alias("grade"))["grade"].to_list()


def record_grades(policies, *rows):
    """Grade records given as dictionaries."""
    frame = pl.DataFrame([{name: row.get(name) for name in RECORD} for row in rows], schema=RECORD)
    return grade_records(policies, frame).to_list()


@pytest.mark.parametrize(
    ("probability", "low", "medium", "high"),
    [(0.1, "low", "low", "medium"), (0.4, "low", "medium", "high"), (0.9, "medium", "high", "high")],
)
def test_the_matrix(probability, low, medium, high):
    """Probability crossed with expected value: a sure small sale and an unsure big one are both medium."""
    assert graded(MATRIX, [(probability, value) for value in (10.0, 500.0, 5000.0)]) == [low, medium, high]


def test_bounds_are_inclusive_from_below():
    """Exactly on a threshold counts as above it."""
    assert graded(MATRIX, [(0.6, 1000.0), (0.3, 100.0), (0.3 - 1e-12, 100.0), (0.6, 100.0 - 1e-9)]) == [
        "high",
        "medium",
        "low",
        "medium",
    ]


def test_without_an_amount_the_probability_decides():
    """A missing expected value, or a policy without its thresholds, leaves the probability alone."""
    rows = [(0.6, None), (0.59, None), (0.3, None), (0.29, None)]
    alone = GradeThresholds(probability_high=0.6, probability_medium=0.3)
    assert graded(MATRIX, rows) == ["high", "medium", "medium", "low"]
    assert graded(alone, [(p, 1e9) for p, _ in rows]) == ["high", "medium", "medium", "low"]


@settings(derandomize=True, max_examples=60)
@given(shares, shares, values)
def test_more_probable_is_never_graded_lower(left, right, value):
    """With the same expected value the grade rises with the probability."""
    lower, upper = graded(MATRIX, sorted([(left, value), (right, value)], key=lambda row: row[0]))
    assert GRADES.index(lower) <= GRADES.index(upper)


@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        ({}, "medium"),
        ({"need_fit": 5, "purchasing_power": 4, "competition": 3}, "high"),
        ({"need_fit": 4}, "high"),
        ({"need_fit": 3, "competition": 4}, "medium"),
        ({"need_fit": 1, "purchasing_power": 2, "competition": 3}, "low"),
        ({"competition": 2}, "low"),
    ],
)
def test_ratings_lift_and_lower(ratings, expected):
    """The mean of the ratings that are given adds a point from its upper bound on and takes one up to the lower."""
    policies = GradePolicies(default=RATED)
    assert record_grades(policies, {"probability": 0.4, **ratings}) == [expected]
    without = GradeThresholds(probability_high=0.6, probability_medium=0.3)
    assert record_grades(GradePolicies(default=without), {"probability": 0.4, **ratings}) == ["medium"]


def test_each_pipeline_has_its_own_thresholds():
    """A record is graded by its pipeline's policy, by the default where that has none."""
    easy = GradeThresholds(probability_high=0.2, probability_medium=0.1)
    policies = GradePolicies(default=MATRIX, pipelines={"renewals": easy})
    rows = [{"probability": 0.25, "pipeline_id": name} for name in ("renewals", "default", None)]
    assert record_grades(policies, *rows) == ["high", "low", "low"]


@pytest.mark.parametrize("seed", range(20))
def test_noise_below_five_points_moves_no_grade(seed):
    """Scored again and again, a probability that wavers within less than 5 points keeps the grade it had first."""
    draw = random.Random(seed)
    centre, amount = draw.uniform(0.03, 0.97), draw.choice([None, 300.0, 2000.0])
    last, policies = None, GradePolicies(default=MATRIX)
    seen = set()
    for _ in range(30):
        probability = centre + draw.uniform(-0.0249, 0.0249)
        (last,) = record_grades(policies, {"probability": probability, "amount": amount, "last_grade": last})
        seen.add(last)
    assert len(seen) == 1


def test_a_grade_moves_when_more_than_noise_speaks_for_another():
    """From 5 points beyond a threshold on the grade is the matrix's again, however slowly the probability got there."""
    last, policies, moved_at = "medium", GradePolicies(default=RATED), None
    for step in range(100):
        (last,) = record_grades(policies, {"probability": 0.5 + step / 500, "last_grade": last})
        if last == "high":
            moved_at = 0.5 + step / 500
            break
    assert moved_at == pytest.approx(0.6 + NOISE, abs=0.003)
    assert record_grades(policies, {"probability": 0.6, "last_grade": "low"}) == ["high"]
    assert record_grades(policies, {"probability": 0.2, "last_grade": "high"}) == ["low"]


def test_a_changed_amount_is_no_noise():
    """Hysteresis is of the probability: an amount that changes the expected value moves the grade at once."""
    policies = GradePolicies(default=MATRIX)
    assert record_grades(policies, {"probability": 0.45, "amount": 300.0, "last_grade": "high"}) == ["medium"]


def test_trend_by_hand():
    """Five points above or below what was said before; nothing where nothing was."""
    frame = pl.DataFrame({"p": [0.5, 0.5, 0.5, 0.5], "before": [0.4, 0.52, 0.6, None]})
    found = frame.select(trend(pl.col("p"), pl.col("before"))).to_series().to_list()
    assert found == ["improving", "steady", "declining", None]


def test_usual_thresholds_by_hand():
    """Probability from the share won, expected value from the pipeline's own quantiles, missing values left out."""
    found = usual_thresholds(0.2, pl.Series([None, float("nan"), *map(float, range(101))]))
    assert found == GradeThresholds(
        probability_high=0.4,
        probability_medium=0.2,
        expected_value_high=75.0,
        expected_value_medium=40.0,
        rating_high=4.0,
        rating_low=2.0,
    )


def test_usual_thresholds_stay_in_reach():
    """A high share won does not put high beyond what a model says."""
    found = usual_thresholds(0.8, pl.Series([], dtype=pl.Float64))
    assert (found.probability_high, found.probability_medium, found.expected_value_high) == (0.6, 0.3, None)


@pytest.mark.parametrize(
    "bounds",
    [
        {"probability_high": 1.2},
        {"probability_medium": 0.7},
        {"expected_value_high": 10.0},
        {"expected_value_high": 10.0, "expected_value_medium": 20.0},
        {"rating_high": 3.0, "rating_low": 4.0},
    ],
)
def test_bounds_out_of_order_are_refused(bounds):
    """A policy that no record could satisfy is said to be wrong, with its values."""
    with pytest.raises(InputError, match="; give "):
        GradeThresholds(**{"probability_high": 0.6, "probability_medium": 0.3, **bounds})


def test_the_newest_policy_is_in_force(engine):
    """Earlier decisions are kept, the last one of each pipeline counts, and leads have their own."""
    easy = GradeThresholds(probability_high=0.2, probability_medium=0.1, rating_high=4.5, rating_low=1.5)
    with unit_of_work(engine) as session:
        assert find_thresholds(session) is None
        assert read_policies(session) == GradePolicies(default=DEFAULT_THRESHOLDS)
        decide_thresholds(session, GradeThresholds(probability_high=0.5, probability_medium=0.1), "张三")
        decide_thresholds(session, MATRIX, "李四")
        decide_thresholds(session, easy, "李四", pipeline_id="renewals")
        decide_thresholds(session, RATED, "李四", pipeline_id="lead")
    with unit_of_work(engine) as session:
        assert find_thresholds(session) == MATRIX
        assert find_thresholds(session, "another") is None
        found = read_policies(session)
        assert (found.default, dict(found.pipelines)) == (MATRIX, {"renewals": easy})
        assert found.decided_at is not None
        assert read_policies(session, LEADS).default == RATED
        assert [policy.pipeline_id for policy in list_policies(session)] == ["default", "lead", "renewals"]
