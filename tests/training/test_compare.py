"""Two versions on the same rows."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from learning import UNTIL
from typer.testing import CliRunner

from forecast.cli import app
from forecast.errors import TooLittleHistoryError
from forecast.metrics import log_losses
from forecast.registry import make_live, write_version
from training.compare import compare_versions

SINCE = UNTIL - timedelta(days=240)


def known_until(version, moment, name):
    """Give a version as if it had been trained at a moment."""
    return replace(version, version=name, bundle={**version.bundle, "until": moment.isoformat()})


@pytest.fixture(scope="module")
def first(run):
    """A version that knew the company until eight months ago."""
    return known_until(run.candidate, SINCE, "first")


@pytest.fixture(scope="module")
def second(run):
    """The same with a level that is too low, trained a month earlier still."""
    low = replace(run.candidate, estimator=run.candidate.estimator.raised(-1.0))
    return known_until(low, SINCE - timedelta(days=30), "second")


@pytest.fixture(scope="module")
def found(history, first, second):
    """What comparing them finds."""
    return compare_versions(history, first, second, until=UNTIL)


@pytest.fixture(scope="module")
def judged(run):
    """The rows that neither knew, with the weights of training."""
    lesson = run.dataset.lesson(UNTIL)
    rows = lesson.used & (run.dataset.keys["as_of"] >= SINCE).to_numpy()
    return run.dataset.part(rows), lesson.won[rows], lesson.weight[rows]


def test_both_are_measured_on_what_neither_knew(found, judged, first, second):
    """Losses and means are of the rows after the later of both, weighted as in training."""
    dataset, won, weight = judged
    assert found.since == SINCE
    assert found.opportunities == dataset.keys["opportunity_id"].n_unique()
    for figures, version in zip(found.figures, (first, second), strict=True):
        said = version.estimator.predict(dataset.features)
        assert figures["rows"] == len(won)
        assert figures["log_loss"] == pytest.approx(np.average(log_losses(won, said), weights=weight))
        assert figures["predicted"] == pytest.approx(np.average(said, weights=weight))
    assert found.figures[0]["auc"] == pytest.approx(found.figures[1]["auc"], abs=1e-9)


def test_the_difference_has_the_error_of_drawing_opportunities(found, judged, first, second):
    """The mean is that of the losses, and its error what it varies by where opportunities are drawn anew."""
    dataset, won, weight = judged
    gap = weight * (
        log_losses(won, first.estimator.predict(dataset.features))
        - log_losses(won, second.estimator.predict(dataset.features))
    )
    loss = found.differences[0]
    assert loss.loss == "log_loss"
    assert loss.mean == pytest.approx(gap.sum() / weight.sum())
    sums = pl.DataFrame({"group": dataset.groups, "gap": gap, "weight": weight}).group_by("group").sum()
    draw = np.random.default_rng(3)
    means = []
    for _ in range(2000):
        drawn = draw.integers(0, sums.height, sums.height)
        means.append(sums["gap"].to_numpy()[drawn].sum() / sums["weight"].to_numpy()[drawn].sum())
    assert loss.error == pytest.approx(np.std(means), rel=0.15)
    assert loss.chance == pytest.approx(np.mean(np.array(means) < 0), abs=0.03)


def test_what_differs_is_named(history, run, first, found):
    """Versions of one training differ in nothing; a prior has neither the features nor the recipe of a model."""
    assert found.features == (frozenset(), frozenset())
    assert found.parameters == {}
    prior = known_until(run.prior, SINCE, "prior")
    other = compare_versions(history, first, prior, until=UNTIL)
    assert other.features[0] - other.features[1] == other.features[0] > {"amount"}
    assert other.parameters["penalty"] == (run.search.recipe.penalty, None)


def test_rows_that_one_of_them_knew_compare_nothing(history, run, first):
    """Beside a version of today nothing is new to both, and the sentence says what to do."""
    with pytest.raises(TooLittleHistoryError, match=r"since 2026-11-01.* 0 outcomes are known; 20 are needed.*--as-of"):
        compare_versions(history, first, run.candidate, until=UNTIL)


def test_the_command_says_it_in_both_languages(company_engine, monkeypatch, tmp_path, first, second):
    """Figures stand side by side under whole ids in 80 columns; without a second id it is the live version."""
    for version in (first, second):
        write_version(tmp_path / "models", version, "# card")
    make_live(tmp_path / "models", first.name, "second", since=UNTIL, why="tested")
    monkeypatch.setenv("FORECAST_HOME", str(tmp_path))
    monkeypatch.setenv("FORECAST_DATABASE_URL", company_engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("COLUMNS", "80")
    file = tmp_path / "compared.csv"
    for language, heading in (("en", "log loss: first less second "), ("zh", "对数损失：first 减 second 为 ")):
        monkeypatch.setenv("FORECAST_LANGUAGE", language)
        said = CliRunner().invoke(app, ["compare", "first", "--as-of", UNTIL.isoformat(), "--out", str(file)])
        assert said.exit_code == 0, said.output
        assert heading in said.output
    table = pl.read_csv(file)
    assert table.row(0) == ("version", "version", "first", "second")
    assert {"log_loss_mean", "auc", "predicted"} <= set(table["name"])
    refused = CliRunner().invoke(app, ["compare", "first", "first"])
    assert "compared with itself" in str(refused.exception)
