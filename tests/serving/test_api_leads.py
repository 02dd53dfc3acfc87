"""GET /v1/leads, GET /v1/leads/{id} and POST /v1/leads/score."""

import pytest
import sqlalchemy as sa

from forecast.history import read_history
from forecast.policies import DEFAULT_THRESHOLDS
from forecast.population import Population
from forecast.records import Activity, Lead, Score
from forecast.scoring.grades import GradePolicies
from forecast.scoring.scores import score_open_opportunities
from forecast.scoring.table import write_scores
from forecast.store import unit_of_work

LIST = "/v1/leads"
SCORE = "/v1/leads/score"
LEADS = Population(kind="lead", target="converted", horizon_days=90)
MODEL = "lead_conversion"


@pytest.fixture
def scores(stored, live_leads, clock):
    """Score all open leads as of now into the score table, and give the scores."""
    with unit_of_work(stored) as session:
        history = read_history(session, population=LEADS)
        found = score_open_opportunities(
            history, live_leads, as_of=clock.now, policies=GradePolicies(default=DEFAULT_THRESHOLDS)
        )
        write_scores(session, found, model=MODEL, kind="lead")
    assert found.height > 5
    return found


def iso(moment):
    """Write a moment, where there is one."""
    return moment.isoformat() if moment else None


def as_posted(session, lead):
    """Give a stored lead as a caller would send it."""
    names = (
        "id",
        "name",
        "company",
        "title",
        "email",
        "phone",
        "industry",
        "region",
        "owner_id",
        "source",
        "campaign_id",
    )
    activities = session.scalars(sa.select(Activity).where(Activity.lead_id == lead.id))
    kept = ("type", "direction", "person_id", "duration_minutes")
    return {
        **{name: getattr(lead, name) for name in names},
        "created_at": iso(lead.created_at),
        "activities": [
            {
                **{name: getattr(activity, name) for name in kept},
                "occurred_at": iso(activity.occurred_at),
                "created_at": iso(activity.created_at),
            }
            for activity in activities
        ],
    }


def test_the_most_promising_comes_first(client, scores):
    """Open leads are sorted by probability, highest first, unscored ones last, whatever the size of the pages."""
    rows, query = [], {"limit": 3}
    while query.get("cursor", "") is not None:
        page = client.get(LIST, params=query).raise_for_status().json()
        rows += page["leads"]
        query["cursor"] = page["next_cursor"]
    expected = scores.sort(["probability", "opportunity_id"], descending=[True, False])
    scored = [row for row in rows if row["score"]]
    assert [row["id"] for row in scored] == expected["opportunity_id"].to_list()
    assert [row["score"]["probability"] for row in scored] == expected["probability"].to_list()
    assert rows[: len(scored)] == scored
    assert all(row["score"]["reasons_for"] or row["score"]["reasons_against"] for row in scored)


@pytest.mark.parametrize("name", ["grade", "owner_id", "source", "campaign_id"])
def test_filters_keep_what_they_name(client, scores, name):
    """Each filter gives exactly the rows with its value, in the same order."""
    rows = client.get(LIST, params={"limit": 500}).json()["leads"]
    value_of = (lambda row: row["score"] and row["score"]["grade"]) if name == "grade" else (lambda row: row[name])
    values = {value_of(row) for row in rows} - {None}
    assert scores.height
    assert len(values) > 1
    for value in values:
        found = client.get(LIST, params={"limit": 500, name: value}).json()["leads"]
        assert found == [row for row in rows if value_of(row) == value]


def test_one_lead_with_its_scores(client, scores):
    """A lead is given as stored, with its latest score and its history; one that is not there is said so."""
    lead_id = scores["opportunity_id"][0]
    answer = client.get(f"{LIST}/{lead_id}").raise_for_status().json()
    assert answer["lead"]["id"] == lead_id
    assert answer["score"]["probability"] == scores["probability"][0]
    assert [score["probability"] for score in answer["score_history"]] == [scores["probability"][0]]
    missing = client.get(f"{LIST}/nobody")
    assert missing.status_code == 404
    assert "POST /v1/leads/score" in missing.json()["detail"]


def test_scores_of_leads_are_kept_as_such(stored, scores):
    """The score table says that its rows are of leads."""
    with unit_of_work(stored) as session:
        kinds = {tuple(row) for row in session.execute(sa.select(Score.model, Score.kind))}
    assert scores.height
    assert kinds == {(MODEL, "lead")}


def test_a_posted_lead_scores_as_the_stored_one(client, stored, scores):
    """The same lead gives the same probability, bit for bit, whether it is posted or read from the database."""
    with unit_of_work(stored) as session:
        records = session.scalars(sa.select(Lead).where(Lead.id.in_(scores["opportunity_id"])).order_by(Lead.id))
        body = {"leads": [as_posted(session, record) for record in records]}
    found = client.post(SCORE, json=body).raise_for_status().json()["scores"]
    assert [score["id"] for score in found] == scores["opportunity_id"].to_list()
    assert [score["probability"] for score in found] == scores["probability"].to_list()
    assert len(set(scores["probability"])) > 3


def test_what_is_wrong_with_a_lead_is_said(client, live_leads):
    """The place of a wrong field names the lead; an unknown owner is warned of."""
    assert live_leads.name == MODEL
    wrong = client.post(SCORE, json={"leads": [{"id": "x", "created_at": "yesterday"}]})
    assert wrong.status_code == 422
    assert wrong.json()["detail"].startswith("leads[0].created_at: found")
    late = client.post(SCORE, json={"leads": [{"id": "x", "created_at": "2030-01-01T00:00:00Z"}]})
    assert late.json()["detail"].startswith("leads[0].created_at: found")
    stranger = client.post(SCORE, json={"leads": [{"id": "x", "owner_id": "nobody"}]}).json()["scores"][0]
    assert "nobody" in stranger["warnings"][0]


def test_without_a_live_version_of_leads_it_is_said(client):
    """The lead model is missing: 503, and what to run."""
    answer = client.post(SCORE, json={"leads": [{"id": "x"}]})
    assert answer.status_code == 503
    assert "forecast train lead_conversion" in answer.json()["detail"]
