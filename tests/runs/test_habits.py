from datetime import UTC, datetime

import pytest
from forecasts import PEOPLE, opportunity, store

from forecast.records import Change, Person
from forecast.runs.habits import judge_habits
from forecast.store import unit_of_work

NOW = datetime(2026, 9, 15, tzinfo=UTC)
MONTHS = (10, 11, 12, 1, 2, 3, 4, 5, 6, 7)


def at(month, number):
    """Give a day of 2026 or, of months from September on, of 2025."""
    return datetime(2026 if month < 9 else 2025, month, number, 12, tzinfo=UTC)


def deal(name, owner, month, *, said, won, **values):
    """Make a deal that ended in a month, and was said to close in it or much later."""
    stated = (at(month, 20) if said else datetime(2027, 5, 1, tzinfo=UTC)).date()
    ended = {"status": "won" if won else "lost", "closed_at": at(month, 20)}
    usual = {"owner_id": owner, "amount": 100, "created_at": at(9, 1), "expected_close_on": stated, **ended}
    said_at = Change(
        kind="opportunity", record_id=name, field="expected_close_on", changed_at=at(9, 2), new_value=str(stated),
        old_value="2027-01-01", origin="api",
    )  # fmt: skip
    return [opportunity(name, **{**usual, **values}), said_at]


def deals(owner, *, kept, broken, surprises=0):
    """Make so many announced deals that were won and lost, and wins that were not announced."""
    kinds = [(True, True)] * kept + [(True, False)] * broken + [(False, True)] * surprises
    return [
        row
        for number, (said, won) in enumerate(kinds)
        for row in deal(f"{owner}-{number}", owner, MONTHS[number % len(MONTHS)], said=said, won=won)
    ]


def judge(engine, *records, timezone="UTC"):
    """Judge what is stored."""
    people = [Person(id=name, external_id=name, name=f"Seller {name}", team_id=team) for name, team in PEOPLE.items()]
    store(engine, *people, *records)
    with unit_of_work(engine) as session:
        return judge_habits(session, now=NOW, timezone=timezone)


@pytest.fixture
def habits(engine):
    """Judge one who promises too much, one who wins what was not announced, and a usual one with few deals."""
    found = judge(
        engine,
        *deals("U01", kept=3, broken=27, surprises=2),
        *deals("U02", kept=20, broken=6, surprises=24),
        *deals("U03", kept=3, broken=2, surprises=1),
    )
    return {habit.person_id: habit for habit in found.people}


def test_who_announces_what_does_not_come_has_happy_ears(habits):
    """Announced deals that others would have won and this person surely did not are said so."""
    habit = habits["U01"]
    assert (habit.verdict, habit.announced, habit.name) == ("happy ears", 30, "Seller U01")
    assert habit.kept_share == pytest.approx(0.1)
    assert habit.kept_usual == pytest.approx(23 / 31)


def test_who_wins_what_was_not_announced_is_sandbagging(habits):
    """Wins that nobody was told of, surely more than others have, are said so."""
    habit = habits["U02"]
    assert habit.verdict == "sandbagging"
    assert habit.unannounced_share == pytest.approx(24 / 44)
    assert habit.unannounced_usual == pytest.approx(3 / 9)


def test_few_deals_say_nothing(habits):
    """Five deals are no habit, whatever became of them."""
    assert habits["U03"].verdict == "too few to say"
    assert habits["U03"].announced == 5


def test_those_who_are_alike_are_in_line(engine):
    """Where everybody keeps the same share, nobody is accused."""
    found = judge(engine, *(row for name in PEOPLE for row in deals(name, kept=10, broken=10, surprises=8)))
    assert {habit.verdict for habit in found.people} == {"in line"}


def test_a_category_goes_before_a_close_date(engine):
    """A deal that is called pipeline is not announced by its close date; one called commit is, whatever its date."""

    def called(name, category, *, said):
        change = Change(kind="opportunity", record_id=name, field="forecast_category", changed_at=at(9, 2),
                        new_value=category, old_value="x", origin="api")  # fmt: skip
        return [*deal(name, "U01", 10, said=said, won=True, forecast_category=category), change]

    found = judge(engine, *called("a", "Pipeline", said=True), *called("b", "commit", said=False))
    (habit,) = found.people
    assert (habit.announced, habit.kept_share, habit.unannounced_share) == (1, 1.0, 0.5)


def test_a_deal_that_is_announced_again_and_again_counts_once(engine):
    """A promise that was put off for months is one deal, kept in part."""
    rows = deal("a", "U01", 12, said=True, won=True, created_at=at(9, 1))
    moves = [
        Change(kind="opportunity", record_id="a", field="expected_close_on", changed_at=at(9, 3), old_value="2025-12-20",
               new_value="2025-10-20", origin="api"),
        Change(kind="opportunity", record_id="a", field="expected_close_on", changed_at=at(10, 25), old_value="2025-10-20",
               new_value="2025-12-20", origin="api"),
    ]  # fmt: skip
    (habit,) = judge(engine, *rows, *moves).people
    assert (habit.announced, habit.kept_share) == (1, 0.5)


def test_months_begin_at_midnight_of_the_companys_zone(engine):
    """What is won at seven in the evening in UTC, when the next month has begun in Shanghai, did not come in the month before."""
    late = {"closed_at": datetime(2025, 11, 30, 19, tzinfo=UTC)}
    rows = [*deal("a", "U01", 11, said=True, won=True, **late), *deal("b", "U01", 11, said=True, won=True)]
    (habit,) = judge(engine, *rows, timezone="Asia/Shanghai").people
    assert (habit.announced, habit.kept_share) == (2, 0.5)


def test_without_a_history_of_fields_nobody_is_judged(engine):
    """What a closed deal was said to do can't be known from how it ended, and that is said."""
    rows = [row for row in deals("U01", kept=20, broken=20) if not isinstance(row, Change)]
    found = judge(engine, *rows)
    assert found.people == ()
    assert "history of fields" in found.remarks[0]
