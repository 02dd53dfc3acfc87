"""Fixtures: a company in a database, one run of training on it, and hosts to release it on."""

import shutil

import pytest
from databases import open_database
from learning import BRIEF, LENIENT, SILENT, UNTIL, draw_dataset, import_company

from forecast.demo import simulate_company
from forecast.history import read_history
from forecast.settings import Settings
from forecast.store import unit_of_work
from training.pipeline import train_win_model


@pytest.fixture(scope="session")
def dataset():
    """A data set in which wins follow one feature, and whose share won stays."""
    return draw_dataset()


@pytest.fixture(scope="session")
def lesson(dataset):
    """All that is known of it."""
    return dataset.lesson(UNTIL)


@pytest.fixture(scope="session")
def company_engine(server, tmp_path_factory):
    """Open a database that holds a small company; tests of training only read it."""
    with open_database(server) as engine:
        import_company(engine, simulate_company(3, UNTIL, opportunities=400), tmp_path_factory.mktemp("export"))
        yield engine


@pytest.fixture(scope="session")
def history(company_engine):
    """The company's history."""
    with unit_of_work(company_engine) as session:
        return read_history(session, until=UNTIL)


@pytest.fixture(scope="session")
def run(history):
    """A run whose candidate passed its gates, which were lenient."""
    found = train_win_model(history, LENIENT, until=UNTIL, version_id="first", live=None, budget=BRIEF, listener=SILENT)
    assert found.promotable, found.verdict
    return found


@pytest.fixture(scope="session")
def new_host(tmp_path_factory, empty_mlflow, company_engine):
    """Make settings of a host on which nothing was trained yet."""

    def made():
        home = tmp_path_factory.mktemp("home")
        shutil.copy(empty_mlflow, home / "mlflow.db")
        return Settings(home=home, database_url=company_engine.url.render_as_string(hide_password=False))

    return made


@pytest.fixture
def settings(new_host):
    """Settings of a host on which nothing was trained yet."""
    return new_host()
