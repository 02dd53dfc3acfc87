from datetime import date

import polars as pl
import pytest
from forecasts import AS_OF, day, forecast_of, keep, opportunity, random_draws, store
from hypothesis import given
from hypothesis import strategies as st

from forecast.errors import InputError, NotFoundError
from forecast.records import Change, Opportunity, Person, Score
from forecast.runs.changes import BARS, Scope, compare
from forecast.runs.deals import DEAL_TYPES
from forecast.runs.moments import compare_moments, find_sight, quarter_of, read_period
from forecast.store import unit_of_work

QUARTER = Scope(level="company", unit_id="", starts_on=date(2026, 10, 1), ends_on=date(2026, 12, 31))
INSIDE, EARLIER, LATER = date(2026, 11, 15), date(2026, 9, 30), date(2027, 1, 1)


def deals(*rows):
    """Make deals, open and of U01 unless they say otherwise."""
    usual = {"opportunity_id": "a", "owner_id": "U01", "team_id": "T1", "status": "open", "currency": "CNY"}
    return pl.DataFrame([usual | row for row in rows], schema=DEAL_TYPES)


def bars(before, after, scope=QUARTER):
    """Compare one deal, or none, at each moment."""
    found = compare(deals(*before), deals(*after), scope)
    return {bar.name: bar.amount for bar in found.bars}


OPEN = {"amount": 100.0, "win_probability": 0.5, "expected_close_on": INSIDE}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [OPEN], {"new": 50}),
        ([], [{"status": "won", "closed_on": INSIDE, "won_amount": 80.0}], {"won": 80}),
        ([OPEN], [{"status": "won", "closed_on": INSIDE, "won_amount": 120.0}], {"won": 70}),
        ([OPEN], [{"status": "won", "closed_on": EARLIER, "won_amount": 120.0}], {"won": -50}),
        ([OPEN], [{"status": "lost", "closed_on": INSIDE}], {"lost": -50}),
        ([OPEN], [OPEN | {"expected_close_on": LATER}], {"pushed_out": -50}),
        ([OPEN], [OPEN | {"expected_close_on": None}], {"pushed_out": -50}),
        ([OPEN], [OPEN | {"expected_close_on": EARLIER}], {"moved_earlier": -50}),
        ([OPEN | {"expected_close_on": LATER}], [OPEN], {"pulled_in": 50}),
        ([OPEN | {"expected_close_on": EARLIER}], [OPEN | {"amount": 200.0}], {"slipped_in": 100}),
        ([OPEN], [OPEN | {"amount": 140.0}], {"amount_up": 20}),
        ([OPEN], [OPEN | {"amount": 60.0}], {"amount_down": -20}),
        ([OPEN], [OPEN | {"win_probability": 0.7}], {"rescored": 20}),
        ([OPEN | {"win_probability": None, "seller_probability": 0.2}], [OPEN], {"scored": 30}),
        ([OPEN], [OPEN | {"amount": 200.0, "win_probability": 0.1}], {"amount_up": 50, "rescored": -80}),
        ([OPEN], [OPEN], {}),
        ([OPEN | {"expected_close_on": LATER}], [OPEN | {"expected_close_on": LATER, "amount": 9.0}], {}),
        ([OPEN], [], {"removed": -50}),
        ([{"status": "won", "closed_on": INSIDE, "won_amount": 80.0}], [OPEN], {"reopened": -30}),
        ([{"status": "won", "closed_on": INSIDE, "won_amount": 80.0}], [{"status": "won", "closed_on": INSIDE, "won_amount": 90.0}], {"amount_up": 10}),
    ],
)  # fmt: skip
def test_each_change_has_its_bar(before, after, expected):
    """What happened to a deal decides its bar; one that stays may change by amount and by score."""
    assert bars(before, after) == expected


def test_a_deal_that_is_handed_over_leaves_one_unit_and_enters_another():
    """The company has no change, the one team loses it, the other gains it."""
    before, after = [OPEN], [OPEN | {"owner_id": "U03", "team_id": "T2"}]
    of_team = [
        bars(before, after, Scope(level="team", unit_id=team, starts_on=QUARTER.starts_on, ends_on=QUARTER.ends_on))
        for team in ("T1", "T2", "T3")
    ]
    assert of_team == [{"handed_over": -50}, {"handed_over": 50}, {}]
    assert bars(before, after) == {}


