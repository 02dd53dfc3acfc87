from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from forecast.intake import import_files
from forecast.merging import merge_records, undo_merge
from forecast.records import Account, Change, Opportunity
from forecast.store import unit_of_work

NOW = datetime(2026, 9, 15, 8, 30, tzinfo=UTC)
FILES = {
    "accounts.csv": "id,name,phone,deleted_at\nA,Acme,,\nB,Acme Ltd,123,\nC,Crux,,\n",
    "opportunities.csv": "id,name,account_id,amount,status\nO1,one,A,10,open\nO2,two,B,20,open\n",
}


@pytest.fixture
def export(engine, tmp_path):
    """Give a function that imports files, `FILES` where none are given, and gives all warnings."""

    def bring(files=FILES, *, days=0):
        folder = tmp_path / f"export-{days}"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
        moment = NOW + timedelta(days=days)
        reports = import_files(engine, [folder], imported_at=moment, rejects_folder=tmp_path / "rejects").reports
        return [warning for report in reports for warning in report.warnings]

    bring()
    return bring


def merged(engine):
    """Merge B into A; give the number of the merge."""
    with unit_of_work(engine) as session:
        return merge_records(session, "account", keep_id="A", other_ids=["B"], by="ann", at=NOW)[0].id


def read(engine, statement):
    """Read rows as tuples."""
    with unit_of_work(engine) as session:
        return [tuple(row) for row in session.execute(statement)]


ALIVE = sa.select(Account.id).where(Account.deleted_at.is_(None)).order_by(Account.id)
REFERENCES = sa.select(Opportunity.id, Opportunity.account_id).order_by(Opportunity.id)


def test_an_export_that_still_has_both_records_changes_nothing(engine, export):
    """What the CRM did not merge stays merged here: no record comes back, no reference leads back, no change is made up."""
    merged(engine)
    warnings = export(days=1)
    assert read(engine, ALIVE) == [("A",), ("C",)]
    assert read(engine, REFERENCES) == [("O1", "A"), ("O2", "A")]
    assert read(engine, sa.select(Change.field)) == []
    assert warnings == [
        "1 rows are of records that were merged into another; they stay deleted, and undoing restores them",
        "1 references to records that were merged into another name that one now",
    ]


def test_new_records_of_the_merged_one_are_the_kept_ones(engine, export):
    """A row that comes later and names the merged record is stored with the kept one; others are as they are."""
    merged(engine)
    export({"opportunities.csv": "id,name,account_id,amount,status\nO3,three,B,5,open\nO4,four,C,5,open\n"}, days=1)
    assert read(engine, REFERENCES)[2:] == [("O3", "A"), ("O4", "C")]


def test_a_history_that_comes_later_names_the_kept_record(engine, export):
    """Changes of a reference are led to the kept record, changes of other fields stay."""
    merged(engine)
    history = "kind,record_id,field,old_value,new_value,changed_at\n"
    rows = ("opportunity,O1,account_id,C,B,2026-01-01", "opportunity,O1,name,B,A,2026-01-02")
    export({"changes.csv": history + "\n".join(rows) + "\n"}, days=1)
    pairs = sa.select(Change.field, Change.old_value, Change.new_value).order_by(Change.changed_at)
    assert read(engine, pairs) == [("account_id", "C", "A"), ("name", "B", "A")]


def test_the_tombstone_is_kept_up_to_date(engine, export):
    """What an export says of the merged record is not lost: it is there when the merge is undone."""
    merge_id = merged(engine)
    export({"accounts.csv": FILES["accounts.csv"].replace("123", "456")}, days=1)
    with unit_of_work(engine) as session:
        undo_merge(session, merge_id, by="ann", at=NOW + timedelta(days=2))
    assert read(engine, sa.select(Account.phone).where(Account.id == "B", Account.deleted_at.is_(None))) == [("456",)]
    assert export(days=3) == []
    assert read(engine, REFERENCES) == [("O1", "A"), ("O2", "B")]


def test_references_follow_merges_of_merges(engine, export):
    """B into A into C: what names B is stored with C."""
    merged(engine)
    with unit_of_work(engine) as session:
        merge_records(session, "account", keep_id="C", other_ids=["A"], by="ann", at=NOW)
    export(days=1)
    assert read(engine, REFERENCES) == [("O1", "C"), ("O2", "C")]


def test_a_record_that_was_merged_with_its_parent_has_none(engine, export):
    """The CRM's parent of the kept record is the kept record itself."""
    merged(engine)
    export({"accounts.csv": "id,name,parent_id\nA,Acme,B\nC,Crux,B\n"}, days=1)
    assert read(engine, sa.select(Account.parent_id).where(Account.id.in_(["A", "C"])).order_by(Account.id)) == [
        (None,),
        ("A",),
    ]
