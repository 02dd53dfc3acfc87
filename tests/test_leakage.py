import copy
import random
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from world_history import history_of, make_plan
from worlds import (
    INSTANT,
    MOMENT,
    START,
    STEP,
    STEPS,
    World,
    add_change,
    as_text,
    make_subjects,
    make_world,
    put,
    subjects_frame,
)

from forecast.features import FeaturePlan, opportunity_features
from forecast.history import OVERWRITTEN_ON_CLOSE
from forecast.snapshot import closings_as_closed, cut_history, known_opportunities, take_snapshot

SEEDS = range(8)
TODAY = START + (STEPS + 1) * STEP
AT_CLOSING = {
    "stage": "won",
    "expected_close_on": TODAY.date(),
    "forecast_category": "closed",
    "seller_probability": 1.0,
    "next_step": "none",
}


def features(history, subjects, plan):
    """Compute features from frames."""
    return opportunity_features(take_snapshot(history, subjects), plan)


def assert_same(left, right):
    """Compare frames bit for bit."""
    assert_frame_equal(left, right, check_exact=True)


def with_a_future(world, seed):
    """Copy a world and let everything happen in it from TODAY on that can."""
    draw = random.Random(seed)

    def later():
        return TODAY + draw.choice((timedelta(0), INSTANT, STEP, 30 * STEP))

    future = copy.deepcopy(world)
    for row in future.opportunities:
        if row["status"] == "open" and draw.random() < 0.7:
            close(future, row, later(), draw.choice(("won", "lost")))
        if draw.random() < 0.7:
            change(future, "opportunity", row, "owner_id", later(), to=draw.choice(("p1", "p2", "p9")))
            change(future, "opportunity", row, "amount", later(), to=77_777.0)
            change(future, "opportunity", row, "account_id", later(), to="a3")
            change(future, "opportunity", row, "custom.fit", later(), to=-99.0)
    for account in future.accounts:
        change(future, "account", account, "industry", later(), to="航天")
        change(future, "account", account, "custom.branches", later(), to=1000.0)
    for stage in future.stages:
        change(future, "stage", stage, "position", later(), to=9)
        change(future, "stage", stage, "usual_days", later(), to=99.0)
    future.stages.append(future.stages[0] | {"id": "new", "external_id": "new", "name": "new", "created_at": later()})
    newcomers = make_world(seed + 1000, size=6)
    shift = TODAY - START
    for row in newcomers.opportunities:
        row["id"] = row["external_id"] = "new " + row["id"]
        row["created_at"] = later()
        row["closed_at"] = row["closed_at"] and row["closed_at"] + shift
    future.opportunities += newcomers.opportunities
    for number, row in enumerate(future.opportunities):
        add_activity(future, f"n{number}", row["id"], created_at=later(), occurred_at=TODAY - STEP)
        add_activity(future, f"m{number}", row["id"], created_at=None, occurred_at=later())
        add_dealings(future, f"n{number}", row, later)
    future.sort()
    return future


def add_dealings(world, name, row, later):
    """Record a quote, an order of the opportunity that was placed early, and an order, a case and an answer of its account."""
    who = {"id": name, "external_id": name, "account_id": row["account_id"]}
    quote = {"opportunity_id": row["id"], "amount": 9.0, "discount_share": 0.9}
    world.dealings.quotes.append({**who, **quote, "created_at": later()})
    sold = {"opportunity_id": row["id"] if row["status"] == "open" else None, "amount": 99_999.0}
    world.dealings.orders.append({**who, **sold, "ordered_at": TODAY - STEP if sold["opportunity_id"] else later()})
    world.dealings.cases.append({**who, "created_at": later()})
    world.dealings.feedback.append({**who, "created_at": later(), "satisfaction": 1.0, "scale": "1-5"})


def close(world, row, moment, status):
    """Close an opportunity as CRMs do: what they overwrite is told by changes."""
    for name in sorted(OVERWRITTEN_ON_CLOSE):
        change(world, "opportunity", row, name, moment, to=AT_CLOSING[name])
    row |= {"status": status, "closed_at": moment, "won_amount": 5.0 if status == "won" else None}


