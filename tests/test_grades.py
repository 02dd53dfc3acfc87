import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.grades import GradeThresholds, grade, usual_thresholds
from forecast.policies import decide_thresholds, find_thresholds
from forecast.store import unit_of_work

MATRIX = GradeThresholds(
    probability_high=0.6, probability_medium=0.3, expected_value_high=1000.0, expected_value_medium=100.0
)
shares = st.floats(0, 1)
values = st.one_of(st.none(), st.floats(-1e6, 1e6))


def graded(thresholds, rows):
    """Grade (probability, expected value) pairs."""
    frame = pl.DataFrame(rows, schema={"p": pl.Float64, "value": pl.Float64}, orient="row")
    return frame.select(grade(thresholds, pl.col("p"), pl.col("value")).alias("grade"))["grade"].to_list()


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


@settings(derandomize=True, deadline=None, max_examples=60)
@given(shares, shares, values)
def test_more_probable_is_never_graded_lower(left, right, value):
    """With the same expected value the grade rises with the probability."""
    ranks = {"low": 0, "medium": 1, "high": 2}
    lower, upper = graded(MATRIX, sorted([(left, value), (right, value)], key=lambda row: row[0]))
    assert ranks[lower] <= ranks[upper]


def test_usual_thresholds_by_hand():
    """Probability from the share won, expected value from the pipeline's own quantiles, missing values left out."""
    found = usual_thresholds(0.2, pl.Series([None, float("nan"), *map(float, range(101))]))
    assert found == GradeThresholds(
        probability_high=0.4, probability_medium=0.2, expected_value_high=75.0, expected_value_medium=40.0
    )


def test_usual_thresholds_stay_in_reach():
    """A high share won does not put high beyond what a model says."""
    found = usual_thresholds(0.8, pl.Series([], dtype=pl.Float64))
    assert found == GradeThresholds(probability_high=0.6, probability_medium=0.3)


def test_the_newest_policy_is_in_force(engine):
    """Earlier decisions are kept, the last one counts."""
    with unit_of_work(engine) as session:
        assert find_thresholds(session) is None
        decide_thresholds(session, GradeThresholds(probability_high=0.5, probability_medium=0.1), "张三")
        decide_thresholds(session, MATRIX, "李四")
    with unit_of_work(engine) as session:
        assert find_thresholds(session) == MATRIX
        assert find_thresholds(session, "another") is None
