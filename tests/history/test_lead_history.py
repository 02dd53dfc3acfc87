from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from forecast.errors import InputError
from forecast.features import opportunity_features, plan_features
from forecast.history import read_history
from forecast.outcomes import opportunity_outcomes
from forecast.population import Population, population_of
from forecast.records import Activity, Campaign, Change, CustomField, Lead, Opportunity
from forecast.snapshot import known_opportunities, take_snapshot
from forecast.snapshot.subjects import opportunities_at_ages
from forecast.store import unit_of_work

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
DAY = timedelta(days=1)
CONVERTED = Population(kind="lead", target="converted", horizon_days=90)
WON = Population(kind="lead", target="won", horizon_days=90)


def lead(name, status="open", closed_day=None, **values):
    """Make a lead created at START."""
    closed_at = None if closed_day is None else START + closed_day * DAY
    return Lead(id=name, external_id=name, created_at=START, status=status, closed_at=closed_at, **values)


def sale(name, lead_id, status="open", closed_day=None, **values):
    """Make the opportunity of a lead."""
    closed_at = None if closed_day is None else START + closed_day * DAY
    return Opportunity(id=name, external_id=name, lead_id=lead_id, status=status, closed_at=closed_at, **values)


@pytest.fixture
def read(engine):
    """Store records, then read the history of a population."""

    def stored(*records, population=CONVERTED, until=None):
        with unit_of_work(engine) as session:
            session.add_all(records)
        with unit_of_work(engine) as session:
            return read_history(session, population=population, until=until)

    return stored


def ends(history):
    """Give each lead's (status, days from creation to its end)."""
    return {
        name: (status, closed_at and (closed_at - START) / DAY)
        for name, status, closed_at in history.closings.select("opportunity_id", "status", "closed_at").iter_rows()
    }


def test_conversion_is_the_target(read):
    """Converted is won, disqualified is lost, and who has done neither by the horizon is lost there."""
    found = read(
        lead("early", "converted", 10),
        lead("late", "converted", 91),
        lead("dropped", "disqualified", 20),
        lead("waiting"),
        lead("undated", "converted"),
    )
    assert ends(found) == {
        "early": ("won", 10),
        "late": ("lost", 90),
        "dropped": ("lost", 20),
        "waiting": ("lost", 90),
        "undated": ("won", None),
    }
    assert found.departures.is_empty()


def test_ends_without_dates_tell_nothing_of_the_horizon(read):
    """Where most leads ended at an unknown moment, one that is still open waits on."""
    undated = [lead("a", "converted"), lead("b", "disqualified"), lead("c", "converted", 10), lead("waiting")]
    assert ends(read(*undated)) == {
        "a": ("won", None),
        "b": ("lost", None),
        "c": ("won", 10),
        "waiting": ("open", None),
    }


def test_the_sale_is_the_target(read):
    """Won is who has an opportunity won within the horizon, by either reference; a lost sale ends a lead, an open one doesn't."""
    found = read(
        lead("sold", "converted", 5),
        sale("s", "sold", "won", 60),
        lead("named", "converted", 5, opportunity_id="n"),
        sale("n", None, "won", 70),
        lead("too_late", "converted", 5),
        sale("t", "too_late", "won", 100),
        lead("failed", "converted", 5),
        sale("f", "failed", "lost", 40),
        lead("twice", "converted", 5),
        sale("x", "twice", "lost", 40),
        sale("y", "twice", "won", 50),
        lead("pending", "converted", 5),
        sale("p", "pending"),
        lead("dropped", "disqualified", 20),
        population=WON,
    )
    assert ends(found) == {
        "sold": ("won", 60),
        "named": ("won", 70),
        "too_late": ("lost", 90),
        "failed": ("lost", 40),
        "twice": ("won", 50),
        "pending": ("lost", 90),
        "dropped": ("lost", 20),
    }


