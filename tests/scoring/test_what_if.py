"""Suppositions as a history."""

from datetime import date, timedelta

import polars as pl
import pytest
from world_history import history_of, make_plan
from worlds import INSTANT, START, STEP, STEPS, make_world, subjects_frame

from forecast.errors import InputError
from forecast.features import opportunity_features
from forecast.scoring.what_if import Supposition, suppose
from forecast.snapshot import take_snapshot

NOW = START + STEPS * STEP
WORLD = make_world(4, size=30)


def open_ids():
    """Give the opportunities that are open now."""
    return [row["id"] for row in WORLD.opportunities if row["status"] == "open"]


def features(supposition=None, opportunity_id=None):
    """Give an opportunity's features as they stand, or as supposed."""
    history, subject = history_of(WORLD), subjects_frame([(opportunity_id or open_ids()[0], NOW)])
    if supposition is not None:
        history = suppose(history, subject, supposition, meeting_type="call")
    return opportunity_features(take_snapshot(history, subject), make_plan(WORLD)).row(0, named=True)


def moved(supposition, opportunity_id):
    """List the features that a supposition moves."""
    before, after = features(None, opportunity_id), features(supposition, opportunity_id)
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize("opportunity_id", open_ids()[:6])
def test_an_amount_is_as_if_it_had_just_been_entered(opportunity_id):
    """The amount is the supposed one, and only what is said of amounts moves."""
    supposed = features(Supposition(amount=123456.78), opportunity_id)
    assert supposed["amount"] == 123456.78
    assert {"amount"} <= moved(Supposition(amount=123456.78), opportunity_id)
    assert all("amount" in name for name in moved(Supposition(amount=123456.78), opportunity_id))


@pytest.mark.parametrize("opportunity_id", open_ids()[:6])
def test_a_close_date_is_as_if_it_had_just_been_moved(opportunity_id):
    """Days to the expected close are those to the supposed date."""
    day = (NOW + timedelta(days=30)).date()
    supposed = features(Supposition(expected_close_on=day), opportunity_id)
    assert supposed["expected_close_days"] == pytest.approx(30, abs=1)
    assert all(
        "close" in name or "planned" in name for name in moved(Supposition(expected_close_on=day), opportunity_id)
    )


@pytest.mark.parametrize("opportunity_id", open_ids()[:6])
def test_a_stage_is_as_if_it_had_just_been_entered(opportunity_id):
    """The stage is the supposed one, entered this moment; supposing the present one changes nothing."""
    present = features(None, opportunity_id)["stage"]
    other = "报价" if present != "报价" else "qualified"
    supposed = features(Supposition(stage=other), opportunity_id)
    assert supposed["stage"] == other
    assert supposed["stage_days"] == pytest.approx(0, abs=1e-6)
    if present is not None:
        assert moved(Supposition(stage=present), opportunity_id) == set()


def test_a_meeting_ahead_is_planned_and_one_behind_was_held():
    """A meeting counts as an activity of its own moment, and nothing but activities moves."""
    opportunity_id = open_ids()[0]
    before = features()
    ahead = Supposition(meeting_at=NOW + timedelta(days=3))
    behind = Supposition(meeting_at=NOW - timedelta(days=1))
    assert features(ahead)["planned_activity_count"] == before["planned_activity_count"] + 1
    assert features(ahead)["next_activity_days"] <= 3
    assert features(behind)["activity_count"] == before["activity_count"] + 1
    assert features(behind)["activity_silence_days"] <= 1
    for supposition in (ahead, behind):
        assert all("activ" in name for name in moved(supposition, opportunity_id))


def test_other_opportunities_and_earlier_moments_stay_as_they_are():
    """What is supposed of one is not known of another, nor of itself before."""
    history = history_of(WORLD)
    mine, other = open_ids()[:2]
    subject = subjects_frame([(mine, NOW)])
    supposition = Supposition(amount=1.0, stage="报价", expected_close_on=date(2030, 1, 1), meeting_at=NOW)
    supposed = suppose(history, subject, supposition, meeting_type="call")
    elsewhere = subjects_frame([(other, NOW), (mine, NOW - INSTANT)])
    plan = make_plan(WORLD)
    found, expected = (opportunity_features(take_snapshot(given, elsewhere), plan) for given in (supposed, history))
    assert found.equals(expected)
    assert not opportunity_features(take_snapshot(supposed, subject), plan).equals(
        opportunity_features(take_snapshot(history, subject), plan)
    )
    assert supposed.changes.select(pl.col("changed_at").is_sorted()).item()


def test_supposing_nothing_is_refused():
    """A question without a difference has no answer."""
    with pytest.raises(InputError, match="nothing is supposed"):
        Supposition()


@pytest.mark.parametrize("amount", [-5.0, float("nan"), float("inf")])
def test_an_amount_that_is_none_is_refused(amount):
    """What can't be the amount of an opportunity is not supposed."""
    with pytest.raises(InputError, match="the supposed amount is"):
        Supposition(amount=amount)
