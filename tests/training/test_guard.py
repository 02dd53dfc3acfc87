import numpy as np
import polars as pl
import pytest
from learning import draw_dataset

from forecast.metrics import auc
from training.dataset import Dataset
from training.guard import find_leaks


def with_column(values):
    """Draw a data set with one more feature, `column`, of which `values` makes the values from won (NaN: open)."""
    dataset = draw_dataset()
    column = pl.Series("column", values(np.random.default_rng(7), dataset.won), nan_to_null=True)
    return Dataset(keys=dataset.keys, features=dataset.features.with_columns(column), until=dataset.until)


def reasons(dataset, vouched=()):
    """Give the reason of each suspected feature."""
    return {suspicion.feature: suspicion.reason for suspicion in find_leaks(dataset, vouched)}


def noisy(spread):
    """Make values that follow the outcome up to noise."""
    return lambda draw, won: np.nan_to_num(won, nan=0.5) + draw.normal(0, spread, len(won))


def only_of_won(_, won):
    """Make values that only won opportunities have."""
    return np.where(won == 1, 5.0, np.nan)


def only_of_closed(draw, won):
    """Make values that say nothing, but that only closed opportunities have."""
    return np.where(np.isnan(won), np.nan, draw.normal(size=len(won)))


def only_of_open(draw, won):
    """Make values that were overwritten when an opportunity closed."""
    return np.where(np.isnan(won), draw.normal(size=len(won)), np.nan)


def reason_of_loss(_, won):
    """Make a category that tells the outcome, as a reason of loss does."""
    return [None if np.isnan(end) else "price" if end == 0 else "relation" for end in won]


def a_name_each(_, won):
    """Make a category of which every row has a level of its own."""
    return [f"project {row}" for row in range(len(won))]


@pytest.mark.parametrize("values", [noisy(0.25), lambda *given: -noisy(0.25)(*given), reason_of_loss, only_of_won])
def test_a_feature_that_alone_tells_the_outcome_is_suspected(values):
    """A number, whichever way it points, a category or the mere presence of a value with an AUC above 0.95 knows too much."""
    assert "separates won from lost (AUC" in reasons(with_column(values))["column"]


def test_a_merely_good_feature_is_not_suspected():
    """An AUC of about 0.9 is what one hopes for."""
    dataset = with_column(noisy(0.55))
    known = ~np.isnan(dataset.won)
    assert 0.87 < auc(dataset.won[known], dataset.features["column"].to_numpy()[known]) < 0.93
    assert reasons(dataset) == {}


def test_a_feature_filled_only_on_closed_records_is_suspected():
    """What nobody fills in before the end is of no use for those still open, whatever it says."""
    assert "filled on 100% of closed" in reasons(with_column(only_of_closed))["column"]


def test_a_feature_that_closing_overwrote_is_named():
    """What open records have and closed ones don't is of no moment that could be learnt from, and the user is told what to import."""
    found = reasons(with_column(only_of_open))["column"]
    assert found.startswith("filled on 100% of open opportunities but on no closed one")
    assert found.endswith("import the history of its changes")


def test_a_feature_filled_somewhat_later_is_not_suspected():
    """Fields are filled as an opportunity goes on; half of a gap is allowed."""
    dataset = with_column(lambda draw, won: np.where(np.isnan(won) & (draw.random(len(won)) < 0.4), np.nan, 1.0))
    assert reasons(dataset) == {}


@pytest.mark.parametrize("values", [noisy(0.1), only_of_closed])
def test_the_user_may_answer_for_a_feature(values):
    """What was vouched for stays."""
    dataset = with_column(values)
    assert "column" in reasons(dataset)
    assert reasons(dataset, vouched=("column",)) == {}


def test_rare_levels_are_no_leak():
    """A level of one row tells its own outcome and nothing else."""
    assert reasons(with_column(a_name_each)) == {}


def test_a_feature_without_values_is_no_leak():
    """Nothing is said by what is never filled."""
    assert reasons(with_column(lambda _, won: np.full(len(won), np.nan))) == {}


def test_moments_and_names_of_rows_are_not_features():
    """The key of a row and its moment are not looked at."""
    dataset = draw_dataset()
    told = dataset.features.with_columns(opportunity_id=pl.Series(["w" if won == 1 else "l" for won in dataset.won]))
    assert reasons(Dataset(keys=dataset.keys, features=told, until=dataset.until)) == {}


def tags_set_at_the_end(draw, won):
    """Make tags of which two were given by the outcome, to half of each side."""
    given = draw.random(len(won)) < 0.5
    ends = {1.0: "contract sent", 0.0: "wrong number"}
    return [
        ends.get(end, "new") if told else f"tag {row % 4}"
        for row, (end, told) in enumerate(zip(won, given, strict=True))
    ]


def test_tags_set_at_the_end_are_suspected_with_their_rates():
    """A category that decides a part of both sides is left out, and so is its levels' rate of winning, if none answers for it."""
    dataset = with_column(tags_set_at_the_end)
    rate = pl.Series("column_win_lift", np.random.default_rng(3).normal(size=len(dataset.won)))
    rated = Dataset(keys=dataset.keys, features=dataset.features.with_columns(rate), until=dataset.until)
    found = reasons(rated)
    assert "have a value that hardly any of the others has" in found["column"]
    assert found["column_win_lift"] == "made of column"
    assert "column_win_lift" not in reasons(rated, vouched=("column_win_lift",))
