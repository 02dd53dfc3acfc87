"""Records over the API, one at a time: created, read, changed, replaced, deleted and restored."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from records_api import NOW, changes, open_client, stored

from forecast.history import read_history
from forecast.records import RECORD_KINDS, Change
from forecast.store import unit_of_work
from serving import middleware

PATH = "/v1/records/opportunity"


@pytest.fixture
def clock(service):
    """Give the clock of the service."""
    return service.clock


@pytest.fixture
def engine(service):
    """Give the database of the service."""
    return service.engine


def test_a_record_is_created_and_read(api):
    """What was sent comes back, with its version as ETag and its address."""
    answer = api.post(
        PATH, json={"id": "甲/1", "name": "年度框架合同", "amount": "125000.005", "custom": {"tags": ["a"]}}
    )
    assert answer.status_code == 201, answer.text
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Location"] == f"{PATH}/%E7%94%B2/1"
    read = api.get(answer.headers["Location"])
    assert read.json() == answer.json()
    assert read.headers["ETag"] == '"1"'
    found = {name: value for name, value in read.json().items() if value is not None}
    assert found == {
        "id": "甲/1", "source_system": "import", "external_id": "甲/1", "name": "年度框架合同", "pipeline_id": "default",
        "amount": "125000.01", "status": "open", "custom": {"tags": ["a"]}, "version": 1,
        "stored_at": "2026-09-15T08:30:00Z",
    }  # fmt: skip


@pytest.mark.parametrize("kind", RECORD_KINDS)
def test_every_kind_is_created_changed_and_deleted(api, kind):
    """No kind is left out."""
    needed = {"name": "Won", "position": 1, "kind": "won"} if kind == "stage" else {}
    path = f"/v1/records/{kind}"
    assert api.post(path, json={"id": "1", **needed}).status_code == 201
    assert api.patch(f"{path}/1", json={"created_at": "2026-01-01"}).json()["version"] == 2
    assert api.delete(f"{path}/1").status_code == 204
    assert api.get(f"{path}/1").status_code == 404
    assert api.post(f"{path}/1/restore").json()["created_at"] == "2026-01-01T00:00:00Z"


def test_a_record_without_an_id_gets_one(api):
    """Two posts of the same are two records."""
    first, second = (api.post(PATH, json={"name": "x"}).json() for _ in range(2))
    assert first["id"] != second["id"]
    assert first["external_id"] == first["id"]


def test_the_id_is_made_of_source_and_external_id(api):
    """As imports make it; what contradicts it is refused."""
    made = api.post(PATH, json={"source_system": "crm", "external_id": "7"}).json()
    assert made["id"] == "crm:7"
    assert api.put(f"{PATH}/crm:8", json={"source_system": "crm"}).json()["external_id"] == "8"
    for body in (
        {"id": "9", "source_system": "crm", "external_id": "8"},
        {"id": "9", "source_system": "crm"},
        {"id": "crm:", "source_system": "crm"},
    ):
        assert api.post(PATH, json=body).status_code == 422
    assert api.patch(f"{PATH}/crm:7", json={"id": "crm:8"}).status_code == 422
    assert api.patch(f"{PATH}/crm:7", json={"external_id": "8"}).status_code == 422
    assert api.patch(f"{PATH}/crm:7", json={"source_system": "crm", "name": "x"}).status_code == 200


def test_an_id_is_taken_once(api):
    """A second record of the same id is a conflict, also where the first is deleted."""
    api.post(PATH, json={"id": "1"})
    assert api.post(PATH, json={"id": "1"}).status_code == 409
    api.delete(f"{PATH}/1")
    assert api.post(PATH, json={"id": "1"}).status_code == 409


def test_a_patch_sets_what_it_names(api, clock):
    """Other fields stay, null empties one, custom fields likewise; the version counts up."""
    api.post(PATH, json={"id": "1", "name": "a", "stage": "New", "custom": {"score": 1, "region": "East"}})
    clock.now += timedelta(hours=1)
    answer = api.patch(f"{PATH}/1", json={"stage": "Won", "name": None, "custom": {"score": 2.5, "region": None}})
    found = answer.json()
    assert (found["stage"], found["name"], found["custom"]) == ("Won", None, {"score": 2.5})
    assert (found["version"], found["stored_at"], found["modified_at"]) == (2, *["2026-09-15T09:30:00Z"] * 2)
    assert api.get(f"{PATH}/1").json() == found


def test_a_patch_that_changes_nothing_writes_nothing(api, engine):
    """No version, no history, no audit."""
    api.post(PATH, json={"id": "1", "name": "a", "amount": 1})
    assert api.patch(f"{PATH}/1", json={"name": "a", "amount": "1.00"}).json()["version"] == 1
    assert changes(engine) == []
    assert len(api.get("/v1/audit").json()["events"]) == 1


def test_a_changed_field_has_a_history(api, engine, clock):
    """Each tracked field gets a change row with its moment and origin; outcomes and fixed fields get none."""
    api.post(PATH, json={"id": "1", "stage": "New", "amount": 1, "source": "Web", "custom": {"region": "East"}})
    clock.now = later = NOW + timedelta(days=1)
    api.patch(f"{PATH}/1", json={"stage": "Quoted", "amount": 2, "source": "Fair", "custom": {"region": "West"}})
    assert changes(engine) == [
        ("1", "stage", later, "New", "Quoted"),
        ("1", "amount", later, "1.00", "2.00"),
        ("1", "custom.region", later, "East", "West"),
    ]
    with unit_of_work(engine) as session:
        assert set(session.scalars(sa.select(Change.origin))) == {"api"}


def test_a_change_is_dated_by_its_source(api, engine, clock):
    """`modified_at` is the moment of the change where it is sent, and later than the one that is stored."""
    api.post(PATH, json={"id": "1", "stage": "New", "modified_at": "2026-09-01T00:00:00Z"})
    clock.now += timedelta(hours=1)
    api.patch(f"{PATH}/1", json={"stage": "Quoted", "modified_at": "2026-09-02T08:00:00+08:00"})
    api.patch(f"{PATH}/1", json={"stage": "Won", "modified_at": "2026-08-01T00:00:00Z"})
    moments = [moment.isoformat() for _, _, moment, _, _ in changes(engine)]
    assert moments == ["2026-09-02T00:00:00+00:00", clock.now.isoformat()]


def test_closing_keeps_what_stood_before(api, engine):
    """A field that closing overwrites is recorded even if it stays, as for imports."""
    api.post(PATH, json={"id": "1", "stage": "Quoted", "expected_close_on": "2026-10-01"})
    api.patch(f"{PATH}/1", json={"stage": "Won", "status": "won", "closed_at": "2026-09-14"})
    assert {(field, old, new) for _, field, _, old, new in changes(engine)} == {
        ("stage", "Quoted", "Won"),
        ("expected_close_on", "2026-10-01", "2026-10-01"),
    }


def test_an_end_without_its_moment_is_dated_as_the_change_is(api, clock):
    """By `modified_at` or now; a moment that is sent stands, what is open again has none, and lost become won is dated anew."""
    for record_id in ("1", "2", "3"):
        api.post(PATH, json={"id": record_id, "created_at": "2026-09-01"})
    clock.now += timedelta(hours=1)
    api.patch(f"{PATH}/1", json={"status": "won"})
    api.patch(f"{PATH}/2", json={"status": "lost", "modified_at": "2026-09-10"})
    api.patch(f"{PATH}/3", json={"status": "lost", "closed_at": None})
    ends = [api.get(f"{PATH}/{record_id}").json()["closed_at"] for record_id in ("1", "2", "3")]
    assert ends == ["2026-09-15T09:30:00Z", "2026-09-10T00:00:00Z", None]
    assert api.patch(f"{PATH}/1", json={"status": "open"}).json()["closed_at"] is None
    clock.now += timedelta(hours=1)
    later = [
        api.patch(f"{PATH}/2", json=told).json()["closed_at"]
        for told in ({"stage": "Filed"}, {"status": "won"}, {"stage": "Paid"})
    ]
    assert later == ["2026-09-10T00:00:00Z", "2026-09-15T10:30:00Z", "2026-09-15T10:30:00Z"]


def test_a_deleted_record_is_gone_until_it_is_restored(api, engine, clock):
    """From lists, reads, writes and snapshots; its row stays, with the moment."""
    api.post(PATH, json={"id": "1", "created_at": "2026-01-01"})
    clock.now += timedelta(hours=1)
    assert api.delete(f"{PATH}/1").content == b""
    assert stored(engine, "opportunity", "1")["deleted_at"] == clock.now
    answers = [api.get(f"{PATH}/1"), api.patch(f"{PATH}/1", json={"name": "x"}), api.delete(f"{PATH}/1")]
    answers += [api.put(f"{PATH}/1", json={}, headers={"If-Match": "*"}), api.get("/v1/opportunities/1")]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert "restore" in answers[0].json()["detail"]
    assert api.get(PATH).json()["records"] == []
    with unit_of_work(engine) as session:
        assert read_history(session).opportunities.is_empty()
    assert api.get(f"{PATH}/1", params={"include_deleted": True}).json()["deleted_at"] == "2026-09-15T09:30:00Z"
    restored = api.post(f"{PATH}/1/restore")
    assert (restored.status_code, restored.json()["version"]) == (200, 3)
    assert api.post(f"{PATH}/1/restore").status_code == 409
    assert api.get(f"{PATH}/1").status_code == 200
    with unit_of_work(engine) as session:
        assert read_history(session).opportunities["opportunity_id"].to_list() == ["1"]


def test_merged_records_stay_merged(api):
    """What names one is stored with the one that was kept; undoing the merge is the only way back."""
    for name in ("kept", "other"):
        api.post("/v1/records/account", json={"id": name, "name": "Acme"})
    merge = api.post("/v1/merges", json={"kind": "account", "keep_id": "kept", "other_ids": ["other"]})
    assert merge.status_code in {200, 201}, merge.text
    assert api.post(PATH, json={"id": "1", "account_id": "other"}).json()["account_id"] == "kept"
    answer = api.post("/v1/records/account/other/restore")
    assert (answer.status_code, "DELETE /v1/merges/" in answer.json()["detail"]) == (409, True)


def test_texts_are_trimmed(api):
    """As imports do; what is empty then is no value."""
    body = {"id": " 1 ", "name": " a b\n", "stage": "  ", "owner_id": " U1", "custom": {"region": " ", "tags": [" a "]}}
    found = api.post(PATH, json=body).json()
    assert (found["id"], found["name"], found["stage"], found["owner_id"]) == ("1", "a b", None, "U1")
    assert found["custom"] == {"tags": ["a"]}


@pytest.mark.parametrize("address", ["", "%20", "%20a", "x" * 201])
def test_an_address_holds_an_id(api, address):
    """Nothing is created under an empty id, one with blanks around it or one that is too long."""
    assert api.put(f"{PATH}/{address}", json={}).status_code == 422
    assert api.get(PATH).json()["records"] == []


@pytest.mark.parametrize(
    ("body", "status"), [({"version": 1}, 412), ({"deleted_at": "2026-01-01"}, 422), ({"stored_at": "2026-01-01"}, 422)]
)
def test_what_this_service_sets_is_not_taken_over(api, body, status):
    """A new record has no version and no tombstone yet."""
    assert api.post(PATH, json=body).status_code == status
    assert api.put(f"{PATH}/1", json=body).status_code == status


def test_what_is_not_there_is_not_found(api):
    """Neither a record nor a kind that does not exist; the kinds are named."""
    for answer in (
        api.get(f"{PATH}/1"),
        api.patch(f"{PATH}/1", json={}),
        api.delete(f"{PATH}/1"),
        api.post(f"{PATH}/1/restore"),
        api.get("/v1/records/deal/1"),
        api.post("/v1/records/deal", json={}),
    ):
        assert answer.status_code == 404
    assert "opportunity" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount": "12,5k"}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 1e300}, "amount"),
        ({"need_fit": 9}, "need_fit"),
        ({"need_fit": 1.5}, "need_fit"),
        ({"seller_probability": 2}, "seller_probability"),
        ({"status": "abandoned"}, "status"),
        ({"created_at": "gestern"}, "created_at"),
        ({"created_at": 1700000000}, "created_at"),
        ({"created_at": "1700000000"}, "created_at"),
        ({"created_at": "0001-01-01T00:00:00+14:00"}, "created_at"),
        ({"expected_close_on": "2026-02-30"}, "expected_close_on"),
        ({"name": ["a"]}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"owner_id": "x" * 201}, "owner_id"),
        ({"id": "x" * 201}, "id"),
        ({"colour": "red"}, "colour"),
        ({"custom": {"colour": "red"}}, "custom.colour"),
        ({"custom": {"score": "many"}}, "custom.score"),
        ({"custom": {"score": True}}, "custom.score"),
        ({"custom": {"confirmed": "yes"}}, "custom.confirmed"),
        ({"custom": {"renewal": "soon"}}, "custom.renewal"),
        ({"custom": {"renewal": 5}}, "custom.renewal"),
        ({"custom": {"tags": "a"}}, "custom.tags"),
        ({"custom": {"tags": [["a"]]}}, "custom.tags"),
        ({"custom": {"region": "a\0b"}}, "custom.region"),
        ({"custom": {"region": {"a": 1}}}, "custom.region"),
        ({"custom": []}, "custom"),
        ([], "body"),
    ],
)
def test_a_wrong_value_is_named(api, engine, body, field):
    """422 with the field, what was found and what to write; nothing is stored."""
    answer = api.post(PATH, json=body)
    assert answer.status_code == 422, answer.text
    (problem,) = answer.json()["errors"]
    assert problem["field"] == field
    assert problem["remedy"]
    assert stored(engine, "opportunity", "1") is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"custom": {"score": NaN}}', b'{"amount": Infinity}', b'{"name": "\\ud800"}', b"[" * 9999]
)
def test_what_is_no_json_is_refused(api, content):
    """Numbers that JSON does not know and half characters too."""
    assert api.post(PATH, content=content).status_code == 422


def test_another_encoding_is_named(api):
    """GBK is told from UTF-8, not stored as rubbish."""
    answer = api.post(PATH, content='{"name": "客户"}'.encode("gbk"))
    assert (answer.status_code, "UTF-8" in answer.json()["detail"]) == (422, True)


def test_required_fields_are_asked_for(api):
    """A stage without its name, position and kind is no stage, created, replaced or emptied."""
    answer = api.post("/v1/records/stage", json={"id": "1", "name": "New"})
    assert [problem["field"] for problem in answer.json()["errors"]] == ["position", "kind"]
    api.post("/v1/records/stage", json={"id": "1", "name": "New", "position": 1, "kind": "open"})
    assert api.patch("/v1/records/stage/1", json={"name": ""}).status_code == 422
    assert api.put("/v1/records/stage/1", json={"name": "x"}, headers={"If-Match": "*"}).status_code == 422


@pytest.mark.parametrize(
    "text",
    ["'; DROP TABLE opportunity; --", "=1+1", '"a" \\ %s %(x)s {x}', "../../etc/passwd", "<script>", "𝒳 é 汉字", "\\."],
)
def test_any_text_is_stored_as_it_is(api, text):
    """Text is data: in fields, in ids, in custom fields and in filters."""
    api.post(PATH, json={"id": text, "name": text, "custom": {"region": text}})
    api.patch(f"{PATH}", json={})
    (found,) = api.get(PATH, params={"name": text, "id": text, "custom.region": text}).json()["records"]
    assert (found["id"], found["name"], found["custom"]["region"]) == (text, text, text)


@pytest.mark.usefixtures("api")
def test_moments_without_a_zone_are_local(engine, clock, tmp_path):
    """FORECAST_TIMEZONE decides; a zone that is given wins; custom dates are kept as dates."""
    with open_client(engine, clock, tmp_path, key="shanghai", timezone="Asia/Shanghai") as local:
        body = {"id": "1", "created_at": "2026-09-01T08:00:00", "closed_at": "2026-09-01T08:00:00+02:00"}
        custom = {"renewal": "2026-12-31"}
        found = local.post(PATH, json={**body, "custom": custom}).json()
        assert (found["created_at"], found["closed_at"]) == ("2026-09-01T00:00:00Z", "2026-09-01T06:00:00Z")
        assert found["custom"] == custom
        patched = local.patch(f"{PATH}/1", json={"custom": {"renewal": "2026-12-31T08:00:00"}}).json()
        assert patched["custom"] == {"renewal": "2026-12-31T00:00:00Z"}


def test_a_huge_body_is_refused(api, monkeypatch):
    """413 before it is read, or once it is too long."""
    monkeypatch.setattr(middleware, "BODY_BYTES_MAX", 1000)
    assert api.post(PATH, json={"name": "x" * 2000}).status_code == 413
    parts = iter([b'{"name": "', b"x" * 2000, b'"}'])
    assert api.post(f"{PATH}/bulk", content=parts).status_code == 413


def test_a_key_is_needed(api):
    """Nothing of this is open."""
    del api.headers["Authorization"]
    for path in (PATH, f"{PATH}/1", f"{PATH}/export", "/v1/audit", "/v1/custom-fields/opportunity"):
        assert api.get(path).status_code == 401
