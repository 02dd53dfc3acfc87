from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from learning import BRIEF, EXPERIMENT, draw_dataset

from forecast.features import FeaturePlan
from training.cut import cut_rows
from training.judging import CLOCK, SEGMENTS, judge
from training.tune import search_recipe

MISSING = {
    **{name: pl.lit(None, pl.Float64) for name in CLOCK - {"age_days"}},
    **{name: pl.lit(None, pl.String) for name in SEGMENTS if name != "source"},
}


def searched_on(rows_max):
    """Give the experiment with another number of rows to search on."""
    return replace(EXPERIMENT, search=replace(EXPERIMENT.search, rows_max=rows_max))


@pytest.fixture(scope="module")
def dataset():
    """Opportunities with the columns that judging asks for."""
    drawn = draw_dataset(count=700)
    return replace(drawn, features=drawn.features.with_columns(**MISSING))


def test_with_few_rows_nothing_is_left_out(dataset):
    """Rows up to the number in the configuration are searched on as they are, whatever that number is."""
    cut, other = (cut_rows(None, dataset, FeaturePlan(), searched_on(most)) for most in (60_000, 10**9))
    assert cut.sample is dataset
    for fold, same in zip(cut.folds.folds, other.folds.folds, strict=True):
        assert np.array_equal(fold.fit.weight, same.fit.weight)
        assert np.array_equal(fold.judged.weight, same.judged.weight)


def test_of_many_rows_some_are_searched_on_and_all_are_judged(dataset):
    """The search sees a sample; the judged model learns from more than that, and is judged on all rows of the test."""
    experiment = searched_on(400)
    cut = cut_rows(None, dataset, FeaturePlan(), experiment)
    assert 300 < cut.taught.used.sum() < 500 < cut.test.fit.used.sum()
    search = search_recipe(
        cut.sample, cut.folds.folds, experiment, left_out=frozenset(), budget=replace(BRIEF, trials=1), on_trial=print
    )
    found = judge(None, cut, search, experiment, live=None, plan=FeaturePlan())
    held_out = cut.test.judged.used
    assert len(found.judged.ours) == held_out.sum()
    assert np.isfinite(found.evidence.log_odds[held_out]).all()
    in_folds = found.evidence.judged.used & ~held_out
    assert in_folds.any()
    assert cut.sampled[in_folds].all()
    assert np.array_equal(found.evidence.judged.won[in_folds], dataset.won[in_folds])
