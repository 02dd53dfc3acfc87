"""Records written to files, and read back."""

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pyarrow.parquet import ParquetFile
from typer.testing import CliRunner

from forecast.cli import app
from forecast.errors import FileError, InputError, NotFoundError
from forecast.export import csv_blocks, write_export
from forecast.formulas import guarded, unguarded
from forecast.intake import import_files
from forecast.intake.vocabulary import match_heading, record_columns
from forecast.records import RECORD_KINDS, Account, Change, CustomField, Opportunity
from forecast.store import copy_blocks, unit_of_work

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FORMULAS = ["=1+1", "+1+1", "-2+3", "@SUM(A1)", '=cmd|"/C calc"!A0', "'=1", "''-x", "＝1", "-", "+86 138 0000"]
HARMLESS = [
    "-5",
    "+8613800000000",
    "-12.50",
    "plain",
    "'quoted'",
    "O'Neil",
    "中文，“引号”",
    'a "b", c',
    "two\nlines",
    "x;y；z",
    '"all"',
    '5" pipe',
    'a"";""b',
]


@pytest.fixture
def accounts(engine):
    """Store accounts whose names are formulas and harmless texts, with custom fields of every type."""
    kinds = {
        "budget": "number",
        "tags": "list",
        "note": "text",
        "vip": "boolean",
        "renewal": "date",
        "size": "category",
    }
    with unit_of_work(engine) as session:
        session.add_all(CustomField(kind="account", name=name, type=kind) for name, kind in kinds.items())
        session.add_all(account(place, text) for place, text in enumerate(FORMULAS + HARMLESS))
        session.add(Account(id="gone", external_id="gone", name="gone", deleted_at=NOW))
    return engine


def account(place, text):
    """Make an account that has a text in several places."""
    custom = {
        "budget": -1.5,
        "tags": [text, "a", text],
        "note": text,
        "vip": True,
        "renewal": "2026-05-01",
        "size": "大",
    }
    return Account(
        id=f"={place}",
        external_id=f"={place}",
        name=text,
        employees=-3,
        annual_revenue=Decimal("-12.50"),
        created_at=datetime(2026, 1, 1, 2, 3, 4, 5, tzinfo=UTC),
        custom=custom,
    )


def written(engine, path, kind="account", **options):
    """Export a kind to a file."""
    with unit_of_work(engine) as session:
        write_export(session, kind, path, **options)
    return path


def everything(engine):
    """Read all columns of all accounts that our own writing may not change."""
    columns = [column for column in Account.__table__.columns if column.name not in {"stored_at", "version"}]
    with unit_of_work(engine) as session:
        return session.execute(sa.select(*columns).order_by(Account.id)).all()


def test_cells_of_a_csv_run_nothing(accounts, tmp_path):
    """No text begins with a sign of formulas unless it is a number; numbers stay numbers."""
    frame = pl.read_csv(written(accounts, tmp_path / "a.csv"), infer_schema=False)
    texts = [*frame["name"], *frame["custom.note"], *frame["id"]]
    assert len(texts) == 3 * len(FORMULAS + HARMLESS)
    assert [
        text for text in texts if text[0] in "=@\t\r＝＋－＠" or text in {"-", "+86 138 0000", "+1+1", "-2+3"}
    ] == []
    assert set(frame["employees"]) == {"-3"}
    assert set(frame["annual_revenue"]) == {"-12.50"}
    assert set(frame["custom.budget"]) == {"-1.5"}
    assert set(HARMLESS) <= set(frame["name"])


def test_a_csv_imports_as_it_was(accounts, tmp_path):
    """The records it was made of don't change by it."""
    before = everything(accounts)
    (report,) = import_files(
        accounts, [written(accounts, tmp_path / "a.csv")], imported_at=NOW, rejects_folder=tmp_path, kind="account"
    ).reports
    assert (report.unchanged, report.rejected, report.warnings) == (len(FORMULAS + HARMLESS), 0, ())
    assert everything(accounts) == before


def test_deleted_records_are_left_out_unless_asked_for(accounts, tmp_path):
    """A tombstone is exported with its moment, or not at all."""
    without = pl.read_csv(written(accounts, tmp_path / "a.csv"), infer_schema=False)
    with_ = pl.read_csv(written(accounts, tmp_path / "b.csv", include_deleted=True), infer_schema=False)
    assert "gone" not in without["id"]
    assert "deleted_at" not in without.columns
    assert with_.filter(pl.col("id") == "gone")["deleted_at"].to_list() == ["2026-03-01T12:00:00Z"]


