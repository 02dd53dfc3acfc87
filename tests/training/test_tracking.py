import json
import pickle
import subprocess
import sys
from dataclasses import replace

import cloudpickle
import joblib
import mlflow
import numpy as np
import polars as pl
import pytest
from learning import MODELS
from mlflow import MlflowClient

from forecast.errors import NotFoundError
from forecast.registry import read_version, write_version
from training.card import write_card
from training.release import win_report
from training.tracking import log_run, move_champion

NAME = "win_probability"
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")


@pytest.fixture
def client(settings):
    """MLflow's client on this host's store."""
    return MlflowClient(settings.tracking_uri)


@pytest.fixture
def logged(settings, run):
    """The run as it was logged: MLflow's id of it."""
    return log_run(
        settings, run.candidate, win_report(run, run.candidate, MODELS, seconds={"fitting on everything": 2.5})
    )


@pytest.fixture
def no_pickle(monkeypatch):
    """Let every loader of pickled objects fail."""

    def refused(*_, **__):
        raise AssertionError("something was unpickled")

    for module, name in [(pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (joblib, "load")]:
        monkeypatch.setattr(module, name, refused)
    for name in ("load", "loads"):
        monkeypatch.setattr(cloudpickle, name, refused)


def artifact(client, run_id, name, folder):
    """Read an artifact of a run as text."""
    client.download_artifacts(run_id, name, str(folder))
    return (folder / name).read_text(encoding="utf-8")


def test_a_run_has_its_parameters(client, logged, run):
    """What the search decided and what data it saw are parameters of the run."""
    found = client.get_run(logged).data.params
    recipe = run.search.recipe
    for name, value in recipe.trees[0].parameters.items():
        assert float(found[f"lightgbm_{name}"]) == value
    assert float(found["boosting_share"]) == recipe.boosting_share
    assert int(found["rounds"]) == recipe.trees[0].rounds
    assert found["digest"] == run.dataset.digest
    assert found["until"] == run.dataset.until.isoformat()


def test_a_run_has_its_metrics_and_its_trials(client, logged, run):
    """Every figure of the judged rows is a metric, and the search's losses are a curve."""
    found = client.get_run(logged).data.metrics
    assert {name: found[name] for name in run.metrics} == run.metrics
    curve = client.get_metric_history(logged, "search_log_loss")
    assert [(point.step, point.value) for point in curve] == list(enumerate(run.search.trials))
    assert found["seconds_fitting_on_everything"] == 2.5


def test_a_run_has_its_verdict_and_its_data_set(client, logged, run):
    """The verdict is a tag, and the input data set has the digest of the rows."""
    found = client.get_run(logged)
    assert found.data.tags["verdict"] == run.verdict
    assert found.data.tags["version"] == "first"
    (given,) = found.inputs.dataset_inputs
    assert given.dataset.digest == run.dataset.digest[:36]


def test_a_run_has_figures_and_card(client, logged, run, tmp_path):
    """Reliability and gain are pages with a line for this version, and the card is the one beside the version."""
    for name in ("reliability.html", "gain.html"):
        page = artifact(client, logged, name, tmp_path)
        assert "plotly" in page
        assert "this version" in page
    assert artifact(client, logged, "card.md", tmp_path) == write_card(run, run.candidate, MODELS)


def test_the_version_is_registered_as_challenger(client, logged):
    """The register knows whose run it came from and what we call it; it is not served yet."""
    found = client.get_model_version_by_alias(NAME, "challenger")
    assert found.run_id == logged
    assert found.tags["version"] == "first"
    assert found.tags["basis"] == "own"
    assert found.description.startswith("Version first: promoted: every gate passed.")
    assert "`champion` is the version that serves" in client.get_registered_model(NAME).description
    with pytest.raises(mlflow.exceptions.MlflowException):
        client.get_model_version_by_alias(NAME, "champion")


def test_the_champion_predicts_what_the_registry_predicts(settings, run, logged, no_pickle):  # noqa: ARG001
    """Loaded by alias, without unpickling anything, the model gives the same probabilities bit for bit."""
    folder = write_version(settings.models_folder, run.candidate, "# card")
    move_champion(settings, NAME, "first")
    features = run.dataset.features
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    served = read_version(folder).estimator.predict(features)
    np.testing.assert_array_equal(model.predict(features.to_pandas()).to_numpy(), served)
    np.testing.assert_array_equal(model.predict(features.to_pandas().tail(1)).to_numpy(), served[-1:])


def test_a_champion_is_no_challenger(settings, client, run, logged):  # noqa: ARG001
    """Challenger is the newest version that does not serve: promoted, it is champion only; a newer one is challenger beside it."""
    move_champion(settings, NAME, "first")
    assert set(client.get_registered_model(NAME).aliases) == {"champion"}
    second = replace(run.candidate, version="second")
    log_run(settings, second, win_report(run, second, MODELS, seconds={}))
    assert client.get_model_version_by_alias(NAME, "challenger").tags["version"] == "second"
    assert client.get_model_version_by_alias(NAME, "champion").tags["version"] == "first"


def test_a_clean_process_loads_the_champion(settings, run, logged, tmp_path):  # noqa: ARG001
    """A program of its own, with nothing but MLflow and the register's address, gets the same probabilities."""
    move_champion(settings, NAME, "first")
    features = run.dataset.features.head(50)
    features.to_pandas().to_parquet(tmp_path / "features.parquet")
    script = (
        "import sys, mlflow, pandas; mlflow.set_tracking_uri(sys.argv[1]); "
        f"model = mlflow.pyfunc.load_model('models:/{NAME}@champion'); "
        "print(*model.predict(pandas.read_parquet(sys.argv[2])), sep=',')"
    )
    command = [sys.executable, "-c", script, settings.tracking_uri, str(tmp_path / "features.parquet")]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    given = [float(value) for value in said.strip().splitlines()[-1].split(",")]
    assert given == run.candidate.estimator.predict(features).tolist()


def test_a_prior_can_be_loaded_too(settings, run, no_pickle):  # noqa: ARG001
    """The share won so far is a registered model like any other."""
    early = replace(
        run, candidate=None, search=None, judged=None, metrics={}, gates=[], verdict="not promoted: too few"
    )
    log_run(settings, run.prior, win_report(early, run.prior, MODELS, seconds={}))
    features = run.dataset.features
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@challenger")
    np.testing.assert_array_equal(model.predict(features.to_pandas()).to_numpy(), run.prior.estimator.predict(features))


def test_nothing_executable_is_in_what_was_logged(settings, logged):  # noqa: ARG001
    """Artifacts are text, JSON and pages, and one file of our own code."""
    files = [path for path in (settings.home / "mlflow-artifacts").rglob("*") if path.is_file()]
    assert {path.name for path in files if path.suffix == ".py"} == {"pyfunc.py"}
    assert {path.suffix for path in files} <= {".py", ".md", ".html", ".json", ".txt", ".yaml", ".yml", ""}
    assert {path.name for path in files if not path.suffix} <= {"MLmodel"}
    json.loads(next(path for path in files if path.name == "bundle.json").read_text(encoding="utf-8"))


def test_the_stores_of_two_hosts_do_not_mix(settings, run, logged, tmp_path, empty_mlflow):  # noqa: ARG001
    """What is logged under one FORECAST_HOME is seen neither in another's register nor in its folders."""
    other = replace(settings, home=tmp_path / "other")
    other.home.mkdir()
    (other.home / "mlflow.db").write_bytes(empty_mlflow.read_bytes())
    second = replace(run.candidate, version="second")
    log_run(other, second, win_report(run, second, MODELS, seconds={}))
    for host, version in ((settings, "first"), (other, "second")):
        (found,) = MlflowClient(host.tracking_uri).search_model_versions(f"name='{NAME}'")
        assert found.tags["version"] == version
        assert str(host.home) in MlflowClient(host.tracking_uri).get_run(found.run_id).info.artifact_uri
    with pytest.raises(NotFoundError, match="knows no version second"):
        move_champion(settings, NAME, "second")


def test_an_unknown_version_can_not_be_champion(settings, logged):  # noqa: ARG001
    """The sentence names the register, the version and what to do."""
    with pytest.raises(NotFoundError, match=r"mlflow.db knows no version missing of win_probability; train it again"):
        move_champion(settings, NAME, "missing")


def test_features_the_version_does_not_need_are_ignored(settings, run, logged):  # noqa: ARG001
    """A frame may have more columns than the model, in any order."""
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@challenger")
    frame = run.dataset.features.with_columns(pl.lit("x").alias("custom_more")).to_pandas()
    expected = run.candidate.estimator.predict(run.dataset.features)
    np.testing.assert_array_equal(model.predict(frame[sorted(frame.columns)]).to_numpy(), expected)
