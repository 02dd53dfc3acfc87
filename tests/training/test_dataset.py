from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from learning import DAY, KEY_TYPES, UNTIL, draw_dataset, without_dates
from oracles import by_id
from polars.testing import assert_frame_equal
from world_history import history_of, make_plan
from worlds import INSTANT, START, STEP, make_world

from forecast.outcomes import censoring_weights, maturity
from forecast.snapshot import cut_history
from training.dataset import Dataset, build_dataset, sample_dataset

SEEDS = range(6)
AGES = (0.0, 3.0, 10.0)
LATE = START + 70 * STEP


def build(world, until=LATE):
    """Build the data set of a world."""
    return build_dataset(history_of(world), make_plan(world), AGES, until)


def dated(world):
    """Drop the opportunities of unknown creation."""
    world.opportunities = [row for row in world.opportunities if row["created_at"]]
    return world


def plain_rows(world, until, stages):
    """List by a plain loop each opportunity at each age, and on first entering each stage, at which it was open."""
    rows = set()
    for row in world.opportunities:
        unknown_end = row["status"] != "open" and row["closed_at"] is None
        for age in AGES[:1] if unknown_end else AGES:
            as_of = row["created_at"] + timedelta(days=age)
            if as_of < until and (row["closed_at"] is None or as_of <= row["closed_at"]):
                rows.add((as_of, row["id"]))
        for stage in stages:
            entered = [
                change["changed_at"]
                for change in world.changes
                if (change["kind"], change["record_id"], change["field"]) == ("opportunity", row["id"], "stage")
                and change["new_value"] == stage
            ]
            as_of = min(entered) + INSTANT if entered else until
            ended = row["closed_at"] is not None and as_of > row["closed_at"]
            if row["created_at"] < as_of < until and not unknown_end and not ended:
                rows.add((as_of, row["id"]))
    return sorted(rows)


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_are_each_opportunity_at_each_age_and_stage_while_it_was_open(seed):
    """A row is there for every age and stage reached before the end and before `until`, in the order of time."""
    world = dated(make_world(seed, size=25))
    found = build(world)
    assert list(found.keys.select("as_of", "opportunity_id").iter_rows()) == plain_rows(
        world, LATE, make_plan(world).stages
    )
    assert found.features.select("opportunity_id", "as_of").equals(found.keys.select("opportunity_id", "as_of"))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_row_has_the_outcome_of_its_opportunity(seed):
    """Open is unknown, and an outcome was known from its closing, or its creation where that has no date."""
    world = dated(make_world(seed, size=25))
    for key in build(world).keys.iter_rows(named=True):
        row = by_id(world.opportunities, key["opportunity_id"])
        assert key["won"] == {"open": None, "won": 1, "lost": 0}[row["status"]]
        assert key["known_at"] == (None if row["status"] == "open" else row["closed_at"] or row["created_at"])


def test_a_few_records_without_dates_are_left_out():
    """Where most closed opportunities have dates, the others have no place in time."""
    world = make_world(3, size=40)
    assert any(row["created_at"] is None for row in world.opportunities)
    assert build(world).dated


def test_where_most_records_have_no_dates_all_are_kept():
    """An export without dates is still learnt from, one row an opportunity."""
    world = make_world(3, size=40)
    world.opportunities = [row | {"created_at": None} for row in world.opportunities]
    found = build(world)
    assert found.keys["opportunity_id"].to_list() == [row["id"] for row in world.opportunities]
    assert found.keys["as_of"].null_count() == 40
    assert not found.dated
    assert not found.timed


def test_outcomes_count_as_timed_where_most_have_a_closing_date():
    """Half of the closing dates missing says that age and calendar mean nothing."""
    dataset = draw_dataset()
    assert dataset.timed
    closings = pl.when(pl.int_range(pl.len()) % 2 == 0).then("closed_at")
    assert not replace(dataset, keys=dataset.keys.with_columns(closings.alias("closed_at"))).timed


@pytest.mark.parametrize("days_ago", [0, 100, 300])
def test_a_lesson_holds_only_what_was_known_by_then(days_ago):
    """A row is learnt from if and only if it existed, was old enough, and its outcome was known before the moment."""
    dataset, moment = draw_dataset(), UNTIL - days_ago * DAY
    lesson = dataset.lesson(moment)
    known = dataset.keys.filter(pl.col("known_at") < moment).unique("opportunity_id")
    medians = [
        np.median((rows["known_at"] - rows["created_at"]).dt.total_microseconds())
        for rows in (known.filter(won=0), known.filter(won=1))
    ]
    youngest = moment - timedelta(microseconds=max(medians))
    columns = dataset.keys.select("as_of", "created_at", "known_at", "won")
    for row, (as_of, created_at, known_at, won) in enumerate(columns.iter_rows()):
        expected = known_at is not None and known_at < moment and as_of < moment and created_at <= youngest
        assert lesson.used[row] == expected
        assert lesson.won[row] == won if expected else np.isnan(lesson.won[row])


