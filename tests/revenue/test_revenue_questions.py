from datetime import date

import numpy as np
import polars as pl
import pytest
from forecasts import AS_OF, forecast_of, random_draws

from forecast.revenue.cells import draws_of
from forecast.revenue.questions import cases, chance_of_reaching, expected_shortfall, period_totals

DRAWS = random_draws(months=4)
FORECAST = forecast_of(DRAWS, as_of=AS_OF)


def totals(period, cells=FORECAST.cells):
    """Give the totals by level, unit and start."""
    return {
        (row["level"], row["unit_id"], row["starts_on"]): row
        for row in period_totals(cells, period).iter_rows(named=True)
    }


def test_a_quarter_is_the_sum_of_its_months_in_each_draw():
    """Each future of a quarter is the sum of the same futures of its months, at every level."""
    fourth = totals("quarter")["team", "T1", date(2026, 10, 1)]
    assert np.array(fourth["draws"]) == pytest.approx((DRAWS["U01"] + DRAWS["U02"])[1:4].sum(axis=0))
    assert fourth["ends_on"] == date(2026, 12, 31)
    assert fourth["months"] == 3
    assert fourth["mean"] == pytest.approx(np.mean(fourth["draws"]))


def test_quarters_add_up_to_the_year():
    """Months, quarters and years of a unit agree in every draw."""
    by_quarter, (year,) = (
        [np.array(row["draws"]) for key, row in totals(period).items() if key[0] == "company"]
        for period in ("quarter", "year")
    )
    assert sum(by_quarter) == pytest.approx(year)


def test_units_add_up_to_the_company_in_any_period():
    """Adding months up keeps what the months had: persons and teams add up to the company in every draw."""
    sums = {
        level: draws_of(period_totals(FORECAST.cells.filter(pl.col("level") == level), "year")).sum(axis=0)
        for level in ("person", "team", "company")
    }
    assert sums["person"] == pytest.approx(sums["company"])
    assert sums["team"] == pytest.approx(sums["company"])


def test_months_that_are_over_count_as_they_were_booked():
    """A row without draws adds what was won to every future; the range of the rest is moved by it."""
    company = FORECAST.cells.filter(pl.col("level") == "company")
    known = company.head(2).with_columns(
        pl.Series("month", [date(2026, 7, 1), date(2026, 8, 1)]),
        pl.lit(40.0).alias("won"),
        pl.lit(40.0).alias("mean"),
        pl.lit(40.0).alias("series"),
        pl.lit([], pl.List(pl.Float32)).alias("draws"),
    )
    third = totals("quarter", pl.concat([known, company]))["company", "", date(2026, 7, 1)]
    assert np.array(third["draws"]) == pytest.approx(sum(DRAWS.values())[0] + 80)
    assert third["months"] == 3
    assert third["won"] == 80


def test_a_period_whose_months_are_not_all_there_says_so():
    """The year of a forecast from September to December has four months, unless those before are known."""
    assert {row["months"] for row in totals("year").values()} == {4}


def test_the_parts_of_a_total_are_the_sums_of_its_months():
    """Won, open and new add up like the mean; the time-series view is missing where a month has none."""
    months = FORECAST.cells.filter(pl.col("unit_id") == "U03")
    year = totals("year")["person", "U03", date(2026, 1, 1)]
    assert [year[name] for name in ("won", "open", "new", "mean")] == pytest.approx(
        [months[name].sum() for name in ("won", "open", "new", "mean")]
    )
    assert year["series"] is None


def test_no_cells_have_no_totals():
    """A unit that is not in a forecast has no row, not a zero."""
    assert period_totals(FORECAST.cells.clear(), "quarter").is_empty()


def test_chance_and_shortfall_of_a_quota():
    """The chance is the share of futures at or above the quota; the shortfall averages over all of them."""
    draws = np.array([50.0, 100.0, 150.0, 200.0])
    assert chance_of_reaching(draws, 100) == 0.75
    assert expected_shortfall(draws, 100) == 12.5
    assert expected_shortfall(draws, 0) == 0


def test_cases_are_quantiles():
    """One future in ten is below the worst case, nine in ten below the best."""
    found = cases(np.arange(1001.0))
    assert (found.worst, found.likely, found.best) == (100, 500, 900)