def change(world, kind, row, name, moment, *, to):
    """Change a stored value and record it."""
    add_change(world, kind, row, name, moment, new=as_text(name, to))
    put(row, name, to)


def add_activity(world, name, opportunity_id, *, created_at, occurred_at):
    """Record a call."""
    world.activities.append(
        {
            "id": name,
            "external_id": name,
            "opportunity_id": opportunity_id,
            "created_at": created_at,
            "occurred_at": occurred_at,
            "type": "call",
            "direction": "inbound",
            "person_id": "p1",
            "duration_minutes": 1.0,
        }
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_future_changes_nothing(seed):
    """Rows at or after a subject's moment, of any record, change no feature of it."""
    world = make_world(seed)
    plan = make_plan(world)
    today = [(row["id"], TODAY) for row in world.opportunities]
    subjects = pl.concat([make_subjects(world, seed), subjects_frame(today)])
    before = features(history_of(world), subjects, plan)
    after = features(history_of(with_a_future(world, seed)), subjects, plan)
    assert_same(before, after)


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_an_opportunity_does_not_know_its_own_end(seed):
    """Won turned lost, and lost won, changes no feature of that opportunity up to its closing."""
    world = make_world(seed)
    plan = make_plan(world)
    for row in world.opportunities:
        if row["status"] == "open" or (row["created_at"] and not row["closed_at"]):
            continue
        subject = subjects_frame([(row["id"], row["closed_at"])])
        before = features(history_of(world), subject, plan)
        other = copy.deepcopy(world)
        turned = next(found for found in other.opportunities if found["id"] == row["id"])
        turned["status"] = "lost" if row["status"] == "won" else "won"
        assert_same(before, features(history_of(other), subject, plan))


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_together_is_one_by_one(seed):
    """The features of many subjects equal those of each alone."""
    world = make_world(seed)
    history, plan = history_of(world), make_plan(world)
    subjects = make_subjects(world, seed, 15)
    alone = [features(history, subjects[row], plan) for row in range(subjects.height)]
    assert_same(features(history, subjects, plan), pl.concat(alone))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_rows_does_not_matter(seed):
    """Frames and subjects in another order give the same features."""
    world = make_world(seed)
    history, plan = history_of(world), make_plan(world)
    names = (
        "closings",
        "activities",
        "accounts",
        "people",
        "products",
        "stages",
        "quotes",
        "contacts",
        "account_events",
    )
    shuffled = replace(
        history, **{name: getattr(history, name).sample(fraction=1, shuffle=True, seed=seed) for name in names}
    )
    subjects = make_subjects(world, seed).with_row_index().sample(fraction=1, shuffle=True, seed=seed)
    found = features(shuffled, subjects.drop("index"), plan).with_columns(subjects["index"]).sort("index")
    assert_same(features(history, make_subjects(world, seed), plan), found.drop("index"))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("moment", [START + 30 * STEP, TODAY])
def test_a_cut_history_shows_what_the_whole_one_showed(seed, moment):
    """History cut at a moment gives the same open opportunities and features at that moment and before."""
    world = with_a_future(make_world(seed), seed)
    history, plan = history_of(world), make_plan(world)
    cut = cut_history(history, moment)
    now = known_opportunities(history, moment)
    assert now.height
    assert_same(known_opportunities(cut, moment), now)
    assert_same(features(cut, now, plan), features(history, now, plan))
    earlier = make_subjects(world, seed).filter(pl.col("as_of") < moment)
    assert_same(features(cut, earlier, plan), features(history, earlier, plan))


def test_a_cut_history_holds_nothing_of_later():
    """No moment at or after the cut is left in any frame."""
    cut = cut_history(history_of(with_a_future(make_world(3), 3)), TODAY)
    for frame, name in (
        (cut.opportunities, "created_at"),
        (cut.closings, "closed_at"),
        (cut.changes, "changed_at"),
        (cut.account_changes, "changed_at"),
        (cut.activities, "known_at"),
        (cut.quotes, "known_at"),
        (cut.account_events, "happened_at"),
    ):
        assert frame[name].max() < TODAY
    values = {"航天", "a3", "77777.0", "-99.0"}
    assert not values & set(cut.accounts["account_industry"])
    assert 77_777.0 not in cut.opportunities["amount"].to_list()


def undated_world():
    """Thirty closed opportunities of one owner without any date, whose stage tells their end, and an open one."""
    world = World()
    for number in range(31):
        status = ("won", "lost", "lost", "open")[3 if number == 30 else number % 3]
        world.opportunities.append(
            {
                "id": f"u{number:02d}",
                "created_at": None,
                "closed_at": None,
                "won_amount": None,
                "status": status,
                "stage": status,
                "owner_id": "p1",
                "custom": {},
            }
        )
    return world


UNDATED = subjects_frame([(f"u{number:02d}", None) for number in range(31)])
BY_OWNER = FeaturePlan(rates=("owner_id",))


def test_hidden_outcomes_are_hidden():
    """The end of held-out opportunities is in no feature, neither in rates nor in a stage that closing left."""
    held = pl.Series([f"u{number:02d}" for number in range(0, 30, 2)])
    world, turned = undated_world(), undated_world()
    for row in turned.opportunities:
        if row["id"] in held:
            row["status"] = row["stage"] = "lost" if row["status"] == "won" else "won"
    left, right = (history_of(one).with_outcomes_hidden(held) for one in (world, turned))
    assert_same(features(left, UNDATED, BY_OWNER), features(right, UNDATED, BY_OWNER))
    assert features(left, UNDATED, BY_OWNER)["stage"].to_list() == [None] * 30 + ["open"]


def test_a_part_of_history_does_not_meet_its_own_outcome():
    """Opportunities scored against a larger history's closings see what they see within it."""
    history = history_of(undated_world())
    part = pl.col("opportunity_id").is_in(["u03", "u17", "u30"])
    closings = closings_as_closed(history)
    alone = replace(
        history,
        opportunities=history.opportunities.filter(part),
        closings=history.closings.filter(part),
        earlier=closings,
    )
    subjects = UNDATED.filter(part)
    assert_same(features(alone, subjects, BY_OWNER), features(history, subjects, BY_OWNER))


def test_a_value_without_a_moment_is_the_first_one():
    """An opportunity of no known date shows what stood before its first change, as its later values tell its end."""
    world = undated_world()
    row = world.opportunities[0]
    row["stage"] = "qualified"
    change(world, "opportunity", row, "stage", TODAY, to="proposal")
    change(world, "opportunity", row, "stage", TODAY + STEP, to="won")
    assert features(history_of(world), UNDATED[:1], BY_OWNER)["stage"].item() == "qualified"


def eventful_world(moment):
    """One open and one closed opportunity of one owner; at a moment it closes, a value changes and calls are entered."""
    world = World(stages=[{"id": n, "name": n, "position": p, "kind": "open"} for p, n in enumerate("ab", start=1)])
    for name in ("mine", "other"):
        row = {"id": name, "created_at": START, "closed_at": None, "won_amount": None, "status": "open"}
        world.opportunities.append(
            row | {"stage": "a", "amount": 1.0, "owner_id": "p1", "account_id": "c", "custom": {}}
        )
    world.accounts.append({"id": "c", "industry": "retail", "custom": {}})
    mine, other = world.opportunities
    change(world, "opportunity", mine, "stage", moment, to="b")
    change(world, "opportunity", mine, "amount", moment, to=2.0)
    change(world, "account", world.accounts[0], "industry", moment, to="bank")
    close(world, other, moment, "won")
    add_activity(world, "entered", "mine", created_at=moment, occurred_at=START)
    add_activity(world, "held", "mine", created_at=START, occurred_at=moment)
    return world


SEEN = {
    "stage": "b",
    "stage_change_count": 1.0,
    "amount": 2.0,
    "account_industry": "bank",
    "owner_closed_share": 1.0,
    "activity_count": 2.0,
    "planned_activity_count": 0.0,
}
UNSEEN = {
    "stage": "a",
    "stage_change_count": 0.0,
    "amount": 1.0,
    "account_industry": "retail",
    "owner_closed_share": None,
    "activity_count": 0.0,
    "planned_activity_count": 1.0,
}


@pytest.mark.parametrize(("moment", "kept"), [(TODAY - INSTANT, True), (TODAY, False)])
def test_a_cut_is_exclusive(moment, kept):
    """What happens a microsecond before the cut stays, what happens at it goes, from every frame."""
    cut = cut_history(history_of(eventful_world(moment)), TODAY)
    assert cut.closings["status"].to_list() == ["open", "won" if kept else "open"]
    assert cut.closings["closed_at"].to_list() == [None, moment if kept else None]
    assert [cut.changes.height > 0, cut.account_changes.height > 0] == [kept, kept]
    assert cut.activities.height == (2 if kept else 1)
    assert cut.opportunities["amount"].to_list() == [2.0 if kept else 1.0, 1.0]
    assert cut.accounts["account_industry"].to_list() == ["bank" if kept else "retail"]


@pytest.mark.parametrize(("moment", "expected"), [(TODAY - INSTANT, SEEN), (TODAY, UNSEEN), (TODAY + INSTANT, UNSEEN)])
def test_an_event_is_seen_from_the_instant_after_it(moment, expected):
    """What happens a microsecond before a moment is in its features, what happens at it is not."""
    history = history_of(eventful_world(moment))
    subjects = subjects_frame([("mine", TODAY)])
    for shown in (history, cut_history(history, TODAY)):
        assert features(shown, subjects, BY_OWNER).select(list(expected)).to_dicts() == [expected]


def test_a_change_at_the_closing_is_part_of_what_it_closed_with():
    """A closing counts for the owner who has it at that instant, not for the one after."""
    world = eventful_world(TODAY)
    change(world, "opportunity", world.opportunities[1], "owner_id", TODAY, to="p2")
    change(world, "opportunity", world.opportunities[1], "owner_id", TODAY + INSTANT, to="p1")
    world.opportunities[0]["owner_id"] = "p2"
    found = features(history_of(world), subjects_frame([("mine", TODAY + STEP)]), BY_OWNER)
    assert found["owner_closed_share"].item() == 1.0


def test_what_did_not_exist_yet_has_no_row():
    """An opportunity is asked for at its creation at the earliest."""
    history = history_of(eventful_world(TODAY))
    subjects = subjects_frame([("mine", START - INSTANT), ("mine", START), ("nobody", TODAY)])
    assert take_snapshot(history, subjects).rows["as_of"].to_list() == [START]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [(START, []), (START + INSTANT, ["mine", "other"]), (TODAY, ["mine", "other"]), (TODAY + INSTANT, ["mine"])],
)
def test_open_opportunities_are_those_created_before_and_not_closed_before(moment, expected):
    """What is created or closes at the moment itself is not created, and not closed, yet."""
    history = history_of(eventful_world(TODAY))
    for shown in (history, cut_history(history, moment)):
        assert known_opportunities(shown, moment)["opportunity_id"].to_list() == expected


def test_closed_at_an_unknown_moment_is_not_open():
    """A closed opportunity without a closing date is never listed as open."""
    assert known_opportunities(history_of(undated_world()), TODAY)["opportunity_id"].to_list() == ["u30"]


def test_moments_come_back_as_microseconds_in_utc():
    """Subjects in another precision are taken as the same moments."""
    subjects = subjects_frame([("mine", TODAY)]).with_columns(pl.col("as_of").dt.cast_time_unit("ns"))
    rows = take_snapshot(history_of(eventful_world(TODAY)), subjects).rows
    assert rows.schema["as_of"] == MOMENT
