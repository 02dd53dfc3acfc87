import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from feature_oracles import feature_oracle
from world_history import history_of, make_plan
from worlds import INSTANT, STEP, World, add_change, make_subjects, make_world, subjects_frame

from forecast.features import FeaturePlan, opportunity_features, plan_features
from forecast.snapshot import take_snapshot

SEEDS = range(25)
APRIL = datetime(2024, 4, 1, tzinfo=UTC)


def features_of(world, subjects, plan=None):
    """Compute the features of subjects in a world."""
    return opportunity_features(take_snapshot(history_of(world), subjects), plan or make_plan(world))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_feature_is_what_a_plain_loop_gives(seed):
    """Each column of each subject at a moment of its own equals the oracle; a feature without oracle fails."""
    world = make_world(seed)
    plan = make_plan(world)
    features = features_of(world, make_subjects(world, seed), plan)
    for row in features.iter_rows(named=True):
        oracle = feature_oracle(world, row.pop("opportunity_id"), row.pop("as_of"), plan)
        assert row.keys() == oracle.keys()
        expected = {k: pytest.approx(v, rel=1e-12, abs=1e-9) if isinstance(v, float) else v for k, v in oracle.items()}
        assert row == expected


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_frames_have_one_row_a_subject_in_their_order_and_plain_types(seed):
    """Categories are text, everything else float64, so that a model meets the same types at every scoring."""
    world = make_world(seed)
    subjects = make_subjects(world, seed)
    features = features_of(world, subjects)
    assert features.select("opportunity_id", "as_of").equals(subjects)
    assert set(features.drop("as_of").dtypes) == {pl.String, pl.Float64}


def test_no_subjects_give_the_same_columns():
    """Nothing to score is an empty frame of the usual shape."""
    world = make_world(1)
    some = features_of(world, make_subjects(world, 1))
    none = features_of(world, subjects_frame([]))
    assert none.is_empty()
    assert none.schema == some.schema


def test_a_plan_without_anything_gives_the_fixed_features():
    """A company without rates, activity types, stages and custom fields has features all the same."""
    world = make_world(1)
    subjects = make_subjects(world, 1)
    bare = features_of(world, subjects, FeaturePlan())
    full = features_of(world, subjects)
    assert bare.equals(full.select(bare.columns))


def test_a_company_without_any_rows_is_planned_and_computed():
    """Empty tables are not an error."""
    assert features_of(World(), subjects_frame([])).is_empty()


def test_a_custom_field_that_is_gone_is_missing_not_an_error():
    """A version trained with a custom field still scores where that field was dropped."""
    world = make_world(1)
    plan = FeaturePlan(custom={"custom_dropped": "number", "custom_grade": "category"})
    features = features_of(world, make_subjects(world, 1), plan)
    assert features.select("custom_dropped", "custom_grade").null_count().row(0) == (features.height,) * 2
    assert features.schema["custom_grade"] == pl.String


@pytest.mark.parametrize(
    ("as_of", "days"),
    [
        (APRIL, 91.0),
        (APRIL - timedelta(days=1), 1.0),
        (datetime(2024, 2, 29, tzinfo=UTC), 32.0),
        (datetime(2024, 12, 31, 12, tzinfo=UTC), 0.5),
        (datetime(2025, 1, 1, tzinfo=UTC), 90.0),
    ],
)
def test_days_to_the_end_of_the_quarter(as_of, days):
    """A quarter ends with the first instant of the next; leap days count."""
    found = features_of(one_opportunity(), subjects_frame([("o", as_of)]))
    assert found["quarter_end_days"].item() == pytest.approx(days, abs=1e-9)


def one_opportunity(**values):
    """Give a world of one opportunity."""
    row = {"id": "o", "created_at": datetime(2024, 1, 1, tzinfo=UTC), "status": "open", "custom": {}}
    world = World(opportunities=[row | {"closed_at": None, "won_amount": None} | values])
    world.stages = [
        {"id": name, "name": name, "position": position, "kind": "open"}
        for position, name in enumerate("abcd", start=1)
    ]
    return world


def test_steps_back_and_skips_count_the_first_move_too():
    """Each move is compared with the stage left, which the change names, or else the change before."""
    world = one_opportunity(stage="a")
    row = world.opportunities[0]
    for step, stage in enumerate("cbda"):
        add_change(world, "opportunity", row, "stage", APRIL + step * STEP, new=stage)
        row["stage"] = stage
    world.changes[-1]["old_value"] = None
    found = features_of(world, subjects_frame([("o", APRIL + 9 * STEP)]))
    expected = {"stage_change_count": 4.0, "stage_skip_count": 2.0, "stage_backward_count": 2.0}
    assert found.select(list(expected)).to_dicts() == [expected]


def test_windows_of_activities_include_their_first_instant():
    """Seven days ago to the microsecond is within seven days."""
    world = one_opportunity()
    week = timedelta(days=7)
    for name, moment in (("in", APRIL - week), ("out", APRIL - week - INSTANT), ("ahead", APRIL)):
        world.activities.append(
            {"id": name, "opportunity_id": "o", "created_at": APRIL - 2 * week, "occurred_at": moment, "type": "call"}
            | dict.fromkeys(("direction", "person_id", "duration_minutes"))
        )
    found = features_of(world, subjects_frame([("o", APRIL)]))
    expected = {
        "activity_count_7d": 1.0,
        "activity_count_30d": 2.0,
        "activity_call_count": 2.0,
        "active_person_count": 0.0,
        "planned_activity_count": 1.0,
        "next_activity_days": 0.0,
    }
    assert found.select(list(expected)).to_dicts() == [expected]


