import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from learning import BRIEF, EXPERIMENT, UNTIL, draw_dataset
from scipy.special import expit

from forecast.errors import InputError
from forecast.metrics import log_losses
from training.choose import choose_level
from training.fit import fit_recipe, judge_on_folds, only_logistic
from training.folds import choosing_folds
from training.tune import Budget, search_recipe, with_newest, without_trees


def folds_of(dataset):
    """Cut all that is known into folds."""
    return choosing_folds(dataset, dataset.lesson(UNTIL), 4, gap_days=0, seed=1).folds


def search(dataset, *, budget=BRIEF, left_out=frozenset(), on_trial=lambda *_: None, experiment=EXPERIMENT):
    """Search on these folds."""
    return search_recipe(dataset, folds_of(dataset), experiment, left_out=left_out, budget=budget, on_trial=on_trial)


@pytest.fixture(scope="module")
def heard():
    """What the listener of the long search heard."""
    return []


@pytest.fixture(scope="module")
def long_search(dataset, heard):
    """A search long enough to give up on some trials."""
    budget = Budget(trials=25, timeout_seconds=600)
    return search(dataset, budget=budget, on_trial=lambda number, best: heard.append((number, best)))


def test_a_search_is_found_again(dataset):
    """The same data and seed give the same recipe, the same losses and the same predictions."""
    first, again = search(dataset), search(dataset)
    assert first.recipe == again.recipe
    assert first.trials == again.trials
    np.testing.assert_array_equal(first.evidence.log_odds, again.evidence.log_odds)


def test_the_budget_is_kept(long_search, heard):
    """There are no more trials than the budget has, and each is told of."""
    assert 1 <= len(long_search.trials) <= 25
    assert [number for number, _ in heard] == list(range(1, 26))


def test_trials_that_fall_behind_are_given_up(long_search):
    """Trials that lose on the first folds are not finished, and have no loss to compare."""
    assert len(long_search.trials) < 25


def test_the_listener_hears_the_best_loss_so_far(long_search, heard):
    """What is shown while it runs never rises, and ends at the best finished trial."""
    bests = [best for _, best in heard]
    assert bests == sorted(bests, reverse=True)
    assert bests[-1] == min(long_search.trials)


def test_time_ends_a_search(dataset):
    """When the time is up no further trial begins; the first always ends, so that there is a recipe."""
    begun = time.monotonic()
    found = search(dataset, budget=Budget(trials=100_000, timeout_seconds=0.5))
    assert time.monotonic() - begun < 30
    assert 1 <= len(found.trials) < 1000
    assert len(search(dataset, budget=Budget(trials=5, timeout_seconds=0.0)).trials) == 1


def test_a_search_has_at_least_one_trial():
    """A budget without trials, or of a time below zero, is refused with a sentence."""
    with pytest.raises(InputError, match="0 trials find nothing; give at least 1"):
        Budget(trials=0, timeout_seconds=10)
    with pytest.raises(InputError, match="a search of -1 seconds is none; give 0 or more"):
        Budget(trials=1, timeout_seconds=-1)


def test_every_parameter_of_the_space_is_searched_within_its_bounds(long_search):
    """The recipe has a value for each parameter of config.toml, whole where it counts something."""
    space = EXPERIMENT.search.space
    for trees in long_search.recipe.trees[::2]:
        assert trees.parameters.keys() == space.keys()
        for name, value in trees.parameters.items():
            assert space[name].low <= value <= space[name].high
            assert isinstance(value, int) == (space[name].scale == "log-int")


def test_of_few_rows_every_second_ensemble_is_symmetric(dataset, long_search):
    """They have no parameters to be searched; too few outcomes, a brief search and given directions leave them out."""
    trees = long_search.recipe.trees
    assert [one.shape for one in trees] == ["leafwise", "symmetric", "leafwise", "symmetric", "leafwise"]
    assert not any(one.parameters for one in trees[1::2])
    falling = replace(EXPERIMENT, monotone={"size": -1})
    few, enough = draw_dataset(count=130), Budget(trials=5, timeout_seconds=600)
    for found in (search(dataset), search(few, budget=enough), search(dataset, budget=enough, experiment=falling)):
        assert {one.shape for one in found.recipe.trees} == {"leafwise"}


