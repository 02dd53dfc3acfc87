"""Many records a call, calls that are sent again, and the audit trail of both."""

import json
import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records_api import CUSTOM, NOW, bulk, changes, stored

from forecast.intake.upsert import lock_kind
from forecast.records import IdempotencyKey
from forecast.store import unit_of_work
from serving.api import records_bulk
from serving.records import writing
from serving.records.schemas import fields_of

PATH = "/v1/records/opportunity"


def events(api, **filters):
    """List (action, record, details) of the audit trail, oldest first."""
    found = api.get("/v1/audit", params=filters).json()["events"]
    return [(event["action"], event["record_id"], event["details"]) for event in reversed(found)]


def test_lines_are_answered_in_their_order(api):
    """Each as if it had been a request of its own; one that is refused does not stop the others."""
    api.post(PATH, json={"id": "old", "name": "a", "stage": "New"})
    api.post(PATH, json={"id": "gone"})
    api.delete(f"{PATH}/gone")
    lines = [
        {"id": "new", "name": "新", "custom": {"tags": ["a", "b"]}},
        {"id": "old", "stage": "Quoted"},
        {"id": "bad", "amount": "much", "colour": "red"},
        b'{"id": "broken"',
        {"name": "no id"},
        {"id": "old", "version": 9},
        {"id": "gone"},
        {"id": "old", "stage": "Quoted"},
        {"source_system": "crm", "external_id": "7"},
        b"\xff\xfe",
    ]
    answer = bulk(api, lines)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert {name: body[name] for name in ("created", "updated", "unchanged", "refused")} == {
        "created": 2, "updated": 1, "unchanged": 1, "refused": 6,
    }  # fmt: skip
    found = [(one["line"], one.get("id"), one["status"], one.get("action")) for one in body["results"]]
    assert found == [
        (1, "new", 201, "create"),
        (2, "old", 200, "update"),
        (3, "bad", 422, None),
        (4, None, 422, None),
        (5, None, 422, None),
        (6, "old", 412, None),
        (7, "gone", 404, None),
        (8, "old", 200, None),
        (9, "crm:7", 201, "create"),
        (10, None, 422, None),
    ]
    assert [problem["field"] for problem in body["results"][2]["errors"]] == ["amount", "colour"]
    assert body["results"][1]["version"] == 2
    records = {record["id"]: record for record in api.get(PATH).json()["records"]}
    assert (records["old"]["name"], records["old"]["stage"]) == ("a", "Quoted")
    assert records["new"]["custom"] == {"tags": ["a", "b"]}


def test_an_id_may_come_more_than_once(api, service):
    """Lines of one id follow each other, each change with its own row of history; the version counts once."""
    lines = [{"id": "1", "stage": stage} for stage in ("New", "Quoted", "Won")]
    results = bulk(api, lines).json()["results"]
    assert [(one["action"], one["version"]) for one in results] == [("create", 1), ("update", 1), ("update", 1)]
    assert [change[1:] for change in changes(service.engine)] == [
        ("stage", NOW, "New", "Quoted"),
        ("stage", NOW + timedelta(microseconds=2), "Quoted", "Won"),
    ]
    assert api.get(f"{PATH}/1").json()["stage"] == "Won"


TEXTS = st.text(max_size=20) | st.sampled_from(["", " ", "\0", "\ud800", "=1", "2026-02-30", "9" * 400, "1e999", "-0"])
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**18), 2**63, 1e308])
VALUES = (
    st.none()
    | st.booleans()
    | NUMBERS
    | TEXTS
    | st.lists(TEXTS, max_size=2)
    | st.dictionaries(TEXTS, TEXTS, max_size=2)
)
FIELDS = st.sampled_from([*fields_of("opportunity"), "source_system", "external_id", "version", "deleted_at", "colour"])


