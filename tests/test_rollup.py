import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from forecast.cli.outlook import series_of_records
from forecast.errors import InputError, TooLittleHistoryError
from forecast.records import Opportunity, Order, Person
from forecast.rollup import booked_revenue, monthly_revenue
from forecast.store import unit_of_work

AS_OF = datetime(2024, 6, 15, tzinfo=UTC)
ORDERS = {
    "owner_id": pl.String,
    "ordered_at": pl.Datetime("us", "UTC"),
    "amount": pl.Float64,
    "currency": pl.String,
    "status": pl.String,
}
WON = {
    "owner_id": pl.String,
    "closed_at": pl.Datetime("us", "UTC"),
    "amount": pl.Float64,
    "won_amount": pl.Float64,
    "currency": pl.String,
    "status": pl.String,
}
NO_ORDERS, NONE_WON = pl.DataFrame(schema=ORDERS), pl.DataFrame(schema=WON)


def orders(*rows):
    """Make a frame of orders."""
    return pl.DataFrame(list(rows), schema=ORDERS, orient="row")


def won(*rows):
    """Make a frame of opportunities."""
    return pl.DataFrame(list(rows), schema=WON, orient="row")


def test_orders_come_before_won_opportunities():
    """Where orders are known they are the revenue; where not, what was won is, at the amount it was won for."""
    some = won(("p", AS_OF - timedelta(days=40), 100.0, 80.0, "EUR", "won"), ("p", AS_OF, 5.0, None, "EUR", "lost"))
    ordered = orders(("p", AS_OF - timedelta(days=9), 30.0, "EUR", None), ("p", AS_OF, 7.0, "EUR", "cancelled"))
    assert booked_revenue(ordered, some, as_of=AS_OF, currency=None)[0]["amount"].to_list() == [30.0]
    booked, source = booked_revenue(NO_ORDERS, some, as_of=AS_OF, currency=None)
    assert (booked["amount"].to_list(), source) == ([80.0], "won opportunities")


def test_what_is_booked_at_the_moment_is_not_known():
    """The moment itself is excluded, and nothing before it is an error of its own."""
    with pytest.raises(TooLittleHistoryError, match="2024-06-15"):
        booked_revenue(orders(("p", AS_OF, 30.0, "EUR", None)), NONE_WON, as_of=AS_OF, currency=None)


def test_currencies_are_never_added_up():
    """Several currencies need one to be named."""
    mixed = orders(
        ("p", AS_OF - timedelta(days=2), 30.0, "EUR", None), ("p", AS_OF - timedelta(days=2), 9.0, "CNY", None)
    )
    with pytest.raises(InputError, match="--currency"):
        booked_revenue(mixed, NONE_WON, as_of=AS_OF, currency=None)
    assert booked_revenue(mixed, NONE_WON, as_of=AS_OF, currency="CNY")[0]["amount"].to_list() == [9.0]


def test_monthly_sums_are_those_of_a_loop():
    """Each person's months, from the first booked one to the current, hold the sum of what was booked in them."""
    chance = random.Random(3)
    rows = [
        (
            chance.choice(["a", "b", None]),
            AS_OF - timedelta(days=chance.randrange(1, 400)),
            float(chance.randrange(100)),
        )
        for _ in range(80)
    ]
    booked = pl.DataFrame(
        rows, schema={"owner_id": pl.String, "booked_at": pl.Datetime("us", "UTC"), "amount": pl.Float64}, orient="row"
    )
    people = pl.DataFrame({"id": ["a"], "team_id": ["north"]})
    found = monthly_revenue(booked, people, as_of=AS_OF, timezone="UTC")
    expected: dict[tuple[str, date], float] = {}
    for owner, moment, amount in rows:
        key = (owner or "nobody", moment.date().replace(day=1))
        expected[key] = expected.get(key, 0) + amount
    assert {(i, d): y for i, d, y in found.select("unique_id", "ds", "y").iter_rows() if y} == {
        key: value for key, value in expected.items() if value
    }
    assert set(found["ds"].filter(found["unique_id"] == "a").tail(1)) == {date(2024, 6, 1)}
    assert set(found.select("unique_id", "team").unique().rows()) == {
        ("a", "north"),
        ("b", "no team"),
        ("nobody", "no team"),
    }


def test_records_become_series_without_the_current_month(engine):
    """From the database: months that are over are history, and the current one is what is booked so far."""
    with unit_of_work(engine) as session:
        session.add(Person(id="p", external_id="p", team_id="north"))
        for month in range(1, 7):
            moment = datetime(2024, month, 5, tzinfo=UTC)
            session.add(
                Order(id=f"o{month}", external_id=f"o{month}", owner_id="p", ordered_at=moment, amount=Decimal(month))
            )
        session.add(
            Opportunity(id="w", external_id="w", owner_id="p", status="won", amount=Decimal(9), closed_at=AS_OF)
        )
    found = series_of_records(engine, AS_OF, season=None, currency=None, timezone="UTC")
    assert found.panel.ids == ("p",)
    assert found.panel.history[0].tolist() == [1, 2, 3, 4, 5]
    assert found.partial == (date(2024, 6, 1), {"p": 6.0})
    assert found.series["team"].to_list() == ["north"]
