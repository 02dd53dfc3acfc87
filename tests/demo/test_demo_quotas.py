from datetime import UTC, datetime

import polars as pl
import pytest

from forecast.demo import simulate_company


@pytest.fixture(scope="module")
def company():
    """Simulate a company as described."""
    return simulate_company(7, datetime(2026, 11, 1, tzinfo=UTC))


def test_team_quotas_are_the_sum_of_their_sellers(company):
    """In each quarter the quotas of a team's sellers add up to the team's."""
    sellers = company.quotas.drop("team_id").join(company.people, left_on="person_id", right_on="id")
    summed = sellers.group_by("team_id", "starts_on").agg(total=pl.col("amount").sum())
    teams = company.quotas.filter(pl.col("team_id").is_not_null()).join(summed, on=["team_id", "starts_on"], how="left")
    assert teams.height == 5 * company.quotas["starts_on"].n_unique()
    assert teams["amount"].to_list() == pytest.approx(teams["total"].to_list())


def test_quotas_know_past_sales_only(company):
    """A quota is set before its quarter, for everyone by the year's sales until then."""
    quotas = company.quotas.filter(pl.col("person_id").is_not_null())
    assert (quotas["created_at"].dt.date() < quotas["starts_on"]).all()
    earlier = company.orders.select("ordered_at", "amount", person_id="owner_id").join(quotas, on="person_id")
    age = pl.col("created_at") - pl.col("ordered_at")
    sold = earlier.filter(age.is_between(pl.duration(), pl.duration(days=365), closed="right")).group_by("id")
    ratios = quotas.join(sold.agg(year=pl.col("amount").sum()), on="id").select(pl.col("amount") / pl.col("year"))
    assert ratios.to_series().to_list() == pytest.approx([1.05 * 1.2 / 4] * ratios.height, rel=0.1)
