"""GET /v1/opportunities and GET /v1/opportunities/{id}."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from forecast.history import read_history
from forecast.policies import DEFAULT_THRESHOLDS
from forecast.records import Opportunity, Person, Score
from forecast.scoring.grades import GradePolicies
from forecast.scoring.scores import score_open_opportunities
from forecast.scoring.table import write_scores
from forecast.store import unit_of_work

LIST = "/v1/opportunities"


@pytest.fixture
def scores(stored, live, clock):
    """Score all open opportunities as of now into the score table, and give the scores."""
    with unit_of_work(stored) as session:
        found = score_open_opportunities(
            read_history(session), live, as_of=clock.now, policies=GradePolicies(default=DEFAULT_THRESHOLDS)
        )
        write_scores(session, found, model=live.name)
    return found


def pages(client, **query):
    """Read all pages of a list."""
    rows = []
    while True:
        page = client.get(LIST, params=query).raise_for_status().json()
        rows += page["opportunities"]
        if page["next_cursor"] is None:
            return rows
        query["cursor"] = page["next_cursor"]


def ids(rows):
    """Give the ids of rows, in order."""
    return [row["id"] for row in rows]


def test_the_most_valuable_comes_first(client, scores):
    """Rows are sorted by expected value, highest first, and are those of the score table."""
    rows = pages(client)
    expected = scores.sort(["expected_value", "opportunity_id"], descending=[True, False], nulls_last=True)
    assert ids(rows) == expected["opportunity_id"].to_list()
    assert [row["score"]["probability"] for row in rows] == expected["probability"].to_list()
    assert rows[0]["score"]["expected_value"] is not None
    assert rows[-1]["score"]["expected_value"] is None


@pytest.mark.parametrize("limit", [1, 7, 500])
def test_pages_put_together_are_the_whole(client, scores, limit):
    """Each row comes on exactly one page, whatever the size of the pages."""
    assert ids(pages(client, limit=limit)) == ids(pages(client, limit=500))
    assert len(pages(client, limit=limit)) == scores.height


def test_rows_that_come_and_go_between_pages_disturb_no_other(client, scores, stored):
    """After a row of the first page closes, the second page begins where the first ended."""
    everything = ids(pages(client))
    first = client.get(LIST, params={"limit": 5}).json()
    with unit_of_work(stored) as session:
        session.execute(sa.update(Opportunity).where(Opportunity.id == everything[0]).values(status="lost"))
    second = client.get(LIST, params={"limit": 5, "cursor": first["next_cursor"]}).json()
    assert ids(second["opportunities"]) == everything[5:10]
    assert scores.height == len(everything)


def test_unscored_opportunities_come_last_and_say_so(client, scores, stored):
    """An opportunity without a score has null, and stands by id after all that have a value, on pages too."""
    with unit_of_work(stored) as session:
        unscored = sorted(scores["opportunity_id"].head(4))
        session.execute(sa.delete(Score).where(Score.record_id.in_(unscored)))
    rows = pages(client, limit=3)
    without_value = [row for row in rows if not (row["score"] and row["score"]["expected_value"])]
    assert rows[-len(without_value) :] == without_value
    assert ids(without_value) == sorted(ids(without_value))
    assert [row["id"] for row in rows if row["score"] is None] == unscored


def test_closed_and_deleted_opportunities_are_not_listed(client, stored, scores):
    """The list is of what can still be worked on."""
    with unit_of_work(stored) as session:
        gone = scores["opportunity_id"][0]
        session.execute(sa.update(Opportunity).where(Opportunity.id == gone).values(deleted_at=sa.func.now()))
        open_ids = set(
            session.scalars(
                sa.select(Opportunity.id).where(Opportunity.status == "open", Opportunity.deleted_at.is_(None))
            )
        )
    assert set(ids(pages(client))) == open_ids
    assert client.get(f"{LIST}/{gone}").status_code == 404


@pytest.mark.parametrize("name", ["grade", "owner_id", "team_id", "stage"])
def test_filters_keep_what_they_name(client, scores, name):
    """Each filter gives exactly the rows with its value, in the same order."""
    assert scores.height
    rows = pages(client)
    value_of = (lambda row: row["score"]["grade"]) if name == "grade" else (lambda row: row[name])
    values = {value_of(row) for row in rows}
    assert len(values) > 1
    for value in values:
        assert ids(pages(client, **{name: value})) == [row["id"] for row in rows if value_of(row) == value]


def test_a_team_has_what_its_members_have(client, scores, stored):
    """An opportunity without a team is listed under its owner's."""
    opportunity_id = scores["opportunity_id"][0]
    with unit_of_work(stored) as session:
        record = session.get(Opportunity, opportunity_id)
        record.team_id = None
        team = session.get(Person, record.owner_id).team_id
    assert opportunity_id in ids(pages(client, team_id=team))


