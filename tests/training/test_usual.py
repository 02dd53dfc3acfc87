from dataclasses import replace

import polars as pl
from learning import draw_dataset

from training.usual import STAGE_RECORDS_MIN, usual_by_stage, usual_values


def in_stage(dataset, *, entered):
    """Put all rows in one stage, those of `entered` at the moment of its entry, the others after eight days."""
    days = pl.when(entered).then(1e-11).otherwise(8.0)
    return replace(
        dataset,
        features=dataset.features.with_columns(stage=pl.lit("Offer"), stage_days=days, stage_change_count=pl.lit(1.0)),
    )


def test_what_is_usual_is_asked_on_any_day():
    """Rows that look the moment a stage is entered don't make less than a day usual in it."""
    dataset = in_stage(draw_dataset(count=200), entered=pl.int_range(pl.len()) % 3 > 0)
    won = dataset.features.filter(dataset.won == 1, stage_days=8.0)
    assert won["opportunity_id"].n_unique() >= STAGE_RECORDS_MIN
    assert usual_by_stage(dataset, ["stage_days"]) == {"Offer": {"stage_days": 8.0}}
    assert usual_values(dataset, ["stage_days"]) == {"stage_days": 8.0}


def test_a_stage_that_few_were_seen_in_has_nothing_usual():
    """Where won records were seen at the entry only, nothing is claimed of the stage."""
    dataset = in_stage(draw_dataset(count=200), entered=pl.lit(value=True))
    assert usual_by_stage(dataset, ["stage_days"]) == {}
    assert usual_values(dataset, ["stage_days"]) == {}
