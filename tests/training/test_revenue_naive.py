"""A company whose year repeats itself, trained on through the command line."""

import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import pytest
from typer.testing import CliRunner

from forecast.cli import app
from forecast.records import Order, Person
from forecast.registry import find_live
from forecast.settings import read_settings
from forecast.store import unit_of_work

MODELS = Path(__file__).parents[2] / "models"
FEWER = {
    "horizon_months = 6": "horizon_months = 2",
    "origins = 14": "origins = 6",
    "judged_months = 3": "judged_months = 2",
}


def orders_of_repeating_years():
    """Make four years of orders of one seller: months differ much from each other, and not from those of the year before."""
    rng = random.Random(7)
    pattern = [10_000 * rng.lognormvariate(0, 1) for _ in range(12)]
    for month in range(48):
        for day in (3, 11, 19, 27):
            at = datetime(2022 + month // 12, month % 12 + 1, day, tzinfo=UTC)
            name = f"R{month}-{day}"
            yield Order(id=name, external_id=name, owner_id="U0", ordered_at=at, amount=round(pattern[month % 12], 2))


@pytest.fixture
def home(engine, empty_mlflow, tmp_path, monkeypatch):
    """Give the folder of a host with such a company, and an experiment of fewer trials."""
    monkeypatch.setenv("FORECAST_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("FORECAST_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    shutil.copytree(MODELS / "revenue_forecast", tmp_path / "experiments" / "revenue_forecast")
    config = tmp_path / "experiments" / "revenue_forecast" / "config.toml"
    text = config.read_text()
    for many, few in FEWER.items():
        assert many in text
        text = text.replace(many, few)
    config.write_text(text)
    with unit_of_work(engine) as session:
        session.add_all([Person(id="U0", external_id="U0", name="Ada"), *orders_of_repeating_years()])
    return tmp_path


@pytest.mark.filterwarnings("ignore:::mlflow")
def test_where_last_year_comes_again_the_forecast_is_not_served(home):
    """What seasonal naive says better fails its gate by name, the usual weights are served, and MLflow says how it was tried."""
    words = ["train", "revenue_forecast", "--models", str(home / "experiments"), "--as-of", "2025-12-01T00:00:00Z"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.exception
    said = done.stdout + done.stderr
    assert "gate 1 failed: beats seasonal naive" in said
    settings = read_settings()
    live = find_live(settings.models_folder, "revenue_forecast")
    assert live["version"].endswith("-prior")
    mlflow.set_tracking_uri(settings.tracking_uri)
    runs = mlflow.search_runs(experiment_names=["revenue_forecast"], output_format="list")
    (run,) = [one for one in runs if one.data.tags["basis"] == "own"]
    assert "beats seasonal naive" in run.data.tags["verdict"]
    assert {name: run.data.params[name] for name in ("seed", "horizon_months", "origins", "judged_months")} == {
        "seed": "20240229", "horizon_months": "2", "origins": "6", "judged_months": "2"
    }  # fmt: skip
