from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest
from oracles import attribute, by_id, earlier_closings, won_log_amounts
from world_history import RATES, history_of
from worlds import INSTANT, MOMENT, START, STEP, World, add_change, make_subjects, make_world, subjects_frame

from forecast.snapshot import count_untold, look_back, take_snapshot
from forecast.snapshot.changes import as_known
from forecast.snapshot.subjects import opportunities_at_ages

SEEDS = range(8)
NOON = START + STEP


def opportunity(**values):
    """Give the record of an opportunity."""
    empty = {"id": "o", "created_at": START, "closed_at": None, "won_amount": None, "status": "open", "custom": {}}
    return empty | values


def shown(row, name, as_of, changes):
    """Show a value at a moment, after changes (moment, old value, new value) of it."""
    world = World(opportunities=[row])
    for moment, old, new in changes:
        add_change(world, "opportunity", row, name, moment, new=new)
        world.changes[-1]["old_value"] = old
    rows = take_snapshot(history_of(world), subjects_frame([(row["id"], as_of)])).rows
    return rows[name.replace("custom.", "custom_")].item()


def test_of_changes_at_one_instant_the_last_stands():
    """Two changes of one field at the same moment apply in their order."""
    changes = [(NOON, "a", "b"), (NOON, "b", "c")]
    assert shown(opportunity(stage="c"), "stage", NOON + INSTANT, changes) == "c"
    assert shown(opportunity(stage="c"), "stage", NOON, changes) == "a"


def test_without_changes_the_stored_value_stands():
    """A field whose history is not recorded is taken as known from creation."""
    assert shown(opportunity(amount=5.5), "amount", NOON, []) == 5.5


def test_a_value_that_the_history_does_not_tell_is_missing():
    """Before a first change that does not say what it replaced, nothing is known."""
    assert shown(opportunity(amount=5.5), "amount", NOON, [(NOON, None, "5.5")]) is None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("amount", "1234.50", 1234.5),
        ("amount", "twelve", None),
        ("need_fit", "3", 3),
        ("need_fit", "many", None),
        ("expected_close_on", "2024-02-29", date(2024, 2, 29)),
        ("expected_close_on", "2023-02-29", None),
        ("seller_probability", "0.35", 0.35),
        ("stage", "报价", "报价"),
        ("stage", "", ""),
        ("custom.urgent", "true", True),
        ("custom.urgent", "f", False),
        ("custom.urgent", "perhaps", None),
        ("custom.fit", "-1.25", -1.25),
        ("custom.tags", '["新", "vip"]', '["新", "vip"]'),
    ],
)
def test_changed_values_are_read_in_the_type_of_their_column(name, text, value):
    """The text of a change becomes number, date, yes or no; what can't be read is missing."""
    assert shown(opportunity(), name, NOON, [(START, None, text)]) == value


@pytest.mark.parametrize("name", ["stage", "expected_close_on", "forecast_category", "seller_probability", "next_step"])
def test_what_closing_overwrote_untold_is_hidden(name):
    """The stored value of a closed opportunity shows its end unless a change tells what stood before."""
    value = {"expected_close_on": date(2024, 3, 1), "seller_probability": 1.0}.get(name, "end")
    closed = opportunity(status="won", closed_at=NOON, **{name: value})
    assert shown(closed, name, START + INSTANT, []) is None
    assert shown(opportunity(**{name: value}), name, START + INSTANT, []) == value
    before = {"expected_close_on": "2024-02-29", "seller_probability": "0.5"}.get(name, "before")
    expected = {"expected_close_on": date(2024, 2, 29), "seller_probability": 0.5}.get(name, "before")
    assert shown(closed, name, START + INSTANT, [(NOON, before, str(value))]) == expected


def test_other_values_of_closed_opportunities_stand():
    """An amount without recorded changes may be used as if known from creation."""
    assert shown(opportunity(status="won", closed_at=NOON, amount=7.0), "amount", NOON, []) == 7.0


