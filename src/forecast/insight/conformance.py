"""Which open opportunities don't keep to their pipeline: fields missing, too long quiet, at a stage that it doesn't have."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.insight.findings import EXAMPLES_MAX, Finding
from forecast.process import PipelineDefinition, is_stored, read_pipelines
from forecast.records import Activity, Change, Opportunity
from forecast.store import read_frame

BREACH_TYPES = pl.Schema(
    {
        "code": pl.String(),
        "opportunity_id": pl.String(),
        "owner_id": pl.String(),
        "pipeline_id": pl.String(),
        "stage": pl.String(),
        "field": pl.String(),
        "quiet_days": pl.Float64(),
        "quiet_days_max": pl.Int64(),
    }
)
QUIET_DAYS = 90

_WHO = ("opportunity_id", "owner_id", "pipeline_id", "stage")


def find_breaches(session: Session, now: datetime) -> pl.DataFrame:
    """List what open opportunities don't keep to, as BREACH_TYPES, sorted; one opportunity may have several rows.

    `code` is H301 where nothing happened for more than QUIET_DAYS, whatever the stage, H304 where nothing did for more days than the
    stage allows; H303 where a required `field` is empty; H305 where the pipeline doesn't have the stage. Opportunities of pipelines
    that nobody set are held against the shipped one only where they use its stages.
    """
    pipelines = read_pipelines(session)
    required = list(
        dict.fromkeys(field for one in pipelines for stage in one.stages for field in stage.required_fields)
    )
    deals = _open_deals(session, now, required)
    quiet = deals.filter(pl.col("quiet_days") > QUIET_DAYS)
    found = [BREACH_TYPES.to_frame(), _quiet(quiet, "H301", pl.lit(QUIET_DAYS)), _unknown(session, deals, pipelines)]
    for pipeline in pipelines:
        of_pipeline = deals.filter(pl.col("pipeline_id") == pipeline.id)
        found += [*_missing_fields(of_pipeline, pipeline), _too_quiet(of_pipeline, pipeline)]
    return pl.concat(found, how="diagonal").select(BREACH_TYPES.names()).sort("code", "field", "opportunity_id")


def _quiet(deals: pl.DataFrame, code: str, allowed: pl.Expr) -> pl.DataFrame:
    days = allowed.cast(pl.Int64).alias("quiet_days_max")
    return deals.select(*_WHO, "quiet_days", days, pl.lit(code).alias("code"))


def _open_deals(session: Session, now: datetime, required: Sequence[str]) -> pl.DataFrame:
    """Read who and where each open opportunity is, for how long nothing happened, and which required fields are filled."""
    deal = Opportunity
    changed = sa.select(sa.func.max(Change.changed_at)).where(
        Change.kind == "opportunity", Change.record_id == deal.id, Change.changed_at < now
    )
    acted = sa.select(sa.func.max(sa.func.greatest(Activity.occurred_at, Activity.created_at))).where(
        Activity.opportunity_id == deal.id, Activity.deleted_at.is_(None)
    )
    begun = sa.func.coalesce(deal.created_at, deal.stored_at)
    filled = [_filled(field).label(f"has_{field}") for field in required]
    statement = sa.select(
        deal.id.label("opportunity_id"),
        deal.owner_id,
        deal.pipeline_id,
        deal.stage,
        sa.func.greatest(begun, changed.scalar_subquery(), acted.scalar_subquery(), type_=deal.created_at.type).label(
            "alive_at"
        ),
        *filled,
    ).where(deal.status == "open", deal.deleted_at.is_(None))
    days = (pl.lit(now).cast(pl.Datetime("us", "UTC")) - pl.col("alive_at")).dt.total_seconds(fractional=True) / 86_400
    return read_frame(session, statement).with_columns(days.alias("quiet_days"))


def _filled(field: str) -> sa.ColumnElement[bool]:
    name = field.removeprefix("custom.")
    value = Opportunity.custom.op("->>")(name) if field.startswith("custom.") else getattr(Opportunity, field)
    return sa.func.coalesce(sa.cast(value, sa.Text), "") != ""


def _missing_fields(deals: pl.DataFrame, pipeline: PipelineDefinition) -> Iterator[pl.DataFrame]:
    for stage in pipeline.stages:
        for field in pipeline.required_by(stage.name):
            missing = deals.filter(pl.col("stage") == stage.name, ~pl.col(f"has_{field}"))
            yield missing.select(*_WHO, pl.lit("H303").alias("code"), pl.lit(field).alias("field"))


def _too_quiet(deals: pl.DataFrame, pipeline: PipelineDefinition) -> pl.DataFrame:
    allowed = {stage.name: stage.quiet_days_max for stage in pipeline.stages if stage.kind == "open"}
    most = pl.col("stage").replace_strict(allowed, default=None, return_dtype=pl.Int64)
    return _quiet(deals.filter(pl.col("quiet_days") > most), "H304", most)


def _unknown(session: Session, deals: pl.DataFrame, pipelines: Sequence[PipelineDefinition]) -> pl.DataFrame:
    stored = [pipeline for pipeline in pipelines if is_stored(session, pipeline.id)]
    known = pl.DataFrame(
        [(pipeline.id, stage.name) for pipeline in stored for stage in pipeline.stages],
        schema={"pipeline_id": pl.String, "stage": pl.String},
        orient="row",
    )
    placed = deals.filter(pl.col("stage").is_not_null(), pl.col("pipeline_id").is_in(known["pipeline_id"].implode()))
    lost = placed.join(known, on=["pipeline_id", "stage"], how="anti")
    return lost.select(*_WHO, pl.lit("H305").alias("code"), pl.lit("stage").alias("field"))


def process_findings(breaches: pl.DataFrame, *, open_count: int) -> Iterator[Finding]:
    """Sum breaches up as findings, one for each code and field."""
    for (code, field), rows in breaches.group_by("code", "field", maintain_order=True):
        ids = rows["opportunity_id"].unique(maintain_order=True)
        yield Finding(
            code=str(code),
            kind="opportunity",
            field=None if field is None else str(field),
            count=ids.len(),
            total=open_count,
            examples=tuple(ids.head(EXAMPLES_MAX)),
        )