def test_a_plan_keeps_the_most_frequent_types_by_name():
    """Twelve types of activity are kept, six within windows, the most frequent, ties by name, in the order of names."""
    world = one_opportunity()
    for position in range(30):
        kind = f"kind {position % 14:02d}"
        world.activities.append(
            {"id": f"{position:02d}", "opportunity_id": "o", "created_at": None, "occurred_at": APRIL, "type": kind}
            | dict.fromkeys(("direction", "person_id", "duration_minutes"))
        )
    plan = plan_features(history_of(world), ())
    assert plan.activity_types == tuple(f"kind {kind:02d}" for kind in range(12))
    assert plan.recent_types == plan.activity_types[:6]


def test_a_plan_takes_words_of_next_steps_that_did_not_come_with_the_end():
    """Next steps of open opportunities and those ever set are read; what stands on closed ones since their end is not."""
    world = one_opportunity(next_step="send offer")
    world.opportunities += [
        world.opportunities[0] | {"id": f"o{n}", "status": status, "closed_at": APRIL, "next_step": step}
        for n, (status, step) in enumerate(
            (("won", "signed"), ("won", "signed"), ("open", "Offer again"), ("lost", ""))
        )
    ]
    for row in world.opportunities[:2]:
        add_change(world, "opportunity", row, "next_step", APRIL - STEP, new="回访客户")
    assert plan_features(history_of(world), ()).words == {"next_step": ("offer", "回访")}


def test_words_that_always_come_together_are_one_feature():
    """Of pairs of signs and words that the same texts have, the first is kept: pairs across words say nothing of their own."""
    world = one_opportunity(next_step="等待客户审批")
    for number, step in enumerate(("等待客户审批", "Send offer, 客户", "send offer")):
        world.opportunities.append(world.opportunities[0] | {"id": f"o{number}", "next_step": step})
    assert plan_features(history_of(world), ()).words == {"next_step": ("send", "客户", "等待")}


def test_windows_count_by_type_and_direction():
    """A call or an inbound activity counts within each window that its moment lies in, to the microsecond."""
    world = one_opportunity()
    for name, days, direction in (("a", 7, "Inbound"), ("b", 30, "呼出"), ("c", 90, "inbound"), ("d", 91, "outbound")):
        world.activities.append(
            {
                "id": name,
                "opportunity_id": "o",
                "created_at": None,
                "occurred_at": APRIL - timedelta(days),
                "type": "call",
            }
            | {"direction": direction, "person_id": None, "duration_minutes": None}
        )
    plan = plan_features(history_of(world), ())
    for as_of, inbound, outbound, calls in (
        (APRIL, (1, 1, 2, 2), (0, 1, 1, 2), (1, 2, 3, 4)),
        (APRIL + INSTANT, (0, 1, 1, 2), (0, 0, 1, 2), (0, 1, 2, 4)),
    ):
        found = features_of(world, subjects_frame([("o", as_of)]), plan).row(0, named=True)
        for name, counts in (("inbound_activity", inbound), ("outbound_activity", outbound), ("activity_call", calls)):
            ends = ("_7d", "_30d", "_90d", "")
            assert tuple(found[f"{name}_count{end}"] for end in ends) == counts


def test_a_plan_leaves_out_stages_that_are_the_end():
    """A stage that is declared an end, or is only ever entered at the closing, tells the outcome."""
    world = one_opportunity(stage="a", status="won", closed_at=APRIL)
    world.stages.append({"id": "won", "name": "won", "position": 9, "kind": "won"})
    row = world.opportunities[0]
    for moment, stage in ((APRIL - STEP, "b"), (APRIL - STEP, "won"), (APRIL, "c"), (APRIL + STEP, "d")):
        add_change(world, "opportunity", row, "stage", moment, new=stage)
    assert plan_features(history_of(world), ()).stages == ("b",)


def test_a_plan_rates_columns_whose_values_come_again():
    """A price that many pay is a key; an amount of each its own, a few segments, and what closing overwrites are none."""
    world = one_opportunity()
    world.opportunities = [
        world.opportunities[0]
        | {
            "id": f"o{n}",
            "amount": 10.0 * (n % 30),
            "need_fit": n % 3,
            "competition": n,
            "seller_probability": float(n % 30),
        }
        for n in range(120)
    ]
    assert plan_features(history_of(world), ("owner_id",)).rates == ("owner_id", "amount")
    world.opportunities = world.opportunities[:45]
    assert plan_features(history_of(world), ()).rates == ()


def test_a_plan_comes_back_from_json_as_it_was():
    """The plan kept with a version gives the same columns in the same order."""
    world = make_world(2)
    plan = make_plan(world)
    text = json.dumps(plan.to_json(), sort_keys=True)
    back = FeaturePlan.from_json(json.loads(text))
    assert back == plan
    assert list(back.custom) == list(plan.custom)


def documented_features():
    """List the patterns of docs/features.md; `<…>` stands for any text."""
    text = (Path(__file__).parent.parent / "docs" / "features.md").read_text(encoding="utf-8")
    names = re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)
    return {name: re.sub(r"<[^>]+>", ".+", name) for name in names}


def test_every_feature_is_documented():
    """Each column has its row in docs/features.md, the data-dependent ones by their pattern; none is there for nothing."""
    world = make_world(1)
    columns = features_of(world, make_subjects(world, 1)).columns[2:]
    patterns = documented_features().values()
    assert [name for name in columns if not any(re.fullmatch(pattern, name) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(re.fullmatch(pattern, name) for name in columns)] == []