def test_what_the_horizon_will_tell_is_not_known_before(read):
    """Read until a moment within the horizon, a waiting lead is open and its outcome unknown."""
    early = read(lead("waiting"), lead("other", "converted", 10), until=START + 30 * DAY)
    assert ends(early) == {"waiting": ("open", None), "other": ("won", 10)}
    subjects = known_opportunities(early, START + 30 * DAY)
    assert opportunity_outcomes(early, subjects)["won"].to_list() == [None]


def test_without_a_horizon_a_lead_waits_for_ever(read):
    """Only disqualification ends it."""
    found = read(lead("waiting"), population=Population(kind="lead", target="converted"))
    assert ends(found) == {"waiting": ("open", None)}


def test_a_converted_lead_is_no_lead_any_more(read):
    """Where the sale is the target, a lead is looked at and scored up to its conversion only."""
    found = read(lead("sold", "converted", 10), sale("s", "sold", "won", 60), population=WON)
    at_ages = opportunities_at_ages(found, [0, 7, 10, 14, 30])
    assert [(as_of - START) / DAY for as_of in at_ages["as_of"]] == [0, 7, 10]
    assert known_opportunities(found, START + 10 * DAY).height == 1
    assert known_opportunities(found, START + 11 * DAY).is_empty()
    with_cut = read(population=WON, until=START + 5 * DAY)
    assert known_opportunities(with_cut, START + 5 * DAY).height == 1


def test_features_of_leads_are_of_their_moment(read):
    """Attributes, their changes, custom fields, presence of contact data and activities, each as known then."""
    history = read(
        lead(
            "a",
            industry="Food",
            region="North",
            title="CEO",
            email="a@b.example",
            source="Fair",
            campaign_id="K1",
            custom={"size": 7},
        ),
        Campaign(id="K1", external_id="K1", channel="Trade show"),
        CustomField(kind="lead", name="size", type="number", time="fixed"),
        Change(
            kind="lead",
            record_id="a",
            field="industry",
            changed_at=START + 5 * DAY,
            old_value="Water",
            new_value="Food",
            origin="t",
        ),
        Change(
            kind="lead", record_id="a", field="email", changed_at=START + 5 * DAY, new_value="a@b.example", origin="t"
        ),
        Activity(id="v", external_id="v", lead_id="a", type="call", direction="inbound", occurred_at=START + 2 * DAY),
    )
    plan = plan_features(history, ("source", "campaign_id"))
    subjects = pl.DataFrame({"opportunity_id": ["a", "a"], "as_of": [START + 1 * DAY, START + 6 * DAY]}).cast(
        {"as_of": pl.Datetime("us", "UTC")}
    )
    early, late = opportunity_features(take_snapshot(history, subjects), plan).to_dicts()
    assert (early["account_industry"], late["account_industry"]) == ("Water", "Food")
    assert (early["email_known"], late["email_known"]) == (0.0, 1.0)
    assert (early["activity_count"], late["inbound_activity_count"]) == (0.0, 1.0)
    for name, value in {
        "account_region": "North",
        "lead_title": "CEO",
        "campaign_channel": "Trade show",
        "phone_known": 0.0,
        "source": "Fair",
        "custom_size": 7.0,
        "account_id": None,
        "stage": None,
    }.items():
        assert early[name] == late[name] == value


def test_deleted_leads_and_sales_do_not_count(read):
    """Tombstones are left out."""
    found = read(
        lead("gone", deleted_at=START),
        lead("sold", "converted", 5),
        sale("s", "sold", "won", 60, deleted_at=START),
        population=WON,
    )
    assert ends(found) == {"sold": ("lost", 90)}


def test_a_population_is_read_from_its_config():
    """Without a word, opportunities; a word that is none of ours is refused."""
    assert population_of("") == Population()
    text = 'population = "lead"\ntarget = "converted"\nhorizon_days = 90\n'
    assert population_of(text) == CONVERTED
    with pytest.raises(InputError, match='population is "contact"'):
        population_of('population = "contact"')