def test_parquet_has_types(accounts, tmp_path):
    """Money is decimal, moments are UTC, custom fields have their types, text stands as it is stored."""
    frame = pl.read_parquet(written(accounts, tmp_path / "a.parquet"))
    assert frame.schema["annual_revenue"] == pl.Decimal(18, 2)
    assert frame.schema["created_at"] == pl.Datetime("us", "UTC")
    assert (frame.schema["custom.budget"], frame.schema["custom.vip"]) == (pl.Float64, pl.Boolean)
    row = frame.filter(pl.col("id") == "=0").row(0, named=True)
    assert row["name"] == row["custom.note"] == "=1+1"
    assert row["created_at"] == datetime(2026, 1, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (row["employees"], row["annual_revenue"], row["custom.tags"]) == (-3, Decimal("-12.50"), "=1+1;a;=1+1")


def test_parquet_imports_too(engine, tmp_path):
    """Dates, moments, amounts and numbers come back as they were."""
    with unit_of_work(engine) as session:
        session.add(
            Opportunity(
                id="1", external_id="1", amount=Decimal("0.10"), expected_close_on=date(2026, 5, 1), need_fit=4,
                seller_probability=0.3, created_at=NOW, status="won", closed_at=NOW,
            )
        )  # fmt: skip
    path = written(engine, tmp_path / "o.parquet", "opportunity")
    (report,) = import_files(engine, [path], imported_at=NOW, rejects_folder=tmp_path, kind="opportunity").reports
    assert (report.unchanged, report.rejected) == (1, 0)


@pytest.mark.parametrize("kind", RECORD_KINDS)
def test_an_export_of_any_kind_names_its_fields(engine, kind):
    """Import recognises every heading of an export as the field that it is."""
    with unit_of_work(engine) as session:
        text = b"".join(csv_blocks(session, kind, include_deleted=True)).decode("utf-8-sig")
    first, *fields = text.splitlines()[0].split(",")
    assert first == "id"
    assert set(fields) == set(record_columns(kind)) - {"external_id"}
    assert {name: match_heading(kind, name).field for name in fields} == {name: name for name in fields}
    assert match_heading(kind, "id").field == "external_id"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_changes_are_exported_and_import_again(accounts, tmp_path, ending):
    """The history of fields is a file like any other: imported again, no change is new; elsewhere, all are."""
    values = [("name", None, "=1+1"), ("annual_revenue", "-1.00", "0.50"), ("custom.note", "'quoted'", None)]
    with unit_of_work(accounts) as session:
        session.add_all(
            Change(
                kind="account", record_id="=1", field=field, changed_at=NOW, old_value=old, new_value=new, origin="x"
            )
            for field, old, new in values
        )
    path = written(accounts, tmp_path / f"changes.{ending}", "change")
    (again,) = import_files(accounts, [path], imported_at=NOW, rejects_folder=tmp_path).reports
    assert (again.new, again.unchanged, again.rejected) == (0, len(values), 0)
    columns = (Change.record_id, Change.field, Change.changed_at, Change.old_value, Change.new_value)
    with unit_of_work(accounts) as session:
        before = session.execute(sa.select(*columns).order_by(Change.id)).all()
        session.execute(sa.delete(Change))
    import_files(accounts, [path], imported_at=NOW, rejects_folder=tmp_path)
    with unit_of_work(accounts) as session:
        assert session.execute(sa.select(*columns).order_by(Change.id)).all() == before


def test_parquet_is_written_in_groups(engine, tmp_path):
    """A large table is not held in memory: its file has a group of rows for each part that was written."""
    with unit_of_work(engine) as session:
        rows = "SELECT 'T' || n, 'T' || n FROM generate_series(1, 120000) AS n"
        session.execute(sa.text(f"INSERT INTO team (id, external_id) {rows}"))
    file = ParquetFile(written(engine, tmp_path / "t.parquet", "team"))
    groups = [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)]
    assert sum(groups) == 120_000
    assert max(groups) <= 50_000


def test_an_empty_table_gives_headings(engine, tmp_path):
    """A kind without records is exported as a table without rows."""
    assert pl.read_csv(written(engine, tmp_path / "l.csv", "lead")).shape[0] == 0
    assert pl.read_parquet(written(engine, tmp_path / "l.parquet", "lead")).shape[0] == 0


def test_a_file_is_replaced_in_one_step(accounts, tmp_path):
    """An export that fails leaves the file that was there, and nothing beside it."""
    path = tmp_path / "a.csv"
    path.write_text("before", encoding="utf-8")
    with unit_of_work(accounts) as session:
        session.execute(sa.text("DROP TABLE custom_field"))
        with pytest.raises(sa.exc.ProgrammingError):
            write_export(session, "account", path)
        session.rollback()
    assert path.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_can_not_be_written_is_refused(engine, tmp_path):
    """An unknown kind and an unknown form are named, with those there are; a missing folder too."""
    with unit_of_work(engine) as session:
        with pytest.raises(NotFoundError, match="opportunity"):
            write_export(session, "oportunity", tmp_path / "a.csv")
        with pytest.raises(InputError, match=r"\.csv nor \.parquet"):
            write_export(session, "account", tmp_path / "a.xlsx")
        with pytest.raises(FileError, match="folder"):
            write_export(session, "account", tmp_path / "nowhere" / "a.csv")


def test_the_command_writes_a_file(accounts, tmp_path, monkeypatch):
    """`forecast export` says how many records are where."""
    monkeypatch.setenv("FORECAST_DATABASE_URL", accounts.url.render_as_string(hide_password=False))
    out = tmp_path / "accounts.csv"
    result = CliRunner().invoke(app, ["export", "account", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert f"accounts.csv: {len(FORMULAS + HARMLESS)}" in result.output
    assert out.read_bytes().startswith(b"\xef\xbb\xbfid,name,")


def test_large_tables_come_in_blocks(engine):
    """No block holds more than a part of a large table."""
    rows = sa.select(sa.func.repeat("x", 1000).label("text")).select_from(sa.func.generate_series(1, 2000))
    with unit_of_work(engine) as session:
        blocks = list(copy_blocks(session, rows))
    assert len(blocks) > 5
    assert b"".join(blocks).count(b"\n") == 2001


@pytest.fixture(scope="module")
def guard(server):
    """Give a function that guards texts as the database does."""
    with server.connect() as connection:
        yield lambda text: connection.scalar(sa.select(guarded(sa.literal(text, sa.Text))))


@given(st.text(alphabet="'=+-@＝＋1.a\t", max_size=6))
def test_every_guard_comes_off(guard, text):
    """What is guarded reads back as it was, whatever it was; what stays as it is reads back too."""
    assert unguarded(pl.Series([guard(text)], dtype=pl.String)).to_list() == [text]
