"""Fixtures: CSV files as people have them, and a database to import them into."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from clock import NOW

from forecast.intake import import_files
from forecast.records import Change, Opportunity
from forecast.store import unit_of_work


@pytest.fixture
def write(tmp_path):
    """Write a text as a file; give its path."""

    def written(text: str, name: str = "opportunities.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return written


@pytest.fixture
def load(engine, tmp_path, write):
    """Import a text, or a file, and give the report; the rows always add up."""

    def loaded(source: str | Path, name: str = "opportunities.csv", **options):
        path = source if isinstance(source, Path) else write(source, name)
        given = {"imported_at": NOW, "rejects_folder": tmp_path / "rejects", **options}
        (report,) = import_files(engine, [path], **given).reports
        assert report.read == report.new + report.changed + report.unchanged + report.rejected
        return report

    return loaded


@pytest.fixture
def stored(engine):
    """Read the records of a table by id."""

    def read(table=Opportunity):
        with unit_of_work(engine) as session:
            return {record.id: record for record in session.scalars(sa.select(table).order_by(table.id))}

    return read


@pytest.fixture
def changes(engine):
    """Read the change rows in order."""

    def read():
        with unit_of_work(engine) as session:
            return list(session.scalars(sa.select(Change).order_by(Change.id)))

    return read
