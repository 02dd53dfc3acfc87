from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from learning import SILENT, draw_dataset

from training.judging import SEGMENT_RECORDS_MIN, large_segments
from training.pipeline import Stopwatch, own_pipelines


@pytest.fixture(scope="module")
def dataset():
    """Opportunities of a large pipeline and a small one."""
    drawn = draw_dataset(count=500)
    small = np.random.default_rng(1).random(drawn.groups.max() + 1)[drawn.groups] < 0.1
    pipelines = pl.Series(np.where(small, "services", "licences"))
    return replace(drawn, features=drawn.features.with_columns(pipeline_id=pipelines))


def test_a_stopwatch_tells_how_long_each_step_took():
    """Each step lasts until the next begins, the last until it is asked; whoever listens besides hears all."""
    heard, watch = [], Stopwatch(iter([1.0, 3.0, 7.0]).__next__)
    listener = watch.beside(replace(SILENT, step=heard.append))
    listener.step("searching")
    listener.step("judging")
    assert watch.seconds() == {"searching": 2.0, "judging": 4.0}
    assert heard == ["searching", "judging"]


def test_a_pipeline_counts_as_own_with_enough_won_and_lost(dataset):
    """Only the pipeline with enough closed opportunities of either outcome is named."""
    closed = dataset.features.with_columns(dataset.keys["won"]).unique("opportunity_id")
    rarest = (
        closed.drop_nulls("won").group_by("pipeline_id", "won").len().group_by("pipeline_id").agg(pl.col("len").min())
    )
    fewest = dict(rarest.iter_rows())
    assert fewest["services"] < 40 <= fewest["licences"]
    assert own_pipelines(dataset, 40) == ["licences"]
    assert own_pipelines(dataset, fewest["services"]) == ["licences", "services"]


def test_of_one_pipeline_there_is_nothing_to_pool(dataset):
    """Where all are of one pipeline, or none is named, none has to be told apart."""
    alone = replace(dataset, features=dataset.features.with_columns(pipeline_id=pl.lit("licences")))
    nameless = replace(dataset, features=dataset.features.with_columns(pipeline_id=pl.lit(None, pl.String)))
    assert own_pipelines(alone, 40) == own_pipelines(nameless, 40) == []


def test_large_segments_are_marked_by_row(dataset):
    """A segment needs enough records, not rows; the whole is no segment."""
    empty = {name: pl.lit(None, pl.String) for name in ("account_region", "team_id", "product_id")}
    rows = dataset.features.with_columns(**empty, source=pl.lit("web"))
    found = large_segments(rows)
    assert list(found) == ["pipeline_id licences"]
    assert rows.filter(found["pipeline_id licences"])["pipeline_id"].unique().to_list() == ["licences"]
    assert rows.filter(found["pipeline_id licences"])["opportunity_id"].n_unique() >= SEGMENT_RECORDS_MIN
