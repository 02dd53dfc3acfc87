"""Customers with a known truth: rates, leaving and values are drawn, purchases follow."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from forecast.customers import ATTRIBUTES, CustomerHistory

FIRST = datetime(2023, 1, 1, tzinfo=UTC)
MOMENT = pl.Datetime("us", "UTC")
ORDERS = pl.Schema({"account_id": pl.String(), "ordered_at": MOMENT, "amount": pl.Float64()})
EVENTS = pl.Schema({"account_id": pl.String(), "happened_at": MOMENT, "kind": pl.String()})
ACCOUNTS = pl.Schema(dict.fromkeys(("account_id", "name", *ATTRIBUTES), pl.String()))


def history_of(orders, events=(), accounts=()):
    """Give a history of rows of Python values."""
    return CustomerHistory(
        orders=pl.DataFrame(list(orders), schema=ORDERS, orient="row").sort("account_id", "ordered_at"),
        events=pl.DataFrame(list(events), schema=EVENTS, orient="row"),
        accounts=pl.DataFrame(list(accounts), schema=ACCOUNTS, orient="row"),
    )


def simulate_buyers(seed, count=400, days=500, *, r=0.6, alpha=5.0, a=0.8, b=2.5):
    """Draw customers who buy as BG/NBD says (weeks), each with a value level of its own."""
    draw = np.random.default_rng(seed)
    orders = []
    for number in range(count):
        rate, leaving = draw.gamma(r, 1 / alpha), draw.beta(a, b) if a else 0.0
        level = np.exp(draw.normal(4, 0.8))
        day = draw.integers(0, days // 2)
        while day < days:
            moment = FIRST + timedelta(days=int(day), hours=int(draw.integers(0, 24)))
            orders.append((f"c{number:04d}", moment, round(float(level * draw.gamma(4, 0.25)), 2)))
            if draw.random() < leaving:
                break
            day = day + max(1, int(np.ceil(draw.exponential(7 / rate)))) if rate > 1e-6 else days
    return history_of(orders)


def simulate_strangers(seed, count=400, days=500):
    """Draw purchases that tell nothing: every day anyone may buy, whatever was bought before."""
    draw = np.random.default_rng(seed)
    orders = [
        (f"c{number:04d}", FIRST + timedelta(days=int(day)), round(float(draw.gamma(4, 25)), 2))
        for number in range(count)
        for day in np.flatnonzero(draw.random(days) < 0.01)
    ]
    return history_of(orders)
