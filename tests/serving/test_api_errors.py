"""Errors, health, live versions and the documentation of the API."""

import inspect
import json
import logging
import re
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from forecast import errors
from forecast.registry import Version, make_live, write_version
from forecast.settings import Settings
from forecast.store import unit_of_work
from serving import middleware
from serving.errors import STATUSES
from serving.language import preferred_language
from serving.surroundings import SurroundingsCache

ITEM = {"id": "X1", "created_at": "2026-08-01T00:00:00Z"}
SCORE = "/v1/opportunities/score"


def test_every_error_has_a_status():
    """An error that is added to the tree needs a decision on its status."""
    tree = {cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.ForecastError)}
    assert STATUSES.keys() == tree


def test_problems_are_problem_json(client):
    """A body has type, title, status and detail, and says so in its media type."""
    answer = client.get("/v1/opportunities/nowhere")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:forecast:problem:not-found",
        "title": "Not Found",
        "status": 404,
        "detail": answer.json()["detail"],
    }


def test_errors_are_in_the_language_of_the_request(client):
    """The sentence, what each field should have been and what to do are; ids and paths stay as they are."""
    answer = client.get("/v1/opportunities/nowhere", headers={"Accept-Language": "zh-CN"})
    assert answer.headers["Content-Language"] == "zh"
    assert answer.json()["detail"].startswith("没有存储编号为“nowhere”的商机；")
    answer = client.post(f"{SCORE}?language=zh", json={"opportunities": [{**ITEM, "created_at": "gestern"}]})
    (found,) = answer.json()["errors"]
    assert (found["expected"], found["remedy"]) == ("时间", "请写成 2026-03-01T09:30:00+08:00")
    assert answer.json()["detail"].startswith('opportunities[0].created_at：收到 "gestern"，应为时间；')
    refused = client.post("/v1/records/opportunity/bulk?language=zh", content=b'{"stage": "Quoted"}')
    assert refused.json()["results"][0]["detail"].startswith("id：收到 null，应为记录的编号；")
    refused = client.get("/v1/opportunities?grade=hoch&language=zh").json()
    assert refused["detail"] == 'grade：收到 "hoch"，应为以下之一：high、medium、low；请填写其中之一'
    assert client.get("/v2", headers={"Accept-Language": "zh"}).json()["detail"] == "没有这个地址"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v2", 404), ("DELETE", "/v1/models", 405), ("GET", "/healthz/x", 404)]
)
def test_paths_that_do_not_exist_are_problems_too(client, method, path, status):
    """The framework's own errors have the same shape."""
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_body_that_is_no_json_is_refused(client):
    """The answer says what is wrong, not where in our code."""
    answer = client.post(SCORE, content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "JSON" in answer.json()["detail"]


def test_json_that_does_not_say_so_is_told_to(client):
    """JSON under another content type, as curl sends it unasked, is refused with the header to send."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.post("/v1/opportunities/score", content=b'{"opportunities": []}', headers=form)
    assert answer.status_code == 422
    assert "Content-Type: application/json" in answer.json()["detail"]


def test_a_body_that_is_no_text_is_refused(client):
    """Bytes that are not UTF-8 are named as such."""
    answer = client.post(SCORE, content=b"\x1d\xff", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "the body is not UTF-8; send JSON as UTF-8")


def test_a_text_that_the_database_can_not_hold_is_refused(client):
    """A NUL character is the caller's mistake, not ours."""
    assert client.get("/v1/opportunities", params={"owner_id": "a\0b"}).status_code == 422


def test_every_answer_has_a_request_id(client):
    """A caller's id comes back; one that could not stand in a log is replaced."""
    assert client.get("/healthz", headers={"X-Request-ID": "crm-1"}).headers["X-Request-ID"] == "crm-1"
    assert client.get("/v2").headers["X-Request-ID"]
    forged = client.get("/healthz", headers={"X-Request-ID": "a b\tc"}).headers["X-Request-ID"]
    assert forged
    assert forged != "a b\tc"


def test_an_unexpected_error_shows_nothing_inside(client, settings, live, caplog):
    """500 has the request id and no more; the log has the rest under the same id."""
    folder = settings.models_folder / live.name / "versions" / live.version
    (folder / "bundle.json").write_text("{broken", encoding="utf-8")
    with caplog.at_level(logging.ERROR):
        answer = client.post(SCORE, json={"opportunities": [ITEM]}, headers={"X-Request-ID": "find-me"})
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] == "find-me"
    assert "find-me" in answer.json()["detail"]
    assert "bundle" not in answer.text
    assert "JSONDecodeError" not in answer.text
    assert any("find-me" in record.getMessage() and record.exc_info for record in caplog.records)


