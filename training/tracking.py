"""Runs, versions and aliases in MLflow."""

import io
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, redirect_stderr
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING", "false")
os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")  # it would log the uv.lock of whatever folder one stands in
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
import plotly.graph_objects as go
import polars as pl
from mlflow import MlflowClient
from mlflow.data.pandas_dataset import from_pandas
from mlflow.exceptions import MlflowException

from forecast.errors import NotFoundError
from forecast.registry import Estimator, Version, write_version_files
from forecast.settings import Settings

CHAMPION = "champion"
CHALLENGER = "challenger"
TEXT_MAX = 5000
"""Characters that MLflow keeps of a tag or a description."""
FEATURE_MODEL = Path(__file__).with_name("pyfunc.py")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is told of a version besides its files.

    Attributes:
        card: the model card, Markdown.
        verdict: a sentence: promoted, or not and why.
        metrics: on rows that it had not seen.
        sample: the first rows of what it learnt from.
        parameters: what was decided, besides `data` and `until` of the bundle.
        curves: values by step, such as the search's losses, by name.
        figures: by name of their page.
        loaded_by: the file that MLflow runs to load the version.
    """

    card: str
    verdict: str
    metrics: Mapping[str, float]
    sample: pl.DataFrame
    parameters: Mapping[str, object] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    figures: Mapping[str, go.Figure] = field(default_factory=dict)
    loaded_by: Path = FEATURE_MODEL


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


def log_run(settings: Settings, version: Version[Estimator], report: Report) -> str:
    """Log the run of a version with its figures and register the version as challenger; give MLflow's run id."""
    client = _connect(settings, version.name)
    with mlflow.start_run(run_name=version.version) as active:
        mlflow.set_tags({"version": version.version, "basis": version.basis, "verdict": report.verdict[:TEXT_MAX]})
        mlflow.log_params({**report.parameters, **version.bundle["data"], "until": version.bundle["until"]})
        mlflow.log_metrics({name: value for name, value in report.metrics.items() if value == value})  # noqa: PLR0124 - not NaN
        for name, curve in report.curves.items():
            for step, value in enumerate(curve):
                mlflow.log_metric(name, value, step=step)
        mlflow.log_text(report.card, "card.md")
        for page, figure in report.figures.items():
            mlflow.log_figure(figure, page)
        frame = report.sample.to_pandas()
        mlflow.log_input(from_pandas(frame, name=version.name, digest=version.bundle["data"]["digest"][:36]))
        registered = _log_model(version, report)
        _describe(client, version, registered, report.verdict)
        client.set_registered_model_alias(version.name, CHALLENGER, registered)
        return str(active.info.run_id)


def _describe(client: MlflowClient, version: Version[Estimator], registered: str, verdict: str) -> None:
    """Say in the register what a version is, so that a list of them can be read without opening their runs."""
    tags = {"version": version.version, "basis": version.basis, "until": version.bundle["until"]}
    for name, value in tags.items():
        client.set_model_version_tag(version.name, registered, name, value)
    said = f"Version {version.version}: {verdict}. Its card is card.md of the run."
    client.update_model_version(version.name, registered, description=said[:TEXT_MAX])
    about = f"`{CHAMPION}` is the version that serves, `{CHALLENGER}` the newest other one. Ids are those of `forecast models`."
    client.update_registered_model(version.name, description=about)


def _log_model(version: Version[Estimator], report: Report) -> str:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        write_version_files(Path(folder), version, report.card)
        stack.enter_context(redirect_stderr(io.StringIO()))  # MLflow prints there what no log level silences
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(report.loaded_by),
            artifacts={"version": folder},
            pip_requirements=[
                f"{package}=={installed_version(package)}" for package in ("lightgbm", "polars", "pandas")
            ],
            registered_model_name=version.name,
        )
    return str(info.registered_model_version)


def move_champion(settings: Settings, name: str, version: str) -> None:
    """Let the alias champion point to this version, which is no challenger any more.

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
    if client.get_registered_model(name).aliases.get(CHALLENGER) == found[0].version:
        client.delete_registered_model_alias(name, CHALLENGER)
