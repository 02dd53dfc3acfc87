"""Fixtures: one embedded PostgreSQL a test process, a fresh migrated database a test."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from databases import open_database
from hypothesis import settings

from forecast.settings import Settings
from forecast.store import migrate, open_engine

settings.register_profile("no deadline", deadline=None)  # a busy machine breaks no rule
settings.load_profile("no deadline")


LONGEST = (
    "test_notebooks.py", "test_notebook_tiers.py", "test_notebook_revenue.py", "test_journeys.py", "test_known_truth.py",
    "test_tier_training.py", "test_revenue_training.py", "test_backtest.py", "test_release.py", "test_tune.py",
    "test_intake_killed.py", "test_prospects.py", "test_win.py",
)  # fmt: skip
"""Files of few long tests; begun last, one of them would keep a single worker busy while the others have nothing to do."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session")
def server() -> Iterator[sa.Engine]:
    """Open the embedded PostgreSQL with a migrated database `migrated` beside its own.

    Its folder is not pytest's: that one is closed again to PostgreSQL's own user whenever another run starts.
    """
    home = Path(tempfile.mkdtemp(prefix="forecast-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    admin = open_engine(Settings(home=home)).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # no test outlives a power cut
            connection.execute(sa.text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(sa.text("SELECT pg_reload_conf()"))
        connection.execute(sa.text("CREATE DATABASE migrated"))
    template = sa.create_engine(admin.url.set(database="migrated"))
    migrate(template)
    template.dispose()
    yield admin
    admin.dispose()


@pytest.fixture
def engine(server) -> Iterator[sa.Engine]:
    """Open a database of this test's own, built by the migrations and empty."""
    with open_database(server) as own:
        yield own


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory):
    """MLflow's empty database, whose making takes seconds."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file
