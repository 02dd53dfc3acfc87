"""How the API gives and takes pipelines."""

from datetime import timedelta

import pytest

from forecast.process import default_pipeline

PATH = "/v1/pipelines"
STAGES = [
    {"name": "Talk", "kind": "open", "usual_days": 2.5, "required_fields": ["amount"], "playbook_zh": "沟通"},
    {"name": "Won", "kind": "won"},
    {"name": "Lost", "kind": "lost"},
]


@pytest.fixture
def stored(engine):
    """Have nothing stored."""
    return engine


@pytest.fixture
def client(settings, open_client):
    """Open the service; no model is needed."""
    return open_client(settings)


def read(client, **params):
    """Read the only pipeline."""
    (pipeline,) = client.get(PATH, params=params).json()["pipelines"]
    return pipeline


def put(client, stages=STAGES, *, name="Small", headers=None):
    """Set the default pipeline."""
    return client.put(f"{PATH}/default", json={"name": name, "stages": stages}, headers=headers or {})


def test_the_shipped_pipeline_is_read_until_one_is_set(client):
    """It says that it is not stored; the first is set without a condition."""
    shipped = read(client)
    assert (shipped["stored"], len(shipped["stages"])) == (False, len(default_pipeline().stages))
    answer = put(client)
    assert (answer.status_code, answer.json()["stored"]) == (200, True)
    assert answer.headers["ETag"] == answer.json()["etag"] == read(client)["etag"] != shipped["etag"]
    first = read(client)["stages"][0]
    assert {name: first[name] for name in STAGES[0]} == STAGES[0]


def test_nobody_overwrites_what_they_have_not_seen(client):
    """Without If-Match it is refused, with an old one too; with the one read it is taken."""
    put(client)
    seen = read(client)["etag"]
    assert put(client, name="Other").status_code == 428
    assert put(client, name="Other", headers={"If-Match": seen}).status_code == 200
    late = put(client, name="Late", headers={"If-Match": seen})
    assert late.status_code == 412
    assert read(client)["etag"] in late.json()["detail"]
    assert read(client)["name"] == "Other"
    assert put(client, name="Any", headers={"If-Match": "*"}).status_code == 200


def test_earlier_moments_keep_their_stages(client, clock):
    """A pipeline can be read as it was before it was changed."""
    put(client)
    clock.now += timedelta(days=2)
    put(client, [{"name": "Call", "kind": "open"}, *STAGES], headers={"If-Match": "*"})
    before = (clock.now - timedelta(days=1)).isoformat()
    assert [stage["name"] for stage in read(client, as_of=before)["stages"]] == ["Talk", "Won", "Lost"]
    assert [stage["name"] for stage in read(client)["stages"]] == ["Call", "Talk", "Won", "Lost"]


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        (STAGES[1:], "no stage of kind open"),
        ([*STAGES, STAGES[0]], "comes twice"),
        ([STAGES[0] | {"required_fields": ["amont"]}, *STAGES[1:]], "amont"),
        ([STAGES[0] | {"kind": "opened"}, *STAGES[1:]], "opened"),
    ],
)
def test_what_is_no_pipeline_is_refused(client, stages, said):
    """The answer says what was found; nothing is stored."""
    answer = put(client, stages)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert read(client)["stored"] is False


def test_it_needs_a_key(client):
    """The process is not for everybody."""
    assert client.get(PATH, headers={"Authorization": ""}).status_code == 401
    assert put(client, headers={"Authorization": ""}).status_code == 401


def test_a_stage_that_is_deleted_as_a_record_was_there_before(client, clock):
    """Deleting and restoring it under /v1/records are dated like changes of the pipeline."""
    put(client)
    names = []
    for method, address in (("DELETE", "default:Talk"), ("POST", "default:Talk/restore")):
        clock.now += timedelta(days=2)
        assert client.request(method, f"/v1/records/stage/{address}").is_success
        names.append([stage["name"] for stage in read(client)["stages"]])
    moments = [clock.now - timedelta(days=days) for days in (3, 1)]
    names += [[stage["name"] for stage in read(client, as_of=moment.isoformat())["stages"]] for moment in moments]
    gone, there = ["Won", "Lost"], ["Talk", "Won", "Lost"]
    assert names == [gone, there, there, gone]
