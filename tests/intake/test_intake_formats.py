import gzip
import io
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from clock import NOW
from workbook import Day, write_binary_workbook, write_open_document, write_workbook

from forecast.errors import FileError, MappingError
from forecast.intake import Mapping, import_files
from forecast.records import Account

CHINESE = "商机编号,商机名称,商机金额,阶段状态\r\n1,上海扩建项目,１２３４５．６,赢单\r\n2,北京办公楼,3万,输单\r\n"
FRENCH = "id;name;amount;outcome\r\n1;Société Générale – été;12,50;won\r\n2;Müller & Söhne “GmbH”;1.250,00;lost\r\n"


@pytest.fixture
def load_all(engine, tmp_path):
    """Import every table of some paths."""

    def loaded(*paths, **options):
        return import_files(engine, paths, imported_at=NOW, rejects_folder=tmp_path / "rejects", **options).reports

    return loaded


def zipped(path, members):
    """Write a zip archive of texts."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize(
    "sample",
    [
        (CHINESE, "gbk", "上海扩建项目"),
        (CHINESE, "gb18030", "上海扩建项目"),
        (CHINESE, "utf-16", "上海扩建项目"),
        (FRENCH, "cp1252", "Société Générale – été"),
    ],
)
def test_the_encoding_is_told_from_the_letters_and_said(load, stored, tmp_path, sample):
    """What is not UTF-8 is Chinese where it reads as Chinese, else Windows' Latin."""
    text, encoding, name = sample
    path = tmp_path / "opportunities.csv"
    path.write_bytes(text.encode(encoding))
    report = load(path)
    assert stored()["1"].name == name
    assert any("the text is taken to be" in warning for warning in report.warnings)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_nothing_is_said_of_utf8(load, write, encoding):
    """UTF-8 is certain."""
    assert load(write(CHINESE, encoding=encoding)).warnings == ()


def test_a_mapping_decides_the_encoding(load, write, stored):
    """Few letters can mislead; the mapping does not, and an encoding that the file is not in is refused."""
    path = write("id,name,outcome\n1,Łódź,won\n", encoding="cp1250")
    load(path, mapping=Mapping(encoding="cp1250"))
    assert stored()["1"].name == "Łódź"
    with pytest.raises(FileError, match="not utf-8 after line 1"):
        load(path, mapping=Mapping(encoding="utf-8"))
    with pytest.raises(MappingError, match='encoding is "klingon"'):
        load(path, mapping=Mapping(encoding="klingon"))


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("sep=;\nid;name;outcome\n1;a, b;won\n", 2),
        ("id|name|outcome\n1|a, b|won\n", 1),
        ('Open deals\n\nid,name,outcome\n1,"a, b",won\n', 3),
        ('Report: deals,,\nExported 2024-05-01,,\nid,name,outcome\n1,"a, b",won\n', 3),
    ],
)
def test_what_stands_above_the_headings_is_left_out(load, stored, text, row):
    """Excel's word on the separator and the lines of a title are no headings; a title is said."""
    report = load(text)
    assert stored()["1"].name == "a, b"
    assert any(f"headings are taken to be in row {row}" in warning for warning in report.warnings) == (row > 2)


def test_a_sparse_row_of_headings_stays_the_headings(load):
    """Values below a mostly empty first row are not taken for headings."""
    assert load("id,,,\n1,5,won,2024-01-01\n", kind="opportunity").read == 1


def test_every_sheet_of_a_workbook_is_a_table(load_all, tmp_path, stored):
    """Date cells, serials, numbers and booleans mean what they show; titles and empty sheets are left out."""
    path = write_workbook(
        tmp_path / "crm.xlsx",
        {
            "Deals": [
                ["Report"],
                [],
                ["Deal ID", "Deal Name", "Amount", "Created", "Expected close date", "Outcome", "Gift"],
                [17, "=1+1", 12500.5, Day(45352.5), Day(45382), "won", True],
                ["A-2", None, "1,000", "2024-03-01", 45382, "open", False],
            ],
            "Empty": [],
            "Accounts": [["Account Name", "Industry", "Employees"], ["Acme", "Steel", 40]],
        },
    )
    deals, accounts = load_all(path)
    assert (deals.part, deals.kind, deals.new) == ("Deals", "opportunity", 2)
    assert (accounts.part, accounts.kind, accounts.new) == ("Accounts", "account", 1)
    first, second = stored()["17"], stored()["A-2"]
    assert (first.name, float(first.amount), first.custom) == ("=1+1", 12500.5, {"gift": True})
    assert first.created_at == datetime(2024, 3, 1, 12, tzinfo=UTC)
    assert first.expected_close_on == second.expected_close_on == date(2024, 3, 31)
    assert stored(Account)["Acme"].employees == 40


def test_rows_of_a_sheet_are_numbered_as_on_the_screen(load, tmp_path):
    """A reject names the row that Excel shows."""
    path = write_workbook(tmp_path / "x.xlsx", {"A": [[], ["id", "outcome", "amount"], [1, "won", 5], [2, "won", "x"]]})
    assert "4" in load(path, kind="opportunity").rejects.read_text("utf-8-sig").splitlines()[1].split(",")


