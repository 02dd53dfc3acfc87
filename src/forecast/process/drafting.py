"""A first draft of a pipeline, from the stages that opportunities are at."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.process.definition import (
    PipelineDefinition,
    StageDefinition,
    StageKind,
    StageUse,
    default_pipeline,
)
from forecast.process.stored import get_pipeline, is_stored
from forecast.records import Change, Opportunity

_END_SHARE_MIN = 0.95


def unknown_stages(session: Session, pipeline: PipelineDefinition) -> Sequence[StageUse]:
    """List the stages that opportunities of a pipeline are at and that it doesn't have, the most used first."""
    known = [stage.name for stage in pipeline.stages]
    count, still_open = sa.func.count(), sa.func.count().filter(Opportunity.status == "open")
    used = (
        sa.select(Opportunity.stage, count, still_open)
        .where(
            Opportunity.pipeline_id == pipeline.id,
            Opportunity.deleted_at.is_(None),
            Opportunity.stage.is_not(None),
            Opportunity.stage.not_in(known),
        )
        .group_by(Opportunity.stage)
        .order_by(count.desc(), Opportunity.stage)
    )
    return [
        StageUse(pipeline_id=pipeline.id, stage=str(stage), count=total, open_count=open_count)
        for stage, total, open_count in session.execute(used)
    ]


def draft_pipeline(session: Session, pipeline_id: str) -> PipelineDefinition:
    """Give a pipeline to edit: as stored, or the default one, with the stages in use that it lacks.

    A company that has stored none and uses no stage of the default one gets its own stages only. They stand in the order in
    which deals enter them; one at which nearly all deals are won or lost ends a deal.

    Raises:
        NotFoundError: no opportunity or stage is of this pipeline.
    """
    pipeline = get_pipeline(session, pipeline_id)
    unknown = unknown_stages(session, pipeline)
    found = _ordered(session, pipeline_id, unknown)
    own = () if _is_foreign(session, pipeline) and found else pipeline.stages
    stages = sorted((*own, *found), key=lambda stage: stage.kind != "open")
    return PipelineDefinition(id=pipeline_id, name=pipeline.name, stages=(*stages, *_missing_ends(stages)))


def _is_foreign(session: Session, pipeline: PipelineDefinition) -> bool:
    """Tell whether no opportunity is at a stage of the shipped pipeline, and none is stored."""
    if is_stored(session, pipeline.id):
        return False
    names = [stage.name for stage in pipeline.stages if stage.kind == "open"]
    return not session.scalar(sa.select(sa.exists().where(Opportunity.stage.in_(names))))


def _ordered(session: Session, pipeline_id: str, used: Sequence[StageUse]) -> list[StageDefinition]:
    kinds = _kinds(session, pipeline_id)
    places = _usual_places(session, pipeline_id)
    known = sorted(used, key=lambda use: (places.get(use.stage, 0.0), use.stage))
    return [StageDefinition(name=use.stage, kind=kinds.get(use.stage, "open")) for use in known]


def _kinds(session: Session, pipeline_id: str) -> dict[str, StageKind]:
    won, lost = (sa.func.count().filter(Opportunity.status == status) for status in ("won", "lost"))
    counted = (
        sa.select(Opportunity.stage, won, lost, sa.func.count())
        .where(Opportunity.pipeline_id == pipeline_id, Opportunity.stage.is_not(None))
        .group_by(Opportunity.stage)
    )
    found: dict[str, StageKind] = {}
    for stage, wins, losses, total in session.execute(counted):
        if wins >= _END_SHARE_MIN * total:
            found[str(stage)] = "won"
        elif losses >= _END_SHARE_MIN * total:
            found[str(stage)] = "lost"
    return found


def _usual_places(session: Session, pipeline_id: str) -> dict[str, float]:
    """Give the mean place of each stage among those that a deal entered."""
    place = sa.func.row_number().over(partition_by=Change.record_id, order_by=(Change.changed_at, Change.id))
    entered = (
        sa.select(Change.new_value.label("stage"), place.label("place"))
        .join(Opportunity, Opportunity.id == Change.record_id)
        .where(Change.kind == "opportunity", Change.field == "stage", Opportunity.pipeline_id == pipeline_id)
        .subquery()
    )
    means = sa.select(entered.c.stage, sa.cast(sa.func.avg(entered.c.place), sa.Float)).group_by(entered.c.stage)
    return {str(stage): mean for stage, mean in session.execute(means)}


def _missing_ends(stages: Sequence[StageDefinition]) -> list[StageDefinition]:
    kinds = {stage.kind for stage in stages}
    return [stage for stage in default_pipeline().stages if stage.kind != "open" and stage.kind not in kinds]
