from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from forecast.records import Order, Person, Quota
from forecast.revenue.futures import units_of
from forecast.revenue.planned import TARGET_TYPES, known_targets, planned_inputs
from forecast.revenue.records import months_ahead, read_sales
from forecast.revenue.time_series import forecast_series
from forecast.series.calendar import Calendar
from forecast.series.panel import Panel
from forecast.snapshot.changes import CHANGE_TYPES

AS_OF = datetime(2026, 10, 1, tzinfo=UTC)
QUARTERS = [date(year, month, 1) for year in (2024, 2025, 2026) for month in (1, 4, 7, 10)]


def at(day, days=0):
    """Give midnight of so many days after a day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=days)


def known(*rows, changes=()):
    """Give the amounts of the targets that are known, of quarters and moments they were recorded at."""
    targets = [
        (f"Q{number}", "person", "U1", start, start + timedelta(days=90), 100.0, None, recorded)
        for number, (start, recorded) in enumerate(rows)
    ]
    frame = pl.DataFrame(targets, schema=TARGET_TYPES, orient="row")
    changed = pl.DataFrame(list(changes), schema=CHANGE_TYPES, orient="row")
    return dict(known_targets(frame, changed, AS_OF, "UTC").select("starts_on", "amount").iter_rows())


def test_a_target_is_known_if_it_was_recorded_before():
    """What was recorded at or after the moment, or after its period's first week, says nothing ahead."""
    early, late, today = QUARTERS[8:11]
    ahead = QUARTERS[11]
    assert known((early, at(early, -10)), (late, at(late, 20)), (ahead, at(ahead, -10))) == {early: 100, ahead: 100}
    assert known((today, AS_OF)) == {}


def test_a_target_stands_as_it_did_when_its_period_began():
    """What was made of it afterwards, as after a bad month, is not counted."""
    start = QUARTERS[8]
    lowered = ("Q0", "amount", at(start, 60), "100", "40")
    assert known((start, at(start, -10)), changes=[lowered]) == {start: 100}
    assert known((start, at(start, -10)), changes=[("Q0", "amount", at(start, -5), "70", "100")]) == {start: 100}


def lasting(records, as_of):
    """Give the last days of the targets that were known at a moment."""
    found = known_targets(records.targets, records.target_changes, as_of, "UTC")
    return dict(found.select("target_id", "ends_on").iter_rows())


def test_quotas_without_a_last_day_count_until_the_next_begins(records_of):
    """Quotas that only say when they begin are targets too; one alone, of which nothing says how long it lasts, is none."""
    begun = [
        Quota(id=f"Q{day:%m}", created_at=at(day, -9), person_id="U1", starts_on=day, amount=1) for day in QUARTERS[:2]
    ]
    alone = Quota(id="Q", created_at=at(QUARTERS[0], -9), team_id="T1", starts_on=QUARTERS[0], amount=1)
    records = records_of(*begun, alone)
    assert lasting(records, AS_OF) == {"Q01": date(2024, 3, 31), "Q04": date(2024, 6, 30)}


def test_the_last_quota_without_a_last_day_has_as_many_months_as_the_one_before(records_of):
    """A quarter has 90 to 92 days: the first one is over on the last of March, not on the first of April."""
    starts = [date(2023, 10, 1), date(2024, 1, 1)]
    odd = [date(2023, 10, 10), date(2024, 1, 1)]
    quotas = [Quota(id=f"Q{day:%m}", created_at=at(day, -9), person_id="U1", starts_on=day, amount=1) for day in starts]
    quotas += [Quota(id=f"O{day:%m}", created_at=at(day, -9), person_id="U2", starts_on=day, amount=1) for day in odd]
    found = lasting(records_of(*quotas), AS_OF)
    assert (found["Q01"], found["O01"]) == (date(2024, 3, 31), date(2024, 3, 23))


def test_a_quota_that_was_not_recorded_yet_ends_no_other(records_of):
    """Until when an earlier quota lasts is told by those that were known at the moment."""
    starts = [*QUARTERS[:2], QUARTERS[4]]
    quotas = [
        Quota(id=f"Q{n}", created_at=at(day, -9), person_id="U1", starts_on=day, amount=1)
        for n, day in enumerate(starts)
    ]
    records = records_of(*quotas)
    assert lasting(records, at(QUARTERS[2])) == {"Q0": date(2024, 3, 31), "Q1": date(2024, 6, 30)}
    assert lasting(records, at(QUARTERS[4])) == {
        "Q0": date(2024, 3, 31),
        "Q1": date(2024, 12, 31),
        "Q2": date(2025, 9, 30),
    }


