from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from learning import DAY, UNTIL, draw_dataset, without_dates

from training.folds import choosing_folds, newest_part

SEEDS = range(4)


def moments(dataset, rows, name="as_of"):
    """Give a moment of the marked rows."""
    return dataset.keys.filter(pl.Series(rows))[name]


def names(dataset, rows):
    """Give the opportunities of the marked rows."""
    return set(dataset.keys.filter(pl.Series(rows))["opportunity_id"])


def ordered_folds(dataset, gap_days=0):
    """Cut what comes before the newest fifth."""
    test = newest_part(dataset, 0.2, 1).folds[0]
    found = choosing_folds(dataset, test.fit, 4, gap_days=gap_days, seed=1)
    assert found.order == "known"
    return found.folds, test


def lately_closed():
    """Draw a history in which everything closed yesterday, so that no past moment knew any outcome."""
    dataset = draw_dataset()
    yesterday = pl.when(pl.col("won").is_not_null()).then(pl.lit(UNTIL - DAY).dt.cast_time_unit("us"))
    return replace(dataset, keys=dataset.keys.with_columns(known_at=yesterday, closed_at=yesterday))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_newest_rows_are_held_out(seed):
    """Everything judged is later than everything learnt from, and about the share asked for is judged."""
    dataset = draw_dataset(seed)
    found = newest_part(dataset, 0.2, 1)
    (test,) = found.folds
    assert found.order == "known"
    assert moments(dataset, test.fit.used).max() < moments(dataset, test.judged.used).min()
    assert test.judged.used.sum() == pytest.approx(0.2 * dataset.lesson(UNTIL).used.sum(), rel=0.05)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_learnt_was_known_when_the_held_out_part_begins(seed):
    """Every outcome learnt from was known before the first held-out moment, so that no opportunity is on both sides."""
    dataset = draw_dataset(seed)
    (test,) = newest_part(dataset, 0.2, 1).folds
    assert moments(dataset, test.fit.used, "known_at").max() < moments(dataset, test.judged.used).min()
    assert not names(dataset, test.fit.used) & names(dataset, test.judged.used)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_fold_learns_from_what_was_known_before_it_begins(seed):
    """In each fold every outcome learnt from was known before the first row judged."""
    dataset = draw_dataset(seed)
    folds, _ = ordered_folds(dataset)
    assert len(folds) > 1
    for fold in folds:
        assert moments(dataset, fold.fit.used, "known_at").max() < moments(dataset, fold.judged.used).min()
        assert not names(dataset, fold.fit.used) & names(dataset, fold.judged.used)


@pytest.mark.parametrize("seed", SEEDS)
def test_folds_follow_each_other_and_never_touch_the_held_out_part(seed):
    """Each fold is judged on later rows than the one before, and none on or from what the gates are decided on."""
    dataset = draw_dataset(seed)
    folds, test = ordered_folds(dataset)
    for earlier, later in pairwise(folds):
        assert moments(dataset, earlier.judged.used).max() < moments(dataset, later.judged.used).min()
    for fold in folds:
        assert not (fold.judged.used | fold.fit.used)[test.judged.used].any()
        assert moments(dataset, fold.judged.used, "known_at").max() < moments(dataset, test.judged.used).min()


def test_a_gap_keeps_the_days_before_a_fold_from_being_learnt():
    """Rows that came less than the gap before the judged ones are not learnt from; the others still are."""
    dataset = draw_dataset()
    with_gap, _ = ordered_folds(dataset, gap_days=60)
    without, _ = ordered_folds(dataset)
    for fold, same in zip(with_gap, without[-len(with_gap) :], strict=True):
        start = moments(dataset, same.judged.used).min()
        np.testing.assert_array_equal(fold.judged.used, same.judged.used)
        far = (dataset.keys["as_of"] < start - 60 * DAY).to_numpy()
        assert (same.fit.used & ~far).any()
        np.testing.assert_array_equal(fold.fit.used & far, fold.fit.used)


def both_sides_are_apart(dataset, folds):
    """Tell whether no opportunity is learnt from and judged in the same fold."""
    return all(not names(dataset, fold.fit.used) & names(dataset, fold.judged.used) for fold in folds)


def test_without_dates_random_opportunities_are_held_out():
    """Where there are no dates, whole opportunities are held out at random."""
    dataset = without_dates(draw_dataset())
    found = newest_part(dataset, 0.2, 1)
    (test,) = found.folds
    assert found.order == "random"
    assert both_sides_are_apart(dataset, [test])
    np.testing.assert_array_equal(test.fit.used | test.judged.used, dataset.lesson(UNTIL).used)
    share = len(names(dataset, test.judged.used)) / len(names(dataset, dataset.lesson(UNTIL).used))
    assert share == pytest.approx(0.2, abs=0.06)


def test_where_nothing_was_known_early_the_last_created_are_held_out():
    """Where no outcome was known before the newest rows came, opportunities created later are judged, all their rows."""
    dataset = lately_closed()
    found = newest_part(dataset, 0.2, 1)
    (test,) = found.folds
    assert found.order == "created"
    assert both_sides_are_apart(dataset, [test])
    assert moments(dataset, test.fit.used, "created_at").max() < moments(dataset, test.judged.used, "created_at").min()
    np.testing.assert_array_equal(test.fit.used | test.judged.used, dataset.lesson(UNTIL).used)


def test_folds_in_the_order_of_creation_learn_from_what_was_created_earlier():
    """So do the folds that choose: each judges opportunities created after those it learns from, all of the lesson's."""
    dataset = lately_closed()
    (test,) = newest_part(dataset, 0.2, 1).folds
    found = choosing_folds(dataset, test.fit, 4, gap_days=0, seed=1)
    assert found.order == "created"
    assert found.folds
    for fold in found.folds:
        assert (
            moments(dataset, fold.fit.used, "created_at").max() < moments(dataset, fold.judged.used, "created_at").min()
        )
        assert not (fold.fit.used | fold.judged.used)[~test.fit.used].any()


def test_where_nothing_can_be_held_out_there_is_no_fold():
    """Too few opportunities of an outcome on either side leave nothing to judge."""
    dataset = draw_dataset(count=25)
    assert newest_part(dataset, 0.2, 1).folds == []


def test_random_folds_judge_each_opportunity_once():
    """Each row of the lesson is judged in exactly one fold, with all rows of its opportunity."""
    dataset = without_dates(draw_dataset())
    lesson = dataset.lesson(UNTIL)
    found = choosing_folds(dataset, lesson, 4, gap_days=0, seed=1)
    assert found.order == "random"
    assert len(found.folds) == 4
    assert both_sides_are_apart(dataset, found.folds)
    np.testing.assert_array_equal(sum(fold.judged.used.astype(int) for fold in found.folds), lesson.used.astype(int))


def test_random_parts_are_drawn_again_by_the_same_seed():
    """The same seed holds out the same opportunities, another seed others."""
    dataset = without_dates(draw_dataset())
    first, again, other = (newest_part(dataset, 0.2, seed).folds[0].judged.used for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_test_part_and_the_folds_are_drawn_apart():
    """The recipe is not chosen on a random part that merely repeats how the test part was drawn."""
    dataset = without_dates(draw_dataset())
    (test,) = newest_part(dataset, 0.2, 1).folds
    folds = choosing_folds(dataset, test.fit, 4, gap_days=0, seed=1).folds
    assert min(fold.judged.used.sum() for fold in folds) > 0.1 * test.fit.used.sum()
    assert not any(fold.judged.used[test.judged.used].any() for fold in folds)
