import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from pipelines import DAY, START

from forecast.records import Change, Opportunity, Order
from forecast.revenue.cells import COMPANY, PERSON
from forecast.revenue.records import months_ahead, read_sales
from forecast.revenue.yardsticks import seasonal_naive, seasonal_naives, weighted_pipeline, weighted_pipelines

AS_OF = datetime(2024, 6, 11, tzinfo=UTC)


def test_the_weighted_pipeline_is_amount_times_probability_at_the_close_date(records_of):
    """Deals count in the month they are expected to close, at the seller's probability, else at the share won so far."""
    created = {"created_at": AS_OF - 40 * DAY, "status": "open", "amount": 100}
    ended = {"created_at": START, "closed_at": START + 20 * DAY, "amount": 50}
    records = records_of(
        Opportunity(id="A", **created, expected_close_on=date(2024, 7, 20), seller_probability=0.25),
        Opportunity(id="B", **created, expected_close_on=date(2024, 8, 1)),
        Opportunity(id="C", **created, expected_close_on=date(2024, 6, 1)),
        Opportunity(id="D", **ended, status="won"),
        Opportunity(id="E", **ended, status="lost"),
    )
    found = weighted_pipeline(read_sales(records, AS_OF), months_ahead(AS_OF, 3, "UTC"))
    assert found == pytest.approx([50, 25, 50])


def test_close_dates_are_local_days(records_of):
    """What is due today is not over yet, and the first of a month belongs to it west of Greenwich, too."""
    usual = {"created_at": AS_OF - DAY, "status": "open", "seller_probability": 0.5}
    records = records_of(
        Opportunity(id="A", **usual, amount=10, expected_close_on=AS_OF.date()),
        Opportunity(id="B", **usual, amount=100, expected_close_on=date(2024, 7, 1)),
    )
    now, zone = AS_OF + timedelta(hours=22), "America/New_York"
    sales = read_sales(replace(records, timezone=zone), now)
    assert weighted_pipeline(sales, months_ahead(now, 2, zone)).tolist() == [5, 50]


def test_where_every_deal_was_lost_the_weighted_pipeline_is_empty(records_of):
    """A share won of nothing is zero, and not unknown."""
    lost = Opportunity(id="A", created_at=START, closed_at=START + DAY, status="lost", amount=50)
    due = Opportunity(id="B", created_at=START, status="open", amount=100, expected_close_on=date(2024, 7, 20))
    found = weighted_pipeline(read_sales(records_of(lost, due), AS_OF), months_ahead(AS_OF, 2, "UTC"))
    assert found.tolist() == [0, 0]


def test_the_naive_forecast_is_last_year(records_of):
    """Months of last year are repeated; before there are any, the last whole month is; what is booked is the least."""
    moments = [datetime(2023, month, 5, tzinfo=UTC) for month in range(5, 13)] + [AS_OF - timedelta(days=2)]
    records = records_of(
        *(Order(id=f"R{n}", ordered_at=at, amount=100 * (n + 1)) for n, at in enumerate(moments)),
        Order(id="S", ordered_at=datetime(2024, 5, 31, tzinfo=UTC), amount=7),
    )
    sales = read_sales(records, AS_OF)
    assert seasonal_naive(sales, months_ahead(AS_OF, 3, "UTC")).tolist() == [900, 300, 400]
    early = read_sales(records, datetime(2023, 9, 10, tzinfo=UTC))
    assert seasonal_naive(early, months_ahead(early.as_of, 2, "UTC")).tolist() == [500, 400]


def test_a_unit_is_rolled_up_as_if_it_were_the_company(records_of):
    """Shares won, usual times and months of last year are the unit's own, and those of others say nothing of it."""
    rng = random.Random(4)
    moves, deals = [], []
    for number in range(120):
        begun = START - timedelta(days=rng.randrange(-100, 500))
        status = rng.choice(["won", "lost", "open"])
        ended = (
            {} if status == "open" else {"closed_at": begun + timedelta(days=rng.randrange(1, 100)), "won_amount": 50}
        )
        due = {"expected_close_on": date(2024, rng.randrange(1, 9), 5)} if rng.random() < 0.7 else {}
        name, owner = f"O{number}", rng.choice(["U1", "U2", "U3"])
        deals.append(
            Opportunity(id=name, created_at=begun, status=status, owner_id=owner, amount=100, stage="b", **ended, **due)
        )
        for old, new in (("a", "b"), ("b", "c"))[: rng.randrange(3)]:
            moves.append(Change(kind="opportunity", record_id=name, field="stage", changed_at=begun + DAY, old_value=old, new_value=new, origin="api"))  # fmt: skip
    sales, months = read_sales(records_of(*deals, *moves), AS_OF), months_ahead(AS_OF, 3, "UTC")
    for rule, by_unit in ((weighted_pipeline, weighted_pipelines), (seasonal_naive, seasonal_naives)):
        found = by_unit(sales, months, [COMPANY, PERSON])
        for owner in ("U1", "U2", "U3"):
            own = pl.col(PERSON) == owner
            alone = rule(replace(sales, deals=sales.deals.filter(own), booked=sales.booked.filter(own)), months)
            rows = dict(found.filter(level=PERSON, unit_id=owner).select("month", "value").iter_rows())
            assert alone.tolist() == pytest.approx([rows.get(month, 0) for month in months.starts])
        assert (found.filter(level=PERSON)["value"] > 0).any()