@given(
    lines=st.lists(
        st.dictionaries(FIELDS, VALUES, max_size=3)
        | st.dictionaries(st.sampled_from([*CUSTOM, "x"]), VALUES, max_size=3).map(lambda custom: {"custom": custom})
        | VALUES,
        max_size=40,
    )
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_is_sent_breaks_the_call(api, lines):
    """Each line is stored or refused by itself, whatever it holds, and what is stored reads back."""
    sent = [{**line, "id": f"L{number}"} if isinstance(line, dict) else line for number, line in enumerate(lines)]
    answer = bulk(api, [json.dumps(line).encode() for line in sent])
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [one["line"] for one in results] == list(range(1, len(sent) + 1))
    assert {one["status"] for one in results} <= {200, 201, 404, 412, 422}
    for one in results:
        if one["status"] < 300:
            assert api.get(f"{PATH}/{one['id']}").json()["version"] == one["version"]


def test_blank_lines_are_passed_over(api):
    """Results carry the number of the line in the body."""
    answer = bulk(api, [b"", {"id": "1"}, b"  ", b"\r", {"id": "2"}, b""])
    assert [one["line"] for one in answer.json()["results"]] == [2, 5]
    assert bulk(api, [b""]).json()["results"] == []


def test_a_byte_order_mark_is_passed_over(api):
    """Editors put it in front of a file; the record behind it is read."""
    assert api.post(PATH, content=b'\xef\xbb\xbf{"id": "1"}').status_code == 201
    assert api.post(f"{PATH}/bulk", content=b'\xef\xbb\xbf{"id": "2"}\r\n').json()["created"] == 1


def test_who_misspells_a_field_is_told_the_nearest(api):
    """Its message names the field that was probably meant."""
    assert "amount" in api.post(PATH, json={"amout": 5}).json()["errors"][0]["expected"]


def test_too_many_lines_are_refused_as_a_whole(api, monkeypatch):
    """A call has a bound, which is named; nothing of it is stored."""
    monkeypatch.setattr(records_bulk, "LINES_MAX", 3)
    answer = bulk(api, [{"id": str(number)} for number in range(4)])
    assert (answer.status_code, "3" in answer.json()["detail"]) == (422, True)
    assert api.get(PATH).json()["records"] == []


def test_thousands_a_call(api):
    """Records in mixed shapes, new and known, in one transaction."""
    bulk(api, [{"id": str(number), "stage": "New"} for number in range(0, 2000, 2)])
    lines = [{"id": str(number), "stage": "Quoted", "amount": number} for number in range(2000)]
    body = bulk(api, lines).json()
    assert (body["created"], body["updated"], body["refused"]) == (1000, 1000, 0)
    assert [one["id"] for one in body["results"]] == [str(number) for number in range(2000)]


def test_of_two_bulk_calls_none_is_lost(api):
    """Calls at once that write the same new records in another order: each record is created once."""
    ids = [str(number) for number in range(200)]
    bodies = []

    def send(order, name):
        bodies.append(bulk(api, [{"id": one, "name": name} for one in order]).json())

    threads = [threading.Thread(target=send, args=(ids[::step], str(step))) for step in (1, -1, 1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(body["created"] for body in bodies) == 200
    assert sum(body["refused"] for body in bodies) == 0
    assert sum(record["version"] for record in api.get(PATH, params={"limit": 1000}).json()["records"]) == 200 + sum(
        body["updated"] for body in bodies
    )


def test_a_running_import_is_waited_for(api, service, monkeypatch):
    """While records of the kind are imported, a write waits; for too long, it is told to try again."""
    monkeypatch.setattr(writing, "LOCK_WAIT", "100ms")
    with unit_of_work(service.engine) as session:
        lock_kind(session, "opportunity")
        answer = api.post(PATH, json={"id": "1"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
        assert "imported" in answer.json()["detail"]
        assert api.post("/v1/records/account", json={"id": "1"}).status_code == 201
    assert api.post(PATH, json={"id": "1"}).status_code == 201


def test_every_write_is_in_the_audit_trail(api, service):
    """Who, when, what, before and after; only the fields that changed."""
    api.post(PATH, json={"id": "1", "name": "a", "amount": "1.5", "custom": {"score": 1}})
    service.clock.now += timedelta(hours=1)
    api.patch(f"{PATH}/1", json={"amount": 2, "custom": {"score": None, "region": "East"}})
    api.delete(f"{PATH}/1")
    api.post(f"{PATH}/1/restore")
    bulk(api, [{"id": "1", "name": "b"}, {"id": "2"}, {"id": "1", "amount": "no"}])
    found = events(api)
    assert [(action, record_id) for action, record_id, _ in found] == [
        ("create", "1"), ("update", "1"), ("delete", "1"), ("restore", "1"), ("update", "1"), ("create", "2"),
    ]  # fmt: skip
    created, updated, deleted, restored = (details for _, _, details in found[:4])
    assert created["before"] is None
    assert created["after"].items() >= {"name": "a", "amount": "1.50", "custom.score": 1.0, "status": "open"}.items()
    moment = "2026-09-15T09:30:00Z"
    assert updated == {
        "before": {"amount": "1.50", "modified_at": None, "custom.score": 1.0, "custom.region": None},
        "after": {"amount": "2.00", "modified_at": moment, "custom.score": None, "custom.region": "East"},
    }
    assert (deleted["after"], restored["before"]) == ({"deleted_at": moment}, {"deleted_at": moment})
    newest = api.get("/v1/audit", params={"limit": 1}).json()["events"][0]
    assert (newest["actor"], newest["at"], newest["kind"]) == ("crm", moment, "opportunity")


def test_the_audit_trail_is_filtered_and_paged(api, service):
    """By record, kind, actor, action and moment, newest first."""
    for number in range(5):
        api.post(PATH, json={"id": str(number)})
        service.clock.now += timedelta(hours=1)
    api.post("/v1/records/account", json={"id": "0"})
    assert [one[1] for one in events(api, kind="opportunity", record_id="0")] == ["0"]
    assert len(events(api, action="create", actor="crm")) == 6
    assert events(api, actor="nobody") == events(api, action="update") == []
    between = {"since": "2026-09-15T09:30:00Z", "until": "2026-09-15T11:30:00Z"}
    assert [one[1] for one in events(api, **between)] == ["1", "2"]
    seen, cursor = [], None
    while cursor is not None or not seen:
        page = api.get("/v1/audit", params={"limit": 2, "cursor": cursor} if cursor else {"limit": 2}).json()
        seen += [event["id"] for event in page["events"]]
        cursor = page["next_cursor"]
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 6


def test_a_kind_that_does_not_exist_has_no_empty_trail(api):
    """A misspelt kind is refused, and those that exist are named."""
    answer = api.get("/v1/audit", params={"kind": "oportunity"})
    assert answer.status_code == 422
    assert "opportunity" in answer.json()["detail"]


def test_a_request_sent_again_is_not_done_again(api):
    """The same key and body give the same answer; records are created once."""
    sent = {"json": {"name": "a"}, "headers": {"Idempotency-Key": "k1"}}
    first, again = api.post(PATH, **sent), api.post(PATH, **sent)
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert {name: again.headers[name] for name in ("ETag", "Location")} == {
        name: first.headers[name] for name in ("ETag", "Location")
    }
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert len(api.get(PATH).json()["records"]) == 1


def test_a_key_is_for_one_request(api):
    """Another body, kind or address with the same key is refused."""
    headers = {"Idempotency-Key": "k1"}
    api.post(PATH, json={"id": "1"}, headers=headers)
    assert api.post(PATH, json={"id": "2"}, headers=headers).status_code == 422
    assert api.post("/v1/records/lead", json={"id": "1"}, headers=headers).status_code == 422
    assert bulk(api, [{"id": "1"}], **headers).status_code == 422
    assert api.post(PATH, json={"id": "2"}, headers={"Idempotency-Key": "x" * 256}).status_code == 422


def test_a_request_that_failed_can_be_sent_again(api):
    """A refusal is not kept: once its cause is gone, the same request works."""
    sent = {"json": {"id": "1", "custom": {"new": "x"}}, "headers": {"Idempotency-Key": "k1"}}
    assert api.post(PATH, **sent).status_code == 422
    api.put("/v1/custom-fields/opportunity/new", json={"type": "text"})
    assert api.post(PATH, **sent).status_code == 201


def test_a_bulk_call_can_be_sent_again(api, service):
    """Its results come again as they were, whatever happened since."""
    lines = [{"id": "1", "name": "a"}, {"id": "2", "amount": "no"}]
    first = bulk(api, lines, **{"Idempotency-Key": "k1"})
    api.patch(f"{PATH}/1", json={"name": "b"})
    again = bulk(api, lines, **{"Idempotency-Key": "k1"})
    assert again.json() == first.json()
    assert stored(service.engine, "opportunity", "1")["name"] == "b"


def test_two_of_the_same_request_at_once(api):
    """They wait for each other: one is done, the others get its answer."""
    answers = []

    def send():
        answers.append(api.post(PATH, json={"name": "a"}, headers={"Idempotency-Key": "k1"}))

    threads = [threading.Thread(target=send) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({json.loads(answer.content)["id"] for answer in answers}) == 1


def test_keys_expire(api, service):
    """After a day a key is new again, and the old answer is gone from the database."""
    sent = {"json": {"name": "a"}, "headers": {"Idempotency-Key": "k1"}}
    first = api.post(PATH, **sent).json()
    service.clock.now += timedelta(hours=23)
    assert api.post(PATH, **sent).json() == first
    service.clock.now += timedelta(hours=2)
    assert api.post(PATH, **sent).json()["id"] != first["id"]
    with unit_of_work(service.engine) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(IdempotencyKey)) == 1


def test_custom_fields_are_declared(api):
    """A field is known from then on; its type stays, its time and label may change; the audit trail has it."""
    path = "/v1/custom-fields/opportunity/budget"
    assert api.patch(f"{PATH}/1", json={"custom": {"budget": 1}}).status_code == 422
    declared = api.put(path, json={"type": "number", "label": "预算"})
    assert declared.json() == {
        "kind": "opportunity", "name": "budget", "type": "number", "time": "tracked", "label": "预算",
    }  # fmt: skip
    assert api.post(PATH, json={"id": "1", "custom": {"budget": 1}}).status_code == 201
    assert api.put(path, json={"type": "text"}).status_code == 409
    assert api.put(path, json={"type": "number", "time": "outcome"}).json()["time"] == "outcome"
    api.put(path, json={"type": "number", "time": "outcome"})
    named = [field["name"] for field in api.get("/v1/custom-fields/opportunity").json()["custom_fields"]]
    assert named == ["budget", "confirmed", "region", "renewal", "score", "tags"]
    assert [event[1] for event in events(api, action="declare")] == ["custom.budget"] * 2


@pytest.mark.parametrize("name", ["Budget", "a b", "1st", "x" * 80])
def test_names_of_custom_fields_are_plain(api, name):
    """A name that an import would not give is refused with one that it would."""
    answer = api.put(f"/v1/custom-fields/opportunity/{name}", json={"type": "text"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["remedy"].startswith("call it ")
