from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from forecasts import forecast_of, random_draws

from forecast.revenue.cells import CELL_TYPES
from forecast.runs.booked import BOOKING_TYPES
from forecast.runs.deals import DEAL_TYPES
from forecast.targets.attainment import Ground, attain, overlapping
from forecast.targets.quotas import Target
from forecast.targets.smart import check_target
from forecast.targets.usual import count_closed, opportunities_needed, usual_deals

TODAY = date(2026, 9, 15)
DRAWS = random_draws(months=4)
CELLS = forecast_of(DRAWS).cells


def bookings(*rows):
    """Make bookings of (owner, day, amount)."""
    teams = {"U01": "T1", "U02": "T1", "U03": "T2"}
    return pl.DataFrame(
        [
            {
                "owner_id": owner,
                "team_id": teams[owner],
                "booked_on": day,
                "month": day.replace(day=1),
                "amount": amount,
            }
            for owner, day, amount in rows
        ],
        schema=BOOKING_TYPES,
    )


def closed(count, *, won, owner, amount=100.0, days=30):
    """Make deals of an owner that closed lately, so many of them won."""
    rows = [
        {
            "opportunity_id": f"{owner}-{number}",
            "owner_id": owner,
            "status": "won" if number < won else "lost",
            "created_on": date(2026, 6, 1) - timedelta(days=days),
            "closed_on": date(2026, 6, 1),
            "won_amount": amount if number < won else None,
        }
        for number in range(count)
    ]
    return pl.DataFrame(rows, schema=DEAL_TYPES)


def ground(*rows, cells=CELLS, deals=None):
    """Put together what is judged by."""
    return Ground(
        today=TODAY,
        bookings=bookings(*rows),
        cells=cells,
        deals=pl.DataFrame(schema=DEAL_TYPES) if deals is None else deals,
    )


def target(**values):
    """Make a target of U01 for the third quarter."""
    usual = {
        "quota_id": "Q1", "level": "person", "unit_id": "U01", "unit_name": "Wang", "known": True,
        "starts_on": date(2026, 7, 1), "ends_on": date(2026, 9, 30), "metric": "revenue", "amount": 300.0, "currency": "CNY",
    }  # fmt: skip
    return Target(**{**usual, **values})


BOOKED = (("U01", date(2026, 6, 30), 999.0), ("U01", date(2026, 7, 1), 80.0), ("U01", date(2026, 9, 2), 10.0), ("U02", date(2026, 8, 1), 500.0))  # fmt: skip


def test_attained_is_what_the_unit_booked_within_the_period():
    """First and last days count; other units and other days do not; a team has its members', the company all."""
    assert attain(target(), ground(*BOOKED)).attained == 90
    assert attain(target(level="team", unit_id="T1"), ground(*BOOKED)).attained == 590
    assert attain(target(level="company", unit_id="", starts_on=date(2026, 6, 30)), ground(*BOOKED)).attained == 1589


def test_projected_is_what_is_over_and_the_futures_of_what_is_not():
    """Months that are over count as booked, the present one and those to come as forecast, draw by draw."""
    found = attain(target(), ground(*BOOKED)).outlook
    futures = 80 + np.maximum(DRAWS["U01"][0], 10)
    assert found.mean == pytest.approx(80 + DRAWS["U01"][0].mean())
    assert found.probability == pytest.approx(np.mean(futures >= 300))
    assert found.shortfall == pytest.approx(np.maximum(300 - futures, 0).mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(futures, [0.1, 0.9])))


def test_months_add_up_future_by_future():
    """A target over months to come is judged by the sum of the same futures, not by sums of ranges."""
    found = attain(target(starts_on=date(2026, 10, 1), ends_on=date(2026, 12, 31)), ground(*BOOKED)).outlook
    assert found.probability == pytest.approx(np.mean(DRAWS["U01"][1:4].sum(axis=0) >= 300))


def test_what_is_booked_already_is_in_every_future():
    """A forecast that is older than a large order does not deny it."""
    found = attain(target(amount=2000.0), ground(*BOOKED, ("U01", date(2026, 9, 14), 5000.0)))
    assert found.outlook.probability == 1
    assert found.gap == 0


def test_a_forecast_that_ends_too_early_gives_no_probability():
    """What the forecast does not reach is not called unlikely: the projection says until when it goes."""
    found = attain(target(ends_on=date(2027, 3, 31)), ground(*BOOKED))
    assert found.outlook.until == date(2026, 12, 31)
    assert found.outlook.probability is found.outlook.shortfall is found.gap is None


def test_part_of_a_month_is_its_share_of_days():
    """A target that ends on the 15th has half of that month's future."""
    found = attain(target(starts_on=date(2026, 11, 1), ends_on=date(2026, 11, 15)), ground()).outlook
    assert found.mean == pytest.approx(DRAWS["U01"][2].mean() / 2)


def test_without_a_forecast_nothing_is_projected():
    """No kept forecast is an answer of its own; a month between the forecast's first and today would be no revenue."""
    assert attain(target(), ground(*BOOKED, cells=pl.DataFrame(schema=CELL_TYPES))).outlook is None
    late = CELLS.filter(pl.col("month") > date(2026, 9, 1))
    assert attain(target(ends_on=date(2026, 12, 31)), ground(*BOOKED, cells=late)).outlook is None


