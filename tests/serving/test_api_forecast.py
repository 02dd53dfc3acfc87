from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
import sqlalchemy as sa
from forecasts import AS_OF, PEOPLE, day, forecast_of, keep, opportunity, random_draws, store

from forecast.records import ForecastCell, ForecastOpportunity, ForecastRun, Person, Team
from forecast.store import unit_of_work
from serving.listing import Cursor

DRAWS = random_draws(months=4)
SOON = date(2026, 10, 20)


@pytest.fixture
def kept(service, api):
    """Give the service of a company with one kept forecast."""
    with unit_of_work(service.engine) as session:
        for table in (ForecastCell, ForecastOpportunity, ForecastRun):
            session.execute(sa.delete(table))
    store(
        service.engine,
        Team(id="T1", external_id="T1", name="East"),
        *(Person(id=name, external_id=name, name=f"Seller {name}", team_id=team) for name, team in PEOPLE.items()),
        opportunity("july", status="won", closed_at=day(7, 3), won_amount=70),
        opportunity("soon", amount=100, seller_probability=0.8, expected_close_on=SOON, name="Big one"),
        opportunity(
            "late", amount=50, forecast_category="Best Case", expected_close_on=date(2026, 12, 1), owner_id="U03"
        ),
    )
    keep(service.engine, forecast_of(DRAWS, remarks=("only a short past",)))
    return api


def read(api, **asked):
    """Read the forecast."""
    response = api.get("/v1/forecast", params=asked)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_newest_forecast_says_what_it_is(kept):
    """Every answer names the run, its version, its moments, its currency and its remarks."""
    run = read(kept)["run"]
    assert (run["version"], run["currency"]) == ("v1", "CNY")
    assert run["as_of"] == AS_OF.isoformat().replace("+00:00", "Z")
    assert run["remarks"] == ["only a short past"]


def test_the_company_comes_by_month(kept):
    """Without a question, it is the company's months from the present one on, with parts and ranges."""
    rows = read(kept)["forecast"]
    assert [row["starts_on"] for row in rows] == ["2026-09-01", "2026-10-01", "2026-11-01", "2026-12-01"]
    draws = sum(DRAWS.values())[1]
    assert rows[1]["mean"] == pytest.approx(draws.mean())
    assert rows[1]["ranges"]["range_80"] == pytest.approx(
        {"low": np.quantile(draws, 0.1), "high": np.quantile(draws, 0.9)}
    )
    assert rows[1]["cases"]["likely"] == pytest.approx(np.median(draws))
    assert rows[1]["parts"]["open"] + rows[1]["parts"]["new"] == pytest.approx(draws.mean())
    assert {row["level"] for row in rows} == {"company"}


def test_quarters_hold_what_was_booked_before(kept):
    """The running quarter has the months that are over; one that the forecast ends in is not whole."""
    third, fourth = read(kept, period="quarter")["forecast"]
    assert third["whole"]
    assert fourth["whole"]
    assert third["parts"]["won"] == 70
    assert third["mean"] == pytest.approx(70 + sum(DRAWS.values())[0].mean())
    (year,) = read(kept, period="year")["forecast"]
    assert not year["whole"]


def test_levels_and_units(kept):
    """A level gives all its units, a unit by id or name its own; horizon counts periods."""
    people = read(kept, level="person", horizon=1)["forecast"]
    assert [row["unit_id"] for row in people] == ["U01", "U02", "U03"]
    assert {row["unit_id"] for row in read(kept, unit="t1")["forecast"]} == {"T1"}
    assert {row["unit_id"] for row in read(kept, unit="Name of U02")["forecast"]} == {"U02"}


def test_a_horizon_beyond_what_is_kept_is_said(kept):
    """Who asks for more months than there are is told how many there are, and how to get the rest, in both languages."""
    assert kept.get("/v1/forecast", params={"horizon": 4}).json()["remarks"] == []
    run = read(kept)["run"]["id"]
    answer = read(kept, horizon=5)
    (remark,) = answer["remarks"]
    assert len(answer["forecast"]) == 4
    assert remark == (
        f"5 months ahead were asked for, and forecast {run} has 4, to 2026-12: "
        "`forecast outlook --horizon 5` makes and keeps a longer one"
    )
    assert read(kept, horizon=2, period="quarter")["remarks"] == []
    (remark,) = read(kept, horizon=2, period="year", language="zh")["remarks"]
    assert remark.startswith(f"要求往后 16 个月，而第 {run} 次预测只有 4 个月，到 2026-12 为止")


