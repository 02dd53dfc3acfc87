"""Leads that silence ends after ninety days: what the young ones teach already."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from learning import DAY, KEY_TYPES, UNTIL, draw_dataset

from training.dataset import Dataset
from training.folds import choosing_folds, count_rarer, newest_part
from training.young import find_young

SILENCE_DAYS = 90.0
LAG_DAYS = 16.0
SHARES = (0.08, 0.3)


def draw_leads(count=4000, ages=(0, 30), until=UNTIL, *, days=300, told=True, seed=1):
    """Draw leads of so many days as known at a moment, in two groups; where wins are not told, the young are all open."""
    draw = np.random.default_rng(seed)
    age = draw.uniform(0, days, count)
    group = draw.integers(0, 2, count)
    won = draw.random(count) < np.array(SHARES)[group]
    lasts = np.where(won, np.minimum(LAG_DAYS * np.exp(draw.normal(0, 0.8, count)), 89), SILENCE_DAYS)
    keys, features = [], []
    for number in range(count):
        created = UNTIL - age[number] * DAY
        closed = created + lasts[number] * DAY
        known = closed < until and (told or created + SILENCE_DAYS * DAY < until)
        end = (int(won[number]), closed, closed) if known else (None, None, None)
        for at in ages:
            as_of = created + at * DAY
            if at < lasts[number] and as_of < until:
                keys.append((f"o{number:04d}", as_of, *end, created))
                features.append((float(at), int(group[number])))
    drawn = pl.concat(
        [
            pl.DataFrame(keys, schema=KEY_TYPES, orient="row"),
            pl.DataFrame(features, schema=["age_days", "group"], orient="row"),
        ],
        how="horizontal",
    ).sort("as_of", "opportunity_id")
    return Dataset(
        keys=drawn.select(list(KEY_TYPES)),
        features=drawn.select("opportunity_id", "as_of", "age_days", "group"),
        until=until,
    )


@pytest.fixture(scope="module")
def leads():
    """The leads, and what the young among them teach."""
    dataset = draw_leads()
    return dataset, find_young(dataset.keys, UNTIL)


def share_left(share, days):
    """Give the share won of those still open after so many days."""
    draw = np.random.default_rng(0)
    still_open = (np.minimum(LAG_DAYS * np.exp(draw.normal(0, 0.8, 100_000)), 89) > days).mean()
    return share * still_open / (share * still_open + 1 - share)


@pytest.mark.parametrize("age", [0.0, 30.0])
def test_young_leads_are_won_as_often_as_they_will_be(leads, age):
    """Open ones count as so much of a loss that shares won are those in the end, overall and nearly in each group."""
    dataset, young = leads
    rows = young.rows & (dataset.features["age_days"] == age).to_numpy()
    group = dataset.features["group"].to_numpy()
    truth = np.array([share_left(share, age) for share in SHARES])
    expected = np.average(truth[group[rows]], weights=young.weight[rows])
    assert np.average(young.won[rows], weights=young.weight[rows]) == pytest.approx(expected, abs=0.03)
    for number, share in enumerate(truth):
        part = rows & (group == number)
        assert np.average(young.won[part], weights=young.weight[part]) == pytest.approx(share, abs=0.05)


def test_young_are_those_below_the_age_of_silence(leads):
    """All ended ones weigh one, open ones the less the younger, and older leads are none of them."""
    dataset, young = leads
    age = (UNTIL - dataset.keys["created_at"]).dt.total_seconds().to_numpy() / 86_400
    still_open = young.rows & np.isnan(dataset.won) & (dataset.features["age_days"] == 0).to_numpy()
    assert age[young.rows].max() < SILENCE_DAYS
    assert (young.weight[young.rows & (dataset.won == 1)] == 1).all()
    order = np.argsort(age[still_open])
    assert (np.diff(young.weight[still_open][order]) >= -1e-12).all()
    assert young.weight[still_open][order][-1] > 0.9


def test_what_is_taught_has_the_young_besides(leads):
    """The lesson's own rows stay as they are known; the young come with their wins."""
    dataset, young = leads
    lesson, taught = dataset.lesson(UNTIL), dataset.taught(UNTIL)
    np.testing.assert_array_equal(taught.settled.won, lesson.won)
    np.testing.assert_array_equal(taught.used, lesson.used | young.rows)
    assert (taught.won[taught.used] == 1).sum() > 1.2 * (lesson.won[lesson.used] == 1).sum()


