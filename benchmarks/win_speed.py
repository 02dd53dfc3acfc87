"""Measure the speed of learning, scoring and explaining, as ratios against what LightGBM does alone with the same rows.

Records are made up, a million in full; what is measured of them runs in a process of its own, `python -m benchmarks.win_speed`.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.product import is_promoted, run_forecast
from benchmarks.tasks import peak_mib
from forecast.estimators.boosting import Boosting
from forecast.estimators.win import WinModel
from forecast.metrics import Floats
from forecast.records import Table
from forecast.settings import Settings
from forecast.store import copy_frame, migrate, open_engine, unit_of_work

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLOSED = 6_000
TRIALS = 2
EXPLAINED = 20_000
MOMENTS_EACH = 5
FURTHER_NUMBERS = 28
"""Custom numbers with which a version learns from 60 features."""
STAGES = ("qualification", "proposal", "negotiation")
_DAY = 86_400_000_000


def reasons_speed(rows: int) -> list[dict[str, Any]]:
    """Explain rows by 200 trees of 31 leaves over 60 features; LightGBM's `pred_contrib` explains the same."""
    del rows  # the ratio does not depend on it, and LightGBM would take hours for a million
    random = np.random.default_rng(0)
    matrix, won = _matrix(random, 50_000)
    categories = list(range(50, 60))
    parameters = {"objective": "binary", "verbosity": -1, "num_leaves": 31, "learning_rate": 0.05}
    booster = lgb.train(parameters, lgb.Dataset(matrix, won, categorical_feature=categories), num_boost_round=200)
    asked, model = matrix[:EXPLAINED], Boosting.of(booster)
    ours, found = _timed(lambda: model.contributions(asked))
    theirs, expected = _timed(lambda: np.asarray(booster.predict(asked, pred_contrib=True)))
    if np.abs(found - expected).max() > 1e-4:
        raise RuntimeError(f"reasons differ by {np.abs(found - expected).max()} from LightGBM's; expected below 1e-4")
    task = f"contributions of {EXPLAINED:,} rows to 200 trees"
    return [{"task": task, "seconds": ours, "yardstick": "LightGBM's pred_contrib", "yardstick_seconds": theirs}]


def _matrix(random: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    """Draw 50 numbers, a tenth of them missing, and ten categories of 40 levels, with outcomes that depend on some."""
    matrix = random.normal(size=(rows, 60))
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    matrix[:, 50:] = random.integers(0, 40, (rows, 10))
    level = random.normal(size=40)[matrix[:, 50].astype(int)]
    signal = np.nan_to_num(matrix[:, :50]) @ random.normal(0, 0.25, 50) + level
    return matrix, (random.random(rows) < 1 / (1 + np.exp(-signal))).astype(float)


def scoring_speed(rows: int) -> list[dict[str, Any]]:
    """Score open opportunities from records to the score table, with reasons for a tenth of them."""
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as folder:
        home = Path(folder)
        _store(home, closed=CLOSED)
        run_forecast(home, "train", "win_probability", "--trials", str(TRIALS), "--as-of", NOW.isoformat())
        if not is_promoted(home):
            raise RuntimeError("no version was promoted, so that no trees would be measured")
        _store(home, opened=rows)
        whole = run_forecast(home, "score", "--as-of", NOW.isoformat(), "--reasons", "0.1")
        steps = _steps("score", home)
    own = steps.pop("lightgbm")
    return [
        {
            "task": f"`forecast score --reasons 0.1` of {rows:,} open opportunities ({_listed(steps)})",
            "seconds": whole,
            "yardstick": "LightGBM's predict of their matrix",
            "yardstick_seconds": own,
            "peak_mib": steps["peak_mib"],
        },
        {
            "task": f"probability of {rows:,} rows of features",
            "seconds": steps["probability"],
            "yardstick": "LightGBM's predict of their matrix",
            "yardstick_seconds": own,
        },
    ]


def training_speed(rows: int) -> list[dict[str, Any]]:
    """Train on about so many rows, opportunities at several moments; LightGBM fits the last model and the trials."""
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as folder:
        home = Path(folder)
        _store(home, closed=rows // MOMENTS_EACH, numbers=FURTHER_NUMBERS)
        steps = _steps("train", home)
    fits, peak, taught = (steps.pop(name) for name in ("lightgbm", "peak_mib", "rows"))
    features, whole = steps["features"], sum(steps.values())
    return [
        {
            "task": f"training on {taught:,.0f} rows, processor time ({_listed(steps)})",
            "seconds": whole,
            "yardstick": "LightGBM's fits of the trials and the last model",
            "yardstick_seconds": fits,
            "peak_mib": peak,
        },
        {
            "task": "of it, building features",
            "seconds": features,
            "yardstick": "the whole run",
            "yardstick_seconds": whole,
        },
    ]


WIN_SPEED: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "reasons": reasons_speed,
    "scoring": scoring_speed,
    "training": training_speed,
}


def _steps(task: str, home: Path) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.win_speed", task, str(home)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {ended.stderr[-2000:]}")
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _listed(steps: dict[str, float]) -> str:
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in steps.items() if name != "peak_mib")