def test_rows_have_the_names_that_people_know(client, scores, stored):
    """Account and owner are named, in the row and in its reasons."""
    rows = pages(client)
    with unit_of_work(stored) as session:
        names = dict(session.execute(sa.select(Person.id, Person.name)).all())
    assert all(row["owner_name"] == names[row["owner_id"]] and row["account_name"] for row in rows)
    assert len(rows) == scores.height


def test_stored_reasons_are_said_in_the_language_asked(client, scores):
    """The same reasons, in English and in Chinese."""
    assert scores.height
    english, chinese = (
        client.get(LIST, params={"language": language}).json()["opportunities"] for language in ("en", "zh")
    )
    for one, other in zip(english, chinese, strict=True):
        for side in ("reasons_for", "reasons_against"):
            pairs = list(zip(one["score"][side], other["score"][side], strict=True))
            assert all(first["feature"] == second["feature"] for first, second in pairs)
            assert all(first["sentence"] != second["sentence"] for first, second in pairs)


@pytest.mark.parametrize("cursor", ["nonsense", "bnVsbA==", "WzEsMiwzXQ==", "é"])
def test_a_cursor_of_no_page_is_refused(client, cursor):
    """A mistaken cursor is named, not taken for the first page."""
    answer = client.get(LIST, params={"cursor": cursor})
    assert answer.status_code == 422
    assert "next_cursor" in answer.json()["detail"]


@pytest.mark.parametrize("limit", [0, 501, "all"])
def test_a_limit_out_of_its_range_is_refused(client, limit):
    """Pages have 1 to 500 rows."""
    answer = client.get(LIST, params={"limit": limit})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "limit"


def test_one_opportunity_comes_with_its_record_and_its_history(client, scores, stored, live, clock):
    """The record as stored, the latest score with reasons, and earlier scores, newest first."""
    opportunity_id = scores["opportunity_id"][0]
    with unit_of_work(stored) as session:
        earlier = score_open_opportunities(
            read_history(session),
            live,
            as_of=clock.now - timedelta(days=7),
            policies=GradePolicies(default=DEFAULT_THRESHOLDS),
        )
        write_scores(session, earlier, model=live.name)
        record = session.get(Opportunity, opportunity_id)
    answer = client.get(f"{LIST}/{opportunity_id}").raise_for_status().json()
    assert answer["opportunity"]["amount"] == str(record.amount)
    assert answer["opportunity"]["custom"] == record.custom
    assert answer["opportunity"]["status"] == "open"
    assert answer["score"]["probability"] == scores["probability"][0]
    assert answer["score"]["reasons_for"] or answer["score"]["reasons_against"]
    moments = [past["as_of"] for past in answer["score_history"]]
    assert moments == sorted(moments, reverse=True)
    assert len(moments) == 1 + earlier.filter(earlier["opportunity_id"] == opportunity_id).height


def test_an_opportunity_not_scored_yet_has_no_score(client, stored):
    """No score is not a probability of 0 or a half."""
    with unit_of_work(stored) as session:
        session.add(Opportunity(id="crm:7/a", external_id="7/a", source_system="crm"))
    answer = client.get(f"{LIST}/crm:7/a").raise_for_status().json()
    assert answer["score"] is None
    assert answer["score_history"] == []


def test_an_unknown_id_is_not_found(client):
    """The answer names the id and says what to do."""
    answer = client.get(f"{LIST}/nowhere")
    assert answer.status_code == 404
    assert '"nowhere"' in answer.json()["detail"]
