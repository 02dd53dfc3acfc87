from datetime import timedelta

import numpy as np
import pytest
from pipelines import DAY, START, steady_pipeline

from forecast.records import Opportunity
from forecast.revenue.arrivals import new_deals
from forecast.revenue.growth import TENTHS, amount_growth, daily_rates, find_course
from forecast.revenue.records import days_since, months_ahead, read_sales

SPAN = 1000.0


def ages_of(growth, *, a_day=2.0, seed=1):
    """Draw the ages of what came over SPAN days, at so many a day by now, grown by exp(growth) a year."""
    rng = np.random.default_rng(seed)
    ages = rng.uniform(0, SPAN, rng.poisson(4 * a_day * SPAN))
    kept = rng.random(len(ages)) < np.exp(-growth * ages / 365.25) / 4
    return ages[kept]


@pytest.fixture
def sales(records_of):
    """Read a few sales, whose moment and months are what is asked of them."""
    return read_sales(records_of(*steady_pipeline(days=40)), START + 40 * DAY)


@pytest.mark.parametrize("growth", [-0.4, 0.0, 0.4])
def test_growth_is_carried_on(sales, growth):
    """A company that grows, stands or shrinks has as many a day by now as there are, and goes on so for half a year."""
    rates = np.mean([daily_rates(sales, ages_of(growth, seed=seed), 180.0) for seed in range(6)], axis=0)
    assert rates[:10].mean() == pytest.approx(2.0, rel=0.07)
    assert rates[150:].mean() == pytest.approx(2.0 * np.exp(growth * 165 / 365.25), rel=0.1)


def test_growth_of_few_is_hardly_believed(sales):
    """What a handful seem to tell of growth is mostly chance, and is kept small."""
    few = [find_course(sales, ages_of(0.0, a_day=0.03, seed=seed), SPAN).growth for seed in range(12)]
    many = [find_course(sales, ages_of(0.4, seed=seed), SPAN).growth for seed in range(3)]
    assert np.abs(few).mean() < 0.12
    assert np.mean(many) == pytest.approx(0.4, abs=0.1)


def test_the_season_is_no_growth(sales):
    """Of what comes in the same months of each year there is a season, and hardly any growth."""
    ages = ages_of(0.0)
    month = np.array([(sales.as_of - timedelta(days=age)).month for age in ages])
    course = find_course(sales, ages[(month > 6) | (np.arange(len(ages)) % 3 == 0)], SPAN)
    assert course.season[6:].mean() > 1.3 * course.season[:6].mean()
    assert abs(course.growth) < 0.15


def test_what_comes_at_the_end_of_the_month_is_still_to_come(sales):
    """Of what comes in the last days of each month, all is ahead on the 9th; of what comes on any day there is no such pattern."""
    ages = ages_of(0.0)
    day = np.array([(sales.as_of - timedelta(days=age)).day for age in ages])
    late = daily_rates(sales, ages[day > 27], 31.0)
    ends = np.array([(sales.as_of + timedelta(days=ahead + 0.5)).day > 23 for ahead in range(31)])
    assert late[ends].sum() > 0.95 * late.sum()
    assert np.abs(find_course(sales, ages, SPAN).tenths - 1).max() < 0.1
    assert (find_course(sales, ages[ages < 60], 60.0).tenths == np.ones(TENTHS)).all()


def test_amounts_grow_as_far_as_they_surely_did():
    """A trend of amounts is found among many deals, shrunk, and not among few."""
    rng = np.random.default_rng(1)
    ages = rng.uniform(0, SPAN, 3000)
    amounts = np.exp(5 - 0.2 * ages / 365.25 + rng.normal(0, 0.7, 3000))
    assert 0.12 < amount_growth(amounts, ages) < 0.22
    assert amount_growth(amounts[:15], ages[:15]) == 0


def test_what_takes_longer_is_worth_what_such_deals_were(records_of):
    """Small deals close in ten days and large ones in seventy: what is not yet created brings small ones first."""
    rows = []
    for number, at in enumerate(np.arange(0, 300, 0.5)):
        large = number % 2 == 0
        closed = START + (at + (70 if large else 10)) * DAY
        over = closed < START + 300 * DAY
        rows.append(
            Opportunity(
                id=f"O{number}",
                created_at=START + at * DAY,
                amount=1000 if large else 100,
                status="won" if over else "open",
                closed_at=closed if over else None,
            )
        )
    as_of = START + 300 * DAY
    arrivals = new_deals(read_sales(records_of(*rows), as_of), months_ahead(as_of, 5, "UTC"))
    worth = arrivals.expected * arrivals.examples["amount"].to_numpy()[:, None]
    mean = worth.sum(axis=0) / arrivals.counts
    assert mean[0] == pytest.approx(100, rel=0.05)
    assert mean[4] == pytest.approx(550, rel=0.05)
    days = np.diff(months_ahead(as_of, 5, "UTC").ends_days, prepend=0)
    assert arrivals.counts[4] == pytest.approx(2 * days[4], rel=0.1)


def test_no_more_sales_are_expected_than_deals_are_created(records_of):
    """A lone old deal that was won late does not make each of the new ones be won twice."""
    as_of = START + 300 * DAY
    took = [(0, 200)] + [(200 + number, 10) for number in range(80)]
    rows = [
        Opportunity(
            id=f"O{number}",
            created_at=START + at * DAY,
            amount=100,
            status="won",
            closed_at=START + (at + days) * DAY,
        )
        for number, (at, days) in enumerate(took)
    ]
    sales, months = read_sales(records_of(*rows), as_of), months_ahead(as_of, 12, "UTC")
    created = days_since(sales.deals["created_at"], as_of)
    assert new_deals(sales, months).counts.sum() <= daily_rates(sales, created, months.ends_days[-1]).sum()
