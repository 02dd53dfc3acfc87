"""Data sets drawn by hand, histories of simulated companies, and experiments small enough for tests."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from databases import open_database
from scipy.special import expit
from worlds import MOMENT

from forecast.demo import write_export
from forecast.history import read_history
from forecast.intake import import_files
from forecast.store import unit_of_work
from training.config import read_experiment
from training.dataset import Dataset
from training.pipeline import Listener
from training.tune import Budget

MODELS = Path(__file__).parent.parent / "models"
EXPERIMENT = read_experiment(MODELS, "win_probability")
UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FILES = ("people", "accounts", "products", "stages", "opportunities", "stage_changes", "field_changes", "activities")
KEY_TYPES = {
    "opportunity_id": pl.String,
    "as_of": MOMENT,
    "won": pl.Int64,
    "known_at": MOMENT,
    "closed_at": MOMENT,
    "created_at": MOMENT,
}
SILENT = Listener(step=lambda _: None, trial=lambda *_: None)
BRIEF = Budget(trials=2, timeout_seconds=600)


def draw_dataset(seed=1, count=300, ages=(0, 30, 90)):
    """Draw opportunities of two years, each at several ages; wins follow `size`, the youngest are still open."""
    draw = np.random.default_rng(seed)
    keys, features = [], []
    for number in range(count):
        created = UNTIL - draw.uniform(1, 730) * DAY
        closed = created + draw.exponential(80) * DAY
        size = draw.normal()
        won = int(draw.random() < expit(1.5 * size - 0.5))
        end = (won, closed, closed) if closed < UNTIL else (None, None, None)
        for age in ages:
            as_of = created + age * DAY
            if as_of <= closed and as_of < UNTIL:
                keys.append((f"o{number:04d}", as_of, *end, created))
                features.append((float(age), size, draw.choice(["web", "call", "fair"])))
    drawn = pl.concat(
        [
            pl.DataFrame(keys, schema=KEY_TYPES, orient="row"),
            pl.DataFrame(features, schema=["age_days", "size", "source"], orient="row"),
        ],
        how="horizontal",
    ).sort("as_of", "opportunity_id")
    return Dataset(
        keys=drawn.select(list(KEY_TYPES)),
        features=drawn.select("opportunity_id", "as_of", "age_days", "size", "source"),
        until=UNTIL,
    )


def without_dates(dataset):
    """Give each opportunity's first row, with no moment at all."""
    first = dataset.features["age_days"] == 0
    moments = [name for name, kind in KEY_TYPES.items() if kind == MOMENT]
    nothing = {name: pl.lit(None, MOMENT) for name in moments}
    return Dataset(
        keys=dataset.keys.filter(first).with_columns(**nothing),
        features=dataset.features.filter(first).with_columns(pl.lit(None, MOMENT).alias("as_of"), age_days=None),
        until=dataset.until,
    )


def import_company(engine, company, folder):
    """Import a company's export."""
    write_export(company, folder)
    import_files(
        engine,
        [folder / f"{name}.csv" for name in FILES],
        imported_at=UNTIL,
        rejects_folder=folder / "rejects",
    )


def store_history(server, company, folder):
    """Import a company into a database of its own and read it back."""
    with open_database(server) as engine:
        import_company(engine, company, folder)
        with unit_of_work(engine) as session:
            return read_history(session, until=UNTIL)


def with_gates(experiment=EXPERIMENT, **bounds):
    """Give the same experiment with other bounds."""
    return replace(experiment, gates=replace(experiment.gates, **bounds))


LENIENT = with_gates(calibration_error_max=1.0, slope_min=0.01, slope_max=100.0, auc_max=1.0)
SHORT = replace(LENIENT, data=replace(LENIENT.data, folds=2))
STRICT = with_gates(SHORT, auc_max=0.5)
