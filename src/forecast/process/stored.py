"""Pipelines as stored, now or as they were known at a moment."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.errors import NotFoundError
from forecast.process.definition import DEFAULT_PIPELINE, PipelineDefinition, StageDefinition, default_pipeline
from forecast.records import Change, CustomField, Pipeline, Stage
from forecast.snapshot.changes import CHANGE_TYPES, as_known
from forecast.snapshot.stages import STAGE_TYPES
from forecast.store import read_frame

_MOMENT = pl.Datetime("us", "UTC")
_INSTANT = pl.duration(microseconds=1)
_IN_FORCE = ("position", "kind", "usual_days", "quiet_days_max")
TRACKED = ("position", "kind", "usual_days", "quiet_days_max", "required_fields", "playbook_en", "playbook_zh")


def read_stages(session: Session) -> pl.DataFrame:
    """Read all versions of the pipelines' stages, as `stages.STAGE_TYPES`, by the moment from which they are valid, and by position.

    The first stages of a pipeline count as known from the beginning. A stage that was removed keeps its last place: deals
    went through it.
    """
    rows = _stage_rows(session)
    begun = pl.col("created_at")
    since_ever = begun.is_null() | ((begun == begun.min()) & begun.is_not_null().all()).over("pipeline_id")
    rows = rows.with_columns(pl.when(~since_ever).then(begun).alias("created_at"))
    changes = _read_changes(session, "stage").filter(pl.col("field").is_in(_IN_FORCE))
    moments = pl.concat([pl.Series([None], dtype=_MOMENT), rows["created_at"], changes["changed_at"]]).unique().sort()
    asked = (
        rows.select("id", "created_at")
        .join(moments.alias("valid_from").to_frame(), how="cross")
        .filter(begun.is_null() | (begun <= pl.col("valid_from")))
        .select(
            pl.int_range(pl.len()).alias("row"), (pl.col("valid_from") + _INSTANT).alias("as_of"), "id", "valid_from"
        )
    )
    known = as_known(asked, rows, changes, "id").rename({"name": "stage"})
    return known.sort("valid_from", "position", "pipeline_id", "stage").select(
        pl.col(name).cast(kind) for name, kind in STAGE_TYPES.items()
    )


def read_pipelines(session: Session, as_of: datetime | None = None) -> tuple[PipelineDefinition, ...]:
    """Read the pipelines that have stages, by id, as known strictly before a moment; the default one where none has."""
    stages = (
        _known_stage_rows(session, as_of).filter(pl.col("deleted_at").is_null()).sort("pipeline_id", "position", "name")
    )
    names = _pipeline_names(session, as_of)
    found = [
        PipelineDefinition(
            id=str(pipeline_id),
            name=names.get(str(pipeline_id)),
            stages=tuple(_definition(row) for row in rows.iter_rows(named=True)),
        )
        for (pipeline_id,), rows in stages.group_by("pipeline_id", maintain_order=True)
    ]
    return tuple(found) or (default_pipeline(),)


def get_pipeline(session: Session, pipeline_id: str, as_of: datetime | None = None) -> PipelineDefinition:
    """Give a pipeline; the default one is there even where none is stored.

    Raises:
        NotFoundError: there is no such pipeline.
    """
    pipelines = {pipeline.id: pipeline for pipeline in read_pipelines(session, as_of)}
    if pipeline_id == DEFAULT_PIPELINE:
        pipelines.setdefault(DEFAULT_PIPELINE, default_pipeline())
    if pipeline_id not in pipelines:
        raise NotFoundError(f'there is no pipeline "{pipeline_id}"; there are: {", ".join(pipelines)}')
    return pipelines[pipeline_id]


def is_stored(session: Session, pipeline_id: str) -> bool:
    """Tell whether a pipeline has stages of its own."""
    known = sa.exists().where(Stage.pipeline_id == pipeline_id, Stage.deleted_at.is_(None))
    return bool(session.scalar(sa.select(known)))


def opportunity_custom_fields(session: Session) -> Sequence[str]:
    """List the custom fields of opportunities."""
    names = sa.select(CustomField.name).where(CustomField.kind == "opportunity").order_by(CustomField.name)
    return session.scalars(names).all()


def split_fields(text: str | None) -> tuple[str, ...]:
    """Read a stored list of required fields."""
    return tuple(name for part in (text or "").replace("，", ",").split(",") if (name := part.strip()))


def join_fields(names: Sequence[str]) -> str | None:
    """Write a list of required fields as it is stored."""
    return ", ".join(names) or None


def _definition(row: dict[str, object]) -> StageDefinition:
    columns = ("name", "kind", "usual_days", "quiet_days_max", "playbook_en", "playbook_zh")
    required = row["required_fields"]
    return StageDefinition(
        **{name: row[name] for name in columns},  # type: ignore[arg-type]  # checked by the class
        required_fields=split_fields(required if isinstance(required, str) else None),
    )


def _known_stage_rows(session: Session, as_of: datetime | None) -> pl.DataFrame:
    """Read all stages that were known, removed ones too; `deleted_at` is text, missing where the stage is there."""
    rows = _stage_rows(session)
    return rows if as_of is None else _as_known(session, "stage", rows, as_of)


def _stage_rows(session: Session) -> pl.DataFrame:
    columns = (Stage.id, Stage.pipeline_id, Stage.name, Stage.created_at, *(getattr(Stage, name) for name in TRACKED))
    removed = sa.cast(Stage.deleted_at, sa.Text).label("deleted_at")
    return read_frame(session, sa.select(*columns, removed)).sort("id")


def _pipeline_names(session: Session, as_of: datetime | None) -> dict[str, str | None]:
    rows = read_frame(session, sa.select(Pipeline.id, Pipeline.name, Pipeline.created_at)).sort("id")
    if as_of is not None:
        rows = _as_known(session, "pipeline", rows, as_of)
    return dict(rows.select("id", "name").iter_rows())


def _as_known(session: Session, kind: str, rows: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Put the rows back to what they were strictly before the moment; those created later are left out."""
    moment = pl.lit(as_of).cast(_MOMENT)
    existing = rows.filter(pl.col("created_at").is_null() | (pl.col("created_at") < moment))
    asked = existing.select(pl.int_range(pl.len()).alias("row"), moment.alias("as_of"), "id")
    return as_known(asked, existing, _read_changes(session, kind), "id").select(rows.columns)


def _read_changes(session: Session, kind: str) -> pl.DataFrame:
    statement = (
        sa.select(*(getattr(Change, name) for name in CHANGE_TYPES), Change.id)
        .where(Change.kind == kind)
        .order_by(Change.changed_at, Change.id)
    )
    return read_frame(session, statement).drop("id")
