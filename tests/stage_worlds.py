"""Pipelines of random companies that change in the middle: their records, and the stages of any moment by a plain loop."""

from known_values import known
from worlds import INSTANT, START, STEP

from forecast.stages import STAGE_TYPES

IN_FORCE = ("position", "kind", "usual_days", "quiet_days_max")


def pipeline_of(stage):
    """Give the pipeline of a stage."""
    return stage.get("pipeline_id", "default")


def is_first(world, stage):
    """Tell whether a stage is of the first version of its pipeline, which holds from the beginning."""
    begun = [other.get("created_at") for other in world.stages if pipeline_of(other) == pipeline_of(stage)]
    return stage.get("created_at") is None or (None not in begun and stage["created_at"] == min(begun))


def place_then(world, *, pipeline_id, name, as_of):
    """Give the position of a stage in its pipeline strictly before a moment; of an unknown pipeline, that of its name in another."""
    own = any(pipeline_of(stage) == pipeline_id for stage in world.stages)
    places = [
        (known(world, "stage", stage, "position", as_of), pipeline_of(stage))
        for stage in world.stages
        if stage["name"] == name
        and (not own or pipeline_of(stage) == pipeline_id)
        and (is_first(world, stage) or (as_of is not None and stage["created_at"] < as_of))
    ]
    return float(min(places)[0]) if places else None


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
