"""Whatever an export holds: the quick way and the exact way agree, and no row is lost or doubled."""

import csv
import io
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from clock import NOW
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from forecast.intake import Mapping, import_files
from forecast.intake.csvtext import read_records
from forecast.intake.sqldumps import unpack_dump
from forecast.records import Change, CustomField, Opportunity
from forecast.store import unit_of_work

ENOUGH = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
LETTERS = {
    "utf-8": st.characters(codec="utf-8", exclude_characters="\x00"),
    "gb18030": st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5)
    | st.characters(codec="ascii", min_codepoint=32),
    "latin-1": st.characters(codec="latin-1", min_codepoint=32),
    "utf-16": st.characters(codec="utf-8", min_codepoint=32),
}
BROKEN = st.lists(st.sampled_from(["a", ",", '"', '""', "\n", "\r\n", "\r", " ", "7", "won", "中"]), max_size=12)
DEAL = st.fixed_dictionaries(
    {
        "id": st.sampled_from("abcdef"),
        "outcome": st.sampled_from(["won", "lost", "open", ""]),
        "amount": st.sampled_from(["", "5", "6.5", "many"]),
        "stage": st.sampled_from(["", "A", "B"]),
        "hue": st.sampled_from(["", "red", "7"]),
    }
)


@pytest.fixture
def fresh(engine):
    """Empty what an import writes, and give the engine."""

    def emptied():
        with unit_of_work(engine) as session:
            for table in (Opportunity, Change, CustomField):
                session.execute(sa.delete(table))
        return engine

    return emptied


def load(engine, data: bytes, **options):
    """Import bytes as opportunities; give the report and how many rows its rejects file has."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deals.csv"
        path.write_bytes(data)
        (report,) = import_files(
            engine, [path], kind="opportunity", imported_at=NOW, rejects_folder=Path(folder) / "rejects", **options
        ).reports
        written = report.rejects.read_text("utf-8-sig") if report.rejects else ""
    return report, max(len(list(csv.reader(io.StringIO(written, newline="")))) - 1, 0)


def as_csv(rows) -> bytes:
    """Write dicts as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def contents(engine):
    """Read what is stored, changes in their order."""
    deal, change = Opportunity.__table__.c, Change.__table__.c
    with Session(engine) as session:
        deals = session.execute(sa.select(*(c for c in deal if c.name != "import_digest")).order_by(deal.id)).all()
        return deals, session.execute(sa.select(*(c for c in change if c.name != "id")).order_by(change.id)).all()


@ENOUGH
@given(st.lists(DEAL, min_size=1, max_size=6), st.lists(DEAL, min_size=1, max_size=6))
def test_rows_known_by_their_digest_are_rows_that_change_nothing(fresh, first, second):
    """Leaving them out gives the same records and the same history as comparing every row."""
    found = []
    for is_forgotten in (False, True):
        engine = fresh()
        for rows in (first, second, first):
            load(engine, as_csv(rows))
            if is_forgotten:
                with unit_of_work(engine) as session:
                    session.execute(sa.update(Opportunity).values(import_digest=None))
        found.append(contents(engine))
    assert found[0] == found[1]


@ENOUGH
@given(st.lists(BROKEN, max_size=6))
def test_each_record_of_broken_text_is_counted_once(fresh, lines):
    """Quotation marks, separators and line ends anywhere: what is read is a record or a reject."""
    data = "id,outcome,note\n" + "".join(f"{place},{''.join(line)}\n" for place, line in enumerate(lines))
    records = list(read_records(io.BytesIO(data.encode()), ","))[1:]
    engine = fresh()
    report, rejects = load(engine, data.encode())
    assert report.read == sum(any(cell.strip() for cell in record) for record in records)
    assert report.read == report.new + report.changed + report.unchanged + report.rejected
    assert rejects == report.rejected
    assert len(contents(engine)[0]) == report.new


@ENOUGH
@given(st.data())
def test_texts_survive_their_encoding(fresh, data):
    """Each encoding that is named gives the letters that were written."""
    encoding = data.draw(st.sampled_from(sorted(LETTERS)))
    names = data.draw(st.lists(st.text(LETTERS[encoding], max_size=8), min_size=1, max_size=5))
    rows = [{"id": str(place), "outcome": "won", "name": f"n{name}n"} for place, name in enumerate(names)]
    engine = fresh()
    load(engine, as_csv(rows).decode().encode(encoding), mapping=Mapping(encoding=encoding))
    with Session(engine) as session:
        stored = dict(session.execute(sa.select(Opportunity.id, Opportunity.name)).all())
    assert stored == {row["id"]: row["name"] for row in rows}


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8"), max_size=8), st.none() | st.integers()), min_size=1, max_size=6
    ),
    st.booleans(),
)
def test_a_dump_gives_back_what_was_quoted(tmp_path_factory, rows, is_mysql):
    """Quotation marks, backslashes, semicolons, brackets and line ends within texts, as each dialect writes them."""

    def quoted(text):
        escaped = text.replace("\\", "\\\\").replace("'", "\\'") if is_mysql else text.replace("'", "''")
        return f"'{escaped}'"

    mark = "`" if is_mysql else '"'
    values = ",\n".join(f"({quoted(text)}, {'NULL' if number is None else number})" for text, number in rows)
    folder = tmp_path_factory.mktemp("dump")
    path = folder / "d.sql"
    path.write_text(f"INSERT INTO {mark}t{mark} (a, b) VALUES {values};\n", "utf-8", newline="")
    with unpack_dump(path, folder)["t"].open(encoding="utf-8", newline="") as file:
        found = list(csv.reader(file))[1:]
    assert found == [[text, "" if number is None else str(number)] for text, number in rows]