def test_units_come_by_pages(service, kept):
    """Pages hold each unit once with all its periods, and go on in the forecast that they began in."""
    whole = read(kept, level="person", period="quarter")
    assert whole["next_cursor"] is None
    first = read(kept, level="person", period="quarter", limit=2)
    keep(service.engine, forecast_of(random_draws(5), as_of=AS_OF + timedelta(days=1)))
    second = read(kept, level="person", period="quarter", limit=2, cursor=first["next_cursor"])
    assert [{row["unit_id"] for row in page["forecast"]} for page in (first, second)] == [{"U01", "U02"}, {"U03"}]
    assert first["forecast"] + second["forecast"] == whole["forecast"]
    assert (second["run"], second["next_cursor"]) == (whole["run"], None)


@pytest.mark.parametrize("value", [None, 0, 0.5, 1e300, float("inf"), float("nan")])
def test_a_cursor_of_another_list_is_refused(kept, value):
    """What is no cursor of this list begins no page."""
    cursor = Cursor(value=value, record_id="person U01").to_text()
    answer = kept.get("/v1/forecast", params={"level": "person", "cursor": cursor})
    assert (answer.status_code, "next_cursor" in answer.json()["detail"]) == (422, True)


def test_a_quota_is_answered_from_the_draws(kept):
    """The chance is the share of futures that reach it."""
    draws = DRAWS["U01"][1]
    row = read(kept, unit="U01", quota=100)["forecast"][1]
    assert row["quota"]["probability"] == pytest.approx(np.mean(draws >= 100))
    assert row["quota"]["expected_shortfall"] == pytest.approx(np.maximum(100 - draws, 0).mean())


def test_categories_stand_beside(kept):
    """Open opportunities that are due in the period are counted as commit, best case and pipeline, by unit."""
    fourth = read(kept, period="quarter")["forecast"][1]
    assert fourth["categories"] == [
        {"category": "commit", "count": 1, "amount": 100.0, "weighted": 80.0},
        {"category": "best_case", "count": 1, "amount": 50.0, "weighted": None},
        {"category": "pipeline", "count": 0, "amount": 0.0, "weighted": 0.0},
    ]
    assert read(kept, unit="U03", period="quarter")["forecast"][1]["categories"][0]["count"] == 0


def test_a_past_moment_gives_the_forecast_of_its_time(service, kept):
    """The newest as of that moment or before; its number works as well, and there may be none."""
    first = read(kept)["run"]["id"]
    later = keep(service.engine, forecast_of(random_draws(5), as_of=AS_OF + timedelta(days=7)))
    assert read(kept)["run"]["id"] == later
    assert read(kept, as_of="2026-09-16")["run"]["id"] == first
    assert read(kept, run=first)["run"]["id"] == first
    assert kept.get("/v1/forecast", params={"as_of": "2026-09-01"}).status_code == 404
    assert [run["id"] for run in kept.get("/v1/forecast/runs").json()["runs"]] == [later, first]


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"unit": "U99"}, 404, "U99"),
        ({"level": "region"}, 404, "no unit of that level"),
        ({"level": "planet"}, 422, "level"),
        ({"run": 12345}, 404, "there is no forecast 12345"),
        ({"run": 2**63}, 422, "run"),
        ({"quota": 0}, 422, "quota"),
        ({"as_of": "spring"}, 422, "as_of"),
    ],
)
def test_what_is_not_there_is_said(kept, asked, status, said):
    """Unknown units, levels, runs and impossible questions are problems that name what was asked."""
    response = kept.get("/v1/forecast", params=asked)
    assert response.status_code == status
    assert said in response.json()["detail"]


def test_changes_add_up(service, kept):
    """Bars lead from the first total to the second, with the records behind them and the forecast they are of."""
    first = read(kept)["run"]["id"]
    with unit_of_work(service.engine) as session:
        session.execute(sa.text("UPDATE opportunity SET amount = 150 WHERE id = 'soon'"))
    service.clock.now = AS_OF + timedelta(days=20)
    answer = kept.get("/v1/forecast/changes", params={"from": first}).json()
    assert answer["before"]["run_id"] == first
    assert answer["before"]["forecast"] == pytest.approx(sum(DRAWS.values())[1:].sum(axis=0).mean())
    assert answer["bars"] == [{"name": "amount_up", "count": 1, "amount": 40.0}]
    assert answer["after"]["total"] == answer["before"]["total"] + 40
    (record,) = answer["records"]
    assert (record["name"], record["amount_before"], record["amount_after"]) == ("Big one", 100.0, 150.0)
    team = kept.get("/v1/forecast/changes", params={"from": first, "unit": "T2"}).json()
    assert (team["level"], team["bars"]) == ("team", [])
    assert "had no score" in team["remarks"][0]
    team = kept.get("/v1/forecast/changes", params={"from": first, "unit": "T2", "language": "zh"}).json()
    assert "没有评分" in team["remarks"][0]


