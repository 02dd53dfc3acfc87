import csv
from datetime import UTC, datetime

import pytest

from forecast.errors import FileError
from forecast.intake import import_files
from forecast.records import Product

TEXT = """id,outcome,amount,created_at,remark
1,won,100,2024-01-01,fine
2,won,12.5k,2024-01-01,"says ""hi"",
twice"
3,maybe,x,2024-02-30,three troubles
,won,5,2024-01-01,no id
5,won,7
6,won,7,2024-01-01,a,b
"""


def read(path):
    """Read a rejects file as dicts."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_a_reject_says_where_what_and_how_to_mend_it(load):
    """The original cells, then the row, the first column in trouble, its value, the reason and the remedy."""
    report = load(TEXT)
    assert (report.read, report.new, report.rejected) == (6, 1, 5)
    rows = read(report.rejects)
    assert [(row["reject_row"], row["reject_column"], row["reject_value"]) for row in rows] == [
        ("3", "amount", "12.5k"),
        ("4", "outcome", "maybe"),
        ("5", "id", ""),
        ("6", "", "5,won,7"),
        ("7", "", "6,won,7,2024-01-01,a,b"),
    ]
    assert rows[0]["remark"] == 'says "hi",\ntwice'
    assert "write digits" in rows[0]["reject_remedy"]
    assert report.rejects.name.startswith("opportunities.")


def test_a_corrected_rejects_file_is_imported_as_it_is(load, stored, tmp_path):
    """The reject columns are ignored; what is still wrong is refused again into a new file, rows of a wrong width too."""
    rejects = load(TEXT).rejects
    text = (
        rejects.read_text("utf-8-sig")
        .replace("12.5k", "12500", 1)
        .replace("3,maybe,x,2024-02-30", "3,lost,5,2024-02-29", 1)
    )
    corrected = tmp_path / "corrected.csv"
    corrected.write_text(text, "utf-8-sig")
    report = load(corrected)
    assert report.ignored_columns == ()
    assert set(stored()) >= {"1", "2", "3"}
    assert stored()["2"].amount == 12500
    assert all("reject" not in name for name in report.custom_fields)
    assert [row["reject_column"] for row in read(report.rejects)] == ["id", "", ""]
    assert set(stored()) == {"1", "2", "3"}


@pytest.mark.parametrize(("heading", "word"), [("Deal ID", "Grand Total"), ("商机编号", "合计"), ("ID", "Summe:")])
def test_the_totals_at_the_end_of_an_export_are_no_record(load, stored, heading, word):
    """A row in which an export adds up its amounts is refused, and says so; a name may be such a word."""
    report = load(f"{heading},name,amount,status\n1,Total,5,won\n2,b,7,lost\n{word},,12,\n")
    assert (report.new, report.rejected) == (2, 1)
    assert read(report.rejects)[0]["reject_reason"] == "is no id but heads a row of totals"
    assert stored()["1"].name == "Total"


def test_totals_in_the_midst_of_an_export_are_no_records(load):
    """A report with a subtotal below each group has such rows anywhere, also where its words are spaced."""
    rows = "".join(f"{n},deal,5,won\n" for n in range(30))
    report = load(
        f"id,name,amount,status\n0a,deal,5,won\n小 计,,5,\n{rows}Subtotal,,150,\n{rows.replace(',deal', 'b,deal')}总计,,305,\n"
    )
    assert (report.new, report.rejected) == (61, 3)
    assert [row["reject_value"] for row in read(report.rejects)] == ["小 计", "Subtotal", "总计"]


def test_a_record_whose_id_is_such_a_word_is_stored(load, stored):
    """Beside a word for totals stand numbers only; what has a name is a record, whatever its id."""
    report = load("Product ID,Product Name,Price\nSUM,Calculator,3\nTotal,—,7\n", "products.csv", kind="product")
    assert (report.new, report.rejected) == (1, 1)
    assert set(stored(Product)) == {"SUM"}


def test_a_misshapen_row_is_imported_once_it_is_mended(load, stored, tmp_path):
    """A row that was too short counts when a cell is filled in, or when its reject_value is emptied."""
    rejects = load("id,outcome,amount,region\n1,won\n2,won,5\n3,lost,5,a,b\n").rejects
    again = load(rejects)
    assert (again.new, again.rejected) == (0, 3)
    text = again.rejects.read_text("utf-8-sig").replace("1,won,,", "1,won,9,", 1).replace('"2,won,5"', "", 1)
    corrected = tmp_path / "corrected.csv"
    corrected.write_text(text, "utf-8-sig")
    report = load(corrected)
    assert (report.new, report.rejected) == (2, 1)
    assert stored()["1"].amount == 9


def test_a_file_whose_troubles_are_gone_leaves_no_rejects(load):
    """A rejects file of an earlier import of the same bytes is removed when a mapping mended it."""
    from forecast.intake import Mapping

    text = "id,outcome\n1,won\n2,gained\n"
    first = load(text)
    assert first.rejects.exists()
    again = load(text, mapping=Mapping(values={"status": {"gained": "won"}}))
    assert again.rejects is None
    assert not first.rejects.exists()


def test_a_failed_import_leaves_nothing(engine, tmp_path, stored):
    """A file that breaks off in the middle stores no row and no rejects file."""
    path = tmp_path / "broken.csv"
    path.write_bytes(b"id,outcome,amount\n1,won,x\n" + b"2,won,5\n" * 150_000 + b"x" * (65 << 20))
    with pytest.raises(FileError, match="longer than 64 MiB"):
        import_files(engine, [path], imported_at=datetime(2024, 6, 1, tzinfo=UTC), rejects_folder=tmp_path / "rejects")
    assert stored() == {}
    assert not list(tmp_path.glob("rejects/*"))