def test_predictions_for_judged_rows_are_of_the_recipe_found(dataset, long_search):
    """The evidence is what the recipe predicts, fitted on each fold's earlier rows."""
    again = judge_on_folds(dataset, folds_of(dataset), long_search.recipe)
    np.testing.assert_allclose(long_search.evidence.log_odds, again.log_odds, atol=1e-9)
    np.testing.assert_array_equal(long_search.evidence.judged.used, again.judged.used)


def test_no_other_mix_is_clearly_better(dataset, long_search):
    """No other share of trees lowers the loss clearly."""
    recipe = replace(long_search.recipe, own_shares={})
    judged = judge_on_folds(dataset, folds_of(dataset), recipe).judged
    used, groups = judged.used, dataset.groups[judged.used]

    def losses(share):
        found = judge_on_folds(dataset, folds_of(dataset), replace(recipe, boosting_share=share))
        return judged.weight[used] * log_losses(judged.won[used], expit(found.log_odds[used]))

    chosen = losses(recipe.boosting_share)
    for share in (0.0, 0.5, 1.0):
        gains = np.bincount(groups, weights=chosen - losses(share))
        assert gains.sum() <= 2.2 * np.sqrt((gains**2).sum()) + 0.5


def test_what_is_left_out_is_not_searched_with(dataset):
    """Without the feature that wins follow, the best loss is that of knowing nothing."""
    blind = search(dataset, left_out=frozenset({"size"}))
    assert "size" in blind.recipe.left_out
    assert min(blind.trials) > min(search(dataset).trials) + 0.05


def test_outcomes_of_other_rows_say_nothing(dataset):
    """What became of rows in no fold changes nothing."""
    folds = folds_of(dataset)
    outside = ~np.any([fold.fit.used | fold.judged.used for fold in folds], axis=0)
    assert outside.any()
    changed = replace(dataset, keys=dataset.keys.with_columns(won=np.where(outside, 1, dataset.keys["won"].to_numpy())))
    found = search_recipe(changed, folds, EXPERIMENT, left_out=frozenset(), budget=BRIEF, on_trial=lambda *_: None)
    assert found.recipe == search(dataset).recipe


def test_without_its_trees_a_search_is_that_of_the_regression(dataset, long_search):
    """The regression alone has evidence and models of its own; what it sees is what was found."""
    folds = folds_of(dataset)
    found = without_trees(dataset, folds, long_search, EXPERIMENT.ages_days)
    assert found.recipe.left_out == long_search.recipe.left_out
    assert all(model.mix.boosting is None for model in found.models)
    again = judge_on_folds(dataset, folds, only_logistic(long_search.recipe))
    np.testing.assert_allclose(found.evidence.log_odds, again.log_odds, atol=1e-9)


def test_what_the_level_misses_in_the_newest_rows_counts(dataset, long_search):
    """A share won that began to move after the rows of the search tells that levels are missed by more."""
    created = dataset.keys["created_at"].dt.epoch("s").to_numpy() / 86_400
    along = (created - created.min()) / np.ptp(created)
    log_odds = dataset.features["size"].to_numpy() - 1 + 4.0 * np.clip((along - 0.5) / 0.25, 0, 1)
    won = np.random.default_rng(2).random(dataset.groups.max() + 1)[dataset.groups] < expit(log_odds)
    known = pl.col("won").is_not_null()
    moved = replace(dataset, keys=dataset.keys.with_columns(won=pl.when(known).then(pl.Series(won.astype(int)))))
    *folds, newest = folds_of(moved)
    *models, model = (fit_recipe(moved, fold.fit, long_search.recipe) for fold in (*folds, newest))
    before = replace(long_search, models=tuple(models))
    found = with_newest(moved, [*folds, newest], before, model, EXPERIMENT.ages_days)
    assert found.level_error > 1.5 * choose_level(moved, folds, models, long_search.recipe, ages_days=(0.0,)).error
