from datetime import date, timedelta
from io import StringIO

import pytest
from rich.console import Console
from worlds import START, STEP, make_subjects, make_world, write_world

from forecast.errors import InputError, NotFoundError
from forecast.history import read_history
from forecast.insight.known import record_as_known
from forecast.insight.known_table import render_known
from forecast.records import Account, Activity, Change, CustomField, Lead, Opportunity, Order, Score
from forecast.snapshot import take_snapshot
from forecast.store import unit_of_work

CREATED, CLOSED = START, START + 20 * STEP
MIDDLE, LATER = START + 10 * STEP, START + 30 * STEP


def change(name, moment, old, new, *, kind="opportunity"):
    """Make a change of the record `o`."""
    return Change(
        kind=kind, record_id="o", field=name, changed_at=moment, old_value=old, new_value=new, origin="import"
    )


def store(engine, *records):
    """Write records."""
    with unit_of_work(engine) as session:
        session.add_all(records)


def known(engine, as_of, kind="opportunity"):
    """Ask for the record `o`."""
    with unit_of_work(engine) as session:
        return record_as_known(session, kind, record_id="o", as_of=as_of)


def won(**values):
    """Make the opportunity `o`, won at CLOSED."""
    return Opportunity(id="o", external_id="o", created_at=CREATED, status="won", closed_at=CLOSED, **values)


def same(value, text):
    """Say whether a text is a value of a frame, as PostgreSQL prints it; what can't be read is missing there."""
    if text == "soon":
        return value is None
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    if isinstance(value, float | int):
        return float(text) == value
    return text == (value.isoformat() if isinstance(value, date) else value)


@pytest.mark.parametrize("seed", range(3))
def test_a_record_is_shown_as_a_snapshot_has_it(engine, seed):
    """Every value shown is the one that training and scoring see at that moment, or is said to be set by closing.

    Where no team is known they see the owner's.
    """
    world = make_world(seed)
    with unit_of_work(engine) as session:
        write_world(session, world)
    subjects = make_subjects(world, seed, count=25).drop_nulls()
    with unit_of_work(engine) as session:
        rows = take_snapshot(read_history(session), subjects).rows
        assert rows.height
        for row in rows.iter_rows(named=True):
            record = record_as_known(session, "opportunity", record_id=row["opportunity_id"], as_of=row["as_of"])
            for field in record.fields:
                column = field.name.replace("custom.", "custom_")
                if column == "team_id" and field.value is None:
                    assert row[column] == row["owner_team_id"], (record.id, record.as_of, field)
                elif column in row and field.origin != "closing":
                    assert same(row[column], field.value), (record.id, record.as_of, field)


def test_a_changed_field_says_since_when_and_what_it_was_before(engine):
    """The last change strictly before the moment counts; before any, the value is that of creation."""
    store(engine, won(amount=9), change("amount", MIDDLE, "5.00", "9.00"))
    early, at, later = (known(engine, moment).field("amount") for moment in (CREATED, MIDDLE, LATER))
    assert (early.value, early.origin, early.since) == ("5.00", "creation", CREATED)
    assert (at.value, at.origin) == ("5.00", "creation")
    assert (later.value, later.origin, later.since, later.before) == ("9.00", "change", MIDDLE, "5.00")


def test_what_a_change_does_not_say_is_taken_from_the_one_before(engine):
    """Histories of stages often name the new stage only."""
    store(engine, won(stage="c"), change("stage", CREATED, None, "a"), change("stage", MIDDLE, None, "b"))
    assert known(engine, LATER).field("stage").before == "a"


def test_a_tracked_field_without_changes_is_of_unknown_moment(engine):
    """It is shown as stored, and said to be so; a fixed field is known from creation."""
    store(engine, won(amount=9, source="web"))
    record = known(engine, MIDDLE)
    assert (record.field("amount").value, record.field("amount").origin) == ("9.00", "unknown")
    assert (record.field("source").origin, record.field("source").since) == ("creation", CREATED)


def test_what_closing_overwrote_is_hidden_before_it(engine):
    """The stage of a closed record without history tells its end, so that it is shown from then on only."""
    store(engine, won(stage="Won"))
    before, after = (known(engine, moment).field("stage") for moment in (CLOSED, LATER))
    assert (before.value, before.origin) == (None, "hidden")
    assert (after.value, after.origin, after.since) == ("Won", "closing", CLOSED)


def test_an_outcome_is_not_known_before_closing(engine):
    """Strictly before closing the record is open; afterwards everything of the outcome is known since closing."""
    store(engine, won(won_amount=7))
    before, after = known(engine, CLOSED), known(engine, LATER)
    assert (before.field("status").value, before.field("won_amount").value) == ("open", None)
    assert [(after.field(name).value, after.field(name).since) for name in ("status", "won_amount")] == [
        ("won", CLOSED),
        ("7.00", CLOSED),
    ]


def test_an_outcome_of_unknown_moment_is_said_to_be_so(engine):
    """A closed record without a close moment shows its status, of unknown moment."""
    store(engine, Opportunity(id="o", external_id="o", created_at=CREATED, status="lost"))
    assert known(engine, MIDDLE).field("status").value == "lost"
    assert known(engine, MIDDLE).field("status").origin == "unknown"


