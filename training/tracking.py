"""Runs, versions and aliases in MLflow."""

import io
import logging
import os
import tempfile
from contextlib import ExitStack, redirect_stderr
from importlib.metadata import version as installed_version
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING", "false")
os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")  # it would log the uv.lock of whatever folder one stands in
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.data.pandas_dataset import from_pandas
from mlflow.exceptions import MlflowException

from forecast.errors import NotFoundError
from forecast.registry import Version, write_version_files
from forecast.settings import Settings
from training.pipeline import Run
from training.plots import gain_figure, reliability_figure

CHAMPION = "champion"
CHALLENGER = "challenger"


def _connect(settings: Settings, name: str) -> MlflowClient:
    settings.home.mkdir(parents=True, exist_ok=True)
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(settings.tracking_uri)
    client = MlflowClient()
    if client.get_experiment_by_name(name) is None:
        location = None if settings.mlflow_tracking_uri else (settings.home / "mlflow-artifacts" / name).as_uri()
        client.create_experiment(name, artifact_location=location)
    mlflow.set_experiment(name)
    return client


def log_run(settings: Settings, run: Run, version: Version, card: str) -> str:
    """Log a run with its figures and register the version it trained as challenger; give MLflow's run id."""
    client = _connect(settings, version.name)
    with mlflow.start_run(run_name=version.version) as active:
        mlflow.set_tags({"version": version.version, "basis": version.basis, "verdict": run.verdict[:5000]})
        mlflow.log_params(_parameters(version))
        mlflow.log_metrics({name: value for name, value in run.metrics.items() if value == value})  # noqa: PLR0124 - not NaN
        if run.search is not None:
            for step, loss in enumerate(run.search.trials):
                mlflow.log_metric("search_log_loss", loss, step=step)
        mlflow.log_text(card, "card.md")
        if run.judged is not None:
            mlflow.log_figure(reliability_figure(run.judged), "reliability.html")
            mlflow.log_figure(gain_figure(run.judged), "gain.html")
        frame = _sample(run)
        mlflow.log_input(from_pandas(frame, name=version.name, digest=version.bundle["data"]["digest"][:36]))
        registered = _log_model(version, card)
        client.set_model_version_tag(version.name, registered, "version", version.version)
        client.set_registered_model_alias(version.name, CHALLENGER, registered)
        return str(active.info.run_id)


def _sample(run: Run) -> pd.DataFrame:
    return run.dataset.features.head(20).to_pandas()


def _parameters(version: Version) -> dict[str, object]:
    recipe = version.bundle.get("recipe", {})
    flat = {f"lightgbm_{name}": value for name, value in recipe.get("parameters", {}).items()}
    rest = {name: value for name, value in recipe.items() if name != "parameters"}
    return {**flat, **rest, **version.bundle["data"], "until": version.bundle["until"]}


def _log_model(version: Version, card: str) -> str:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        write_version_files(Path(folder), version, card)
        stack.enter_context(redirect_stderr(io.StringIO()))  # MLflow prints there what no log level silences
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"version": folder},
            pip_requirements=[
                f"{package}=={installed_version(package)}" for package in ("lightgbm", "polars", "pandas")
            ],
            registered_model_name=version.name,
        )
    return str(info.registered_model_version)


def move_champion(settings: Settings, name: str, version: str) -> None:
    """Let the alias champion point to this version.

    Raises:
        NotFoundError: MLflow's register does not know it.
    """
    client = _connect(settings, name)
    try:
        found = client.search_model_versions(f"name='{name}' and tag.version='{version}'")
    except MlflowException as error:
        raise NotFoundError(f"MLflow at {settings.tracking_uri} does not answer: {error}") from error
    if not found:
        raise NotFoundError(f"MLflow at {settings.tracking_uri} knows no version {version} of {name}; train it again")
    client.set_registered_model_alias(name, CHAMPION, found[0].version)