def test_a_deal_without_a_score_counts_with_the_share_won():
    """A deal that nobody scored is neither sure nor nothing, and that it was assumed is said."""
    closed = [
        {"opportunity_id": name, "status": status, "closed_on": EARLIER}
        for name, status in (("x", "won"), ("y", "lost"), ("z", "lost"), ("u", "lost"))
    ]
    found = compare(deals(*closed), deals(*closed, OPEN | {"win_probability": None}), QUARTER)
    assert [(bar.name, bar.amount) for bar in found.bars] == [("new", 25)]
    assert "share won, 25%" in found.remarks[0]


_DAYS = st.sampled_from([None, EARLIER, INSIDE, LATER])
_STATES = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["open", "won", "lost"]),
        "amount": st.one_of(st.none(), st.floats(0, 1e7).map(lambda value: round(value, 2))),
        "won_amount": st.one_of(st.none(), st.floats(0, 1e7).map(lambda value: round(value, 2))),
        "win_probability": st.one_of(st.none(), st.floats(0, 1)),
        "expected_close_on": _DAYS,
        "closed_on": _DAYS,
        "owner_id": st.sampled_from(["U01", "U03"]),
    }
)
_SIDES = st.dictionaries(st.sampled_from("abcdefgh"), _STATES)


@given(
    _SIDES, _SIDES, st.sampled_from([QUARTER, Scope(level="person", unit_id="U01", starts_on=INSIDE, ends_on=LATER)])
)
def test_bars_add_up_to_the_difference_to_the_cent(before, after, scope):
    """Whatever happened, nothing is left unexplained and nothing is counted twice; records add up to their bars."""
    sides = [deals(*(state | {"opportunity_id": name} for name, state in side.items())) for side in (before, after)]
    found = compare(*sides, scope)
    cents = [round(bar.amount * 100) for bar in found.bars]
    assert round(found.before * 100) + sum(cents) == round(found.after * 100)
    assert {bar.name for bar in found.bars} <= set(BARS)
    for bar in found.bars:
        rows = found.records.filter(pl.col("bar") == bar.name)
        assert round(rows["change"].sum() * 100) == round(bar.amount * 100)
        assert rows.height == bar.count


def test_records_stand_behind_each_bar_the_largest_first():
    """Each record says how it stood before and after."""
    before = deals(OPEN, OPEN | {"opportunity_id": "b", "amount": 10.0})
    after = deals(OPEN | {"amount": 110.0}, OPEN | {"opportunity_id": "b", "amount": 10.0, "expected_close_on": LATER})
    first, second = compare(before, after, QUARTER).records.to_dicts()
    assert (first["opportunity_id"], first["bar"], first["change"]) == ("a", "amount_up", 5.0)
    assert (first["amount_before"], first["amount_after"]) == (100.0, 110.0)
    assert (second["bar"], second["closes_on_before"], second["closes_on_after"]) == ("pushed_out", INSIDE, LATER)


def changed(name, field, moment, old, new):
    """Make a change row."""
    return Change(
        kind="opportunity", record_id=name, field=field, changed_at=moment, old_value=old, new_value=new, origin="api"
    )


@pytest.fixture
def pipeline(engine):
    """Open a database with a deal that grew and was pushed out, one that was won, and one that is new."""
    store(
        engine,
        Person(id="U01", external_id="U01", team_id="T1"),
        opportunity("moved", amount=200, seller_probability=0.5, expected_close_on=LATER),
        opportunity("won", amount=100, seller_probability=0.5, status="won", closed_at=day(10, 5), won_amount=90,
                    expected_close_on=INSIDE),
        opportunity("new", amount=40, seller_probability=0.5, expected_close_on=INSIDE, created_at=day(10, 1)),
        changed("won", "seller_probability", day(2, 1), "0.4", "0.5"),
        changed("moved", "amount", day(10, 2), "150.00", "200.00"),
        changed("moved", "expected_close_on", day(10, 3), "2026-11-15", "2027-01-01"),
        changed("won", "seller_probability", day(10, 5), "0.5", "1"),
        changed("won", "expected_close_on", day(10, 5), "2026-11-15", "2026-10-05"),
    )  # fmt: skip
    return engine


