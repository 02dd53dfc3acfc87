from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from learning import UNTIL, draw_dataset
from scipy.special import expit

from training.choose import (
    CALENDAR,
    Choice,
    choose_inputs,
    choose_level,
    choose_mix,
    few_levels,
    optional_features,
    race,
)
from training.fit import Recipe, Trees, fit_recipe, judge_on_folds
from training.folds import choosing_folds

START = Recipe(
    trees=(Trees(parameters={"learning_rate": 0.1, "num_leaves": 6, "min_data_in_leaf": 20}, rounds=30),),
    penalty=10.0,
    boosting_share=0.5,
    left_out=frozenset(),
    seed=1,
)


def folds_of(dataset):
    """Cut all that is known into folds in time."""
    found = choosing_folds(dataset, dataset.lesson(UNTIL), 3, gap_days=0, seed=1)
    assert found.order == "known"
    return found.folds


def with_features(dataset, **columns):
    """Give the same rows with more features."""
    return replace(dataset, features=dataset.features.with_columns(**columns))


def with_won(dataset, log_odds, seed=2):
    """Deal the known outcomes out anew, by these log-odds of each row's opportunity."""
    draw = np.random.default_rng(seed).random(dataset.groups.max() + 1)[dataset.groups]
    won = pl.Series((draw < expit(log_odds)).astype(int))
    known = pl.col("won").is_not_null()
    return replace(dataset, keys=dataset.keys.with_columns(won=pl.when(known).then(won)))


@pytest.fixture(scope="module")
def dataset():
    """Opportunities of two years; wins follow size, and the hour of creation says nothing."""
    drawn = draw_dataset(count=700)
    hours = np.random.default_rng(4).integers(8, 18, drawn.groups.max() + 1)[drawn.groups]
    quarter = pl.col("as_of").dt.ordinal_day().cast(pl.Float64).mod(91.0)
    return with_features(drawn, created_hour=pl.Series(hours.astype(float)), quarter_end_days=quarter)


def test_what_tells_the_month_is_found(dataset):
    """A number that is nearly the same for all rows of a month, and a text that is, are told from what is of the row itself."""
    month = pl.col("as_of").dt.strftime("%Y-%m")
    noise = pl.Series(np.random.default_rng(1).normal(0, 0.1, dataset.keys.height))
    shown = with_features(dataset, index=month.rank("dense") + noise, campaign=month)
    assert optional_features(shown, folds_of(shown))["month"] == {"index", "campaign"}


def test_the_calendar_is_left_out_where_it_says_nothing(dataset):
    """Features that can only learn the past by heart do not pay."""
    recipe = choose_inputs(dataset, folds_of(dataset), START)
    assert CALENDAR & set(dataset.features.columns) <= recipe.left_out
    assert "size" not in recipe.left_out


def test_the_calendar_is_taken_where_it_pays(dataset):
    """Where wins come in the morning, through all the time there is, the hour is learnt from."""
    hour = dataset.features["created_hour"].to_numpy()
    morning = with_won(dataset, np.where(hour < 13, 2.0, -2.0))
    assert "created_hour" not in choose_inputs(morning, folds_of(morning), START).left_out


def test_what_is_no_better_lately_is_not_tried_further(dataset):
    """A recipe is tried on the older half of the folds only where it is better on the newer half."""
    folds = folds_of(dataset)
    better, worse = START, replace(START, left_out=frozenset({"size"}))
    for best, other, tried in ((worse, better, folds), (better, worse, folds[1:])):
        raced = race(dataset, folds, Choice(recipe=best, evidence=judge_on_folds(dataset, folds, best)), other)
        expected = judge_on_folds(dataset, tried, other)
        assert raced.recipe == other
        assert np.array_equal(raced.evidence.judged.used, expected.judged.used)
        assert np.array_equal(raced.evidence.log_odds, expected.log_odds, equal_nan=True)


