import random
from datetime import UTC, date, datetime, timedelta

import polars as pl

from forecast.revenue.monthly import monthly_revenue

AS_OF = datetime(2024, 6, 15, tzinfo=UTC)


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
