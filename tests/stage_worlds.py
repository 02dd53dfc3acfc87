"""Pipelines of random companies that change in the middle: their records, and the stages of any moment by a plain loop."""

import math
from datetime import timedelta

from known_values import changes_of, known
from worlds import INSTANT, START, STEP

from forecast.snapshot.stages import STAGE_TYPES

IN_FORCE = ("position", "kind", "usual_days", "quiet_days_max")


def pipeline_of(stage):
    """Give the pipeline of a stage."""
    return stage.get("pipeline_id", "default")


def is_first(world, stage):
    """Tell whether a stage is of the first version of its pipeline, which holds from the beginning."""
    begun = [other.get("created_at") for other in world.stages if pipeline_of(other) == pipeline_of(stage)]
    return stage.get("created_at") is None or (None not in begun and stage["created_at"] == min(begun))


def stage_then(world, *, pipeline_id, name, as_of):
    """Find a stage of a pipeline as it was strictly before a moment; of an unknown pipeline, that of its name in another."""
    own = any(pipeline_of(stage) == pipeline_id for stage in world.stages)
    found = [
        {name: known(world, "stage", stage, name, as_of) for name in IN_FORCE} | {"pipeline_id": pipeline_of(stage)}
        for stage in world.stages
        if stage["name"] == name
        and (not own or pipeline_of(stage) == pipeline_id)
        and (is_first(world, stage) or (as_of is not None and stage["created_at"] < as_of))
    ]
    return min(found, key=lambda stage: (stage["position"], stage["pipeline_id"]), default=dict.fromkeys(IN_FORCE))


def place_then(world, *, pipeline_id, name, as_of):
    """Give the position of a stage strictly before a moment."""
    position = stage_then(world, pipeline_id=pipeline_id, name=name, as_of=as_of)["position"]
    return None if position is None else float(position)


def stays(world, row):
    """List (stage, days) of a won opportunity: from each entry, or its creation, to the next change or the closing."""
    moves = changes_of(world, "opportunity", row["id"], "stage")
    entries = [(move["changed_at"], move["new_value"]) for move in moves]
    if moves and row["created_at"] and row["created_at"] <= moves[0]["changed_at"]:
        entries.insert(0, (row["created_at"], moves[0]["old_value"]))
    entries = [entry for entry in entries if entry[0] < row["closed_at"]]
    ends = [*entries, (row["closed_at"], None)][1:]
    return [(stage, (end - begun) / timedelta(days=1)) for (begun, stage), (end, _) in zip(entries, ends, strict=True)]


def usual_stay_days(world, *, pipeline_id, stage, as_of):
    """Give how long won opportunities had stayed in a stage: five at least, or as the pipeline says, which counts as ten."""
    won = [
        row
        for row in world.opportunities
        if row["status"] == "won" and row["closed_at"] and as_of and row["closed_at"] < as_of
    ]
    logs = [
        math.log1p(took)
        for row in won
        if row.get("pipeline_id") == pipeline_id
        for name, took in stays(world, row)
        if name == stage and stage is not None
    ]
    said = stage_then(world, pipeline_id=pipeline_id, name=stage, as_of=as_of)["usual_days"]
    if said is not None:
        return math.expm1((sum(logs) + 10 * math.log1p(said)) / (len(logs) + 10))
    return math.expm1(sum(logs) / len(logs)) if len(logs) >= 5 else None


def stage_rows(world):
    """List the stages of every version, as STAGE_TYPES."""
    later = [stage["created_at"] for stage in world.stages if not is_first(world, stage)]
    changed = [c["changed_at"] for c in world.changes if c["kind"] == "stage" and c["field"] in IN_FORCE]
    rows = []
    for moment in [None, *sorted({*later, *changed})]:
        as_of = moment and moment + INSTANT
        rows += [
            [
                moment,
                pipeline_of(stage),
                stage["name"],
                *(known(world, "stage", stage, name, as_of) for name in IN_FORCE),
            ]
            for stage in world.stages
            if is_first(world, stage) or (moment and stage["created_at"] <= moment)
        ]
    names = STAGE_TYPES.names()
    return sorted(
        rows,
        key=lambda row: [
            row[0] or START - 999 * STEP,
            *(row[names.index(n)] for n in ("position", "pipeline_id", "stage")),
        ],
    )
