"""Fixtures: a simulated company's sales, and records read as sales."""

import pytest
from databases import open_database
from learning import UNTIL, import_company

from forecast.demo import simulate_company
from forecast.revenue_records import read_sales_records
from forecast.store import unit_of_work


@pytest.fixture(scope="session")
def company_records(server, tmp_path_factory):
    """Sales of a simulated company with teams, regions and products."""
    with open_database(server) as engine:
        import_company(engine, simulate_company(3, UNTIL, opportunities=900), tmp_path_factory.mktemp("export"))
        with unit_of_work(engine) as session:
            yield read_sales_records(session, timezone="Asia/Shanghai")


@pytest.fixture
def records_of(engine):
    """Store records, and read them as sales."""

    def read(*rows):
        for row in rows:
            row.external_id = row.id
        with unit_of_work(engine) as session:
            session.add_all(rows)
        with unit_of_work(engine) as session:
            return read_sales_records(session, timezone="UTC")

    return read
