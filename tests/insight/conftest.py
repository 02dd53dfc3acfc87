"""A company whose data is in order, imported once; each test has a copy of its own to plant trouble in."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
import sqlalchemy as sa

from forecast.demo import simulate_company, write_export
from forecast.intake import import_files

NOW = datetime(2026, 9, 15, 8, 30, tzinfo=UTC)


def make_company():
    """Simulate a company whose sellers renew their plans, and may be quiet, and whose cases are closed within a month."""
    company = simulate_company(3, NOW, opportunities=300)
    planned = pl.max_horizontal("expected_close_on", pl.lit(NOW.date()))
    renewed = pl.when(pl.col("status") == "open").then(planned).otherwise("expected_close_on")
    in_time = pl.col("closed_at").is_not_null() | (pl.col("created_at") > NOW - timedelta(days=30))
    return replace(
        company,
        opportunities=company.opportunities.with_columns(renewed.alias("expected_close_on")),
        stages=company.stages.drop("quiet_days_max"),
        cases=company.cases.filter(in_time),
    )


def open_copy(server, name, template):
    """Make a database from a template."""
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    return sa.create_engine(server.url.set(database=name), connect_args={"options": "-c timezone=UTC"})


@pytest.fixture(scope="session")
def clean(server, tmp_path_factory):
    """Import the company into the database `clean`."""
    export = tmp_path_factory.mktemp("export") / "files"
    write_export(make_company(), export)
    engine = open_copy(server, "clean", "migrated")
    import_files(engine, [export], imported_at=NOW, rejects_folder=export.parent)
    engine.dispose()
    return "clean"


@pytest.fixture
def company(server, clean):
    """Open a copy of the company."""
    name = f"test_{uuid.uuid4().hex}"
    own = open_copy(server, name, clean)
    yield own
    own.dispose()
    with server.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name}"))
