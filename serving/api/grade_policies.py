"""GET and PUT /v1/grade-policies: how scores become grades."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from forecast.policies import decide_thresholds, list_policies
from forecast.records import GradePolicy
from forecast.scoring.grades import GradeThresholds
from serving.deps import SessionDep, require_key
from serving.schemas import Schema, Share

router = APIRouter()
Rating = Annotated[float, Field(ge=1, le=5)]


class Thresholds(Schema):
    """Bounds of the grade matrix, all inclusive; pairs that are null don't count."""

    probability_high: Share
    probability_medium: Share
    expected_value_high: float | None = None
    expected_value_medium: float | None = None
    rating_high: Annotated[Rating | None, Field(description="Mean of the ratings given, from which they lift.")] = None
    rating_low: Annotated[Rating | None, Field(description="Up to which they lower.")] = None


class PolicyOut(Thresholds):
    """The policy in force of one pipeline; `version` grows with every decision."""

    pipeline_id: str
    version: int
    decided_at: datetime
    decided_by: str | None


class PoliciesAnswer(Schema):
    """Policies in force, by pipeline; a pipeline without one follows `default`, leads follow `lead`."""

    policies: list[PolicyOut]


@router.get("/v1/grade-policies", summary="List the grade policies in force")
def read_grade_policies(session: SessionDep) -> PoliciesAnswer:
    """List the newest policy of each pipeline; without any, probabilities from 0.5 are high and from 0.2 medium."""
    return PoliciesAnswer(policies=[_policy(policy) for policy in list_policies(session)])


@router.put("/v1/grade-policies/{pipeline_id}", summary="Decide the grade policy of a pipeline")
def put_grade_policy(
    pipeline_id: Annotated[str, Path(description="Id of the pipeline; `lead` for leads.", examples=["default"])],
    thresholds: Thresholds,
    session: SessionDep,
    caller: Annotated[str, Depends(require_key)],
) -> PolicyOut:
    """Put thresholds in force from the next scoring on; earlier ones are kept, with who decided them."""
    decide_thresholds(session, GradeThresholds(**thresholds.model_dump()), caller, pipeline_id=pipeline_id)
    return next(_policy(policy) for policy in list_policies(session) if policy.pipeline_id == pipeline_id)


def _policy(policy: GradePolicy) -> PolicyOut:
    bounds = {name: getattr(policy, name) for name in Thresholds.model_fields}
    return PolicyOut(
        **bounds,
        pipeline_id=policy.pipeline_id,
        version=policy.id,
        decided_at=policy.decided_at,
        decided_by=policy.decided_by,
    )
