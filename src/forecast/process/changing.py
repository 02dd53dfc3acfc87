"""Set a pipeline, with its history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.process.definition import PipelineDefinition, StageDefinition
from forecast.process.stored import TRACKED, get_pipeline, join_fields
from forecast.records import AuditEvent, Change, Pipeline, Stage

_ORIGIN = "pipeline"


@dataclass(frozen=True, kw_only=True)
class PipelineChange:
    """A field of a stage that took a new value; `stage` is None where it is the pipeline's own, `field` is added or removed too."""

    changed_at: datetime
    stage: str | None
    field: str
    old: str | None
    new: str | None


def set_pipeline(session: Session, pipeline: PipelineDefinition, *, by: str, at: datetime) -> int:
    """Store a pipeline in the place of what stands under its id; give how many fields and stages changed.

    Stages that are not named are removed, and keep their history. The first stages of a pipeline count as known from the
    beginning; all that changes later is known from then on.
    """
    session.execute(sa.text('LOCK TABLE "stage" IN SHARE ROW EXCLUSIVE MODE'))
    stored = {stage.name: stage for stage in session.scalars(sa.select(Stage).where(Stage.pipeline_id == pipeline.id))}
    begun_at = at if stored else None
    writer = _Writer(session, at)
    writer.name(pipeline)
    for position, stage in enumerate(pipeline.stages, start=1):
        writer.put(pipeline.id, position, stage, stored=stored.get(stage.name), begun_at=begun_at)
    kept = {stage.name for stage in pipeline.stages}
    for name, record in stored.items():
        if name not in kept and record.deleted_at is None:
            writer.remove(record)
    if writer.count:
        details = {"changes": writer.count, "stages": [stage.name for stage in pipeline.stages]}
        session.add(AuditEvent(at=at, actor=by, action="set", kind="pipeline", record_id=pipeline.id, details=details))
    session.flush()
    return writer.count


class _Writer:
    """Writes stages with their changes, and counts them."""

    def __init__(self, session: Session, at: datetime) -> None:
        self.session = session
        self.at = at
        self.count = 0

    def name(self, pipeline: PipelineDefinition) -> None:
        stored = self.session.get(Pipeline, pipeline.id)
        if stored is None:
            self.session.add(Pipeline(id=pipeline.id, external_id=pipeline.id, name=pipeline.name))
            self.count += 1
        elif stored.name != pipeline.name:
            self.change("pipeline", stored, "name", pipeline.name)

    def put(
        self,
        pipeline_id: str,
        position: int,
        stage: StageDefinition,
        *,
        stored: Stage | None,
        begun_at: datetime | None,
    ) -> None:
        values = {name: getattr(stage, name) for name in TRACKED if name not in {"position", "required_fields"}}
        values |= {"position": position, "required_fields": join_fields(stage.required_fields)}
        if stored is None:
            key = f"{pipeline_id}:{stage.name}"
            self.session.add(
                Stage(id=key, external_id=key, pipeline_id=pipeline_id, name=stage.name, created_at=begun_at, **values)
            )
            self.count += 1
            return
        if stored.deleted_at is not None:
            self.change("stage", stored, "deleted_at", None)
        for name, value in values.items():
            if getattr(stored, name) != value:
                self.change("stage", stored, name, value)

    def remove(self, stage: Stage) -> None:
        self.change("stage", stage, "deleted_at", self.at)

    def change(self, kind: str, record: Stage | Pipeline, field: str, value: object) -> None:
        old, new = (None if one is None else _text(one) for one in (getattr(record, field), value))
        row = {"kind": kind, "record_id": record.id, "field": field, "changed_at": self.at}
        self.session.add(Change(**row, old_value=old, new_value=new, origin=_ORIGIN))
        setattr(record, field, value)
        record.version += 1
        record.stored_at = self.at
        self.count += 1


def _text(value: object) -> str:
    """Give a value as PostgreSQL prints it, which is how changes hold values."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}".rstrip("0").rstrip(".") + "+00"
    return str(value).removesuffix(".0")


def pipeline_history(session: Session, pipeline_id: str) -> Sequence[PipelineChange]:
    """List what changed of a pipeline and when, newest first.

    Raises:
        NotFoundError: there is no such pipeline.
    """
    get_pipeline(session, pipeline_id)
    stages = {stage.id: stage for stage in session.scalars(sa.select(Stage).where(Stage.pipeline_id == pipeline_id))}
    of_pipeline = sa.or_(
        sa.and_(Change.kind == "stage", Change.record_id.in_(stages)),
        sa.and_(Change.kind == "pipeline", Change.record_id == pipeline_id),
    )
    rows = session.scalars(sa.select(Change).where(of_pipeline)).all()
    changes = [
        *(_change(row, stages) for row in rows),
        *(_added(stage) for stage in stages.values() if stage.created_at),
    ]
    return sorted(changes, key=lambda change: (change.changed_at, change.stage or ""), reverse=True)


def _change(row: Change, stages: Mapping[str, Stage]) -> PipelineChange:
    stage = stages.get(row.record_id)
    name = stage.name if stage else None
    if row.field == "deleted_at":
        field = "removed" if row.new_value else "added"
        return PipelineChange(changed_at=row.changed_at, stage=name, field=field, old=None, new=None)
    return PipelineChange(changed_at=row.changed_at, stage=name, field=row.field, old=row.old_value, new=row.new_value)


def _added(stage: Stage) -> PipelineChange:
    if stage.created_at is None:
        raise TypeError(f"stage {stage.id} has no moment of creation")
    return PipelineChange(changed_at=stage.created_at, stage=stage.name, field="added", old=None, new=None)
