from datetime import date

import numpy as np
import polars as pl
import pytest
from forecasts import forecast_of, random_draws

from forecast.errors import InputError, TooLittleHistoryError
from forecast.revenue.cells import CELL_TYPES
from forecast.runs.booked import BOOKING_TYPES
from forecast.targets.edits import read_edit
from forecast.targets.proposal import Edit, Sellers, propose
from forecast.targets.reading import quota_records

TODAY = date(2026, 9, 15)
PEOPLE = pl.DataFrame(
    {
        "owner_id": ["U01", "U02", "U03"],
        "name": ["王", "李", None],
        "team_id": ["T1", "T1", "T2"],
        "team_name": ["East", "East", "West"],
    }
)


def history(rates, *, months=36, december=1.0):
    """Make bookings of people by month until the one before TODAY's, December's larger than the others'."""
    starts = pl.date_range(date(2023, 9, 1), date(2026, 8, 1), interval="1mo", eager=True).to_list()[-months:]
    rows = [
        {"owner_id": owner, "booked_on": day, "month": day, "amount": rate * (december if day.month == 12 else 1.0)}
        for owner, rate in rates.items()
        for day in starts
    ]
    return pl.DataFrame(rows, schema=BOOKING_TYPES)


def sellers(bookings, cells=None):
    """Put together who is to share a target."""
    return Sellers(
        people=PEOPLE, bookings=bookings, cells=pl.DataFrame(schema=CELL_TYPES) if cells is None else cells, today=TODAY
    )


EVEN = sellers(history({"U01": 200.0, "U02": 100.0, "U03": 100.0}))


def sums(proposal, *, by):
    """Add parts up."""
    return {
        key[0] if len(by) == 1 else key: round(rows["amount"].sum(), 2)
        for key, rows in proposal.parts.group_by(*by, maintain_order=True)
    }


def test_parts_add_up_to_their_wholes_to_the_cent():
    """Persons add up to teams, teams to the company, periods to the year, whatever the amount."""
    found = propose(1_000_000.01, 2027, EVEN, period="month")
    assert sums(found, by=["level"]) == dict.fromkeys(("company", "team", "person"), 1_000_000.01)
    teams = sums(found, by=["level", "unit_id", "starts_on"])
    for start in {key[2] for key in teams}:
        assert teams["team", "T1", start] == pytest.approx(
            teams["person", "U01", start] + teams["person", "U02", start], abs=1e-6
        )


def test_who_books_twice_as_much_gets_twice_the_target():
    """Steady persons share by what they book."""
    people = sums(propose(400.0, 2027, EVEN, period="year"), by=["level", "unit_id"])
    assert [people["person", owner] for owner in ("U01", "U02", "U03")] == pytest.approx([200, 100, 100], abs=0.02)


def test_a_strong_month_gets_more():
    """A December that was thrice the others each year gets more, though not quite so much on three years' word."""
    strong = sellers(history({"U01": 100.0, "U02": 100.0, "U03": 100.0}, december=3.0))
    found = propose(1200.0, 2027, strong, period="month")
    months = found.parts.filter(pl.col("level") == "company")["amount"].to_list()
    assert 3 * np.mean(months[:11]) > months[11] > 2 * np.mean(months[:11])


def test_the_forecast_of_months_that_it_reaches_counts_instead_of_the_past():
    """Whose pipeline says more than the past gets more."""
    cells = forecast_of(random_draws(people=("U01", "U02", "U03"))).cells.filter(pl.col("level") == "person")
    more = cells.with_columns(pl.when(pl.col("unit_id") == "U03").then(5000.0).otherwise("mean").alias("mean"))
    before, after = (
        sums(propose(400.0, 2026, sellers(EVEN.bookings, part), period="year"), by=["level", "unit_id"])[
            "person", "U03"
        ]
        for part in (cells, more)
    )
    assert after > 2 * before


