import json
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
import sqlalchemy as sa
from forecasts import AS_OF, PEOPLE, day, forecast_of, keep, opportunity, random_draws, store

from forecast.records import ForecastCell, ForecastOpportunity, ForecastRun, Person, Quota, Team
from forecast.store import unit_of_work

DRAWS = random_draws(months=4)


@pytest.fixture
def company(service, api):
    """Give the service of a company with sales, quotas and a kept forecast."""
    with unit_of_work(service.engine) as session:
        for table in (ForecastCell, ForecastOpportunity, ForecastRun):
            session.execute(sa.delete(table))
    months = [(year, month) for year in (2024, 2025) for month in range(1, 13)]
    won = [
        opportunity(f"{name}-{year}-{month}", status="won", owner_id=name, closed_at=day(month, 9, year), won_amount=100,
                    created_at=day(month, 1, year))
        for name in PEOPLE
        for year, month in months
    ]  # fmt: skip
    store(
        service.engine,
        *(Team(id=name, external_id=name, name=f"Team {name}") for name in ("T1", "T2")),
        *(Person(id=name, external_id=name, name=f"Seller {name}", team_id=team) for name, team in PEOPLE.items()),
        *won,
        opportunity("july", status="won", closed_at=day(7, 3), won_amount=70),
        quota("Q1", person_id="U01", starts_on=date(2026, 7, 1), ends_on=date(2026, 9, 30), amount=200),
        quota("Q2", team_id="T1", starts_on=date(2026, 10, 1), ends_on=date(2026, 12, 31), amount=500),
        quota("Q3", starts_on=date(2025, 1, 1), ends_on=date(2025, 12, 31), amount=3600),
        quota("Q4", person_id="gone", starts_on=date(2026, 9, 1), ends_on=date(2026, 9, 30), amount=5, metric="calls"),
    )
    keep(service.engine, forecast_of(DRAWS))
    return api


def quota(name, **values):
    """Make a quota."""
    return Quota(id=name, external_id=name, currency="CNY", **values)


def read(api, **asked):
    """Read targets by their quota."""
    answer = api.get("/v1/targets", params=asked).json()
    return {found["quota_id"]: found for found in answer["targets"]}


def test_running_targets_come_with_where_they_stand(company):
    """What is attained, projected and likely follows from bookings and the newest forecast."""
    found = read(company)
    assert list(found) == ["Q4", "Q1"]
    futures = 70 + DRAWS["U01"][0]
    assert found["Q1"]["attained"] == 70
    assert found["Q1"]["attained_share"] == pytest.approx(0.35)
    assert found["Q1"]["outlook"]["probability"] == pytest.approx(np.mean(futures >= 200))
    assert found["Q1"]["gap"] == pytest.approx(max(0, 200 - futures.mean()))
    assert found["Q1"]["needed"] is None or found["Q1"]["needed"]["opportunities"] > 0


def test_a_year_has_all_its_targets(company):
    """Targets that are over are judged by what was booked, those to come by the forecast."""
    assert set(read(company, year=2026)) == {"Q1", "Q2", "Q4"}
    past = read(company, year=2025)["Q3"]
    assert (past["level"], past["attained"], past["gap"], past["outlook"]) == ("company", 3600, 0, None)
    team = read(company, year=2026, unit="T1")
    assert set(team) == {"Q2"}
    sums = (DRAWS["U01"] + DRAWS["U02"])[1:].sum(axis=0)
    assert team["Q2"]["outlook"]["probability"] == pytest.approx(np.mean(sums >= 500))


def test_an_unknown_unit_has_no_empty_answer(company):
    """Whoever asks for a team or person that isn't there is told so."""
    answer = company.get("/v1/targets", params={"unit": "T9"})
    assert (answer.status_code, '"T9"' in answer.json()["detail"]) == (404, True)
    assert read(company, unit="company").keys() <= read(company).keys()


def test_targets_come_by_pages(company, service):
    """Pages hold each quota once, in order, whatever was written in between; remarks are of all."""
    whole = company.get("/v1/targets", params={"year": 2026}).json()
    assert (len(whole["targets"]), whole["next_cursor"]) == (3, None)
    first = company.get("/v1/targets", params={"year": 2026, "limit": 1}).json()
    store(service.engine, quota("Q0", starts_on=date(2026, 1, 1), ends_on=date(2026, 12, 31), amount=9000))
    second = company.get("/v1/targets", params={"year": 2026, "limit": 2, "cursor": first["next_cursor"]}).json()
    assert first["targets"] + second["targets"] == whole["targets"]
    assert (second["next_cursor"], second["remarks"]) == (None, first["remarks"])


@pytest.mark.parametrize("cursor", ["Q1", "bnVsbA==", "WzEsICJRMSJd"])
def test_a_cursor_of_another_list_is_refused(company, cursor):
    """What is no cursor of this list begins no page."""
    answer = company.get("/v1/targets", params={"cursor": cursor, "language": "zh"})
    assert (answer.status_code, "next_cursor" in answer.json()["detail"]) == (422, True)