@pytest.mark.parametrize("seed", range(3))
def test_a_sample_is_opportunities_as_they_are_among_all(seed):
    """Those drawn have all their rows, with the features and outcomes that they have in the whole; enough for all are all."""
    world = dated(make_world(seed, size=60))
    history, plan, whole = history_of(world), make_plan(world), build(world)
    half = len(whole.won) // 2
    drawn = sample_dataset(history, plan, AGES, LATE, rows_max=half, seed=seed)
    ids = drawn.keys["opportunity_id"].unique()
    assert len(ids) == pytest.approx(whole.keys["opportunity_id"].n_unique() * half / len(whole.won), abs=1)
    same = whole.part(whole.keys["opportunity_id"].is_in(ids.implode()).to_numpy())
    assert_frame_equal(drawn.keys, same.keys)
    assert_frame_equal(drawn.features, same.features)
    assert sample_dataset(history, plan, AGES, LATE, rows_max=len(whole.won), seed=seed).digest == whole.digest


def test_a_lesson_of_the_past_is_the_lesson_taught_then():
    """What happened at or after a moment changes neither what is learnt at it nor how much each row weighs."""
    world = dated(make_world(5, size=60))
    history, plan, moment = history_of(world), make_plan(world), START + 40 * STEP
    then = build_dataset(cut_history(history, moment), plan, AGES, moment)
    now = build_dataset(history, plan, AGES, LATE)
    existed = (now.keys["as_of"] < moment).to_numpy()
    assert then.keys.select("opportunity_id", "as_of").equals(
        now.keys.filter(existed).select("opportunity_id", "as_of")
    )
    lesson = now.lesson(moment)
    assert lesson.used.any()
    assert not lesson.used[~existed].any()
    np.testing.assert_array_equal(then.lesson(moment).won, lesson.won[existed])
    np.testing.assert_allclose(then.lesson(moment).weight, lesson.weight[existed])


def test_known_outcomes_stand_for_all_that_existed():
    """A row weighs one over the chance that an outcome so slow was seen among opportunities as old as those used."""
    dataset = draw_dataset(ages=(0,))
    lesson = dataset.lesson(UNTIL)
    closed = dataset.keys.filter(pl.col("known_at") < UNTIL)
    old_enough = dataset.keys["created_at"] <= UNTIL - maturity(closed["created_at"], closed["known_at"], closed["won"])
    mature = dataset.keys.filter(old_enough)
    expected = censoring_weights(mature["created_at"], mature["known_at"], UNTIL).to_numpy()
    np.testing.assert_allclose(lesson.weight[old_enough.to_numpy()], expected)
    assert lesson.weight.max() > 1


@pytest.mark.parametrize("ages", [(0, 30), (0, 5, 10, 20, 40, 80)])
def test_later_moments_weigh_at_most_as_much_as_creation(ages):
    """However many moments there are, together they do not outvote the rows at creation."""
    dataset = draw_dataset(ages=ages)
    lesson = dataset.lesson(UNTIL)
    later = dataset.features["age_days"].to_numpy() > 0
    assert 0 < lesson.weight[later].sum() <= lesson.weight[~later].sum() * (1 + 1e-9)


def test_rows_without_dates_all_weigh_the_same():
    """Nothing is known of when they were seen, so each known outcome counts once."""
    dataset = without_dates(draw_dataset())
    lesson = dataset.lesson(UNTIL)
    assert lesson.weight.tolist() == [0.0 if np.isnan(won) else 1.0 for won in dataset.won]


def test_part_of_a_lesson_is_the_same_on_its_rows():
    """Rows outside are neither learnt from nor judged on."""
    lesson = draw_dataset().lesson(UNTIL)
    half = np.arange(len(lesson.won)) % 2 == 0
    part = lesson.within(half)
    np.testing.assert_array_equal(part.weight[half], lesson.weight[half])
    assert not part.used[~half].any()
    assert np.isnan(part.won[~half]).all()


def test_groups_number_the_opportunities():
    """Rows have the same group exactly where they have the same opportunity."""
    dataset = draw_dataset(count=40)
    pairs = set(zip(dataset.keys["opportunity_id"], dataset.groups.tolist(), strict=True))
    assert len(pairs) == len({name for name, _ in pairs}) == len({number for _, number in pairs}) == 40


def test_of_many_rows_those_of_some_opportunities_are_kept():
    """A thinned data set has whole opportunities and about as many rows as asked for; one that is small enough stays whole."""
    dataset = draw_dataset(count=400)
    counted = dataset.lesson(UNTIL).used
    assert dataset.thinned(counted, int(counted.sum()), 1).all()
    rows = dataset.thinned(counted, 200, 1)
    assert 150 < (rows & counted).sum() < 250
    assert not np.isin(dataset.groups[rows], dataset.groups[~rows]).any()
    assert dataset.part(rows).keys.equals(dataset.keys.filter(pl.Series(rows)))
    assert dataset.part(rows).features.equals(dataset.features.filter(pl.Series(rows)))


def test_the_digest_tells_data_apart():
    """Equal rows have an equal digest; one value more or one outcome less gives another."""
    dataset = draw_dataset(count=30)
    reopened = dataset.keys.with_columns(pl.lit(None, pl.Int64).alias("won"))
    others = [
        draw_dataset(seed=2, count=30),
        Dataset(keys=dataset.keys, features=dataset.features.with_columns(more=1.0), until=UNTIL),
        Dataset(keys=reopened.select(list(KEY_TYPES)), features=dataset.features, until=UNTIL),
    ]
    assert draw_dataset(count=30).digest == dataset.digest
    assert len({dataset.digest, *(other.digest for other in others)}) == 4


def test_a_first_moment_after_creation_weighs_in_full():
    """Where opportunities are first looked at a week after their creation, that moment stands for creation."""
    lesson = draw_dataset(ages=(7, 30)).lesson(UNTIL)
    assert lesson.weight.max() >= 1