def test_stages_so_far_have_their_moments(engine):
    """The first is the one that the first change replaced; the last was not left yet."""
    store(engine, won(stage="Won"), change("stage", MIDDLE, "new", "offer"), change("stage", CLOSED, "offer", "Won"))
    first, second = known(engine, CLOSED).stages
    assert (first.stage, first.entered_at, first.left_at) == ("new", CREATED, MIDDLE)
    assert (second.stage, second.entered_at, second.left_at) == ("offer", MIDDLE, None)


def test_activities_count_from_when_they_were_entered(engine):
    """One that was entered before the moment and takes place at or after it is planned; one entered later is not there."""
    entered = {"done": (START, START), "planned": (START, MIDDLE), "later": (MIDDLE, START)}
    store(
        engine,
        won(),
        *(
            Activity(id=name, external_id=name, opportunity_id="o", created_at=created, occurred_at=occurred, type=name)
            for name, (created, occurred) in entered.items()
        ),
    )
    assert {(found.type, found.planned) for found in known(engine, MIDDLE).activities} == {
        ("done", False),
        ("planned", True),
    }


def test_scores_are_those_up_to_the_moment(engine):
    """The newest come first; one as of a later moment is not shown."""
    scores = [
        Score(
            model="m", version="v", kind="opportunity", record_id="o", as_of=moment, probability=0.25, basis="own",
            grade="low", latest=moment == LATER,
        )
        for moment in (CREATED, MIDDLE, LATER)
    ]  # fmt: skip
    store(engine, won(), *scores)
    assert [score.as_of for score in known(engine, MIDDLE).scores] == [MIDDLE, CREATED]


@pytest.mark.parametrize(("kind", "table"), [("account", Account), ("lead", Lead)])
def test_accounts_and_leads_are_shown_the_same_way(engine, kind, table):
    """Their fields, custom ones too, are rebuilt from change rows."""
    store(
        engine,
        table(id="o", external_id="o", created_at=CREATED, name="new", custom={"size": "big"}),
        CustomField(kind=kind, name="size", type="text"),
        Activity(id="a", external_id="a", occurred_at=START, **{f"{kind}_id": "o"}),
        change("name", MIDDLE, "old", "new", kind=kind),
        change("custom.size", MIDDLE, "small", "big", kind=kind),
    )
    record = known(engine, MIDDLE, kind)
    assert (record.field("name").value, record.field("custom.size").value) == ("old", "small")
    assert known(engine, LATER, kind).field("custom.size").before == "small"
    assert len(record.activities) == 1


def test_a_kind_without_a_close_moment_has_outcomes_of_unknown_moment(engine):
    """Nothing tells when the status of an order was set."""
    store(engine, Order(id="o", external_id="o", created_at=CREATED, status="returned"))
    assert known(engine, LATER, "order").field("status").origin == "unknown"


def test_a_deleted_record_says_so_from_then_on(engine):
    """A record that was deleted later is shown as if it were not."""
    store(engine, won(deleted_at=CLOSED))
    assert known(engine, CLOSED).deleted_at is None
    assert known(engine, LATER).deleted_at == CLOSED


def test_a_record_that_is_not_there_is_an_error_that_says_why(engine):
    """No such kind, no such id, no such field, not yet created: each is told apart."""
    store(engine, won())
    with unit_of_work(engine) as session:
        with pytest.raises(InputError, match='"deal" is no kind of record'):
            record_as_known(session, "deal", record_id="o", as_of=LATER)
        with pytest.raises(NotFoundError, match='no opportunity "x" is stored'):
            record_as_known(session, "opportunity", record_id="x", as_of=LATER)
        with pytest.raises(NotFoundError, match="was created at"):
            record_as_known(session, "opportunity", record_id="o", as_of=CREATED - timedelta(seconds=1))
    with pytest.raises(NotFoundError, match='no field "colour"'):
        known(engine, LATER).field("colour")


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["offer[1]", "5.00", "unknown moment", "hidden", "stages so far", "planned", "latest scores", "25.0%"]),
        ("zh", ["商机 o", "5.00", "时间未知", "不可知", "经过的阶段", "计划", "最近评分", "25.0%"]),
    ],
)
def test_a_record_is_laid_out_in_both_languages(engine, language, words):
    """What a person looks for is there: values, what is of unknown moment or hidden, stages, activities, scores."""
    store(
        engine,
        won(amount=9, name="n", stage="offer[1]", next_step="signed"),
        change("amount", CREATED, "5.00", "9.00"),
        change("stage", CREATED, "new", "offer[1]"),
        *(
            Activity(id=f"a{number}", external_id=f"a{number}", opportunity_id="o", created_at=CREATED, occurred_at=LATER)
            for number in range(25)
        ),
        Score(
            model="m", version="v", kind="opportunity", record_id="o", as_of=CREATED, probability=0.25, basis="own",
            grade="low",
        ),
    )  # fmt: skip
    console = Console(width=200, file=StringIO())
    console.print(render_known(known(engine, MIDDLE), language))
    text = console.file.getvalue()
    assert [word for word in words if word not in text] == []
    assert text.count("2024-03-12 00:00") == 20
