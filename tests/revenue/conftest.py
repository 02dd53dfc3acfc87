"""Fixtures: a simulated company's sales, and small pipelines whose law is known."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from databases import open_database
from learning import UNTIL, import_company

from forecast.demo import simulate_company
from forecast.records import Opportunity
from forecast.revenue_records import read_sales_records
from forecast.store import unit_of_work

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


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


def steady_pipeline(*, days, seed=1, a_day=2.0, won_share=0.3, lasts_days=30.0, paid=1.0):
    """Make opportunities over 100 that come evenly; each is open for as long, then won at `paid` of it, or lost."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, at in enumerate(np.sort(rng.uniform(0, days, int(a_day * days)))):
        created = START + at * DAY
        closed = created + lasts_days * DAY
        is_over, is_won = closed < START + days * DAY, rng.random() < won_share
        rows.append(
            Opportunity(
                id=f"O{number}",
                created_at=created,
                amount=100,
                owner_id=f"U{number % 2}",
                status=("won" if is_won else "lost") if is_over else "open",
                closed_at=closed if is_over else None,
                won_amount=100 * paid if is_over and is_won else None,
            )
        )
    return rows
