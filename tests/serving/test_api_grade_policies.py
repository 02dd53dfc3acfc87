"""GET and PUT /v1/grade-policies."""

from datetime import timedelta

import pytest

from forecast.history import read_history
from forecast.policies import read_policies
from forecast.scoring.scores import score_opportunities
from forecast.scoring.table import read_past_scores, write_scores
from forecast.snapshot import known_opportunities
from forecast.store import unit_of_work

PATH = "/v1/grade-policies"
BOUNDS = {
    "probability_high": 0.7,
    "probability_medium": 0.4,
    "expected_value_high": 1000.0,
    "expected_value_medium": 10.0,
    "rating_high": 4.5,
    "rating_low": 1.5,
}


def test_a_policy_is_decided_and_read(client):
    """What was put is in force, with who decided it; deciding again makes a new version."""
    assert client.get(PATH).json() == {"policies": []}
    first = client.put(f"{PATH}/default", json=BOUNDS).raise_for_status().json()
    assert {name: first[name] for name in BOUNDS} == BOUNDS
    assert (first["pipeline_id"], first["decided_by"]) == ("default", "tests")
    alone = {"probability_high": 0.6, "probability_medium": 0.3}
    second = client.put(f"{PATH}/default", json=alone).raise_for_status().json()
    assert second["version"] > first["version"]
    client.put(f"{PATH}/renewals", json=BOUNDS).raise_for_status()
    found = client.get(PATH).json()["policies"]
    assert [policy["pipeline_id"] for policy in found] == ["default", "renewals"]
    assert (found[0]["probability_high"], found[0]["rating_low"]) == (0.6, None)


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"probability_high": 0.2, "probability_medium": 0.4}, "probability_medium is 0.4"),
        ({**BOUNDS, "rating_low": None}, "give both"),
        ({**BOUNDS, "probability_high": 7}, "found 7"),
    ],
)
def test_a_policy_out_of_order_is_refused(client, bounds, said):
    """Nothing is decided, and the sentence has the values."""
    answer = client.put(f"{PATH}/default", json=bounds)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert client.get(PATH).json() == {"policies": []}


def score_now(stored, live, moment):
    """Score what is open into the score table, with regard to what was said before."""
    with unit_of_work(stored) as session:
        history, policies = read_history(session), read_policies(session)
        subjects = known_opportunities(history, moment)
        past = read_past_scores(session, subjects, model=live.name, decided_at=policies.decided_at)
        scores = score_opportunities(history, live, subjects, policies=policies, past=past)
        write_scores(session, scores, model=live.name)
    return scores, past


def test_scores_follow_what_was_said_before(client, stored, live, clock):
    """Trends compare with the last scores; a grade counts as the last one until the policy changes."""
    first, past = score_now(stored, live, clock.now - timedelta(days=20))
    assert past.is_empty()
    assert first["trend"].null_count() == first.height
    second, past = score_now(stored, live, clock.now)
    before = {row["opportunity_id"]: row for row in first.iter_rows(named=True)}
    again = [row for row in second.iter_rows(named=True) if row["opportunity_id"] in before]
    assert len(again) == past.height > 5
    for row in again:
        moved = row["probability"] - before[row["opportunity_id"]]["probability"]
        expected = "improving" if moved >= 0.05 else "declining" if moved <= -0.05 else "steady"
        assert row["trend"] == expected
    assert dict(past.select("opportunity_id", "last_grade").iter_rows()) == {
        name: row["grade"] for name, row in before.items() if name in set(past["opportunity_id"])
    }
    listed = client.get("/v1/opportunities", params={"limit": 500}).json()["opportunities"]
    trends = {row["id"]: row["score"]["trend"] for row in listed if row["score"]}
    assert trends == dict(second.select("opportunity_id", "trend").iter_rows())
    client.put(f"{PATH}/default", json=BOUNDS).raise_for_status()
    _, past = score_now(stored, live, clock.now + timedelta(days=1))
    assert past["before"].null_count() == 0
    assert past["last_grade"].null_count() == past.height
