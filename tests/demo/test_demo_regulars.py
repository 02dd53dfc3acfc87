from datetime import UTC, datetime

import polars as pl
import pytest

from forecast.demo import simulate_company

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def company():
    """Simulate a company with regular customers."""
    return simulate_company(7, UNTIL, opportunities=1000, regulars=400)


@pytest.fixture(scope="module")
def gaps(company):
    """Give the days between the orders of each customer that no seller makes offers to."""
    dealt = company.opportunities.select("account_id").unique()
    orders = company.orders.join(dealt, on="account_id", how="anti").sort("account_id", "ordered_at")
    days = pl.col("ordered_at").diff().over("account_id").dt.total_hours() / 24
    return orders.with_columns(gap=days).filter(pl.col("gap").is_not_null())


def test_each_regular_customer_has_a_rhythm_of_its_own(gaps):
    """Gaps of one customer are alike, those of different customers are not."""
    usual = gaps.group_by("account_id").agg(
        pl.len(), pl.col("gap").median(), apart=(pl.col("gap") / pl.col("gap").median()).log().abs().median()
    )
    known = usual.filter(pl.col("len") >= 5)
    assert known.height > 100
    assert known["apart"].median() < 0.3
    assert known["gap"].quantile(0.9) > 4 * known["gap"].quantile(0.1)


def test_some_customers_come_back_others_fade_or_leave(gaps):
    """Some came back from a silence far beyond the usual; gaps of many widened; many are silent for long at the end."""
    days = pl.col("gap")
    usual = gaps.group_by("account_id", maintain_order=True).agg(
        pl.len(),
        days.max(),
        usual=days.median(),
        first=days.head(2).mean(),
        last=days.last(),
        silent=(pl.lit(UNTIL) - pl.col("ordered_at").last()).dt.total_days(),
    )
    known = usual.filter(pl.col("len") >= 4)
    returned = known.filter((days > 100) & (days > 3 * pl.col("usual")) & (pl.col("last") < 2 * pl.col("usual")))
    assert 0.02 < returned.height / known.height < 0.3
    assert 0.2 < known.filter(pl.col("last") > 2 * pl.col("first")).height / known.height < 0.7
    assert 0.2 < known.filter(pl.col("silent") > 3 * pl.col("usual")).height / known.height < 0.7


@pytest.mark.parametrize("name", ["accounts", "orders", "order_lines"])
def test_regular_customers_are_added_to_the_others(company, name):
    """Who buys on offers buys as without them, and no id is given twice."""
    alone = getattr(simulate_company(7, UNTIL, opportunities=1000), name)
    together = getattr(company, name)
    assert together.head(alone.height).equals(alone)
    assert together.height > alone.height + 100
    assert together["id"].is_unique().all()


def test_what_regular_customers_order_is_whole(company):
    """Their orders find account, seller and products, came after the account, and add up."""
    orders = company.orders.join(
        company.accounts.select("owner_id", account_id="id", known_since="created_at"), on=["account_id", "owner_id"]
    )
    orders = orders.join(company.opportunities.select("account_id").unique(), on="account_id", how="anti")
    assert orders.height > 1000
    assert (orders["ordered_at"] > orders["known_since"]).all()
    lines = company.order_lines.join(company.products.select(product_id="id"), on="product_id")
    total = lines.group_by(id="order_id").agg(total=pl.col("amount").sum())
    sums = orders.join(total, on="id")
    assert sums.height == orders.height
    assert (sums["amount"] - sums["total"]).abs().max() < 0.01
