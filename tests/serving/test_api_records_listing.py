"""Records as lists and as files."""

import io
from datetime import timedelta

import polars as pl
import pytest
from records_api import bulk, open_service

from forecast.intake import import_files
from forecast.records import RECORD_KINDS
from serving.records.requests import CHANGE_EXAMPLE, EXAMPLE

PATH = "/v1/records/opportunity"


def fill(service):
    """Store six opportunities, written an hour apart; the last is deleted."""
    service.empty()
    for number in range(6):
        service.client.post(
            PATH,
            json={
                "id": f"O{number}",
                "stage": ["New", "Quoted", "报价"][number % 3],
                "amount": number * 100,
                "owner_id": "U1" if number % 2 else None,
                "created_at": f"2026-0{number + 1}-01",
                "expected_close_on": f"2026-10-0{number + 1}",
                "custom": {
                    "score": number,
                    "region": "East" if number < 3 else "West",
                    "confirmed": number == 1,
                    "tags": [["a"], ["a;b", "c"]][number - 2] if number in {2, 3} else None,
                },
            },
        )
        service.clock.now += timedelta(hours=1)
    service.client.delete(f"{PATH}/O5")


@pytest.fixture(scope="module")
def unchanged(server, tmp_path_factory):
    """Open a service with the six opportunities, for tests that only read."""
    with open_service(server, tmp_path_factory.mktemp("home")) as opened:
        fill(opened)
        yield opened.client


@pytest.fixture
def api(service):
    """Give the service with the six opportunities."""
    fill(service)
    return service.client


def ids(api, **params):
    """List the ids that a query gives, through all its pages."""
    answer = api.get(PATH, params=params)
    assert answer.status_code == 200, answer.text
    page = answer.json()
    found = [record["id"] for record in page["records"]]
    return found + (ids(api, **{**params, "cursor": page["next_cursor"]}) if page["next_cursor"] else [])


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "01234"),
        ({"include_deleted": True}, "012345"),
        ({"stage": "Quoted"}, "14"),
        ({"stage": ["Quoted", "报价"]}, "124"),
        ({"stage": "quoted"}, ""),
        ({"owner_id": ""}, "024"),
        ({"owner_id": ["", "U1"]}, "01234"),
        ({"amount": "200.00"}, "2"),
        ({"amount.gte": 100, "amount.lt": 300}, "12"),
        ({"amount.gt": 100, "amount.lte": 300}, "23"),
        ({"created_at.gte": "2026-02-01", "created_at.lt": "2026-04-01T00:00:00Z"}, "12"),
        ({"expected_close_on": "2026-10-03"}, "2"),
        ({"custom.region": "East"}, "012"),
        ({"custom.score.gte": 2}, "234"),
        ({"custom.confirmed": "true"}, "1"),
        ({"custom.tags": "a;b"}, "3"),
        ({"custom.tags": ["a", "a;b"], "limit": 1}, "23"),
        ({"id": ["O3", "O1"]}, "13"),
        ({"version": 1, "source_system": "import"}, "01234"),
        ({"status": "won"}, ""),
        ({"modified_since": "2026-09-15T10:30:00Z"}, "234"),
        ({"sort": "modified"}, "01234"),
        ({"sort": "-modified"}, "43210"),
        ({"sort": "-modified", "include_deleted": True}, "543210"),
        ({"limit": 2}, "01234"),
        ({"limit": 1, "sort": "modified", "stage": ["New", "Quoted"]}, "0134"),
        ({"limit": 2, "sort": "-modified"}, "43210"),
    ],
)
def test_lists_are_filtered_sorted_and_paged(unchanged, params, expected):
    """Filters all hold; several values of one field are alternatives; pages neither repeat nor leave out."""
    assert ids(unchanged, **params) == [f"O{number}" for number in expected]


def test_a_modified_record_moves_to_the_end(api, service):
    """Who reads by modification gets what was written meanwhile, deletions included."""
    first = api.get(PATH, params={"sort": "modified", "limit": 3}).json()
    service.clock.now += timedelta(hours=1)
    api.patch(f"{PATH}/O0", json={"name": "later"})
    api.delete(f"{PATH}/O4")
    assert ids(api, sort="modified", cursor=first["next_cursor"], include_deleted=True) == ["O3", "O5", "O0", "O4"]


def test_pages_hold_under_writes(api):
    """Records that come and go before the cursor don't shift what comes after it."""
    first = api.get(PATH, params={"limit": 2}).json()
    api.post(PATH, json={"id": "A"})
    api.delete(f"{PATH}/O0")
    assert ids(api, limit=2, cursor=first["next_cursor"]) == ["O2", "O3", "O4"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"ammount": 5}, "ammount"),
        ({"custom.colour": "red"}, "custom.colour"),
        ({"amount": "many"}, "amount"),
        ({"amount.gte": ""}, "amount"),
        ({"created_at.gte": "gestern"}, "created_at"),
        ({"created_at.gte": "20260101"}, "created_at"),
        ({"custom.score.gte": "x"}, "custom.score"),
        ({"status": "abandoned"}, "status"),
        ({"sort": "amount"}, "sort"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "WyJpZCIsbnVsbCwxXQ=="}, "cursor"),
        ({"modified_since": "x"}, "modified_since"),
    ],
)
def test_a_wrong_parameter_is_named(unchanged, params, field):
    """422 with the parameter and what is expected of it."""
    answer = unchanged.get(PATH, params=params)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


