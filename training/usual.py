"""What is usual among won records: the medians that reasons compare with."""

from collections.abc import Sequence

import polars as pl

from forecast.estimators.win import occasions
from training.dataset import Dataset

STAGE_RECORDS_MIN = 20


def usual_values(dataset: Dataset, numbers: Sequence[str]) -> dict[str, float]:
    """Give the median of each of these features over the rows of won records."""
    return _medians(_won(dataset), numbers)


def usual_by_stage(dataset: Dataset, numbers: Sequence[str]) -> dict[str, dict[str, float]]:
    """Give the medians by the stage in which the record was, for stages that at least STAGE_RECORDS_MIN won ones were in."""
    return {
        str(stage): _medians(rows, numbers)
        for (stage,), rows in _won(dataset).drop_nulls("stage").sort("stage").group_by("stage", maintain_order=True)
        if rows["opportunity_id"].n_unique() >= STAGE_RECORDS_MIN
    }


def _won(dataset: Dataset) -> pl.DataFrame:
    """Give the rows of won records but those that look the moment a stage is entered: on any day it has lasted a while."""
    entered = occasions(dataset.features)["entry"]
    return dataset.features.filter((dataset.won == 1) & ~entered)


def _medians(rows: pl.DataFrame, numbers: Sequence[str]) -> dict[str, float]:
    medians = rows.select(pl.col(name).median() for name in numbers).row(0, named=True)
    return {name: float(value) for name, value in medians.items() if value is not None}
