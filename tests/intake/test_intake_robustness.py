import csv
import io
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from clock import NOW
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecast.errors import FileError
from forecast.intake import import_files
from forecast.intake.csvtext import read_csv_chunks, read_records
from forecast.records import Opportunity
from forecast.store import unit_of_work

HEADINGS = ["Deal ID", "Deal Name", "Amount", "Close Date", "Status", "Note", "Amount", ""]
HOSTILE = [
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "'; DROP TABLE opportunity; --", "../../etc/passwd", "\\N", "\\.",
    "%s", "{0}", "a\x00b", '"', '"quoted"', "line\nbreak", "\u2028", "\ufeff", "NaN", "1e400", "😀", "x" * 300, " ", "",
]  # fmt: skip
PIECES = st.sampled_from(
    ["a", "7", ",", '"', "\n", "\r\n", '""', " ", "é", "\x00", "\r", '"x"', ",,", "x,y\n", "中", "\u2028", "\x0b"]
)
ENOUGH = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def import_text(engine, data: bytes):
    """Import bytes as opportunities into an emptied table; give the report and what is stored by id."""
    with unit_of_work(engine) as session:
        session.execute(sa.delete(Opportunity))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deals.csv"
        path.write_bytes(data)
        (report,) = import_files(
            engine, [path], kind="opportunity", imported_at=NOW, rejects_folder=Path(folder) / "rejects"
        ).reports
        rejects = (
            list(csv.DictReader(io.StringIO(report.rejects.read_text("utf-8-sig"), newline="")))
            if report.rejects
            else []
        )
    with unit_of_work(engine) as session:
        return (
            report,
            {one.id: one for one in session.scalars(sa.select(Opportunity).order_by(Opportunity.id))},
            rejects,
        )


@settings(max_examples=200)
@given(st.lists(PIECES, max_size=25).map("".join), st.sampled_from([5, 1000]))
def test_blocks_and_single_records_are_read_alike(text, block_bytes):
    """However the bytes are cut into blocks, each record has the cells and the number that reading one by one gives."""
    data = text.encode()
    one_by_one = list(read_records(io.BytesIO(data), ",", block_bytes=block_bytes))
    expected = {number: cells for number, cells in enumerate(one_by_one, start=1) if any(map(str.strip, cells))}
    found = {}
    for chunk in read_csv_chunks(io.BytesIO(data), ",", headings=["h", "i"], skipped=0, block_bytes=block_bytes):
        found |= {row[0]: list(row[1:]) for row in chunk.frame.rows()} | chunk.ragged
    assert found == expected


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8"), max_size=6), min_size=2, max_size=3), min_size=1, max_size=12
    )
)
def test_what_the_csv_writer_writes_is_read_back(rows):
    """Quoted as RFC 4180 asks, every text survives: separators, quotation marks and line breaks of all kinds."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    assert list(read_records(io.BytesIO(text.getvalue().encode()), ",", block_bytes=16)) == rows


@ENOUGH
@given(
    st.permutations(HEADINGS),
    st.lists(
        st.lists(st.sampled_from(HOSTILE) | st.text(st.characters(codec="utf-8"), max_size=8), min_size=6, max_size=9),
        max_size=8,
    ),
)
def test_each_row_of_any_export_is_one_record_or_one_reject(engine, headings, rows):
    """Shuffled and repeated headings, ragged rows, hostile cells: the counts add up, and the rejects are all written."""
    text = io.StringIO()
    numbered = [[str(place), *row] for place, row in enumerate(rows)]
    csv.writer(text).writerows([["Deal ID (own)", *headings], *numbered])
    report, stored, rejects = import_text(
        engine, text.getvalue().replace("Deal ID (own)", "Opportunity ID", 1).encode()
    )
    assert report.read == len(rows) == report.new + report.rejected
    assert len(stored) == report.new
    assert len(rejects) == report.rejected
    assert {row["Opportunity ID"] for row in rejects} | set(stored) == {row[0] for row in numbered}


@pytest.mark.parametrize("cell", [cell for cell in HOSTILE if "\x00" not in cell and cell.strip()])
def test_hostile_cells_are_stored_as_text(engine, cell):
    """Formulas, SQL, paths and marks of formats are letters like others, in our fields and in custom ones."""
    text = io.StringIO()
    csv.writer(text).writerows([["id", "name", "outcome", "hint"], ["1", cell, "won", cell], ["2", "b", "lost", "c"]])
    _, stored, rejects = import_text(engine, text.getvalue().encode())
    assert rejects == []
    assert (stored["1"].name, stored["1"].custom["hint"]) == (cell, cell)


def test_a_quotation_mark_that_is_never_closed_spoils_its_own_line_only(engine):
    """It is refused for what it is; the rows below are read."""
    data = b'id,outcome,remark\n1,won,"open\n2,lost,fine\n3,won,"well, quoted"\n4,won,5" disk\n'
    report, stored, rejects = import_text(engine, data)
    assert set(stored) == {"2", "3", "4"}
    assert [row["reject_reason"] for row in rejects] == ["holds a quotation mark that is never closed"]
    assert stored["4"].custom == {"remark": '5" disk'}
    assert report.read == 4


def test_a_cell_of_ten_megabytes_is_a_cell(engine):
    """It is stored whole, with line breaks, and the next row too."""
    giant = "ab\n" * (10 << 20 >> 1)
    _, stored, _ = import_text(engine, f'id,outcome,next_step\n1,won,"{giant}"\n2,lost,x\n'.encode())
    assert stored["1"].next_step == giant.strip()
    assert stored["2"].next_step == "x"


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"\n\r\n", b",,,\n", b"sep=;\n"])
def test_a_file_without_text_is_refused(engine, data):
    """There are no headings to read."""
    with pytest.raises(FileError, match="is empty"):
        import_text(engine, data)


def test_rows_are_the_same_whichever_way_they_are_stored(engine):
    """A first import that repeats an id, and so can't be written straight away, stores what one without it does."""
    rows = "1,won,5,x\n2,lost,7,y\n3,open,,z\n"
    _, straight, _ = import_text(engine, f"id,outcome,amount,hue\n{rows}".encode())
    report, staged, _ = import_text(engine, f"id,outcome,amount,hue\n{rows}1,won,5,x\n".encode())
    assert (report.new, report.unchanged) == (3, 1)
    fields = ("id", "status", "amount", "custom", "source_system", "stored_at", "version")
    assert [[getattr(one, name) for name in fields] for one in straight.values()] == [
        [getattr(one, name) for name in fields] for one in staged.values()
    ]