def test_a_misspelt_field_is_told_the_nearest(unchanged):
    """The answer names fields that look alike."""
    assert "amount" in unchanged.get(PATH, params={"ammount": 5}).json()["errors"][0]["expected"]


def test_a_cursor_is_for_its_order(unchanged):
    """A cursor of another order is refused, not misread."""
    cursor = unchanged.get(PATH, params={"limit": 2}).json()["next_cursor"]
    assert unchanged.get(PATH, params={"limit": 2, "sort": "modified", "cursor": cursor}).status_code == 422


def test_kinds_are_listed_with_their_fields(unchanged):
    """Every kind; types, bounds, words, what is required, and custom fields as declared."""
    kinds = {one["kind"]: one for one in unchanged.get("/v1/records").json()["kinds"]}
    assert kinds.keys() == RECORD_KINDS.keys()
    assert kinds["opportunity"]["description"] == "A possible sale."
    fields = {field["name"]: field for field in kinds["opportunity"]["fields"]}
    assert (fields["need_fit"]["type"], fields["need_fit"]["least"], fields["need_fit"]["greatest"]) == (
        "integer",
        1,
        5,
    )
    assert (fields["status"]["values"], fields["status"]["time"]) == (["lost", "open", "won"], "outcome")
    assert fields["custom.renewal"]["type"] == "date"
    required = {field["name"] for field in kinds["stage"]["fields"] if field["required"]}
    assert required == {"name", "position", "kind"}


@pytest.mark.parametrize("kind", [*RECORD_KINDS, "change"])
@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_every_kind_is_exported(unchanged, kind, format_):
    """With its headings, also where nothing is stored."""
    answer = unchanged.get(f"/v1/records/{kind}/export", params={"format": format_})
    assert answer.status_code == 200
    assert f'filename="{kind}.{format_}"' in answer.headers["Content-Disposition"]
    read = pl.read_csv if format_ == "csv" else pl.read_parquet
    assert read(io.BytesIO(answer.content)).columns[0] == ("kind" if kind == "change" else "id")


def test_an_export_has_all_records(unchanged):
    """By id, without the deleted unless they are asked for; an unknown form is refused."""
    frame = pl.read_csv(io.BytesIO(unchanged.get(f"{PATH}/export").content), infer_schema=False)
    assert frame["id"].to_list() == [f"O{number}" for number in range(5)]
    deleted = unchanged.get(f"{PATH}/export", params={"format": "parquet", "include_deleted": True})
    assert pl.read_parquet(io.BytesIO(deleted.content)).filter(pl.col("deleted_at").is_not_null())["id"].to_list() == [
        "O5"
    ]
    assert unchanged.get(f"{PATH}/export", params={"format": "xlsx"}).status_code == 422


def test_formulas_come_back_through_a_file(api, service, tmp_path):
    """Written over the API, exported as CSV, imported: nothing changed, and nothing in the file runs."""
    texts = ["=1+1", "@cmd", "+1 2", "'=x", "-", "报价"]
    bulk(api, [{"id": text, "name": text, "custom": {"region": text, "tags": [text]}} for text in texts])
    path = tmp_path / "opportunity.csv"
    path.write_bytes(api.get(f"{PATH}/export").content)
    names = pl.read_csv(path, infer_schema=False)["name"].drop_nulls()
    assert not names.str.contains(r"^[=+\-@]").any()
    (report,) = import_files(
        service.engine, [path], imported_at=service.clock.now, rejects_folder=tmp_path, kind="opportunity"
    ).reports
    assert (report.unchanged, report.read, report.rejected) == (11, 11, 0)


def test_the_examples_are_accepted(api):
    """What /docs shows can be sent as it is."""
    paths = api.get("/openapi.json").json()["paths"]
    operation = paths["/v1/records/{kind}/bulk"]["post"]["requestBody"]["content"]["application/x-ndjson"]
    lines = operation["example"].encode().splitlines()
    assert [one["status"] for one in bulk(api, lines).json()["results"]] == [201, 201]
    created = paths["/v1/records/{kind}"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert created == EXAMPLE
    assert api.put(f"{PATH}/{EXAMPLE['id']}", json=created, headers={"If-Match": "*"}).status_code == 200
    assert api.patch(f"{PATH}/{EXAMPLE['id']}", json=CHANGE_EXAMPLE).status_code == 200