@pytest.mark.parametrize("seed", SEEDS)
def test_every_changing_column_is_what_a_plain_loop_gives(seed):
    """Each field with recorded changes, at moments before, at and after them, equals the oracle."""
    world = make_world(seed)
    subjects = make_subjects(world, seed)
    rows = take_snapshot(history_of(world), subjects).rows
    fields = {change["field"] for change in world.changes if change["kind"] == "opportunity"}
    for row in rows.iter_rows(named=True):
        record = by_id(world.opportunities, row["opportunity_id"])
        for name in fields - {"custom.tags"}:
            expected = attribute(world, record, name, row["as_of"])
            assert row[name.replace("custom.", "custom_")] == expected, name


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("key", [None, *RATES])
def test_tallies_are_what_a_plain_loop_counts(seed, key):
    """Closings strictly before each row's moment, ties at one instant included, by the value they closed with."""
    world = make_world(seed)
    subjects = make_subjects(world, seed)
    snapshot = take_snapshot(history_of(world), subjects)
    tally = snapshot.tally(key)
    for row, counted in zip(snapshot.rows.iter_rows(named=True), tally.iter_rows(named=True), strict=True):
        record = by_id(world.opportunities, row["opportunity_id"])
        value = row[key] if key else None
        found = earlier_closings(world, record, key, value, row["as_of"])
        logs = won_log_amounts(world, found)
        expected = {
            "closed_count": len(found),
            "won_count": sum(other["status"] == "won" for other in found),
            "priced_count": len(logs),
            "log_amount": pytest.approx(sum(logs), abs=1e-9),
        }
        assert counted == (dict.fromkeys(expected) if key is not None and value is None else expected)


def test_records_that_are_not_there_leave_attributes_missing():
    """A reference to an account that never came keeps its row."""
    rows = pl.DataFrame({"row": [0], "as_of": [NOON], "account_id": ["gone"]}, schema_overrides={"as_of": MOMENT})
    history = history_of(make_world(1))
    found = as_known(rows, history.accounts, history.account_changes, "account_id")
    assert found["account_industry"].to_list() == [None]


def at_ages(row, ages):
    """List the moments at which one opportunity is looked at."""
    found = opportunities_at_ages(history_of(World(opportunities=[row])), ages)
    assert set(found["opportunity_id"]) <= {"o"}
    return found["as_of"].to_list()


def test_an_opportunity_is_listed_at_every_age_up_to_its_closing():
    """At the very instant of its closing it is still open."""
    week = timedelta(days=7)
    assert at_ages(opportunity(), (0, 7, 0.5)) == [START, START + STEP, START + week]
    assert at_ages(opportunity(status="won", closed_at=START + week), (0, 7, 8)) == [START, START + week]
    assert at_ages(opportunity(status="won", closed_at=START + week - INSTANT), (0, 7, 8)) == [START]


def test_an_unknown_closing_is_looked_at_from_the_creation_only():
    """Where it may have closed at any moment, only its youngest age is safe."""
    assert at_ages(opportunity(status="lost"), (7, 0, 30)) == [START]


@pytest.mark.parametrize("closed_at", [None, NOON])
def test_an_unknown_creation_is_looked_at_once(closed_at):
    """Its moments are unknown too."""
    assert at_ages(opportunity(created_at=None, status="lost", closed_at=closed_at), (0, 7)) == [None]


def test_a_leap_day_is_a_day():
    """An opportunity of 28 February is two days old on 1 March of a leap year."""
    created = START + timedelta(days=2)
    assert at_ages(opportunity(created_at=created), (2,)) == [START + timedelta(days=4)]


def looked_back(days_ago, *, other_changed=None):
    """Look at the stage of an open opportunity some days before the last one was created, whose stage may have a change."""
    last = START + 100 * STEP
    world = World(opportunities=[opportunity(stage="offer"), opportunity(id="p", created_at=last, stage="lead")])
    if other_changed is not None:
        add_change(world, "opportunity", world.opportunities[1], "stage", other_changed, new="first")
    history = history_of(world)
    cut = look_back(history, last - timedelta(days=days_ago))
    return cut.opportunities["stage"][0], count_untold(history, cut)


def test_what_no_history_tells_stands_from_the_export_on():
    """Without any change of a column, a value is known a few days before the last that happened, and is unknown earlier."""
    assert looked_back(0) == ("offer", 0)
    assert looked_back(6) == ("offer", 0)
    assert looked_back(8) == (None, 1)


def test_where_history_tells_of_others_a_value_without_changes_stood():
    """From the first change of a column on all changes are known, so that a value that has none stood."""
    assert looked_back(8, other_changed=START + 50 * STEP) == ("offer", 0)
    assert looked_back(30, other_changed=START + 50 * STEP) == (None, 1)


@pytest.mark.parametrize("ends_in_days", [1, 300])
def test_an_end_to_come_says_nothing_of_the_export(ends_in_days):
    """A closing date later than the day it was stored hides nothing that stands now: it is no sign of a later export."""
    stored = START + 100 * STEP
    late = opportunity(
        id="p", created_at=START, closed_at=stored + timedelta(days=ends_in_days), status="won", stage="won"
    )
    history = replace(history_of(World(opportunities=[opportunity(stage="offer"), late])), stored_at=stored)
    cut = look_back(history, stored + INSTANT)
    assert cut.opportunities["stage"][0] == "offer"
    assert count_untold(history, cut) == 1  # the one that ends later: closing overwrote its stage