def test_what_was_taught_at_a_moment_knows_nothing_later():
    """What happened at or after a moment changes neither what is taught at it nor how much each row weighs."""
    moment = UNTIL - 60 * DAY
    now, then = draw_leads(), draw_leads(until=moment)
    existed = (now.keys["as_of"] < moment).to_numpy()
    taught = now.taught(moment)
    assert taught.young.any()
    assert not taught.used[~existed].any()
    np.testing.assert_array_equal(then.taught(moment).won, taught.won[existed])
    np.testing.assert_allclose(then.taught(moment).weight, taught.weight[existed])


def test_nothing_is_judged_on_what_is_young():
    """Folds learn from young leads, and are judged on outcomes that are known to be fair."""
    dataset = draw_leads(days=700)
    test = newest_part(dataset, 0.2, seed=1).folds[0]
    folds = choosing_folds(dataset, test.fit, 3, gap_days=0, seed=1)
    assert folds.order == "known"
    for fold in (test, *folds.folds):
        used = fold.judged.used
        np.testing.assert_array_equal(fold.judged.won[used], dataset.won[used])
        assert dataset.lesson(UNTIL).used[used].all()
    assert any(fold.fit.young is not None and fold.fit.within(fold.fit.young).used.any() for fold in folds.folds)


def test_where_losses_come_as_fast_as_wins_the_young_teach_nothing():
    """Outcomes of young ones are those of the quick then, and the lesson is all."""
    dataset = draw_dataset()
    assert find_young(dataset.keys, UNTIL) is None
    np.testing.assert_array_equal(dataset.taught(UNTIL).weight, dataset.lesson(UNTIL).weight)


def test_wins_that_are_entered_late_are_not_taken_for_silence():
    """Where young leads lack the wins that older ones had at their age, they are left out."""
    dataset = draw_leads(told=False)
    assert find_young(dataset.keys, UNTIL) is None


def test_a_history_without_a_loss_has_no_young():
    """Before the first silence is over nothing is known of losses."""
    until = UNTIL - 250 * DAY
    assert find_young(draw_leads(until=until).keys, until) is None


def test_the_young_are_left_out_where_features_show_who_is_open(leads):
    """What closing overwrote is missing of ended leads; open ones would be told by having it, and all be taken for lost."""
    dataset, _ = leads
    stage = pl.when(dataset.keys["won"].is_null() & (pl.int_range(pl.len()) % 5 == 0)).then(pl.lit("Offer"))
    showing = replace(dataset, features=dataset.features.with_columns(stage=stage))
    np.testing.assert_array_equal(showing.taught(UNTIL).weight, dataset.lesson(UNTIL).weight)


def test_before_the_first_lead_there_are_no_young():
    """A moment at which no lead existed yet, as where all were created at once, teaches nothing."""
    keys = draw_leads(count=100).keys
    assert find_young(keys, keys["as_of"].min()) is None


@pytest.mark.parametrize("days", [188, 190, 192])
def test_a_history_hardly_longer_than_silence_is_judged_by_creation(days):
    """What is young counts for nothing where a fold is asked whether it has both outcomes, so that something is left to choose on."""
    dataset = draw_leads(count=1000, days=days)
    held_out = newest_part(dataset, 0.2, seed=1)
    folds = choosing_folds(dataset, held_out.folds[0].fit, 3, gap_days=0, seed=1)
    assert (held_out.order, folds.order, len(folds.folds)) == ("created", "created", 3)


def test_young_ones_still_open_are_not_counted_as_lost():
    """Of a lesson with young rows all wins count, and only those losses that silence has settled."""
    dataset = draw_leads()
    lesson, taught = dataset.lesson(UNTIL), dataset.taught(UNTIL)
    assert count_rarer(dataset, taught) == len(np.unique(dataset.groups[taught.won == 1]))
    turned = replace(taught, won=1 - taught.won)
    assert count_rarer(dataset, turned) == len(np.unique(dataset.groups[lesson.won == 1]))
