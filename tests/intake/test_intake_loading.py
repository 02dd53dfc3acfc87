import pytest
import sqlalchemy as sa
from clock import NOW
from sqlalchemy.orm import Session

from forecast.intake.csvtext import BLOCK_BYTES
from forecast.records import Opportunity
from forecast.store import schema_drift, unit_of_work

LONG = "x" * (BLOCK_BYTES // 4)  # a few rows with such a cell are several chunks


def rows(*lines: str, long_cells: int = 12) -> str:
    """Write a file whose given lines come after as many rows as fill a few chunks."""
    filling = "".join(f"f{place},open,{place},{LONG}\n" for place in range(long_cells))
    return "id,outcome,seats,next_step\n" + filling + "".join(f"{line}\n" for line in lines)


def everything(engine):
    """Read what is stored of every opportunity, apart from the long cells."""
    with Session(engine) as session:
        found = session.scalars(sa.select(Opportunity).order_by(Opportunity.id))
        return [(one.id, one.status, one.custom, one.version, one.stored_at) for one in found]


def test_first_rows_that_mislead_change_nothing(load, stored):
    """A column of numbers that turns out to be text further down is text in every row."""
    load(rows("a,won,many,x"))
    found = stored()
    assert found["f0"].custom == {"seats": "0"}
    assert found["a"].custom == {"seats": "many"}


def test_a_second_id_far_below_is_applied_after_the_first(load, stored, changes):
    """However far apart they are, rows of one id are one record, the last of them as it stands."""
    report = load(rows("f0,won,7,x"))
    assert (report.new, report.changed) == (12, 1)
    assert stored()["f0"].status == "won"
    assert {change.field for change in changes()} >= {"custom.seats"}


def test_a_long_first_import_leaves_every_index(engine, load):
    """Indexes that are left out while an empty table is filled are there again at the end, keys included."""
    load(rows())
    assert schema_drift(engine) == []
    with pytest.raises(sa.exc.IntegrityError), unit_of_work(engine) as session:
        session.add(Opportunity(id="f0", external_id="f0"))


def test_a_long_first_import_says_when_it_was(engine, load):
    """Every record has the moment of the import, however many rows there are; one written later its own."""
    load(rows(), imported_at=NOW)
    with unit_of_work(engine) as session:
        session.add(Opportunity(id="later", external_id="later"))
    moments = {name: stored_at for name, *_, stored_at in everything(engine)}
    assert moments.pop("later") != NOW
    assert set(moments.values()) == {NOW}


def test_a_table_in_use_is_filled_all_the_same(engine, load, stored):
    """An import waits for nobody who reads the empty table; it does without the lock."""
    with Session(engine) as reader:
        reader.execute(sa.select(Opportunity)).all()
        load(rows("a,won,1,x"))
    assert len(stored()) == 13


def test_the_same_file_again_writes_nothing(engine, load):
    """Neither version nor moment of storing moves."""
    load(rows("a,won,1,x"))
    before = everything(engine)
    report = load(rows("a,won,1,x"))
    assert (report.unchanged, report.new, report.changed) == (13, 0, 0)
    assert everything(engine) == before


def test_an_earlier_file_again_takes_back_what_came_since(load, stored):
    """A row counts as stored only as long as its record is still the one that it made."""
    first, second = "id,outcome,amount\n1,open,5\n2,open,6\n", "id,outcome,amount\n1,open,50\n2,open,6\n"
    load(first)
    load(second)
    assert load(first).changed == 1
    assert stored()["1"].amount == 5


def test_what_was_written_otherwise_is_compared_again(engine, load, stored):
    """A record that the API has written since is brought back to what the file says."""
    load("id,outcome,amount\n1,open,5\n")
    with unit_of_work(engine) as session:
        session.execute(sa.update(Opportunity).values(amount=9, version=Opportunity.version + 1))
    assert load("id,outcome,amount\n1,open,5\n").changed == 1
    assert stored()["1"].amount == 5


def test_a_changed_record_is_known_by_its_new_row(engine, load):
    """After an update the row that made it is the one that counts as stored."""
    load("id,outcome,amount\n1,open,5\n2,open,6\n")
    load("id,outcome,amount\n1,won,7\n2,open,6\n")
    with Session(engine) as session:
        digest = Opportunity.import_digest.bitwise_xor(sa.cast(Opportunity.version, sa.BigInteger))
        known = session.execute(sa.select(Opportunity.id, digest, Opportunity.version).order_by(Opportunity.id)).all()
    load("id,outcome,amount\n1,won,7\n2,open,6\n")
    with Session(engine) as session:
        again = session.execute(sa.select(Opportunity.id, digest, Opportunity.version).order_by(Opportunity.id)).all()
    assert known == again
    assert [version for *_, version in known] == [2, 1]


def test_sources_do_not_hide_each_other(load, stored):
    """The same rows from another source are other records."""
    text = "id,outcome,amount\n1,open,5\n"
    load(text)
    report = load(text, source_system="other", imported_at=NOW)
    assert report.new == 1
    assert set(stored()) == {"1", "other:1"}
