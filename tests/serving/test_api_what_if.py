"""POST /v1/opportunities/{id}/what-if."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from scipy.special import logit

from forecast.history import read_history
from forecast.policies import DEFAULT_THRESHOLDS
from forecast.records import Opportunity
from forecast.scoring.grades import GradePolicies
from forecast.scoring.scores import score_open_opportunities
from forecast.scoring.what_if import Supposition, what_if
from forecast.store import unit_of_work

POLICIES = GradePolicies(default=DEFAULT_THRESHOLDS)


@pytest.fixture
def scores(stored, live, clock):
    """Score what is open now."""
    with unit_of_work(stored) as session:
        return score_open_opportunities(read_history(session), live, as_of=clock.now, policies=POLICIES)


def ask(client, opportunity_id, **supposed):
    """Ask, in English."""
    return client.post(f"/v1/opportunities/{opportunity_id}/what-if", json=supposed, params={"language": "en"})


def test_before_is_the_score_and_after_the_supposed_one(client, stored, scores, clock, live):
    """The first is what scoring says, bit for bit; the second what the library says of the same supposition."""
    for row in scores.head(5).iter_rows(named=True):
        answer = ask(client, row["opportunity_id"], stage="Contract", amount="5000").raise_for_status().json()
        assert answer["before"]["probability"] == row["probability"]
        with unit_of_work(stored) as session:
            history = read_history(session)
        supposition = Supposition(stage="Contract", amount=5000.0)
        expected = what_if(history, live, row["opportunity_id"], supposition, as_of=clock.now, policies=POLICIES)
        assert answer["after"]["probability"] == expected.after["probability"]
        moved = sum(part["contribution"] for part in answer["moved"])
        change = logit(answer["after"]["probability"]) - logit(answer["before"]["probability"])
        assert moved == pytest.approx(change, abs=1e-6)


def test_a_later_stage_is_more_probable(client, scores):
    """On the whole, opportunities about to be signed are likelier than those just found."""
    ids = scores["opportunity_id"].head(8)
    early, late = (
        [ask(client, one, stage=stage).json()["after"]["probability"] for one in ids]
        for stage in ("Contacted", "Contract")
    )
    assert sum(late) > sum(early)


def test_it_says_that_it_is_association(client, scores, clock):
    """The caution is part of the answer, in both languages; a planned meeting moves activity only."""
    one = scores["opportunity_id"][0]
    answer = ask(client, one, meeting_at=(clock.now + timedelta(days=5)).isoformat()).json()
    assert "not cause" in answer["note"]
    assert {part["theme"] for part in answer["moved"]} <= {"activity"}
    chinese = client.post(f"/v1/opportunities/{one}/what-if", json={"amount": 1}, params={"language": "zh"}).json()
    assert "不是因果" in chinese["note"]


def test_what_cannot_be_supposed_is_refused(client, stored, scores):
    """Nothing, an unknown stage, an unknown opportunity and a closed one are each said to be so."""
    one = scores["opportunity_id"][0]
    assert "nothing is supposed" in ask(client, one).json()["detail"]
    assert 'no open stage "Won"' in ask(client, one, stage="Won").json()["detail"]
    assert ask(client, "nobody", amount=1).status_code == 404
    with unit_of_work(stored) as session:
        closed = session.scalar(sa.select(Opportunity.id).where(Opportunity.status == "won"))
    answer = ask(client, closed, amount=1)
    assert (answer.status_code, "is won" in answer.json()["detail"]) == (409, True)
