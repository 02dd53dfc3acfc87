from datetime import UTC, datetime, timedelta

import pytest

from forecast.insight.conformance import BREACH_TYPES, find_breaches
from forecast.process import PipelineDefinition, StageDefinition, set_pipeline
from forecast.records import Activity, Change, Opportunity
from forecast.store import unit_of_work

NOW = datetime(2026, 9, 15, 8, 30, tzinfo=UTC)
PIPELINE = PipelineDefinition(
    id="default",
    stages=(
        StageDefinition(name="Talk", kind="open", quiet_days_max=7, required_fields=("amount", "custom.budget")),
        StageDefinition(name="Offer", kind="open", quiet_days_max=3, required_fields=("next_step",)),
        StageDefinition(name="Won", kind="won"),
        StageDefinition(name="Lost", kind="lost"),
    ),
)
FILLED = {"amount": 10, "next_step": "call", "custom": {"budget": "yes"}}


def breaches(engine, pipeline=PIPELINE):
    """Give code, opportunity and field of what is found."""
    with unit_of_work(engine) as session:
        if pipeline:
            set_pipeline(session, pipeline, by="ann", at=NOW)
        found = find_breaches(session, NOW)
    assert found.schema == BREACH_TYPES
    return found.select("code", "opportunity_id", "field").rows()


def deal(record_id, stage, *, days=0, **columns):
    """Make an open opportunity created so many days ago."""
    return Opportunity(
        id=record_id, external_id=record_id, stage=stage, created_at=NOW - timedelta(days=days), **columns
    )


def store(engine, *records):
    """Write records."""
    with unit_of_work(engine) as session:
        session.add_all(records)


def test_fields_that_this_stage_or_one_before_requires_are_missed(engine):
    """A blank text and an absent custom field are empty; what is asked for later is not missed yet."""
    store(
        engine,
        deal("1", "Talk", amount=10, custom={"budget": ""}),
        deal("2", "Offer", next_step=""),
        deal("3", "Offer", **FILLED),
    )
    store(engine, deal("4", "Talk", status="won"), deal("5", "Talk", deleted_at=NOW))
    assert breaches(engine) == [
        ("H303", "2", "amount"), ("H303", "1", "custom.budget"), ("H303", "2", "custom.budget"), ("H303", "2", "next_step"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stage", "days", "quiet"), [("Talk", 7, False), ("Talk", 7.1, True), ("Offer", 3.1, True), ("Won", 99, False)]
)
def test_each_stage_allows_its_own_quiet_days(engine, stage, days, quiet):
    """Days are counted from the last sign of life; a closing stage allows any."""
    store(engine, deal("1", stage, days=days, **FILLED))
    assert (("H304", "1", None) in breaches(engine)) is quiet


@pytest.mark.parametrize("sign", ["change", "activity", "entry", "plan"])
def test_a_change_or_an_activity_is_a_sign_of_life(engine, sign):
    """So is one that was entered or planned; a change of tomorrow is not known."""
    yesterday, tomorrow, old = NOW - timedelta(days=1), NOW + timedelta(days=1), NOW - timedelta(days=90)
    activity = {
        "activity": {"occurred_at": yesterday}, "entry": {"occurred_at": old, "created_at": yesterday}, "plan": {"occurred_at": tomorrow},
    }  # fmt: skip
    change = {"kind": "opportunity", "field": "amount", "origin": "import"}
    store(engine, deal("1", "Talk", days=90, **FILLED), deal("2", "Talk", days=90, **FILLED))
    store(engine, Change(**change, record_id="2", changed_at=tomorrow))
    if sign == "change":
        store(engine, Change(**change, record_id="1", changed_at=yesterday))
    else:
        store(engine, Activity(id="1", external_id="1", opportunity_id="1", **activity[sign]))
    assert breaches(engine) == [("H304", "2", None)]


def test_a_stage_that_the_pipeline_lacks_is_named(engine):
    """Of pipelines that were set; each pipeline knows its own stages only."""
    store(engine, deal("1", "Pilot"), deal("2", "Talk", **FILLED), deal("3", "Talk", pipeline_id="renewals", **FILLED))
    assert breaches(engine) == [("H305", "1", "stage")]


def test_a_company_that_set_no_pipeline_is_held_to_the_shipped_one_where_it_uses_it(engine):
    """Stages of its own are no trouble; those of the shipped pipeline ask for what they ask."""
    store(engine, deal("1", "Prospecting", days=400), deal("2", "Contract", days=400))
    found = breaches(engine, None)
    assert {(code, record) for code, record, _ in found} == {("H301", "1"), ("H301", "2"), ("H303", "2"), ("H304", "2")}
