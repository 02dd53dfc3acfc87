import random
from datetime import UTC, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from world_history import history_of, make_plan
from worlds import CUSTOM_FIELDS, START, STEP, make_subjects, make_world, write_world

from forecast.features import opportunity_features, plan_features
from forecast.history import read_history
from forecast.records import Account, Activity, Change, CustomField, Opportunity, Person, Product
from forecast.snapshot import History, known_opportunities, take_snapshot
from forecast.store import unit_of_work

SEEDS = range(3)
MIDDLE = START + 30 * STEP
FRAMES = [name for name, kind in History.__annotations__.items() if kind is pl.DataFrame]


def stored(engine, world):
    """Write a world and read its history."""
    with unit_of_work(engine) as session:
        write_world(session, world)
    with unit_of_work(engine) as session:
        return read_history(session)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_read_is_what_was_written(engine, seed):
    """Every frame of a random company comes back from PostgreSQL as it was, in its order."""
    world = make_world(seed)
    history, expected = stored(engine, world), history_of(world)
    assert len(FRAMES) == 12
    for name in FRAMES:
        found, wanted = getattr(history, name), getattr(expected, name)
        assert_frame_equal(found.select(wanted.columns), wanted, check_exact=True)
        assert set(found.columns) == set(wanted.columns)
    assert list(history.custom_types.items()) == list(expected.custom_types.items())
    assert history.overwritten_on_close == expected.overwritten_on_close


@pytest.mark.parametrize("seed", SEEDS)
def test_features_do_not_depend_on_the_order_of_writing(engine, seed):
    """Records that arrived in another order give the same features, bit for bit."""
    world, shuffled = make_world(seed), make_world(seed)
    for rows in (shuffled.opportunities, shuffled.activities, shuffled.accounts, shuffled.people, shuffled.changes):
        random.Random(seed).shuffle(rows)
    plan, subjects = make_plan(world), make_subjects(world, seed)
    expected = opportunity_features(take_snapshot(history_of(world), subjects), plan)
    found = opportunity_features(take_snapshot(stored(engine, shuffled), subjects), plan)
    assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("until", [MIDDLE, START + 45 * STEP])
def test_reading_until_a_moment_is_reading_all_and_looking_at_that_moment(engine, seed, until):
    """What was recorded at the moment or later is neither read nor missed."""
    whole = stored(engine, make_world(seed, size=20))
    with unit_of_work(engine) as session:
        cut = read_history(session, until=until)
    plan = plan_features(whole, ("owner_id", "source"))
    subjects = known_opportunities(whole, until)
    assert subjects.height
    assert known_opportunities(cut, until).equals(subjects)
    assert_frame_equal(
        opportunity_features(take_snapshot(cut, subjects), plan),
        opportunity_features(take_snapshot(whole, subjects), plan),
        check_exact=True,
    )
    assert not cut.changes.filter(pl.col("changed_at") >= until).height


def test_a_value_changed_later_is_read_as_it_was(engine):
    """Reading until a moment before a change gives the value that the change replaced, also of a closed opportunity."""
    with unit_of_work(engine) as session:
        won = Opportunity(
            id="o", external_id="o", created_at=START, status="won", closed_at=MIDDLE, stage="won", amount=9
        )
        session.add(won)
        for name, old, new in (("stage", "proposal", "won"), ("amount", "5.00", "9.00")):
            session.add(
                Change(
                    kind="opportunity",
                    record_id="o",
                    field=name,
                    changed_at=MIDDLE,
                    old_value=old,
                    new_value=new,
                    origin="t",
                )
            )
    with unit_of_work(engine) as session:
        cut = read_history(session, until=MIDDLE)
    assert cut.opportunities.select("stage", "amount").row(0) == ("proposal", 5.0)
    assert cut.closings.row(0) == ("o", "open", None, None)
    assert cut.changes.is_empty()


def test_tombstoned_records_are_left_out(engine):
    """What the CRM deleted is in no frame."""
    gone = datetime(2024, 3, 1, tzinfo=UTC)
    with unit_of_work(engine) as session:
        session.add(Opportunity(id="o", external_id="o", deleted_at=gone))
        session.add(Activity(id="t", external_id="t", opportunity_id="o", occurred_at=START, deleted_at=gone))
    with unit_of_work(engine) as session:
        history = read_history(session)
    assert history.opportunities.is_empty()
    assert history.closings.is_empty()
    assert history.activities.is_empty()