def test_rates_of_few_values_are_never_taken(dataset):
    """A source with three values is known by itself; an owner of many may have a rate."""
    owners = np.random.default_rng(3).integers(0, 60, dataset.groups.max() + 1)[dataset.groups]
    rated = with_features(
        dataset,
        source_win_lift=pl.lit(1.0),
        source_closed_share=pl.lit(0.5),
        owner_id=pl.Series(owners).cast(pl.String),
        owner_win_lift=pl.lit(1.0),
        owner_closed_share=pl.lit(0.5),
    )
    assert few_levels(rated) == {"source_win_lift", "source_closed_share"}


def level_chosen(dataset, recipe=START):
    """Give what is chosen for the level of a data set."""
    folds = folds_of(dataset)
    models = [fit_recipe(dataset, fold.fit, recipe) for fold in folds]
    return choose_level(dataset, folds, models, recipe, ages_days=(0.0, 30.0, 90.0))


def test_a_level_that_moves_is_missed_by_more(dataset):
    """Where the share won rises all the time folds say that the level is missed by more than where it stays."""
    days = dataset.keys["created_at"].dt.epoch("s").to_numpy() / 86_400
    size = dataset.features["size"].to_numpy()
    rising = level_chosen(with_won(dataset, size - 3 + 6 * (days - days.min()) / np.ptp(days)))
    staying = level_chosen(with_won(dataset, size))
    assert rising.error > 2 * staying.error


def test_ages_have_levels_of_their_own_where_that_pays(dataset):
    """Where one age is won far more than those around it a line through the age doesn't tell, but a level does."""
    size, age = (dataset.features[name].to_numpy() for name in ("size", "age_days"))
    line = replace(START, boosting_share=0.0)
    assert level_chosen(with_won(dataset, size + 4.0 * (age == 30.0)), line).recipe.level_ages_days is not None
    assert level_chosen(with_won(dataset, size), line).recipe.level_ages_days is None


def test_the_line_takes_what_tells_the_times(dataset):
    """An index that moves with the share won, smooth through time, is for the regression only where the mix doesn't gain."""
    days = dataset.keys["created_at"].dt.epoch("s").to_numpy() / 86_400
    along = (days - days.min()) / np.ptp(days)
    shown = with_features(dataset, index=pl.Series(along))
    recipe = choose_inputs(with_won(shown, dataset.features["size"].to_numpy()), folds_of(shown), START)
    assert "index" in recipe.left_out
    assert not recipe.line_only & recipe.left_out


def test_an_occasion_has_a_mix_of_its_own_unless_that_is_worse(dataset):
    """Opportunities at creation are told apart by a mix of their own; without moments of stages there is none for those."""
    assert set(choose_mix(dataset, folds_of(dataset), START).own_shares) <= {"creation"}
    moved = with_features(
        dataset,
        stage_days=pl.when(pl.col("age_days") == 30).then(0.0).otherwise(20.0),
        stage_change_count=pl.when(pl.col("age_days") == 0).then(0.0).otherwise(1.0),
    )
    assert "entry" in choose_mix(moved, folds_of(moved), START).own_shares


def test_dealings_are_groups_that_must_pay(dataset):
    """What varies of the account's dealings, quotes, usual amounts and words is left out unless it pays; a list's entries are in."""
    noise = pl.Series(np.random.default_rng(3).normal(size=dataset.keys.height))
    shown = with_features(
        dataset,
        account_open_count=noise,
        quote_count=noise * 0,
        amount_to_usual=noise,
        custom_a_has_b=noise,
        custom_a_says_b=noise,
    )
    found = optional_features(shown, folds_of(shown))
    assert found["account"] == {"account_open_count"}
    assert found["quotes"] == frozenset()
    assert found["amounts"] == {"amount_to_usual"}
    assert found["words"] == {"custom_a_says_b"}
    assert not any("custom_a_has_b" in group for group in found.values())