def test_an_answer_holds_until_there_is_another_forecast(service, kept):
    """Who has an answer is told so without it; a newer forecast, another language and another run are other answers."""
    first = kept.get("/v1/forecast")
    held = {"If-None-Match": f'"0", W/{first.headers["ETag"]}'}
    again = kept.get("/v1/forecast", headers=held)
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert kept.get("/v1/forecast", params={"language": "zh"}, headers=held).status_code == 200
    keep(service.engine, forecast_of(random_draws(5), as_of=AS_OF + timedelta(days=1)))
    assert kept.get("/v1/forecast", headers=held).status_code == 200


def test_the_newest_forecast_in_a_currency_is_asked_for(service, kept):
    """A company of two currencies has a forecast in each; of a currency without one there is none."""
    abroad = replace(forecast_of(random_draws(5), as_of=AS_OF + timedelta(days=1)), currency="EUR")
    keep(service.engine, abroad)
    assert read(kept)["run"]["currency"] == "EUR"
    assert read(kept, currency="CNY")["run"]["currency"] == "CNY"
    missing = kept.get("/v1/forecast", params={"currency": "USD", "language": "zh"})
    assert (missing.status_code, missing.json()["detail"].split("；")[0]) == (404, "届时没有保存以 USD 计的收入预测")


def test_categories_never_add_up_currencies(service, kept):
    """An open deal in another currency is in no category of the forecast."""
    store(service.engine, opportunity("abroad", amount=900, currency="EUR", expected_close_on=SOON))
    keep(service.engine, replace(forecast_of(random_draws(5), as_of=AS_OF + timedelta(days=1)), currency="CNY"))
    october = read(kept)["forecast"][1]
    assert sum(found["amount"] for found in october["categories"]) == 100


def test_who_sells_no_more_has_no_forecast(service, kept):
    """A unit that only booked in the past is not answered by an empty list."""
    store(service.engine, opportunity("old", status="won", closed_at=day(6, 3), won_amount=70, owner_id="U77"))
    keep(service.engine, forecast_of(random_draws(5), as_of=AS_OF + timedelta(days=1)))
    assert kept.get("/v1/forecast", params={"unit": "U77"}).status_code == 404


@pytest.mark.parametrize("asked", [{"quota": "1e400"}, {"as_of": "0001-01-01T00:00:00+08:00"}])
def test_what_is_out_of_range_is_refused(kept, asked):
    """No number is endless, and no year is before the first."""
    assert kept.get("/v1/forecast", params=asked).status_code == 422


def test_changes_ask_for_moments_in_order(kept):
    """A moment that is none or in no year, and an end before its start, are problems."""
    for asked in (
        {"from": "0001-01-01T00:00:00+08:00"},
        {"from": "spring"},
        {"from": "2026-09-01", "to": "2026-08-01"},
        {"from": "1999-01-01", "period": "Q9"},
    ):
        assert kept.get("/v1/forecast/changes", params=asked).status_code == 422


def test_accuracy_waits_for_months_that_are_over(service, kept):
    """As long as nothing can be judged the answer says so; then errors stand by level and horizon."""
    young = kept.get("/v1/forecast/accuracy").json()
    assert young["horizons"] == young["people"] == []
    assert "no month that counts is over yet" in young["remarks"][-1]
    store(service.engine, opportunity("landed", status="won", closed_at=day(9, 25), won_amount=300))
    keep(service.engine, forecast_of(DRAWS, version=None))
    service.clock.now = AS_OF + timedelta(days=30)
    answer = kept.get("/v1/forecast/accuracy").json()
    assert (answer["runs"], answer["hindsight"]) == (1, 1)
    first = answer["horizons"][0]
    assert (first["level"], first["horizon"], first["cells"]) == ("company", 0, 1)
    assert first["wape"] == pytest.approx(abs(sum(DRAWS.values())[0].mean() - 300) / 300)
