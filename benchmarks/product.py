"""Drive the product as its user does: by its command line, in a home of its own."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.preparation import Prepared, WalkFiles
from benchmarks.sets import WinSet

MAPPINGS = Path(__file__).parent / "mappings"
KINDS = {"stage_changes": "change", "activities": "activity"}


class CommandFailedError(Exception):
    """A command of the product ended with an error; carries the command and the end of what it said."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What the product answered.

    Attributes:
        probability: one a test row, in the order of the set.
        promoted: whether a version passed its gates and is live.
        basis: what most scores rest on: own, pooled or prior.
        seconds: time by step: import, train, score.
    """

    probability: pl.Series
    promoted: bool
    basis: str
    seconds: dict[str, float]


def score_win_set(win_set: WinSet, prepared: Prepared, home: Path, *, trials: int | None = None) -> Scored:
    """Import what was known, train, import what came later, and score the test rows.

    Args:
        win_set: the set.
        prepared: its files.
        home: of the product's state.
        trials: of the search; those of config.toml where none are given.

    Raises:
        CommandFailedError: a command ended with an error, or a test row has no score.
    """
    mapping = MAPPINGS / f"{win_set.name}.toml"
    moment = [] if win_set.split_at is None else ["--as-of", f"{win_set.split_at.isoformat()}Z"]
    pairs = [] if prepared.pairs is None else ["--at", str(prepared.pairs)]
    target = home / "scores.csv"
    seconds = {
        "import": _import(prepared.before, mapping, home),
        "train": run_forecast(home, "train", "win_probability", *moment, *_trials(trials)),
        "import later": _import(prepared.after, mapping, home),
        "score": run_forecast(home, "score", *pairs, "--out", str(target)),
    }
    scores = _of_test_rows(win_set, pl.read_csv(target, infer_schema=False))
    return Scored(
        probability=scores["probability"].cast(pl.Float64),
        promoted=is_promoted(home),
        basis=Counter(scores["basis"]).most_common(1)[0][0],
        seconds=seconds,
    )


def _trials(trials: int | None) -> list[str]:
    return [] if trials is None else ["--trials", str(trials)]


@dataclass(frozen=True, kw_only=True)
class Walked:
    """What training again and again would have served: probabilities of the test rows, in the order of the set."""

    probability: pl.Series
    windows: int
    promoted: int
    recalibrated: int
    seconds: float


def walk_forward(
    win_set: WinSet, files: WalkFiles, home: Path, *, every: str, recalibrate_every: str, trials: int
) -> Walked:
    """Replay training at the start of each window and recalibration within it, and score what came up.

    Raises:
        CommandFailedError: a command ended with an error, or a test row has no score.
    """
    _import([files.opportunities], MAPPINGS / f"{win_set.name}.toml", home)
    period = ["--from", files.start, "--to", files.end, "--every", every, "--at", str(files.pairs)]
    period += ["--recalibrate-every", recalibrate_every]
    out = home / "backtest"
    seconds = run_forecast(home, "backtest", "win_probability", *period, *_trials(trials), "--out", str(out))
    windows = pl.read_csv(out / "windows.csv")[:-1]
    scores = _of_test_rows(win_set, pl.read_csv(out / "scores.csv", infer_schema=False))
    return Walked(
        probability=scores["probability"].cast(pl.Float64),
        windows=windows.height,
        promoted=windows.filter(verdict="promoted: every gate passed").height,
        recalibrated=int(windows["recalibrated"].sum()),
        seconds=seconds,
    )


def run_forecast(home: Path, *arguments: str) -> float:
    """Run `forecast` with these arguments and its state under `home`; give the seconds it took.

    Raises:
        CommandFailedError: it ended with an error.
    """
    # A bench must never touch the database that a developer's own settings name.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FORECAST_")}
    environment["FORECAST_HOME"] = str(home)
    started = time.perf_counter()
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("forecast")), *arguments],
        cwd=MAPPINGS.parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        said = "\n".join((ended.stderr or ended.stdout).strip().splitlines()[-12:])
        raise CommandFailedError(f"forecast {' '.join(arguments)} ended with {ended.returncode}: {said}")
    return time.perf_counter() - started


def is_promoted(home: Path) -> bool:
    """Say whether a version that learnt from this company's own records is live under this home."""
    models = home / "models" / "win_probability"
    if not (models / "live.json").exists():
        return False
    live = json.loads((models / "live.json").read_text())["version"]
    return bool(json.loads((models / "versions" / live / "bundle.json").read_text())["basis"] == "own")


def _import(paths: list[Path], mapping: Path, home: Path) -> float:
    return sum(run_forecast(home, "import", str(path), *_how(path, mapping)) for path in paths)


def _how(path: Path, mapping: Path) -> list[str]:
    return ["--as", KINDS[path.stem]] if path.stem in KINDS else ["--mapping", str(mapping)]


def _of_test_rows(win_set: WinSet, scores: pl.DataFrame) -> pl.DataFrame:
    joined = win_set.test.select("id").join(
        scores, left_on="id", right_on="opportunity_id", how="left", maintain_order="left", validate="1:1"
    )
    missing = joined["probability"].null_count()
    if missing:
        raise CommandFailedError(f"{missing} of {joined.height} test rows of {win_set.name} have no score")
    return joined