def _timed(task: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    found = task()
    return time.perf_counter() - begun, found


def _store(home: Path, *, closed: int = 0, opened: int = 0, numbers: int = 0) -> None:
    """Add opportunities with so many further custom numbers to a database, with changes of their stages, and activities."""
    engine = open_engine(Settings(home=home))
    migrate(engine)
    random = np.random.default_rng(1)
    opportunities = _opportunities(random, closed, opened, numbers)
    with unit_of_work(engine) as session:
        if closed:
            copy_frame(session, Table.metadata.tables["stage"], _stages())
            copy_frame(session, Table.metadata.tables["custom_field"], _custom_fields(numbers))
        copy_frame(session, Table.metadata.tables["opportunity"], opportunities.drop("good"))
        copy_frame(session, Table.metadata.tables["change"], _changes(random, opportunities))
        copy_frame(session, Table.metadata.tables["activity"], _activities(random, opportunities))
    engine.dispose()


def _stages() -> pl.DataFrame:
    names = pl.Series("id", STAGES)
    return pl.DataFrame(names).with_columns(
        pl.col("id").alias("external_id"),
        pl.col("id").alias("name"),
        pl.int_range(1, pl.len() + 1).alias("position"),
        pl.lit("open").alias("kind"),
    )


def _custom_fields(numbers: int) -> pl.DataFrame:
    types = {"seats": "number", "rating": "number", "segment": "category"}
    types |= {f"number_{one}": "number" for one in range(numbers)}
    fields = pl.DataFrame(list(types.items()), schema=["name", "type"], orient="row")
    return fields.with_columns(pl.lit("opportunity").alias("kind"), pl.lit("fixed").alias("time"))


def _opportunities(random: np.random.Generator, closed: int, opened: int, numbers: int) -> pl.DataFrame:
    """Draw opportunities: closed ones of three years, open ones of the last half year; `good` tells how well one stands."""
    count = closed + opened
    is_open = np.arange(count) >= closed
    age = np.where(is_open, random.uniform(1, 180, count), random.uniform(200, 1_100, count))
    good = random.normal(size=count)
    seats, source = random.integers(1, 500, count), random.choice(["web", "fair", "partner", "referral"], count)
    suits = np.where((source == "web") == (seats < 120), 1.5, -1.0)
    further = random.normal(size=(count, numbers))
    told = np.where(further > 0, further, 0.0) @ random.normal(0, 0.3, numbers)
    won = random.random(count) < 1 / (1 + np.exp(1.0 - 1.5 * good - suits - told))
    took = np.where(is_open, np.nan, random.gamma(2, 40, count))
    names = {"owner": 60, "account": 20_000, "product": 40}
    return pl.DataFrame(
        {
            "id": ("C" if closed else "O") + pl.int_range(count, eager=True).cast(pl.String).str.zfill(8),
            "created_at": _before_now(age),
            "closed_at": _before_now(np.maximum(age - took, 0.5)),
            "status": np.where(is_open, "open", np.where(won, "won", "lost")),
            "amount": np.exp(9 + 0.5 * good + random.normal(size=count)).round(2),
            "currency": random.choice(["EUR", "USD"], count),
            "source": source,
            "type": random.choice(["new business", "renewal"], count),
            "expected_close_on": _before_now(age - random.uniform(30, 200, count)).dt.date(),
            "stage": random.choice(STAGES, count),
            **{f"{name}_id": _some(random, count, name, most) for name, most in names.items()},
            "good": good,
        }
    ).with_columns(pl.col("id").alias("external_id"), _custom(random, good, seats, further).alias("custom"))


def _custom(random: np.random.Generator, good: Floats, seats: NDArray[np.int64], further: Floats) -> pl.Series:
    frame = pl.DataFrame(
        {
            "seats": seats,
            "rating": np.clip(3 + good + random.normal(size=len(good)), 1, 5).round(1),
            "segment": random.choice(["small", "middle", "large"], len(good)),
            **{f"number_{one}": column for one, column in enumerate(further.T)},
        }
    )
    return frame.select(pl.struct(pl.all()).struct.json_encode()).to_series()


def _changes(random: np.random.Generator, opportunities: pl.DataFrame) -> pl.DataFrame:
    """Draw a change of stage for each opportunity, and another for half of them."""
    first = opportunities.with_columns(pl.lit(STAGES[0]).alias("old_value"), pl.lit(STAGES[1]).alias("new_value"))
    second = opportunities.with_columns(pl.lit(STAGES[1]).alias("old_value"), pl.lit(STAGES[2]).alias("new_value"))
    half = pl.Series(random.random(second.height) < 0.5)
    moves = pl.concat([first.with_columns(part=0.2), second.filter(half).with_columns(part=0.6)])
    return moves.select(
        pl.lit("opportunity").alias("kind"),
        pl.col("id").alias("record_id"),
        pl.lit("stage").alias("field"),
        _during(pl.col("part")).alias("changed_at"),
        "old_value",
        "new_value",
        pl.lit("bench").alias("origin"),
    )


def _activities(random: np.random.Generator, opportunities: pl.DataFrame) -> pl.DataFrame:
    """Draw two activities for each opportunity, more for those that stand well."""
    count = random.poisson(np.exp(0.4 + 0.4 * opportunities["good"].to_numpy()))
    each = opportunities[np.repeat(np.arange(opportunities.height), count)]
    place = pl.Series(random.random(each.height))
    kinds = pl.Series(random.choice(["call", "meeting", "email"], each.height))
    return each.with_columns(place.alias("place")).select(
        pl.format("{}-{}", "id", pl.int_range(pl.len())).alias("id"),
        pl.format("{}-{}", "id", pl.int_range(pl.len())).alias("external_id"),
        pl.col("id").alias("opportunity_id"),
        kinds.alias("type"),
        _during(pl.col("place")).alias("occurred_at"),
    )


def _during(part: pl.Expr) -> pl.Expr:
    """Give the moment at a part of an opportunity's life."""
    life = pl.coalesce("closed_at", pl.lit(NOW).cast(pl.Datetime("us", "UTC"))) - pl.col("created_at")
    return pl.col("created_at") + (life.dt.total_microseconds() * part).cast(pl.Int64).cast(pl.Duration("us"))


def _before_now(days: Floats) -> pl.Series:
    ago = pl.Series(days * _DAY).fill_nan(None).cast(pl.Int64).cast(pl.Duration("us"))
    return pl.select(pl.lit(NOW).cast(pl.Datetime("us", "UTC")) - ago).to_series()


def _some(random: np.random.Generator, count: int, word: str, most: int) -> pl.Series:
    drawn: NDArray[np.int64] = random.integers(0, most, count)
    return f"{word} " + pl.Series(drawn).cast(pl.String)


def _score_steps(home: Path) -> dict[str, float]:
    """Time the steps of scoring, and LightGBM's own prediction of the same matrix."""
    from sqlalchemy.orm import Session

    from forecast.features import opportunity_features
    from forecast.history import read_history
    from forecast.policies import read_policies
    from forecast.registry import get_live_version
    from forecast.scoring.scores import score_opportunities
    from forecast.snapshot import known_opportunities, take_snapshot

    settings = Settings(home=home)
    version = get_live_version(settings.models_folder, "win_probability")
    engine = open_engine(settings)
    with Session(engine) as session:
        read, history = _timed(lambda: read_history(session, until=NOW))
        policies = read_policies(session)
    engine.dispose()
    subjects = known_opportunities(history, NOW)
    cut, snapshot = _timed(lambda: take_snapshot(history, subjects))
    built, features = _timed(lambda: opportunity_features(snapshot, version.plan))
    probability, _ = _timed(lambda: version.estimator.predict(features))
    scored, _ = _timed(lambda: score_opportunities(history, version, subjects, policies=policies, reasons_share=0.1))
    own = _trees_alone(version.estimator, features)
    steps = {"reading": read, "snapshot": cut, "features": built, "probability": probability}
    return {**steps, "reasons and grades": scored - cut - built - probability, "lightgbm": own, "peak_mib": peak_mib()}


def _trees_alone(estimator: WinModel, features: pl.DataFrame) -> float:
    """Time LightGBM's prediction of each row by the trees that predict it."""
    matrix = estimator.encoding.matrix(features)
    asked = [(mix.boosting, matrix[rows]) for mix, rows in estimator.divided(features) if mix.boosting and rows.any()]
    return sum(_timed(lambda: [one.predict(rows) for one in trees.boosters])[0] for trees, rows in asked)  # noqa: B023


def _train_steps(home: Path) -> dict[str, float]:
    """Count the processor seconds of a run's steps, and of LightGBM's fits of the trials and of the last model within it.

    The clock would count what else the machine does, and more of it against the steps than against the fits.
    """
    from sqlalchemy.orm import Session

    from forecast.history import read_history
    from training.config import read_experiment
    from training.pipeline import Listener, Stopwatch, train_win_model
    from training.tune import Budget

    engine = open_engine(Settings(home=home))
    with Session(engine) as session:
        history = read_history(session, until=NOW)
    engine.dispose()
    experiment = read_experiment(Path("models"), "win_probability")
    watch, fits = Stopwatch(time.process_time), _listen_to_fits()
    run = train_win_model(
        history,
        experiment,
        until=NOW,
        version_id="bench",
        live=None,
        budget=Budget(trials=TRIALS, timeout_seconds=experiment.search.timeout_seconds),
        listener=watch.beside(Listener(step=lambda _: None, trial=lambda *_: None)),
    )
    spent = watch.seconds()
    began_last = time.process_time() - list(spent.values())[-1]
    counted = [(start, end) for start, end, of_a_trial in fits if of_a_trial or start > began_last]
    built = spent.pop("building snapshots")
    rows = float(run.dataset.keys.height)
    return {"features": built, **spent, "rows": rows, "lightgbm": _together(counted), "peak_mib": peak_mib()}


def _listen_to_fits() -> list[tuple[float, float, bool]]:
    """Have LightGBM's fits of two outcomes listed from now on: when each began and ended, and whether it stops early."""
    fits: list[tuple[float, float, bool]] = []
    train = lgb.train

    def timed(parameters: dict[str, Any], *data: Any, **rest: Any) -> lgb.Booster:
        begun = time.process_time()
        booster = train(parameters, *data, **rest)
        if parameters["objective"] == "binary":
            fits.append((begun, time.process_time(), "valid_sets" in rest))
        return booster

    lgb.train = timed  # type: ignore[assignment]
    return fits


def _together(spans: list[tuple[float, float]]) -> float:
    """Give how long at least one of these spans lasted."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


if __name__ == "__main__":
    print(json.dumps({"score": _score_steps, "train": _train_steps}[sys.argv[1]](Path(sys.argv[2]))))
