"""/v1/pipelines: the sales process, read and set."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import Field
from starlette.exceptions import HTTPException

from forecast.process import (
    PipelineDefinition,
    get_pipeline,
    is_stored,
    make_pipeline,
    opportunity_custom_fields,
    read_pipelines,
    set_pipeline,
)
from serving.deps import DeskDep, SessionDep, require_key
from serving.posted import utc
from serving.schemas import Moment, Posted, Schema

router = APIRouter()

KeyName = Annotated[str, Depends(require_key)]


class StageIn(Posted):
    """A stage: how long deals usually stay, how quiet they may be, which fields it asks for, and what to do."""

    name: Annotated[str, Field(min_length=1, examples=["Quoted"])]
    kind: Literal["open", "won", "lost"]
    usual_days: Annotated[float | None, Field(gt=0, examples=[10])] = None
    quiet_days_max: Annotated[int | None, Field(gt=0, examples=[10])] = None
    required_fields: Annotated[list[str], Field(default_factory=list, examples=[["amount", "custom.budget"]])]
    playbook_en: str | None = None
    playbook_zh: str | None = None


class PipelineIn(Posted):
    """A pipeline in the order of its stages; at least one is open, one won, one lost."""

    name: str | None = None
    stages: list[StageIn]


class PipelineOut(Schema):
    """A pipeline; `etag` is sent back as If-Match to change it."""

    id: str
    name: str | None
    stored: Annotated[bool, Field(description="False of the one that Forecast ships, as long as none is set.")]
    etag: str
    stages: list[StageIn]


class PipelinesAnswer(Schema):
    """All pipelines, by id."""

    pipelines: list[PipelineOut]


@router.get("/v1/pipelines", summary="Read the pipelines")
def list_pipelines(
    session: SessionDep,
    desk: DeskDep,
    as_of: Annotated[Moment | None, Query(description="As known strictly before this moment; default now.")] = None,
) -> PipelinesAnswer:
    """Give every pipeline with its stages in order, now or as it was known at a moment."""
    found = read_pipelines(session, None if as_of is None else utc(as_of, desk.zone))
    return PipelinesAnswer(pipelines=[_out(one, stored=is_stored(session, one.id)) for one in found])


@router.put(
    "/v1/pipelines/{pipeline_id}",
    summary="Set a pipeline",
    responses={
        412: {"description": "It was changed since you read it."},
        428: {"description": "It is stored; send If-Match with the etag that you read."},
    },
)
def put_pipeline(
    pipeline_id: Annotated[str, Path(description="Id of the pipeline.", examples=["default"])],
    posted: PipelineIn,
    *,
    session: SessionDep,
    desk: DeskDep,
    key: KeyName,
    response: Response,
    if_match: Annotated[str | None, Header(description="`etag` of the pipeline that you read, or `*`.")] = None,
) -> PipelineOut:
    """Store a pipeline in the place of what stands under its id; stages that are not sent are removed.

    What it changes is known from now on: earlier moments keep the stages of their time.
    """
    values = {"id": pipeline_id, **posted.model_dump()}
    pipeline = make_pipeline(values, opportunity_custom_fields(session))
    if is_stored(session, pipeline_id):
        _check_seen(get_pipeline(session, pipeline_id), if_match)
    set_pipeline(session, pipeline, by=key, at=desk.clock())
    stored = get_pipeline(session, pipeline_id)
    response.headers["ETag"] = f'"{stored.digest}"'
    return _out(stored, stored=True)


def _check_seen(stored: PipelineDefinition, if_match: str | None) -> None:
    """Refuse to overwrite what the caller has not seen."""
    remedy = f'read it again, and send your change with If-Match: "{stored.digest}"'
    if if_match is None:
        raise HTTPException(HTTPStatus.PRECONDITION_REQUIRED, f'pipeline "{stored.id}" is stored; {remedy}')
    seen = {tag.strip().removeprefix("W/").strip('"') for tag in if_match.split(",")}
    if not seen & {"*", stored.digest}:
        raise HTTPException(HTTPStatus.PRECONDITION_FAILED, f'pipeline "{stored.id}" is another by now; {remedy}')


def _out(pipeline: PipelineDefinition, *, stored: bool) -> PipelineOut:
    stages = [
        StageIn(
            name=stage.name,
            kind=stage.kind,
            usual_days=stage.usual_days,
            quiet_days_max=stage.quiet_days_max,
            required_fields=list(stage.required_fields),
            playbook_en=stage.playbook_en,
            playbook_zh=stage.playbook_zh,
        )
        for stage in pipeline.stages
    ]
    return PipelineOut(id=pipeline.id, name=pipeline.name, stored=stored, etag=f'"{pipeline.digest}"', stages=stages)