def test_checks_are_said_in_the_callers_language(company):
    """A target that is not of revenue and belongs to nobody who is stored fails, in English and in Chinese."""
    failed = {check["criterion"] for check in read(company)["Q4"]["checks"] if check["passed"] is False}
    assert failed == {"measurable", "owned"}
    said = {check["label"] for check in read(company, language="zh")["Q4"]["checks"]}
    assert "可衡量性" in said


def test_a_past_moment_has_the_attainment_of_its_time(company):
    """What was booked later is not attained yet, and a forecast made later is not known."""
    found = company.get("/v1/targets", params={"as_of": "2026-07-02"}).json()
    assert found["run_id"] is None
    assert [target["attained"] for target in found["targets"]] == [0]
    assert "forecast outlook" in found["remarks"][0]
    found = company.get("/v1/targets", params={"as_of": "2026-07-02", "language": "zh"}).json()
    assert "没有保存 2026-07-02 及以前的收入预测" in found["remarks"][0]


def test_a_quota_is_held_against_sales_in_its_currency(company, service):
    """Amounts in other currencies attain nothing; a quota without a currency is in the one that is asked for."""
    store(
        service.engine,
        opportunity("euro", status="won", owner_id="U02", closed_at=day(9, 2), won_amount=40, currency="EUR"),
        Quota(id="E", external_id="E", person_id="U02", starts_on=date(2026, 9, 1), ends_on=date(2026, 9, 30), amount=50,
              currency="EUR"),
        Quota(id="N", external_id="N", person_id="U02", starts_on=date(2026, 9, 1), ends_on=date(2026, 9, 30), amount=50),
    )  # fmt: skip
    found = read(company)
    assert (found["E"]["attained"], found["N"]["attained"]) == (40, 0)
    assert found["E"]["outlook"] is None
    assert read(company, currency="EUR")["N"]["attained"] == 40


def test_a_forecast_without_a_currency_is_in_that_of_every_quota(company, service):
    """Where the records named no currency when it was made, it projects a quota that names one."""
    keep(service.engine, replace(forecast_of(DRAWS), currency=None, as_of=AS_OF + timedelta(minutes=1)))
    assert read(company)["Q1"]["outlook"] is not None


def propose(api, **asked):
    """Ask for a proposal for 2027."""
    return api.post("/v1/targets/proposal", json={"amount": 1200, "year": 2027, "period": "quarter", **asked})


def test_a_proposal_divides_and_stores_nothing(company, service):
    """Parts add up at every level; the quotas stored are those that were."""
    answer = propose(company).json()
    sums = {}
    for row in answer["quotas"]:
        level = "person" if row["person_id"] else "team" if row["team_id"] else "company"
        sums[level] = sums.get(level, 0) + float(row["amount"])
    assert sums == pytest.approx(dict.fromkeys(("person", "team", "company"), 1200.0))
    assert [unit["target"]["unit_id"] for unit in answer["units"]][:3] == ["", "T1", "T2"]
    with unit_of_work(service.engine) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Quota)) == 4


def test_a_proposal_is_of_one_currency(company, service):
    """Who sells in another currency only has no part, and what is usually won there is not counted."""
    before = propose(company).json()
    store(
        service.engine,
        opportunity("open-euro", status="open", owner_id="U04", amount=5, currency="EUR"),
        opportunity("euro", status="won", owner_id="U01", closed_at=day(9, 2), won_amount=9e6, currency="EUR"),
    )
    assert propose(company).json()["units"] == before["units"]


def test_a_proposal_is_adopted_by_writing_its_quotas(company, service):
    """The quotas of the answer are records as they are; a second adoption changes the same ones."""
    for amount in (1200, 2400):
        quotas = propose(company, amount=amount).json()["quotas"]
        lines = "\n".join(json.dumps(row) for row in quotas)
        answer = company.post("/v1/records/quota/bulk", content=lines).json()
        assert answer["refused"] == 0, answer
    assert (answer["created"], answer["updated"]) == (0, 24)
    service.clock.now = AS_OF + timedelta(days=220)
    (adopted,) = read(company, unit="company").values()
    second = next(row for row in quotas if row["id"] == "target-2027-04-01-quarter-company")
    assert adopted["amount"] == float(second["amount"])


def test_an_edit_spreads_the_rest_again(company):
    """What is decided stands in the answer, and the whole stays what it was."""
    edits = [{"level": "person", "unit_id": "U03", "amount": 600}]
    units = {
        unit["target"]["unit_id"]: unit["target"]["amount"] for unit in propose(company, edits=edits).json()["units"]
    }
    assert (units["U03"], units["T2"], units["T1"], units[""]) == (600, 600, 600, 1200)


@pytest.mark.parametrize(
    "asked",
    [
        {"amount": 0},
        {"period": "week"},
        {"edits": [{"level": "person", "unit_id": "U99", "amount": 1}]},
        {"edits": [{"level": "team", "unit_id": "T1", "amount": 1201}]},
        {"surprise": 1},
    ],
)
def test_what_cannot_be_divided_is_refused(company, asked):
    """Amounts, periods and decisions that make no sense are problems, not proposals."""
    assert propose(company, **asked).status_code == 422
