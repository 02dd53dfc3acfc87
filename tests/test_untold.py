"""Features that closing took away without a trace."""

from dataclasses import replace
from datetime import timedelta

import polars as pl
from world_history import OVERWRITTEN_ON_CLOSE, history_of
from worlds import START, make_world

from forecast.features import FeaturePlan, opportunity_features
from forecast.features.untold import NEXT_STEP, OVERWRITTEN, without_untold
from forecast.snapshot import take_snapshot

FEATURES = pl.DataFrame(
    {
        "stage": ["offer"] * 12 + [None] * 8,
        "amount": [1.0] * 12 + [None] * 8,
        "seller_probability": [None] + [0.5] * 19,
    }
)
ENDED = pl.Series([False] * 10 + [True] * 10)


def test_the_names_are_those_of_what_is_made_of_overwritten_columns():
    """Where the columns that closing overwrites are empty, the features named are missing or gone, and no others."""
    history = replace(history_of(make_world(5, size=60)), overwritten_on_close=frozenset())
    history = replace(history, changes=history.changes.clear())
    ids = history.opportunities["opportunity_id"]
    subjects = pl.DataFrame({"opportunity_id": ids, "as_of": [START + timedelta(days=3000)] * len(ids)})
    emptied = history.opportunities.with_columns(
        pl.lit(None, kind).alias(name)
        for name, kind in history.opportunities.schema.items()
        if name in OVERWRITTEN_ON_CLOSE
    )
    plan = FeaturePlan()
    before, after = (
        opportunity_features(take_snapshot(one, subjects), plan)
        for one in (history, replace(history, opportunities=emptied))
    )
    changed = {name for name in before.columns if not before[name].equals(after[name], null_equal=True)}
    assert changed == {*OVERWRITTEN, *(name for name in before.columns if name.startswith(NEXT_STEP))}


def test_what_ended_rows_lack_is_blank_in_all():
    """Of the columns that closing overwrites, one that most ended rows lack teaches nothing; others stay as they are."""
    found = without_untold(FEATURES, ENDED)
    assert found["stage"].null_count() == found.height
    assert found.drop("stage").equals(FEATURES.drop("stage"))
    assert found.schema == FEATURES.schema


def test_what_hardly_an_ended_row_has_is_blank_in_all():
    """At an earlier moment what closed since lacks it as well: the few that show it are those still open today."""
    few = FEATURES.with_columns(stage=pl.Series(["offer"] + [None] * 19))
    assert without_untold(few, ENDED)["stage"].null_count() == few.height


def test_without_open_or_ended_rows_nothing_is_blank():
    """Where all rows are open, or all have ended, nothing can tell them apart."""
    for same in (pl.Series([True] * 20), pl.Series([False] * 20)):
        assert without_untold(FEATURES, same).equals(FEATURES)
