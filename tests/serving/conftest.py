"""A small company in the database, a model learnt from it, and the service in front of both."""

import json
import uuid
import warnings
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
import sqlalchemy as sa
from records_api import open_service

from forecast.demo import simulate_company
from forecast.estimators.boosting import Boosting, fit_boosting, training_set
from forecast.estimators.encoding import fit_encoding
from forecast.estimators.mix import Mix
from forecast.estimators.win import WinModel
from forecast.features import opportunity_features, plan_features
from forecast.history import read_history
from forecast.outcomes import opportunity_outcomes
from forecast.population import Population
from forecast.records import Account, Activity, Campaign, Change, CustomField, Lead, Opportunity, Person, Product, Stage
from forecast.registry import Version, make_live, write_version
from forecast.settings import Settings
from forecast.snapshot import take_snapshot
from forecast.snapshot.subjects import opportunities_at_ages
from forecast.store import copy_frame, unit_of_work
from serving.app import create_app
from serving.auth import create_key

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would rather have the package httpx2
    from fastapi.testclient import TestClient

NOW = datetime(2026, 9, 15, 8, 30, tzinfo=UTC)
MODEL = "win_probability"
LEAD_MODEL = "lead_conversion"
LEADS = Population(kind="lead", target="converted", horizon_days=90)
LEAD_CONFIG = 'population = "lead"\ntarget = "converted"\nhorizon_days = 90\n[data]\nclosed_min = 40\n'
CUSTOM = {"budget_confirmed": "boolean", "buying_process": "category"}


@pytest.fixture(scope="session")
def company():
    """Simulate a company with a few dozen open opportunities."""
    return simulate_company(3, NOW, opportunities=400)


def as_records(frame):
    """Give rows the identity they have at their source."""
    return frame.with_columns(pl.col("id").alias("external_id"))


def custom_json(frame):
    """Put custom columns into one."""
    values = [
        json.dumps({name: value for name, value in row.items() if value is not None}, ensure_ascii=False)
        for row in frame.select(list(CUSTOM)).iter_rows(named=True)
    ]
    return frame.drop(list(CUSTOM)).with_columns(pl.Series("custom", values))


def change_rows(company):
    """Give moves between stages and changes of other fields alike."""
    moves = company.stage_changes.select(
        pl.lit("opportunity").alias("kind"),
        pl.col("opportunity_id").alias("record_id"),
        pl.lit("stage").alias("field"),
        "changed_at",
        pl.col("stage").shift(1).over("opportunity_id").alias("old_value"),
        pl.col("stage").alias("new_value"),
        "person_id",
    )
    both = pl.concat([moves, company.field_changes.select(moves.columns)])
    return both.unique(["record_id", "field", "changed_at", "new_value"], maintain_order=True).with_columns(
        pl.lit("import").alias("origin")
    )


def store_company(engine, company):
    """Write a company's records as an import would."""
    records = {
        Account: company.accounts,
        Person: company.people,
        Product: company.products,
        Stage: company.stages,
        Campaign: company.campaigns,
        Lead: company.leads,
        Opportunity: custom_json(company.opportunities),
        Activity: company.activities,
    }
    with unit_of_work(engine) as session:
        for table, frame in records.items():
            copy_frame(session, table.__table__, as_records(frame))
        copy_frame(session, Change.__table__, change_rows(company))
        for name, kind in CUSTOM.items():
            session.add(CustomField(kind="opportunity", name=name, type=kind, time="fixed", label=name.capitalize()))


