from datetime import date

import polars as pl
import pytest

from forecast.runs.categories import category, due_by_category
from forecast.runs.deals import DEAL_TYPES

JANUARY = {"starts_on": date(2026, 1, 1), "ends_on": date(2026, 1, 31)}


def deals(*rows):
    """Make deals of what is named."""
    return pl.DataFrame(list(rows), schema=DEAL_TYPES)


def totals_of_january(*rows):
    """Count deals that are expected to close in a month, for the company."""
    due = deals(*({"expected_close_on": date(2026, 1, 15)} | row for row in rows))
    found = due_by_category(due, pl.DataFrame([{"level": "company", "unit_id": "", **JANUARY}]))
    return found.select("category", "count", "amount", "weighted")


@pytest.mark.parametrize(
    ("said", "probability", "expected"),
    [
        ("Commit", 0.1, "commit"),
        ("BEST_CASE", 0.1, "best_case"),
        ("best-case", None, "best_case"),
        ("渠道", 0.9, "pipeline"),
        ("Omitted", 0.9, "omitted"),
        (None, 0.75, "commit"),
        (None, 0.4, "best_case"),
        ("whatever", 0.39, "pipeline"),
        (None, None, "pipeline"),
    ],
)
def test_a_category_is_the_sellers_or_follows_from_the_probability(said, probability, expected):
    """A known word of the seller decides, in any spelling; else the probability does."""
    row = {"opportunity_id": "a", "forecast_category": said, "win_probability": probability, "status": "open"}
    assert deals(row).select(category()).item() == expected


def test_categories_count_open_deals_only():
    """Each category has its count, amount and weighted amount; what is closed or omitted is in none."""
    found = totals_of_january(
        {"opportunity_id": "a", "amount": 100.0, "win_probability": 0.8, "status": "open"},
        {"opportunity_id": "b", "amount": 50.0, "win_probability": 0.9, "status": "open"},
        {"opportunity_id": "c", "amount": 70.0, "win_probability": 0.1, "status": "open"},
        {"opportunity_id": "d", "amount": None, "win_probability": 0.1, "status": "open"},
        {"opportunity_id": "e", "amount": 99.0, "forecast_category": "omitted", "status": "open"},
        {"opportunity_id": "f", "amount": 99.0, "win_probability": 0.9, "status": "won"},
    )
    assert found.rows() == [("commit", 2, 150.0, 125.0), ("best_case", 0, 0.0, 0.0), ("pipeline", 2, 70.0, 7.0)]


def test_a_weighted_amount_is_not_guessed():
    """Where a deal has an amount and no probability, its category has no weighted amount, not one that is too small."""
    found = totals_of_january(
        {"opportunity_id": "a", "amount": 100.0, "win_probability": 0.1, "status": "open"},
        {"opportunity_id": "b", "amount": 50.0, "status": "open"},
    )
    assert found.rows()[2] == ("pipeline", 2, 150.0, None)


def test_deals_are_due_in_the_period_of_their_close_date_and_unit():
    """Each of the company, its teams and persons has the deals that close within a period; regions are not named by deals."""
    asked = [("company", ""), ("person", "U1"), ("team", "T2"), ("region", "North")]
    quarter = {"starts_on": date(2026, 1, 1), "ends_on": date(2026, 3, 31)}
    periods = pl.DataFrame([{"level": level, "unit_id": unit_id, **quarter} for level, unit_id in asked])
    usual = {"status": "open", "amount": 100.0, "win_probability": 0.8}
    rows = (
        {"opportunity_id": "first", "owner_id": "U1", "team_id": "T1", "expected_close_on": date(2026, 1, 1), **usual},
        {"opportunity_id": "last", "owner_id": "U2", "team_id": "T2", "expected_close_on": date(2026, 3, 31), **usual},
        {"opportunity_id": "later", "owner_id": "U1", "team_id": "T1", "expected_close_on": date(2026, 4, 1), **usual},
        {"opportunity_id": "undated", "owner_id": "U1", "team_id": "T1", **usual},
    )
    found = due_by_category(deals(*rows), periods).filter(category="commit")
    assert found.select("level", "count", "amount", "weighted").rows() == [
        ("company", 2, 200.0, 160.0),
        ("person", 1, 100.0, 80.0),
        ("team", 1, 100.0, 80.0),
    ]
