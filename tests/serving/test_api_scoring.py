"""POST /v1/opportunities/score."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from forecast.history import OPPORTUNITY_COLUMNS, read_history
from forecast.policies import DEFAULT_THRESHOLDS
from forecast.records import Activity, Change, Opportunity
from forecast.scoring.grades import GradePolicies
from forecast.scoring.scores import score_opportunities
from forecast.snapshot import known_opportunities
from forecast.store import unit_of_work
from serving.schemas import OpportunityIn

SCORE = "/v1/opportunities/score"
IDENTITY = {"id": "X1", "created_at": "2026-08-01T00:00:00Z", "stage": "Contacted", "amount": "1000", "currency": "CNY"}


def iso(moment):
    """Write a moment or a date, where there is one."""
    return moment.isoformat() if moment else None


def as_posted(session, opportunity):
    """Give a stored opportunity as a caller would send it, with all its history."""
    values = {column.name: getattr(opportunity, column.name) for column in OPPORTUNITY_COLUMNS}
    activities = session.scalars(sa.select(Activity).where(Activity.opportunity_id == opportunity.id))
    changes = session.scalars(
        sa.select(Change)
        .where(Change.kind == "opportunity", Change.record_id == opportunity.id)
        .order_by(Change.changed_at, Change.id)
    )
    return {
        **{name: value for name, value in values.items() if isinstance(value, int | float | str)},
        "created_at": iso(values["created_at"]),
        "amount": None if values["amount"] is None else str(values["amount"]),
        "expected_close_on": iso(values["expected_close_on"]),
        "custom": opportunity.custom,
        "activities": [
            {
                "type": activity.type,
                "direction": activity.direction,
                "occurred_at": iso(activity.occurred_at),
                "created_at": iso(activity.created_at),
                "person_id": activity.person_id,
                "duration_minutes": activity.duration_minutes,
            }
            for activity in activities
        ],
        "changes": [
            {
                "field": change.field,
                "changed_at": iso(change.changed_at),
                "old_value": change.old_value,
                "new_value": change.new_value,
            }
            for change in changes
        ],
    }


def scored_from_store(engine, version, as_of):
    """Score what is stored, without the API."""
    with unit_of_work(engine) as session:
        history = read_history(session)
    subjects = known_opportunities(history, as_of)
    return score_opportunities(history, version, subjects, policies=GradePolicies(default=DEFAULT_THRESHOLDS))


@pytest.mark.parametrize("days_ago", [0, 200])
def test_a_posted_opportunity_scores_as_the_stored_one(client, stored, live, clock, days_ago):
    """The same record gives the same probability, bit for bit, whether it is posted or read from the database."""
    as_of = clock.now - timedelta(days=days_ago)
    expected = scored_from_store(stored, live, as_of)
    ids = expected["opportunity_id"].to_list()
    with unit_of_work(stored) as session:
        records = session.scalars(sa.select(Opportunity).where(Opportunity.id.in_(ids)).order_by(Opportunity.id))
        body = {"as_of": as_of.isoformat(), "opportunities": [as_posted(session, record) for record in records]}
    scores = client.post(SCORE, json=body).raise_for_status().json()["scores"]
    assert len(scores) == expected.height > 20
    assert [score["id"] for score in scores] == ids
    assert [score["probability"] for score in scores] == expected["probability"].to_list()
    assert [score["grade"] for score in scores] == expected["grade"].to_list()
    for score, row in zip(scores, expected.iter_rows(named=True), strict=True):
        for side in ("reasons_for", "reasons_against"):
            assert [reason["contribution"] for reason in score[side]] == [r["contribution"] for r in row[side]]
        assert score["interval"] == {"low": row["probability_low"], "high": row["probability_high"]}
        assert all("do not count" in warning for warning in score["warnings"])
    assert len({score["probability"] for score in scores}) > 10


def test_every_column_of_a_snapshot_can_be_posted():
    """No column that training sees is forgotten in the API."""
    extra = {"custom", "activities", "quotes", "changes"}
    assert OpportunityIn.model_fields.keys() - extra == {column.name for column in OPPORTUNITY_COLUMNS}


def test_the_order_of_a_call_is_the_order_of_its_answer(client):
    """Scores come in the order given, alone or together with the same numbers."""
    items = [{**IDENTITY, "id": name, "amount": amount} for name, amount in (("c", "9"), ("a", "90000"), ("b", "700"))]
    together = client.post(SCORE, json={"opportunities": items}).json()["scores"]
    alone = [client.post(SCORE, json={"opportunities": [item]}).json()["scores"][0] for item in items]
    assert [score["id"] for score in together] == ["c", "a", "b"]
    assert together == alone


def test_money_is_exact_text_with_its_currency(client):
    """Expected value is probability times amount, to the cent, as text."""
    score = client.post(SCORE, json={"opportunities": [{**IDENTITY, "amount": 1234.56}]}).json()["scores"][0]
    expected = (Decimal(str(score["probability"] * 1234.56))).quantize(Decimal("0.01"))
    assert score["expected_value"] == {"amount": str(expected), "currency": "CNY"}


def test_an_opportunity_without_amount_has_no_expected_value(client):
    """A missing amount is not taken for zero."""
    score = client.post(SCORE, json={"opportunities": [{**IDENTITY, "amount": None}]}).json()["scores"][0]
    assert score["expected_value"] is None


def test_the_default_moment_is_now(client, clock):
    """Without as_of, the clock decides."""
    score = client.post(SCORE, json={"opportunities": [IDENTITY]}).json()["scores"][0]
    assert datetime.fromisoformat(score["as_of"]) == clock.now
    clock.now += timedelta(seconds=30)
    score = client.post(SCORE, json={"opportunities": [IDENTITY]}).json()["scores"][0]
    assert datetime.fromisoformat(score["as_of"]) == clock.now


def test_nothing_is_stored(client, stored):
    """Scoring what is posted leaves no trace in the records."""
    client.post(SCORE, json={"opportunities": [{**IDENTITY, "id": "never stored"}]}).raise_for_status()
    with unit_of_work(stored) as session:
        assert session.get(Opportunity, "never stored") is None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"created_at": "gestern"}, "created_at"),
        ({"created_at": 1754000000}, "created_at"),
        ({"created_at": "2026-09-16T00:00:00Z"}, "created_at"),
        ({"amount": "12,5k"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"need_fit": 6}, "need_fit"),
        ({"seller_probability": 60}, "seller_probability"),
        ({"expected_close_on": "31.12.2026"}, "expected_close_on"),
        ({"colour": "red"}, "colour"),
        ({"id": ""}, "id"),
        ({"custom": {"budget_confirmed": "perhaps"}}, "custom.budget_confirmed"),
        ({"custom": {"budget_confirmed": 3}}, "custom.budget_confirmed"),
        ({"activities": [{"occurred_at": "noon"}]}, "activities[0].occurred_at"),
        ({"changes": [{"field": "stage"}]}, "changes[0].changed_at"),
    ],
)
def test_an_invalid_item_is_named(client, wrong, field):
    """The answer says which item and field, what was found, what was expected and what to do."""
    answer = client.post(SCORE, json={"opportunities": [{**IDENTITY, "id": "fine"}, {**IDENTITY, **wrong}]})
    assert answer.status_code == 422
    problem = answer.json()
    assert [(error["index"], error["field"]) for error in problem["errors"]] == [(1, field)]
    assert problem["errors"][0]["expected"]
    assert problem["errors"][0]["remedy"]
    assert problem["detail"].startswith(f"opportunities[1].{field}: found ")


@pytest.mark.parametrize(
    "odd",
    [
        '"amount": NaN',
        '"amount": 1e400',
        '"amount": "1e30"',
        '"seller_probability": Infinity',
        '"need_fit": NaN',
        '"created_at": "0001-01-01T00:00:00+14:00"',
        '"created_at": ["2026-08-01"]',
        '"name": "\\ud800"',
        '"owner_id": "\\u0000"',
        '"custom": {"buying_process": "\\ud800"}',
        '"custom": {"\\ud800": 1}',
        '"custom": {"budget_confirmed": {"deep": []}}',
        '"activities": {}',
        '"changes": [null]',
    ],
)
def test_odd_values_are_the_callers_mistake(client, odd):
    """Whatever JSON can carry is refused with a problem, never answered by a failure of ours."""
    body = f'{{"opportunities": [{{"id": "X1", {odd}}}]}}'
    answer = client.post(SCORE, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["status"]) == (422, 422)


@pytest.mark.parametrize(
    "strange",
    [
        {"name": "张三 🎉", "owner_id": "U\n7"},
        {"amount": "-5.005"},
        {"amount": "9999999999999999.99"},
        {"created_at": "1970-01-01"},
        {"expected_close_on": "9999-12-31"},
        {"custom": {"buying_process": ["a", 1, None], "budget_confirmed": "TRUE"}},
        {"changes": [{"field": "amount", "changed_at": "2026-08-02", "old_value": "much", "new_value": 7}]},
        {"changes": [{"field": "", "changed_at": "2026-08-02"}]},
        {"activities": [{"type": "", "occurred_at": "9999-12-31T00:00:00Z", "created_at": "2026-08-02T00:00:00Z"}]},
    ],
)
def test_strange_but_valid_values_are_scored(client, strange):
    """What is strange is not wrong."""
    answer = client.post(SCORE, json={"opportunities": [{**IDENTITY, **strange}]})
    assert answer.status_code == 200, answer.text
    assert 0 < answer.json()["scores"][0]["probability"] < 1


def test_an_id_given_twice_is_refused(client):
    """Which of two should be scored can't be told."""
    answer = client.post(SCORE, json={"opportunities": [IDENTITY, {**IDENTITY, "id": "Y"}, IDENTITY]})
    assert answer.status_code == 422
    assert [error["index"] for error in answer.json()["errors"]] == [0, 2]