def test_an_empty_database_gives_empty_frames_that_can_be_computed(engine):
    """No records at all is an answer of its own."""
    with unit_of_work(engine) as session:
        history = read_history(session)
    subjects = known_opportunities(history, START)
    assert subjects.is_empty()
    assert opportunity_features(take_snapshot(history, subjects), plan_features(history, ("owner_id",))).is_empty()


def test_only_custom_fields_that_may_be_known_are_read(engine):
    """A field declared as an outcome enters no frame; names may hold any sign."""
    names = ["折扣 %", 'say "hi"', "a:b", "x'y"]
    with unit_of_work(engine) as session:
        session.add_all(CustomField(kind="opportunity", name=name, type="category", time="tracked") for name in names)
        session.add(CustomField(kind="opportunity", name="end", type="category", time="outcome"))
        session.add(Opportunity(id="o", external_id="o", custom=dict.fromkeys([*names, "end"], "值")))
    with unit_of_work(engine) as session:
        history = read_history(session)
    assert set(history.custom_types) == {f"custom_{name}" for name in names}
    assert history.opportunities.select(list(history.custom_types)).row(0) == ("值",) * 4
    assert "custom_end" not in history.opportunities.columns


@pytest.mark.parametrize("name", ["first_name", "mobile", "手机"])
def test_names_and_telephones_of_persons_are_not_learnt_from(engine, name):
    """A field that tells who a person is or how to reach them is stored, and enters no frame."""
    with unit_of_work(engine) as session:
        session.add(CustomField(kind="opportunity", name=name, type="category", time="fixed"))
        session.add(Opportunity(id="o", external_id="o", custom={name: "Ann"}))
    with unit_of_work(engine) as session:
        history = read_history(session)
    assert not history.custom_types
    assert history.opportunities.height == 1


def test_custom_fields_of_accounts_are_changed_under_their_own_name(engine):
    """A change of an account's custom field is read as one of its column."""
    kind, name, *_ = next(declared for declared in CUSTOM_FIELDS if declared[0] == "account")
    with unit_of_work(engine) as session:
        session.add(CustomField(kind=kind, name=name, type="number", time="tracked"))
        session.add(Account(id="a", external_id="a", custom={name: 2.0}))
        session.add(Opportunity(id="o", external_id="o", account_id="a", created_at=START))
        session.add(
            Change(
                kind=kind,
                record_id="a",
                field=f"custom.{name}",
                changed_at=MIDDLE,
                old_value="1.0",
                new_value="2.0",
                origin="t",
            )
        )
    with unit_of_work(engine) as session:
        history = read_history(session)
    subjects = pl.DataFrame({"opportunity_id": ["o", "o"], "as_of": [MIDDLE, MIDDLE + STEP]})
    assert take_snapshot(history, subjects).rows[f"account_custom_{name}"].to_list() == [1.0, 2.0]


@pytest.mark.parametrize("cut", [None, START + 5 * STEP])
def test_what_is_deleted_was_known_before(engine, cut):
    """A deleted account, owner or product tells something up to its deletion, and nothing strictly after it."""
    deleted_at = START + 2 * STEP
    gone = {"id": "1", "external_id": "1", "deleted_at": deleted_at}
    with unit_of_work(engine) as session:
        session.add_all(
            [Account(**gone, industry="bank"), Person(**gone, title="lead"), Product(**gone, line="cloud")]
            + [Account(id="2", external_id="2", industry="retail")]
            + [
                Opportunity(
                    id=place, external_id=place, account_id=place, owner_id="1", product_id="1", created_at=START
                )
                for place in "12"
            ]
        )
    with unit_of_work(engine) as session:
        history = read_history(session, until=cut)
    subjects = pl.DataFrame(
        [(place, deleted_at + delay) for place in "12" for delay in (0 * STEP, STEP)],
        schema={"opportunity_id": pl.String, "as_of": pl.Datetime("us", "UTC")},
        orient="row",
    )
    told = take_snapshot(history, subjects).rows.select("account_industry", "owner_title", "product_line").rows()
    known, unknown = ("lead", "cloud"), (None, None)
    assert told == [("bank", *known), (None, *unknown), ("retail", *known), ("retail", *unknown)]