def test_a_body_that_is_too_large_is_refused(client, monkeypatch):
    """The bound holds for announced and for streamed bodies."""
    monkeypatch.setattr(middleware, "BODY_BYTES_MAX", 1000)
    body = json.dumps({"opportunities": [{**ITEM, "name": "x" * 2000}]}).encode()
    announced = client.post(SCORE, content=body)
    streamed = client.post(SCORE, content=iter([body[:900], body[900:]]))
    assert (announced.status_code, streamed.status_code) == (413, 413)
    assert "fewer" in announced.json()["detail"]


def test_a_healthy_service_says_so(client):
    """Database, schema and a live version: ready."""
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}


def test_readiness_names_the_schema(client, stored):
    """A database at another schema is not served."""
    with unit_of_work(stored) as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "9999" in answer.json()["detail"]


def test_a_database_that_went_away_is_named(client, stored, server):
    """Not ready, and 503 with the advice to try again; the process stays up."""
    name = stored.url.database
    stored.dispose()
    with server.connect() as connection:
        connection.execute(sa.text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        connection.execute(sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"))
    assert client.get("/v1/models").status_code == 503
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "FORECAST_DATABASE_URL" in answer.json()["detail"]
    assert client.get("/healthz").status_code == 200


def test_without_a_live_version_nothing_is_scored(settings, open_client):
    """503 with the command that makes one, and not ready."""
    client = open_client(settings)
    for answer in (client.post(SCORE, json={"opportunities": [ITEM]}), client.get("/readyz")):
        assert answer.status_code == 503
        assert "forecast train win_probability" in answer.json()["detail"]
    assert client.get("/v1/models").json() == {"models": []}


def test_live_versions_are_listed_with_their_measures(client, live):
    """Name, version, basis, since when, why, and how well."""
    (model,) = client.get("/v1/models").json()["models"]
    assert model == {
        "name": "win_probability",
        "version": live.version,
        "basis": "own",
        "since": "2026-09-14T08:30:00Z",
        "why": "passed its gates",
        "metrics": {"model_auc": 0.7},
        "gates": [],
    }


def test_versions_are_told_of_in_the_language_asked_for(settings, version, open_client):
    """Why a version serves and what its gates found is said in Chinese to who asks so, and kept as it was to others."""
    gate = {
        "name": "calibrated",
        "number": 7,
        "passed": True,
        "sentence": "calibration slope 0.90 (asked for: 0.6 to 6.0)",
    }
    told = replace(version, version="20260915T000002Z", bundle={**version.bundle, "gates": [gate]})
    write_version(settings.models_folder, told, "# card")
    make_live(
        settings.models_folder,
        told.name,
        told.version,
        since=datetime(2026, 9, 15, tzinfo=UTC),
        why="promoted: every gate passed",
    )
    client = open_client(settings)
    (english,) = client.get("/v1/models").json()["models"]
    assert (english["why"], english["gates"]) == ("promoted: every gate passed", [gate])
    (chinese,) = client.get("/v1/models", params={"language": "zh"}).json()["models"]
    assert chinese["why"] == "上线：全部关卡通过"
    assert chinese["gates"] == [{**gate, "name": "概率校准", "sentence": "校准斜率 0.90（要求 0.6 至 6.0）"}]


def test_a_promotion_is_picked_up_at_once(client, settings, live: Version, clock):
    """The request after a promotion is served by the new version, without a restart."""
    before = client.post(SCORE, json={"opportunities": [ITEM]}).json()["scores"][0]
    newer = replace(
        live, version="20260916T000000Z", estimator=replace(live.estimator, mix=replace(live.estimator.mix, shift=2.0))
    )
    write_version(settings.models_folder, newer, "# card")
    make_live(settings.models_folder, newer.name, newer.version, since=clock.now, why="test")
    after = client.post(SCORE, json={"opportunities": [ITEM]}).json()["scores"][0]
    assert (before["model_version"], after["model_version"]) == (live.version, newer.version)
    assert after["probability"] > before["probability"]


def test_the_examples_of_the_documentation_are_accepted(client):
    """What /docs shows can be sent as it is."""
    described = client.get("/openapi.json").json()
    examples = described["components"]["schemas"]["ScoreRequest"]["examples"]
    assert examples
    for example in examples:
        assert client.post(SCORE, json=example).status_code == 200
    parameters = described["paths"]["/v1/opportunities"]["get"]["parameters"]
    shown = {
        parameter["name"]: parameter["schema"]["examples"][0]
        for parameter in parameters
        if "examples" in parameter["schema"]
    }
    assert shown.keys() >= {"grade", "owner_id", "team_id", "stage", "limit"}
    assert client.get("/v1/opportunities", params=shown).status_code == 200


def test_every_path_is_in_the_handbook(client):
    """docs/api.md has a row for each path and method, and none for one that does not exist."""
    handbook = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    described = client.get("/openapi.json").json()["paths"]
    offered = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    assert set(re.findall(r"^\| `([A-Z]+ /\S*)` \|", handbook, flags=re.MULTILINE)) == offered


def test_the_documentation_is_served(client):
    """/docs opens without a key and without the network: all it loads comes from here."""
    del client.headers["Authorization"]
    page = client.get("/docs")
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 3
    for address in loaded:
        assert address.startswith("/")
        assert client.get(address).status_code == 200


def test_one_request_reads_surroundings_while_others_use_the_old(stored, clock):
    """While one request reads anew, another is answered with what is held, at once."""
    cache = SurroundingsCache(clock, timedelta(seconds=60))
    with unit_of_work(stored) as session:
        old = cache.get(session)
        clock.now += timedelta(seconds=61)
        with cache._lock:  # noqa: SLF001 - stands for a request that is reading
            assert cache.get(session) is old
        assert cache.get(session) is not old


def test_surroundings_are_read_once_by_many_first_requests(stored, clock):
    """Requests that arrive together before anything was read get the same reading."""
    cache = SurroundingsCache(clock)
    found = []

    def read():
        with unit_of_work(stored) as session:
            found.append(cache.get(session))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(surroundings) for surroundings in found}) == 1


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", None),
        ("de", None),
        ("zh", "zh"),
        ("EN-gb", "en"),
        ("en;q=0.2,zh-TW;q=0.3", "zh"),
        ("zh;q=x,en", "en"),
        ("*", None),
    ],
)
def test_the_preferred_language_is_read_by_weight(header, language):
    """Of the languages we speak, the heaviest; of equals, the first; else none."""
    assert preferred_language(header) == language


def test_the_application_reads_settings_where_none_are_given(monkeypatch, settings, live):
    """`uvicorn --factory serving.app:create_app` needs nothing but the environment."""
    from serving.app import create_app

    assert live.version
    assert isinstance(settings, Settings)
    monkeypatch.setenv("FORECAST_PORT", "0")
    with pytest.raises(errors.InputError, match="FORECAST_PORT"):
        create_app()
    monkeypatch.delenv("FORECAST_PORT")
    assert create_app().title == "Forecast"


def test_whatever_the_description_refers_to_is_there(client):
    """Generators of clients find each schema that /openapi.json points at."""
    text = client.get("/openapi.json").text
    known = set(json.loads(text)["components"]["schemas"])
    assert set(re.findall(r'"\$ref":\s*"([^"]*)"', text)) <= {f"#/components/schemas/{name}" for name in known}
