from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from forecast.errors import ConflictError, InputError, NotFoundError
from forecast.history import read_history
from forecast.merging import list_merges, merge_records, undo_merge
from forecast.records import (
    RECORD_KINDS,
    Account,
    Activity,
    AuditEvent,
    Case,
    Change,
    Contact,
    CustomField,
    Feedback,
    Lead,
    Merge,
    Opportunity,
    Order,
    Quote,
)
from forecast.snapshot import take_snapshot
from forecast.store import unit_of_work

NOW = datetime(2026, 9, 15, 8, 30, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
EARLIER = NOW - timedelta(days=30)
OF_ACCOUNT = (Activity, Case, Contact, Feedback, Lead, Opportunity, Order, Quote)


def make(table, record_id, **columns):
    """Make a record."""
    return table(id=record_id, external_id=record_id, **columns)


@pytest.fixture
def company(engine):
    """Store the accounts A and B, which are one, C, and of each kind of record one of each of them."""
    with unit_of_work(engine) as session:
        session.add(make(Account, "A", name="Acme", created_at=EARLIER, parent_id="B", phone=""))
        session.add(
            make(Account, "B", name="Acme Ltd", created_at=EARLIER, phone="123", employees=7, custom={"vip": True})
        )
        session.add(make(Account, "C", name="Crux", parent_id="B"))
        for table in OF_ACCOUNT:
            session.add_all(make(table, f"{table.__tablename__}-{one}", account_id=one) for one in "ABC")
        session.add(make(Activity, "call", lead_id="lead-B"))
        session.add(CustomField(kind="account", name="vip", type="boolean"))
        opportunity = {"kind": "opportunity", "record_id": "opportunity-C", "field": "account_id", "origin": "import"}
        session.add(Change(**opportunity, changed_at=EARLIER, old_value="B", new_value="C"))
        session.add(Change(**opportunity, changed_at=EARLIER - timedelta(days=1), old_value="C", new_value="B"))
    return engine


def everything(engine):
    """Read every record, change and its columns, bookkeeping apart."""
    tables = [*(table.__table__ for table in RECORD_KINDS.values()), Change.__table__]
    with unit_of_work(engine) as session:
        return {
            (table.name, row["id"]): {
                name: value for name, value in row.items() if name not in {"version", "stored_at"}
            }
            for table in tables
            for row in session.execute(sa.select(table)).mappings()
        }


def merge(engine, keep="A", others=("B",), kind="account", **options):
    """Merge records."""
    with unit_of_work(engine) as session:
        return merge_records(session, kind, keep_id=keep, other_ids=others, by="ann", at=NOW, **options)


def undo(engine, merge_id):
    """Undo a merge."""
    with unit_of_work(engine) as session:
        return undo_merge(session, merge_id, by="bob", at=LATER)


def run(engine, statement):
    """Execute SQL."""
    with unit_of_work(engine) as session:
        session.execute(sa.text(statement))


def test_what_pointed_at_the_merged_record_points_at_the_kept_one(company):
    """Of every kind of record; others stay, and the merged record is a tombstone."""
    merge(company)
    stored = everything(company)
    for table in OF_ACCOUNT:
        kind = table.__tablename__
        assert [stored[kind, f"{kind}-{one}"]["account_id"] for one in "ABC"] == ["A", "A", "C"]
    assert stored["account", "B"]["deleted_at"] == NOW
    assert stored["account", "C"]["parent_id"] == "A"
    assert stored["account", "A"]["parent_id"] is None, "an account is not its own parent"
    assert stored["account", "A"]["employees"] is None, "nothing is filled that was not asked for"


def test_what_a_merge_wrote_can_be_asked_for(company):
    """Each row that was repointed or deleted has another version, and the moment of the merge as that of its writing."""
    merge(company)
    with unit_of_work(company) as session:
        rows = session.execute(sa.select(Order.id, Order.version, Order.stored_at == NOW).order_by(Order.id)).all()
        assert rows == [("order-A", 1, False), ("order-B", 2, True), ("order-C", 1, False)]
        assert session.execute(sa.select(Account.version, Account.stored_at).where(Account.id == "B")).one() == (2, NOW)


def test_undoing_restores_exactly_what_was(company):
    """Every row of every table is as before the merge."""
    before = everything(company)
    (done,) = merge(company)
    assert everything(company) != before
    undone = undo(company, done.id)
    assert everything(company) == before
    assert (undone.left, undone.restored) == ((), len(OF_ACCOUNT) + 2)


def test_blanks_are_filled_as_told(company):
    """Named fields of the kept record are filled where they are empty, as a change of the day; undoing empties them."""
    (done,) = merge(company, fill=["phone", "name", "custom.vip"])
    stored = everything(company)["account", "A"]
    assert (stored["phone"], stored["name"], stored["custom"], stored["employees"]) == (
        "123",
        "Acme",
        {"vip": True},
        None,
    )
    with unit_of_work(company) as session:
        changes = session.execute(
            sa.select(Change.field, Change.new_value, Change.changed_at)
            .where(Change.record_id == "A")
            .order_by(Change.id)
        ).all()
    assert changes == [("phone", "123", NOW), ("custom.vip", "true", NOW)]
    undo(company, done.id)
    stored = everything(company)["account", "A"]
    assert (stored["phone"], stored["custom"]) == (None, {})


def test_every_blank_is_filled_where_all_is_said(company):
    """`all` names every field, custom ones too; the first record that has a value gives it."""
    run(company, "UPDATE account SET employees = 9, industry = 'Food' WHERE id = 'C'")
    merge(company, others=["B", "C"], fill=["all"])
    stored = everything(company)["account", "A"]
    assert (stored["employees"], stored["industry"], stored["custom"]) == (7, "Food", {"vip": True})


def test_what_changed_since_stays_and_is_said(company):
    """Undoing overwrites nothing that somebody changed after the merge."""
    (done,) = merge(company, fill=["phone"])
    run(company, "UPDATE opportunity SET account_id = 'C' WHERE id = 'opportunity-B'")
    run(company, "UPDATE account SET phone = '999' WHERE id = 'A'")
    run(company, "INSERT INTO contact (id, external_id, account_id) VALUES ('new', 'new', 'A')")
    undone = undo(company, done.id)
    stored = everything(company)
    assert undone.left == (
        'account_id of opportunity "opportunity-B" names C by now, and stays so',
        'phone of account "A" was filled with "123", is "999" by now, and stays so',
    )
    assert stored["opportunity", "opportunity-B"]["account_id"] == "C"
    assert stored["account", "A"]["phone"] == "999"
    assert stored["contact", "new"]["account_id"] == "A"
    assert stored["order", "order-B"]["account_id"] == "B"
    assert undone.restored == len(OF_ACCOUNT) + 1


def test_history_is_that_of_the_kept_record(company):
    """At every moment the opportunity is the kept account's, without a change that nobody made in the sales process."""
    with unit_of_work(company) as session:
        changes_before = session.scalar(sa.select(sa.func.count()).select_from(Change))
    merge(company)
    with unit_of_work(company) as session:
        history = read_history(session)
        changes_after = session.scalar(sa.select(sa.func.count()).select_from(Change))
    subjects = history.opportunities.filter(opportunity_id="opportunity-C").select("opportunity_id")
    moments = [EARLIER - timedelta(hours=12), NOW]
    known = [
        take_snapshot(history, subjects.with_columns(as_of=moment)).rows["account_id"].item() for moment in moments
    ]
    assert known == ["A", "C"]
    assert changes_after == changes_before


def test_who_merged_and_undid_is_in_the_audit_trail(company):
    """Each of the two records has an event for each act."""
    (done,) = merge(company)
    undo(company, done.id)
    with unit_of_work(company) as session:
        events = session.execute(
            sa.select(AuditEvent.actor, AuditEvent.action, AuditEvent.record_id, AuditEvent.at).order_by(AuditEvent.id)
        ).all()
        details = session.scalars(sa.select(AuditEvent.details)).first()
    assert events == [
        ("ann", "merge", "A", NOW), ("ann", "merge", "B", NOW), ("bob", "unmerge", "A", LATER), ("bob", "unmerge", "B", LATER),
    ]  # fmt: skip
    assert (details["kept_id"], details["merged_id"], details["moved"]["order.account_id"]) == ("A", "B", 1)


def test_merges_of_merges_are_undone_from_the_last(company):
    """A record that was merged away later is restored first, so that each undoing is exact."""
    before = everything(company)
    (first,), (second,) = merge(company, "A", ["B"]), merge(company, "C", ["A"])
    with pytest.raises(ConflictError, match=f"undo merge {second.id} first"):
        undo(company, first.id)
    with unit_of_work(company) as session:
        assert [one.id for one in list_merges(session)] == [second.id, first.id]
    undo(company, second.id)
    undo(company, first.id)
    assert everything(company) == before
    with pytest.raises(ConflictError, match="was undone"):
        undo(company, first.id)


@pytest.mark.parametrize(
    ("others", "options", "error", "said"),
    [
        ([], {}, InputError, "one record or more"),
        (["A"], {}, InputError, "twice"),
        (["B", "B"], {}, InputError, "twice"),
        (["nobody"], {}, NotFoundError, "forecast duplicates accounts"),
        (["B"], {"fill": ["deleted_at"]}, InputError, "employees"),
        (["B"], {"kind": "order"}, InputError, "account, lead"),
    ],
)
def test_what_can_not_be_merged_is_refused(company, others, options, error, said):
    """The message says what was found and what to do; nothing is changed."""
    before = everything(company)
    with pytest.raises(error, match=said):
        merge(company, "A", others, **options)
    assert everything(company) == before


def test_a_record_is_merged_once(company):
    """A merged or deleted record is no part of another merge."""
    merge(company)
    for keep, other in (("B", "C"), ("C", "B")):
        with pytest.raises(ConflictError, match='merged into "A"'):
            merge(company, keep, [other])
    run(company, "UPDATE account SET deleted_at = now() WHERE id = 'C'")
    with pytest.raises(ConflictError, match="restore it"):
        merge(company, "A", ["C"])


def test_leads_are_merged_with_what_they_led_to(company):
    """Activities and opportunities of the merged lead are the kept one's; an outcome is not lost."""
    run(company, "UPDATE lead SET status = 'converted' WHERE id = 'lead-A'")
    run(company, "UPDATE opportunity SET lead_id = 'lead-B' WHERE id = 'opportunity-B'")
    with pytest.raises(ConflictError, match='keep "lead-A"'):
        merge(company, "lead-B", ["lead-A"], "lead")
    merge(company, "lead-A", ["lead-B"], "lead")
    stored = everything(company)
    assert stored["opportunity", "opportunity-B"]["lead_id"] == stored["activity", "call"]["lead_id"] == "lead-A"
    assert stored["lead", "lead-A"]["account_id"] == "A"


def test_a_merge_is_kept_whole(company):
    """The table holds what was moved, cleared and renamed, by id."""
    merge(company, fill=["phone"])
    with unit_of_work(company) as session:
        details = session.scalars(sa.select(Merge.details)).one()
    assert details["moved"]["order.account_id"] == ["order-B"]
    assert details["cleared"] == ["parent_id"]
    assert [len(details["changes"][side]) for side in ("old_value", "new_value")] == [1, 1]
    assert details["filled"] == {"phone": "123"}