def test_too_many_items_are_refused_with_the_bound(client):
    """A thousand are accepted, one more is not, and the answer says how many are."""
    items = [{**IDENTITY, "id": str(number)} for number in range(1001)]
    answer = client.post(SCORE, json={"opportunities": items})
    assert answer.status_code == 422
    assert "calls of at most 1000" in answer.json()["detail"]
    accepted = client.post(SCORE, json={"opportunities": items[:1000]}).raise_for_status()
    assert len(accepted.json()["scores"]) == 1000


def test_an_empty_call_is_refused(client):
    """No items, no silent empty answer."""
    assert client.post(SCORE, json={"opportunities": []}).status_code == 422


def test_a_future_moment_is_refused(client, clock):
    """What will be known tomorrow is not known."""
    body = {"as_of": (clock.now + timedelta(days=1)).isoformat(), "opportunities": [IDENTITY]}
    answer = client.post(SCORE, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "as_of"


def test_moments_without_a_zone_are_of_the_settings_zone(client, settings, open_client):
    """An integrator's local time is read as such."""
    there = open_client(replace(settings, timezone="Asia/Shanghai"))
    naive = {**IDENTITY, "created_at": "2026-08-01T09:00:00"}
    zoned = {**IDENTITY, "created_at": "2026-08-01T01:00:00Z"}
    first, second = (there.post(SCORE, json={"opportunities": [item]}).json() for item in (naive, zoned))
    assert first == second
    assert client.post(SCORE, json={"opportunities": [naive]}).json() != first


def test_warnings_say_what_was_not_used(client):
    """Unknown custom fields, values never seen, foreign changes and useless activities are named."""
    item = {
        **IDENTITY,
        "owner_id": "U99",
        "custom": {"shoe_size": 44, "budget_confirmed": True},
        "changes": [{"field": "Colour", "changed_at": "2026-08-02T00:00:00Z"}],
        "activities": [{"type": "call"}, {"type": "call", "occurred_at": "2026-09-20T00:00:00Z"}],
    }
    warnings = client.post(SCORE, json={"opportunities": [item]}).json()["scores"][0]["warnings"]
    for said in ("shoe_size", "U99", "Colour", "1 activities without", "1 activities were entered"):
        assert sum(said in warning for warning in warnings) == 1
    assert len(warnings) == 5


def test_what_a_warning_is_about_does_not_change_the_score(client):
    """A field that is left out is really left out."""
    plain = client.post(SCORE, json={"opportunities": [IDENTITY]}).json()["scores"][0]
    more = client.post(SCORE, json={"opportunities": [{**IDENTITY, "custom": {"shoe_size": 44}}]}).json()["scores"][0]
    assert plain["probability"] == more["probability"]


@pytest.mark.parametrize(
    ("query", "header", "language"),
    [
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "fr, en;q=0.5, zh;q=0.4", "en"),
        ("", "fr", "en"),
        ("?language=zh", "en", "zh"),
        ("", "zh;q=0, en;q=0.1", "en"),
    ],
)
def test_the_caller_chooses_the_language(client, query, header, language):
    """The query goes before the header, the header before the settings."""
    answer = client.post(SCORE + query, json={"opportunities": [IDENTITY]}, headers={"Accept-Language": header})
    assert answer.headers["Content-Language"] == language
    score = answer.json()["scores"][0]
    sentences = [reason["sentence"] for reason in score["reasons_for"] + score["reasons_against"]]
    assert sentences
    chinese = [any("\u4e00" <= letter <= "\u9fff" for letter in sentence) for sentence in sentences]
    assert all(chinese) if language == "zh" else not any(chinese)


def test_an_activity_moves_the_score(client, live):
    """What is posted with an opportunity reaches the model."""
    calls = [
        {"type": "call", "direction": "inbound", "occurred_at": f"2026-09-{day:02d}T08:00:00Z"} for day in range(1, 14)
    ]
    plain, busy = (
        client.post(SCORE, json={"opportunities": [{**IDENTITY, "activities": activities}]}).json()["scores"][0]
        for activities in ([], calls)
    )
    assert "inbound_activity_count" in live.estimator.encoding.features
    assert plain["probability"] != busy["probability"]


def test_surroundings_are_read_anew_after_a_minute(client, stored, clock):
    """An owner who is stored later is known a minute after at the latest, and not by every call."""
    call = {"opportunities": [{**IDENTITY, "owner_id": "U99"}]}

    def warnings():
        return client.post(SCORE, json=call).json()["scores"][0]["warnings"]

    assert len(warnings()) == 1
    with unit_of_work(stored) as session:
        session.execute(sa.text("UPDATE opportunity SET owner_id = 'U99' WHERE id = 'O0000001'"))
    assert len(warnings()) == 1
    clock.now += timedelta(seconds=61)
    assert warnings() == []