def test_parquet_is_read_by_its_types(load, tmp_path, stored):
    """Moments, days, decimals, lists and whole numbers with gaps arrive as they are."""
    path = tmp_path / "deals.parquet"
    pl.DataFrame(
        {
            "id": [1.0, 2.0],
            "outcome": ["won", None],
            "amount": [12.5, None],
            "created_at": [datetime(2024, 1, 1, 8, tzinfo=UTC), None],
            "expected_close_on": [None, date(2024, 2, 29)],
            "tags": [["a", "b"], []],
        }
    ).write_parquet(path)
    assert load(path).new == 2
    first, second = stored()["1"], stored()["2"]
    assert first.created_at == datetime(2024, 1, 1, 8, tzinfo=UTC)
    assert (float(first.amount), first.status, first.custom) == (12.5, "won", {"tags": ["a", "b"]})
    assert (second.expected_close_on, second.status, second.custom) == (date(2024, 2, 29), "open", {})


def test_members_of_an_archive_are_tables_of_their_own(load_all, tmp_path, stored):
    """Their names are shown and never lead out of the folder; what is no table by its ending is left out."""
    path = zipped(
        tmp_path / "export.zip",
        {
            "../../deals.csv": "Deal ID,Outcome,Amount\n1,won,x\n2,lost,5\n",
            "data/accounts.csv": "Account Name,Industry\nAcme,Steel\n",
            "readme.md": "hello",
            "__MACOSX/._deals.csv": "junk",
        },
    )
    deals, accounts = load_all(path)
    assert (deals.part, deals.new, deals.rejected) == ("../../deals.csv", 1, 1)
    assert deals.rejects.parent == tmp_path / "rejects"
    assert (accounts.part, accounts.new) == ("data/accounts.csv", 1)
    assert not list(tmp_path.parent.glob("*.csv"))
    assert set(stored()) == {"2"}


@pytest.mark.parametrize("form", ["zip", "gzip"])
def test_what_unpacks_to_far_more_than_its_size_is_refused(load, tmp_path, form):
    """A bomb is met while it is unpacked, whatever it claims."""
    path = tmp_path / f"bomb.{form}"
    zeros = b"1,2\n" * (17 << 20)
    if form == "zip":
        zipped(path, {"x.csv": zeros})
    else:
        path.write_bytes(gzip.compress(zeros))
    with pytest.raises(FileError, match="zip bomb"):
        load(path)


def test_an_archive_without_tables_is_refused(load, tmp_path):
    """With the endings that are read."""
    with pytest.raises(FileError, match=r"holds no table; expected files ending in \.csv"):
        load(zipped(tmp_path / "x.zip", {"notes.md": "hello"}))


def test_archives_hold_workbooks_and_parquet(load_all, tmp_path):
    """A member is whatever it holds."""
    book = write_workbook(tmp_path / "x.xlsx", {"A": [["Deal ID", "Deal Stage", "Amount"], ["1", "New", 5]]})
    buffer = io.BytesIO()
    pl.DataFrame({"Deal ID": ["2"], "Deal Stage": ["New"]}).write_parquet(buffer)
    path = zipped(tmp_path / "all.zip", {"x.xlsx": book.read_bytes(), "y.parquet": buffer.getvalue()})
    assert [(report.part, report.new) for report in load_all(path)] == [("x.xlsx", 1), ("y.parquet", 1)]


def test_the_binary_form_of_excel_is_read(load_all, tmp_path, stored):
    """An .xlsb file is read as an .xlsx file is, days included."""
    rows = [["Deal ID", "Deal Stage", "Amount", "Closing Date"], ["1", "Closed Won", 12500.5, Day(45351)]]
    path = write_binary_workbook(tmp_path / "deals.xlsb", rows)
    assert [(report.kind, report.new, report.rejected) for report in load_all(path)] == [("opportunity", 1, 0)]
    assert (stored()["1"].amount, stored()["1"].closed_at) == (12_500.5, datetime(2024, 2, 29, tzinfo=UTC))


def test_a_workbook_of_excel_97_is_read(load_all, stored):
    """An .xls file too, its Chinese and its days."""
    path = Path(__file__).with_name("deals.xls")
    assert [(report.kind, report.new, report.rejected) for report in load_all(path)] == [("opportunity", 2, 0)]
    assert (stored()["1"].name, stored()["2"].expected_close_on) == ("甲公司 扩容", date(2024, 12, 1))


def test_a_sheet_of_libreoffice_is_a_table(load_all, tmp_path, stored):
    """An .ods file is read as an Excel file is."""
    path = write_open_document(tmp_path / "deals.ods", [["Deal ID", "Outcome", "商机金额"], ["1", "won", "1.2万"]])
    assert [report.new for report in load_all(path)] == [1]
    assert stored()["1"].amount == 12_000