def told(engine, first, second, scope=QUARTER, **options):
    """Compare two moments."""
    with unit_of_work(engine) as session:
        sights = [find_sight(session, text, timezone="UTC") for text in (first, second)]
        return compare_moments(session, *sights, scope, currency=None, timezone="UTC", **options)


def test_any_two_moments_are_told_from_the_records_history(pipeline):
    """Fields are put back to what they were at each moment."""
    found = told(pipeline, "2026-09-15", "2026-10-10")
    assert {bar.name: bar.amount for bar in found.changes.bars} == {"new": 20, "won": 40, "pushed_out": -75}
    assert (found.changes.before, found.changes.after) == (125, 110)
    assert found.before.run is found.after.run is None
    assert told(pipeline, "2026-09-15", "2026-10-02T13:00").changes.bars[1].name == "amount_up"


def test_a_kept_forecast_goes_before_what_records_say_now(pipeline):
    """What a forecast saw is compared, even where an import without history overwrote it since."""
    keep(pipeline, forecast_of(random_draws()))
    with unit_of_work(pipeline) as session:
        session.query(Change).delete()
        session.query(Opportunity).filter(Opportunity.id == "moved").update({"amount": 999})
    found = told(pipeline, "1", "2026-10-10")
    assert found.before.run.id == 1
    assert found.changes.before == 125
    assert found.before.expected is not None
    assert found.after.expected is None
    assert told(pipeline, AS_OF.isoformat(), "2026-10-10").before.run.id == 1


def test_scores_of_their_time_count(pipeline):
    """A deal is weighed by the newest score at each moment."""
    store(
        pipeline,
        *(
            Score(model="win_probability", version="v", kind="opportunity", record_id="new", as_of=moment,
                  probability=probability, basis="own", grade="low", latest=False)
            for moment, probability in ((day(10, 6), 0.25), (day(10, 8), 0.75))
        ),
    )  # fmt: skip
    found = told(pipeline, "2026-10-07", "2026-10-09")
    assert {bar.name: bar.amount for bar in found.changes.bars} == {"rescored": 20}


def test_what_cannot_be_compared_is_refused(pipeline):
    """Moments in the wrong order, unknown forecasts, regions and several currencies are errors that say what to do."""
    with pytest.raises(InputError, match="swap them"):
        told(pipeline, "2026-10-10", "2026-09-15")
    with pytest.raises(NotFoundError, match="forecast 77"):
        told(pipeline, "77", "2026-09-15")
    with pytest.raises(InputError, match="company, team or person"):
        told(pipeline, "2026-09-15", "2026-10-10", Scope(level="region", unit_id="x", starts_on=INSIDE, ends_on=LATER))
    store(pipeline, opportunity("euro", currency="EUR"))
    with pytest.raises(InputError, match=r"CNY \(3\), EUR \(1\)"):
        told(pipeline, "2026-09-15", "2026-10-10")


def test_amounts_without_a_currency_change_in_the_only_one(pipeline):
    """Of one currency, what names none counts as in it; of several, it is left out, as in the forecast."""
    store(
        pipeline,
        opportunity(
            "bare", amount=7, seller_probability=0.5, currency=None, created_at=day(10, 2), expected_close_on=INSIDE
        ),
    )
    counts = [bar.count for bar in told(pipeline, "2026-09-15", "2026-10-10").changes.bars if bar.name == "new"]
    store(pipeline, opportunity("euro", currency="EUR", created_at=day(10, 5)))
    with unit_of_work(pipeline) as session:
        sights = [find_sight(session, text, timezone="UTC") for text in ("2026-09-15", "2026-10-10")]
        found = compare_moments(session, *sights, QUARTER, currency="CNY", timezone="UTC")
    assert counts == [bar.count + 1 for bar in found.changes.bars if bar.name == "new"]


def test_periods_are_read_as_written():
    """A year, a quarter or a month; anything else is refused with an example."""
    assert read_period("2026") == (date(2026, 1, 1), date(2026, 12, 31))
    assert read_period("2026-q4") == (date(2026, 10, 1), date(2026, 12, 31))
    assert read_period("2024-02") == (date(2024, 2, 1), date(2024, 2, 29))
    assert quarter_of(date(2026, 8, 31)) == (date(2026, 7, 1), date(2026, 9, 30))
    for text in ("2026-Q5", "2026-13", "spring", ""):
        with pytest.raises(InputError, match="2026-Q4"):
            read_period(text)