def test_an_edited_part_spreads_the_rest_again():
    """A team's decided year stands, its members keep their proportion, and the other team gets what is left."""
    edits = [Edit(level="team", unit_id="T1", starts_on=None, amount=100.0)]
    found = sums(propose(400.0, 2027, EVEN, period="quarter", edits=edits), by=["level", "unit_id"])
    assert (found["team", "T1"], found["team", "T2"], found["company", ""]) == (100.0, 300.0, 400.0)
    assert found["person", "U01"] == pytest.approx(2 * found["person", "U02"], abs=0.1)


def test_a_decision_may_be_for_one_period():
    """A person's quarter is decided alone; the same person's other quarters share what is left with everybody."""
    edits = [Edit(level="person", unit_id="U02", starts_on=date(2027, 4, 1), amount=50.0)]
    found = propose(400.0, 2027, EVEN, period="quarter", edits=edits)
    parts = sums(found, by=["unit_id", "starts_on"])
    assert parts["U02", date(2027, 4, 1)] == 50.0
    assert sums(found, by=["level"])["company"] == 400.0
    assert parts["U02", date(2027, 1, 1)] < 25


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (Edit(level="person", unit_id="U99", starts_on=None, amount=1.0), "U01, U02, U03"),
        (Edit(level="person", unit_id="U01", starts_on=date(2027, 2, 1), amount=1.0), "2027-04-01"),
        (Edit(level="planet", unit_id="U01", starts_on=None, amount=1.0), "company, team, person"),
        (Edit(level="company", unit_id="", starts_on=None, amount=1.0), "does not go into"),
    ],
)
def test_decisions_on_what_is_no_part_are_refused(edit, match):
    """The message names the units and periods there are, or that the whole is another."""
    with pytest.raises(InputError, match=match):
        propose(400.0, 2027, EVEN, period="quarter", edits=[edit])


def test_what_cannot_be_divided_is_refused():
    """No amount, none that cents hold, no history and no seller are errors that say so, not even shares."""
    for amount in (0, -5, float("nan"), float("inf"), 1e18):
        with pytest.raises(InputError, match="above 0 and up to 1,000,000,000,000,000"):
            propose(amount, 2027, EVEN, period="month")
    with pytest.raises(TooLittleHistoryError, match="nothing was booked"):
        propose(100, 2027, sellers(history({})), period="month")
    nobody = Sellers(people=PEOPLE.clear(), bookings=EVEN.bookings, cells=EVEN.cells, today=TODAY)
    with pytest.raises(InputError, match="nobody sells"):
        propose(100, 2027, nobody, period="month")


def test_what_was_assumed_is_said():
    """A short past, a year out of the forecast's reach, and newcomers are named."""
    found = propose(100, 2027, sellers(history({"U01": 5.0, "U02": 5.0}, months=6)), period="month")
    said = "\n".join(found.remarks)
    assert "less than a year" in said
    assert "no kept forecast" in said
    assert "U03" in said


def test_adopting_again_changes_the_same_records():
    """A part's record has the same id whatever its amount, so that a new proposal replaces the old one."""
    ids = [
        [record["id"] for record in quota_records(propose(amount, 2027, EVEN, period="quarter"), currency="CNY")]
        for amount in (100, 999)
    ]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 4 * (1 + 2 + 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("T1=2,000,000", ("team", "T1", None, 2_000_000.0)),
        ("U02@2027-04-01=50000.5", ("person", "U02", date(2027, 4, 1), 50_000.5)),
        ("company@2027-04-01=1_000", ("company", "", date(2027, 4, 1), 1000.0)),
    ],
)
def test_decisions_are_read_as_written(text, expected):
    """A unit, a first day if it is not for the year, and an amount with or without separators."""
    edit = read_edit(text, EVEN)
    assert (edit.level, edit.unit_id, edit.starts_on, edit.amount) == expected


@pytest.mark.parametrize("text", ["T1", "T1=much", "U99=5", "T1@spring=5", "=5"])
def test_what_is_no_decision_is_refused(text):
    """The message shows how to write one."""
    with pytest.raises(InputError, match=r"T1=2000000"):
        read_edit(text, EVEN)
