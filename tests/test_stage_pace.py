"""How long won opportunities had stayed in a stage, against which a row's own days are held."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from world_history import history_of
from worlds import START, World, add_change, subjects_frame

from forecast.estimators.encoding import fit_encoding
from forecast.estimators.mix import Mix
from forecast.estimators.win import WinModel
from forecast.features import FeaturePlan, opportunity_features
from forecast.registry import Version
from forecast.scoring.reasons import reason_columns
from forecast.snapshot import take_snapshot
from forecast.wording import reason_sentence

DAY = timedelta(days=1)
WON_AT, ASKED = START + 20 * DAY, START + 48 * DAY


def company(won, usual_days=None):
    """Make a company that won so many deals after four days in stage a and sixteen in b; one has been in a for eight."""
    world = World()
    stages = [{"id": name, "name": name, "position": place, "kind": "open"} for place, name in enumerate("ab", 1)]
    world.stages = [stage | {"pipeline_id": "default", "usual_days": usual_days} for stage in stages]
    for number in range(won + 1):
        row = {"id": f"o{number}", "created_at": START, "stage": "a", "pipeline_id": "default", "custom": {}}
        world.opportunities.append(row | {"status": "won", "closed_at": WON_AT, "won_amount": None})
        add_change(world, "opportunity", row, "stage", START + 4 * DAY, new="b")
        world.opportunities[-1]["stage"] = "b"
    world.opportunities[-1] |= {"status": "open", "closed_at": None, "created_at": ASKED - 8 * DAY, "stage": "a"}
    world.changes.pop()
    return world


def features_of(world, as_of=ASKED):
    """Give the features of the open deal."""
    subjects = subjects_frame([(world.opportunities[-1]["id"], as_of)])
    return opportunity_features(take_snapshot(history_of(world), subjects), FeaturePlan())


@pytest.mark.parametrize(
    ("won", "usual_days", "pace"),
    [(5, None, 8 / 4), (4, None, None), (0, 2.0, 8 / 2), (10, 4.0, 8 / 4), (0, None, None)],
)
def test_a_pace_is_against_won_deals_or_what_the_pipeline_says(won, usual_days, pace):
    """Five stays speak for themselves; of fewer, only a pipeline with usual days says what is usual."""
    assert features_of(company(won, usual_days))["stage_pace"].to_list() == [pace and pytest.approx(pace)]


def test_a_deal_that_is_won_later_says_nothing_yet():
    """How long a stay lasted is known once the deal has closed, not when the stage was left."""
    world = company(5)
    world.opportunities[-1]["created_at"] = START
    assert features_of(world, WON_AT)["stage_pace"].item() is None
    assert features_of(world, WON_AT + DAY)["stage_pace"].item() == pytest.approx(21 / 4)


def reason_against(features):
    """Give the only reason against, of a model that learnt from the pace alone."""
    several = pl.concat([features, features.with_columns(stage_pace=pl.lit(0.5))])
    encoding = fit_encoding(several.select("opportunity_id", "stage_pace"))
    model = WinModel(encoding=encoding, mix=Mix(boosting=None, logistic=None, boosting_share=0.0))
    version = Version(
        name="w", version="v", basis="own", estimator=model, plan=FeaturePlan(), usual={"stage_pace": 1.1}, bundle={}
    )
    (reason,) = pl.DataFrame(reason_columns(features, np.array([[-1.5, 0.2]]), version))["reasons_against"].item()
    return reason


def test_a_reason_says_both_durations():
    """A pace is told by the days in the stage and those that won deals took, in both languages."""
    reason = reason_against(features_of(company(5)))
    assert (reason["theme"], reason["value"], reason["usual_of"]) == ("stage", "8", "stay")
    assert reason["usual"] == pytest.approx(4)
    assert reason_sentence(reason, "en") == "In this stage for 8 days; won opportunities took 4 days"
    assert reason_sentence(reason, "zh") == "在当前阶段已停留 8 天；赢单商机通常用时 4 天"


def test_on_the_first_instant_a_reason_says_no_usual_days():
    """Who came to the stage just now has no pace from which the usual days could be told."""
    reason = reason_against(features_of(company(5), ASKED - 8 * DAY))
    assert (reason["value"], reason["usual"], reason["usual_of"]) == ("0", None, None)
    assert reason_sentence(reason, "en") == "In this stage for less than a day"