def fit_version(history, name, model_name=MODEL, ages=(0.0, 30.0, 90.0)):
    """Learn a small version from a history."""
    plan = plan_features(history, ("owner_id", "account_id", "source", "product_id"))
    subjects = opportunities_at_ages(history, ages)
    features = opportunity_features(take_snapshot(history, subjects), plan)
    won = opportunity_outcomes(history, features.select("opportunity_id", "as_of"))["won"]
    known = features.filter(won.is_not_null())
    labels = won.drop_nulls().cast(pl.Float64).to_numpy()
    encoding = fit_encoding(known)
    data = training_set(encoding, encoding.matrix(known), labels, labels * 0 + 1)
    trees = Boosting.of(fit_boosting(data, {"num_leaves": 15, "learning_rate": 0.1}, rounds=120, seed=1))
    model = WinModel(encoding=encoding, mix=Mix(boosting=trees, logistic=None, boosting_share=1.0, shift=0.1))
    usual = {
        name: float(value)
        for name in encoding.numbers
        if (value := known.filter(pl.Series(labels == 1))[name].median()) is not None
    }
    bundle = {"metrics": {"model_auc": 0.7}, "gates": [], "until": NOW.isoformat()}
    return Version(name=model_name, version=name, basis="own", estimator=model, plan=plan, usual=usual, bundle=bundle)


def open_database(server, name, template):
    """Make a database from a template."""
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    return sa.create_engine(server.url.set(database=name), connect_args={"options": "-c timezone=UTC"})


@pytest.fixture(scope="session")
def version(server, company):
    """Fill the database `company`, and learn one version from it for all tests."""
    engine = open_database(server, "company", "migrated")
    store_company(engine, company)
    with unit_of_work(engine) as session:
        found = fit_version(read_history(session), "20260915T000000Z")
    engine.dispose()
    return found


@pytest.fixture
def stored(server, version):
    """Open a database of this test's own that holds the company."""
    assert version.name == MODEL
    name = f"test_{uuid.uuid4().hex}"
    own = open_database(server, name, "company")
    yield own
    own.dispose()
    with server.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name}"))


@pytest.fixture
def settings(stored, tmp_path):
    """Give settings of a host that uses this test's database and an empty folder of models."""
    return Settings(home=tmp_path, database_url=stored.url.render_as_string(hide_password=False))


@pytest.fixture
def live(settings, version):
    """Serve the version."""
    write_version(settings.models_folder, version, "# card")
    make_live(settings.models_folder, MODEL, version.version, since=NOW - timedelta(days=1), why="passed its gates")
    return version


@pytest.fixture(scope="session")
def lead_version(server, version):
    """Learn one version of leads from the company for all tests."""
    assert version.name == MODEL
    engine = sa.create_engine(server.url.set(database="company"), connect_args={"options": "-c timezone=UTC"})
    with unit_of_work(engine) as session:
        history = read_history(session, population=LEADS, until=NOW)
    engine.dispose()
    found = fit_version(history, "20260915T000001Z", LEAD_MODEL, (0.0, 3.0, 14.0))
    return replace(found, bundle={**found.bundle, "config": LEAD_CONFIG})


@pytest.fixture
def live_leads(settings, lead_version):
    """Serve the version of leads."""
    write_version(settings.models_folder, lead_version, "# card")
    make_live(settings.models_folder, LEAD_MODEL, lead_version.version, since=NOW, why="passed its gates")
    return lead_version


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        """Tell the moment."""
        return self.now


@pytest.fixture
def clock():
    """Give a clock at NOW."""
    return Clock()


@pytest.fixture
def open_client(stored, clock):
    """Give a function that opens the service of some settings, with a key."""
    with unit_of_work(stored) as session:
        headers = {"Authorization": f"Bearer {create_key(session, 'tests')}"}
    with ExitStack() as opened:
        yield lambda settings: opened.enter_context(
            TestClient(create_app(settings, clock=clock), raise_server_exceptions=False, headers=headers)
        )


@pytest.fixture
def client(settings, live, open_client):
    """Open the service of a company with a live version."""
    assert live.basis == "own"
    return open_client(settings)


@pytest.fixture(scope="module")
def service(server, tmp_path_factory):
    """Open one service over an empty database for all tests of a file."""
    with open_service(server, tmp_path_factory.mktemp("home")) as opened:
        yield opened


@pytest.fixture
def api(service):
    """Give that service, its database empty again."""
    service.empty()
    return service.client