def sell(*, follows, seed=1):
    """Make monthly orders of eight persons who sell nine tenths of their quarterly quotas, or have quotas of no meaning."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(8):
        for number, start in enumerate(QUARTERS):
            said = float(1000 * (1 + person % 3) * np.exp(rng.normal(0, 0.5)))
            rows.append(
                Quota(
                    id=f"Q{person}-{number}",
                    created_at=at(start, -10),
                    person_id=f"U{person}",
                    starts_on=start,
                    ends_on=(at(start, 95).replace(day=1) - timedelta(days=1)).date(),
                    amount=Decimal(round(said)),
                )
            )
            sold = 0.9 * said if follows else 1000 * (1 + person % 3)
            rows += [
                Order(
                    id=f"R{person}-{number}-{month}",
                    owner_id=f"U{person}",
                    ordered_at=at(start, 15 + 30 * month),
                    amount=Decimal(round(sold / 3 * np.exp(rng.normal(0, 0.1)))),
                )
                for month in range(3)
            ]
    return rows


@pytest.mark.parametrize("follows", [True, False])
def test_targets_count_as_far_as_they_held(records_of, follows):
    """Where sales followed quotas, the time series follows them, too, and says so; where they did not, it leaves them out."""
    rows = sell(follows=follows)
    sales = read_sales(records_of(*rows), AS_OF)
    months, units = months_ahead(AS_OF, 3, "UTC"), units_of([sales.booked, sales.open_deals])
    with_targets = forecast_series(sales, units, months)
    without = forecast_series(replace(sales, targets=sales.targets.clear()), units, months)
    came = [
        sum(
            float(row.amount)
            for row in rows
            if isinstance(row, Order) and row.owner_id == person and row.ordered_at >= AS_OF
        )
        for person in units.ids["person"]
    ]
    missed, missed_without = (np.abs(view.mean.sum(axis=1) - came).sum() for view in (with_targets, without))
    assert without.remarks == ()
    if follows:
        assert missed < 0.5 * missed_without
        assert "make up" in with_targets.remarks[0]
    else:
        assert np.array_equal(with_targets.mean, without.mean)
        assert "are not used" in with_targets.remarks[0]


def test_a_team_target_serves_its_persons(records_of):
    """Where persons have no targets, their team's tells of each by the usual ratio."""
    rows = [row for row in sell(follows=True) if isinstance(row, Order) or row.person_id == "U0"]
    for row in rows:
        if isinstance(row, Quota):
            row.person_id, row.team_id = None, "T1"
    people = [Person(id=f"U{number}", team_id="T1") for number in range(8)]
    sales = read_sales(records_of(*people, *rows), AS_OF)
    months, units = months_ahead(AS_OF, 3, "UTC"), units_of([sales.booked, sales.open_deals])
    assert forecast_series(sales, units, months).remarks


def planned(*spans):
    """Lay targets of one person out over 2024 to 2026, the last year ahead; each is a first day, a last day and an amount."""
    rows = [(f"Q{number}", "person", "U1", *span, None, at(span[0], -10)) for number, span in enumerate(spans)]
    calendar = Calendar(unit="month", step=1, origin=date(2024, 1, 1), stamp="first")
    panel = Panel(ids=("U1",), history=(np.ones(24),), ends=np.array([23]), calendar=calendar, season=12)
    return planned_inputs(pl.DataFrame(rows, schema=TARGET_TYPES, orient="row"), panel, 12, {})


def test_a_target_of_a_year_leaves_its_months_what_shorter_ones_leave():
    """Of 1200 for a year in which two quarters have 150 each, the others have 450 each; none is known where nothing is left."""
    quarters = [(date(2026, 1, 1), date(2026, 3, 31), 150.0), (date(2026, 7, 1), date(2026, 9, 30), 150.0)]
    before = (date(2025, 1, 1), date(2025, 12, 31), 1000.0)
    found = planned(before, (date(2026, 1, 1), date(2026, 12, 31), 1200.0), *quarters)
    assert found.past[0][12:, 0].tolist() == [1000.0] * 12
    assert found.future[0, :, 0].tolist() == [150.0] * 3 + [450.0] * 3 + [150.0] * 3 + [450.0] * 3
    assert np.flatnonzero(np.diff(found.blocks[0])).tolist()[-4:] == [23, 26, 29, 32]
    used_up = planned(before, (date(2026, 1, 1), date(2026, 12, 31), 300.0), *quarters)
    assert np.isnan(used_up.future[0, :, 0]).tolist() == ([False] * 3 + [True] * 3) * 2
