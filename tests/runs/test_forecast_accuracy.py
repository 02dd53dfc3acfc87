from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from forecasts import AS_OF, PEOPLE, day, forecast_of, keep, opportunity, random_draws, store

from forecast.errors import TooLittleHistoryError
from forecast.records import Opportunity, Person
from forecast.runs.accuracy import measure_forecasts
from forecast.store import unit_of_work

DRAWS = random_draws(months=4)
LATER = day(11, 2)


def won(name, moment, amount, owner="U01"):
    """Make an opportunity that was won in one go."""
    return opportunity(
        name, status="won", closed_at=moment, won_amount=amount, owner_id=owner, created_at=moment - timedelta(days=1)
    )


@pytest.fixture
def company(engine):
    """Open a database in which sales landed after a forecast of September was kept."""
    store(
        engine,
        *(Person(id=name, external_id=name, team_id=team) for name, team in PEOPLE.items()),
        won("first", day(8, 20, 2025), 10),
        won("before", day(9, 20, 2025), 50),
        opportunity("expected", amount=80, seller_probability=0.5, expected_close_on=date(2026, 10, 10)),
    )
    keep(engine, forecast_of(DRAWS, version=None))
    store(
        engine,
        won("september", day(9, 20), 200),
        won("october", day(10, 20), 300),
        won("other", day(10, 21), 100, owner="U03"),
        won("too late", day(11, 1), 5000),
    )
    return engine


def measure(engine, now=LATER, **known_until):
    """Measure by level and horizon."""
    with unit_of_work(engine) as session:
        found = measure_forecasts(session, now=now, timezone="UTC", known_until=known_until)
    return found, {(row.level, row.horizon): row for row in found.horizons}


def test_months_that_are_over_are_judged_by_what_landed(company):
    """Errors are shares of what landed, by level and months ahead; a month that is not over is not judged."""
    _, rows = measure(company)
    assert {horizon for _, horizon in rows} == {0, 1}
    company_mean = sum(DRAWS.values())[1].mean()
    assert rows["company", 1].wape == pytest.approx(abs(company_mean - 400) / 400)
    assert rows["company", 1].bias == pytest.approx((company_mean - 400) / 400)
    means = [DRAWS[name][1].mean() for name in ("U01", "U02", "U03")]
    errors = np.abs(np.array(means) - [300, 0, 100])
    assert rows["person", 1].wape == pytest.approx(errors.sum() / 400)
    assert (rows["person", 1].cells, rows["person", 1].runs) == (3, 1)


def test_who_was_in_no_forecast_is_not_judged_and_said(company):
    """What somebody new sold is in the company's line, and named where units are judged."""
    store(company, won("newcomer", day(10, 22), 100, owner="U09"))
    found, rows = measure(company)
    assert rows["person", 1].cells == 3
    assert rows["company", 1].bias == pytest.approx((sum(DRAWS.values())[1].mean() - 500) / 500)
    (said,) = [remark for remark in found.remarks if remark.startswith("by person")]
    assert said.startswith("by person: 1 person with 14% of what landed")


def test_ranges_are_judged_by_how_often_they_held(company):
    """Coverage is the share of units and months that landed within their range, bounds included."""
    _, rows = measure(company)
    landed = dict(zip(("U01", "U02", "U03"), (300, 0, 100), strict=True))
    inside = [
        np.quantile(DRAWS[name][1], 0.1) <= amount <= np.quantile(DRAWS[name][1], 0.9)
        for name, amount in landed.items()
    ]
    assert rows["person", 1].coverage_80 == pytest.approx(np.mean(inside))


def test_a_bound_that_differs_by_rounding_alone_holds(company):
    """Who books nothing more lands on the bound itself, which sums of money miss by a fraction of a cent."""
    certain = {name: values.copy() for name, values in DRAWS.items()}
    for name, landed in zip(("U01", "U02", "U03"), (300, 0, 100), strict=True):
        certain[name][1] = landed + 1e-9
    keep(company, forecast_of(certain, version=None, as_of=AS_OF - timedelta(days=1)))
    _, rows = measure(company)
    assert rows["person", 1].coverage_50 == 1


def test_peers_are_asked_what_they_would_have_said_then(company):
    """The weighted pipeline and the same month of last year know what was known at the forecast's moment, no more."""
    _, rows = measure(company)
    assert rows["company", 1].wape_pipeline == pytest.approx((400 - 40) / 400)
    assert rows["company", 0].wape_naive == pytest.approx((200 - 50) / 200)


def test_the_pipeline_that_a_forecast_saw_is_weighted(company):
    """An import that overwrote what was open changes nothing of what the weighted pipeline would have said then."""
    with unit_of_work(company) as session:
        session.query(Opportunity).update({"seller_probability": 1.0, "expected_close_on": date(2027, 1, 1)})
    _, rows = measure(company)
    assert rows["company", 1].wape_pipeline == pytest.approx((400 - 40) / 400)


def test_the_first_forecast_of_a_month_counts(company):
    """Forecasting every day does not count a month thirty times."""
    keep(company, forecast_of(random_draws(9), as_of=AS_OF + timedelta(days=3), version=None))
    found, _ = measure(company)
    assert found.runs == 1
    assert found.hindsight == 0


def test_a_forecast_made_in_hindsight_says_nothing(company):
    """A version that was trained on what came after the moment, or that nobody knows, is left out and counted."""
    for version in ("honest", "hindsight", "unknown"):
        keep(company, forecast_of(random_draws(3), as_of=AS_OF - timedelta(days=40), version=version, months=(date(2026, 8, 1), date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1))))  # fmt: skip
    found, rows = measure(company, honest=AS_OF - timedelta(days=90), hindsight=AS_OF)
    assert (found.runs, found.hindsight) == (2, 2)
    assert ("company", 2) in rows


def test_the_usual_weights_know_nothing_of_what_came(company):
    """A forecast by a version that failed its gates learnt from nothing later than its moment, whenever that was trained."""
    keep(company, forecast_of(random_draws(3), as_of=AS_OF - timedelta(days=20), version="20261101-prior"))
    found, _ = measure(company, **{"20261101-prior": LATER})
    assert (found.runs, found.hindsight) == (2, 0)


def test_too_little_is_an_answer_of_its_own(company):
    """As long as no forecast month is over, nothing is said of accuracy."""
    with pytest.raises(TooLittleHistoryError, match="no month that counts is over"):
        measure(company, now=AS_OF + timedelta(days=1))


def test_a_forecast_whose_currency_is_lost_among_others_is_left_out_and_said(company):
    """A forecast of amounts without a currency is not held against a sum of several; others are still judged."""
    keep(company, replace(forecast_of(random_draws(3), as_of=AS_OF - timedelta(days=20), version=None), currency=None))
    assert measure(company)[0].runs == 2
    store(company, opportunity("abroad", status="won", closed_at=day(10, 25), won_amount=70, currency="EUR"))
    found, _ = measure(company)
    assert found.runs == 1
    assert found.remarks[0].startswith("1 kept forecast is not judged: in its currency, or without one")