def test_a_period_that_is_over_is_judged_by_what_was_booked():
    """What is missing at the end is the gap, and no further opportunity closes it."""
    found = attain(target(starts_on=date(2026, 4, 1), ends_on=date(2026, 6, 30), amount=1000.0), ground(*BOOKED))
    assert (found.attained, found.gap, found.outlook, found.needed) == (999, 1, None, None)


@pytest.mark.parametrize("missing", [{"amount": None}, {"starts_on": None}, {"ends_on": None}, {"metric": "calls"}])
def test_what_cannot_be_measured_is_not_measured(missing):
    """Without an amount, a period or revenue as its metric, a target has no attainment."""
    found = attain(target(**missing), ground(*BOOKED))
    assert found.attained is found.outlook is found.gap is None


def test_the_gap_is_closed_by_opportunities_at_the_usual_share_and_amount():
    """So many more opportunities as the expected revenue of one goes into the gap, rounded up."""
    deals = closed(40, won=20, owner="U01")
    found = attain(target(amount=500.0), ground(*BOOKED, deals=deals))
    assert found.needed.opportunities == int(np.ceil(found.gap / 50))
    assert found.needed.in_time_share == 0


def test_the_usual_deal_of_few_is_drawn_to_the_companys():
    """One lucky win of a newcomer is no win rate of 100 %; ten closed deals count as much as the company's."""
    deals = pl.concat([closed(90, won=30, owner="U01"), closed(10, won=10, owner="U03", amount=1000.0)])
    own = usual_deals(count_closed(deals, TODAY), "person", "U03")
    assert own.won_share == pytest.approx((10 + 10 * 0.4) / 20)
    assert own.won_amount == pytest.approx((10 * 1000 + 10 * 325) / 20)
    stranger = usual_deals(count_closed(deals, TODAY), "person", "U99")
    assert (stranger.won_share, stranger.won_amount) == pytest.approx((0.4, 325))
    assert usual_deals(count_closed(closed(5, won=0, owner="U01"), TODAY), "company", "") is None


def test_how_many_usual_wins_come_in_time_is_said():
    """A sale that usually takes 30 days closes no gap of next week."""
    usual = usual_deals(count_closed(closed(10, won=5, owner="U01", days=30), TODAY), "company", "")
    assert opportunities_needed(100, usual, days_left=7).in_time_share == 0
    assert opportunities_needed(100, usual, days_left=30).in_time_share == 1


def test_quotas_of_a_unit_that_share_days_are_named():
    """A year's quota beside each of its quarters is said; quarters beside one another are not."""
    year = target(quota_id="Y", starts_on=date(2026, 1, 1), ends_on=date(2026, 12, 31))
    third, fourth = (
        target(quota_id="Q3"),
        target(quota_id="Q4", starts_on=date(2026, 10, 1), ends_on=date(2026, 12, 31)),
    )
    assert [(one.quota_id, other.quota_id) for one, other in overlapping([year, third, fourth])] == [
        ("Y", "Q3"),
        ("Y", "Q4"),
    ]
    assert list(overlapping([third, fourth, replace(third, unit_id="U02")])) == []


def checks(found, language="en"):
    """Give what is said of each criterion."""
    return {check.criterion: (check.passed, check.sentence) for check in check_target(found, language)}


def test_a_sound_target_passes_every_check():
    """Amount, period, owner and a fair chance: all is said with its figures, in both languages."""
    found = attain(target(amount=180.0), ground(*BOOKED))
    probability = f"{found.outlook.probability:.0%}"
    assert checks(found) == {
        "measurable": (True, "180 CNY of booked revenue"),
        "attainable": (True, f"with a probability of {probability}"),
        "dated": (True, "from 2026-07-01 to 2026-09-30"),
        "owned": (True, "by Wang"),
    }
    assert checks(found, "zh")["attainable"] == (True, f"达成概率 {probability}")


@pytest.mark.parametrize(
    ("values", "criterion", "passed"),
    [
        ({"amount": None}, "measurable", False),
        ({"amount": 0.0}, "measurable", False),
        ({"metric": "calls"}, "measurable", False),
        ({"amount": 1e9}, "attainable", False),
        ({"amount": 1.0}, "attainable", True),
        ({"ends_on": date(2028, 1, 1)}, "attainable", None),
        ({"starts_on": date(2026, 4, 1), "ends_on": date(2026, 6, 30), "amount": 1e6}, "attainable", False),
        ({"ends_on": None}, "dated", False),
        ({"starts_on": date(2026, 12, 1)}, "dated", False),
        ({"known": False}, "owned", False),
    ],
)
def test_each_criterion_is_judged(values, criterion, passed):
    """What is missing, out of reach, not dated or not owned fails its criterion, and says what to do, in both languages."""
    found = attain(target(**values), ground(*BOOKED))
    assert checks(found)[criterion][0] is passed
    assert checks(found, "zh")[criterion][1] != checks(found)[criterion][1]
