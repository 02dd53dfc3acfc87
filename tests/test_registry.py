import json
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from fitted import fit_win, frame, outcomes
from typer.testing import CliRunner

from forecast.cli import app
from forecast.errors import ConflictError, NotFoundError
from forecast.estimators.win import PriorModel
from forecast.features import FeaturePlan
from forecast.registry import (
    Version,
    find_live,
    get_live_version,
    list_versions,
    make_live,
    read_version,
    roll_back,
    version_folder,
    write_version,
)

NAME = "win_probability"
SINCE = datetime(2024, 2, 29, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def fitted():
    """A version of a fitted mix."""
    return Version(
        name=NAME,
        version="20240229-1",
        basis="own",
        estimator=fit_win(frame(), outcomes(frame())),
        plan=FeaturePlan(
            rates=("owner_id",), stages=("报价", "线索"), custom={"custom_z": "text", "account_custom_a": "date"}
        ),
        usual={"size": 1.5, "age_days": 0.1 + 0.2},
        bundle={"metrics": {"log_loss": 0.5}, "warnings": ["数据很少"]},
    )


def prior(version):
    """Give a version without a fitted model."""
    estimator = PriorModel(ages_days=(0.0,), shares=(0.25,))
    return Version(
        name=NAME, version=version, basis="prior", estimator=estimator, plan=FeaturePlan(), usual={}, bundle={}
    )


def test_a_version_predicts_after_reading_as_before(tmp_path, fitted):
    """What is read from the folder gives the same probabilities and contributions, bit for bit."""
    back = read_version(write_version(tmp_path, fitted, "# card"))
    fresh = frame(seed=33)
    assert np.array_equal(back.estimator.predict(fresh), fitted.estimator.predict(fresh))
    assert np.array_equal(back.estimator.explain(fresh)[1], fitted.estimator.explain(fresh)[1])
    assert back.estimator.encoding.features == fitted.estimator.encoding.features
    assert list(back.plan.custom) == list(fitted.plan.custom)
    assert replace(back, estimator=fitted.estimator) == fitted


def test_a_prior_is_a_version_too(tmp_path):
    """A version without trees is written and read."""
    back = read_version(write_version(tmp_path, prior("a"), "# card"))
    assert back == prior("a")


def test_a_version_is_text_only(tmp_path, fitted):
    """Trees, bundle and card are UTF-8 text that a person can read; nothing in the folder can run."""
    folder = write_version(tmp_path, fitted, "# 模型卡")
    assert sorted(path.name for path in folder.iterdir()) == ["bundle.json", "card.md", "model.txt"]
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert texts["model.txt"].startswith("tree\n")
    assert json.loads(texts["bundle.json"])["warnings"] == ["数据很少"]
    assert texts["card.md"] == "# 模型卡"
    assert not any(path.stat().st_mode & 0o111 for path in folder.iterdir())


def test_a_version_is_written_once(tmp_path, fitted):
    """A second version of the same id is refused, and the first stays whole."""
    write_version(tmp_path, fitted, "first")
    with pytest.raises(ConflictError, match="20240229-1"):
        write_version(tmp_path, fitted, "second")
    assert (version_folder(tmp_path, NAME, "20240229-1") / "card.md").read_text() == "first"


def test_a_version_that_could_not_be_written_is_not_there(tmp_path, fitted):
    """What can't be put into JSON leaves no version behind."""
    with pytest.raises(TypeError):
        write_version(tmp_path, replace(fitted, bundle={"when": SINCE}), "card")
    assert list_versions(tmp_path, NAME) == []
    assert list((tmp_path / NAME / "versions").iterdir()) == []


def test_unknown_versions_are_named_with_those_that_exist(tmp_path):
    """The message says what was asked and what there is; a path is not a version."""
    write_version(tmp_path, prior("b"), "")
    write_version(tmp_path, prior("a"), "")
    assert list_versions(tmp_path, NAME) == ["a", "b"]
    for asked in ("c", "../versions/a", ""):
        with pytest.raises(NotFoundError, match=f'no version "{asked}".*a, b'):
            make_live(tmp_path, NAME, asked, since=SINCE, why="asked")
    with pytest.raises(NotFoundError, match="there are: none"):
        version_folder(tmp_path, "other", "a")
    assert find_live(tmp_path, NAME) is None


def test_without_a_live_version_the_remedy_is_named(tmp_path):
    """Asking for what never went live says how to get it."""
    with pytest.raises(NotFoundError, match="forecast train win_probability"):
        get_live_version(tmp_path, NAME)
    with pytest.raises(NotFoundError, match="no model version"):
        read_version(tmp_path)


def test_a_version_of_another_format_is_refused(tmp_path):
    """A bundle that this program does not know is not guessed at."""
    folder = write_version(tmp_path, prior("a"), "")
    bundle = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(bundle | {"format": 99}))
    with pytest.raises(ConflictError, match="another version of forecast"):
        read_version(folder)


def test_rolling_back_goes_through_what_was_live(tmp_path):
    """Each roll back serves the one before, until there is none."""
    for version in "abc":
        write_version(tmp_path, prior(version), "")
        make_live(tmp_path, NAME, version, since=SINCE, why=f"passed {version}")
    assert find_live(tmp_path, NAME)["why"] == "passed c"
    assert [before["version"] for before in find_live(tmp_path, NAME)["before"]] == ["b", "a"]
    assert [roll_back(tmp_path, NAME, since=SINCE) for _ in range(2)] == ["b", "a"]
    assert get_live_version(tmp_path, NAME).version == "a"
    with pytest.raises(ConflictError, match="no earlier"):
        roll_back(tmp_path, NAME, since=SINCE)
    make_live(tmp_path, NAME, "c", since=SINCE, why="again")
    assert roll_back(tmp_path, NAME, since=SINCE) == "a"


def test_making_the_live_version_live_changes_nothing(tmp_path):
    """It keeps its moment and its reason, and there is nothing to roll back to."""
    write_version(tmp_path, prior("a"), "")
    make_live(tmp_path, NAME, "a", since=SINCE, why="first")
    make_live(tmp_path, NAME, "a", since=datetime(2025, 1, 1, tzinfo=UTC), why="second")
    assert find_live(tmp_path, NAME) == {"version": "a", "since": SINCE.isoformat(), "why": "first", "before": []}


def test_a_reader_never_meets_half_a_change(tmp_path):
    """While versions go live over and over, every reading gives a whole one."""
    for version in "ab":
        write_version(tmp_path, prior(version), "")
    make_live(tmp_path, NAME, "a", since=SINCE, why="first")
    done, seen, failures = threading.Event(), set(), []

    def read():
        while not done.is_set():
            try:
                seen.add(get_live_version(tmp_path, NAME).version)
            except Exception as error:  # noqa: BLE001 - whatever a reader meets is the finding
                failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(60):
        make_live(tmp_path, NAME, "ba"[turn % 2], since=SINCE, why="turn")
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert seen == {"a", "b"}
    assert sorted(path.name for path in (tmp_path / NAME).iterdir()) == ["live.json", "versions"]


_WITHOUT_THE_LABORATORY = """
import sys
class Closed:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"mlflow", "optuna", "training"}:
            raise ImportError(name + " is closed")
sys.meta_path.insert(0, Closed())
from pathlib import Path
import polars as pl
from forecast.registry import read_version
version = read_version(Path(sys.argv[1]))
print(version.estimator.predict(pl.read_parquet(sys.argv[2])).tolist())
"""


def test_a_version_is_served_without_the_laboratory(tmp_path, fitted):
    """Reading and predicting need neither MLflow nor Optuna nor training."""
    folder = write_version(tmp_path, fitted, "")
    frame(seed=33, count=5).write_parquet(tmp_path / "rows.parquet")
    command = [sys.executable, "-c", _WITHOUT_THE_LABORATORY, str(folder), str(tmp_path / "rows.parquet")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == fitted.estimator.predict(pl.read_parquet(tmp_path / "rows.parquet")).tolist()


def test_versions_of_another_format_are_named_and_the_others_listed(fitted, tmp_path, monkeypatch):
    """One folder that can't be read does not hide the rest."""
    monkeypatch.setenv("FORECAST_HOME", str(tmp_path))
    folder = write_version(tmp_path / "models", replace(fitted, bundle={"until": SINCE.isoformat()}), card="# card")
    older = folder.with_name("20230101-1")
    older.mkdir()
    (older / "bundle.json").write_text('{"name": "win_probability", "until": "2023-01-01T00:00:00+00:00"}')
    done = CliRunner().invoke(app, ["models"])
    assert (done.exit_code, done.exception) == (0, None)
    assert "old format" in done.output
    assert "forecast train win_probability" in done.output
    assert {"20240229-1", "20230101-1"} <= set(done.output.split())


def test_that_nothing_was_trained_is_said(tmp_path, monkeypatch):
    """A list without an entry says so, and what makes one."""
    monkeypatch.setenv("FORECAST_HOME", str(tmp_path))
    assert "no version was trained yet; `forecast train`" in CliRunner().invoke(app, ["models"]).output
