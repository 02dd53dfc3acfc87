"""Read and write the grade policies in force: a version a decision, the newest of each pipeline counts."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from forecast.grades import GradePolicies, GradeThresholds
from forecast.population import OPPORTUNITIES, Population
from forecast.records import GradePolicy

DEFAULT_THRESHOLDS = GradeThresholds(probability_high=0.5, probability_medium=0.2)
LEAD_PIPELINE = "lead"

_COLUMNS = tuple(GradeThresholds.__dataclass_fields__)


def list_policies(session: Session) -> list[GradePolicy]:
    """List the policies in force, by pipeline."""
    newest = (
        select(GradePolicy)
        .ext(distinct_on(GradePolicy.pipeline_id))
        .order_by(GradePolicy.pipeline_id, GradePolicy.id.desc())
    )
    return list(session.scalars(newest))


def read_policies(session: Session, population: Population = OPPORTUNITIES) -> GradePolicies:
    """Read what grades the records of a population; DEFAULT_THRESHOLDS where nothing was decided."""
    of_leads = population.policy == LEAD_PIPELINE
    decided = {
        policy.pipeline_id: policy
        for policy in list_policies(session)
        if (policy.pipeline_id == LEAD_PIPELINE) == of_leads
    }
    thresholds = {pipeline: thresholds_of(policy) for pipeline, policy in decided.items()}
    default = thresholds.pop(population.policy, DEFAULT_THRESHOLDS)
    newest = max((policy.decided_at for policy in decided.values()), default=None)
    return GradePolicies(default=default, pipelines=thresholds, decided_at=newest)


def thresholds_of(policy: GradePolicy) -> GradeThresholds:
    """Give the thresholds of a policy."""
    return GradeThresholds(**{name: getattr(policy, name) for name in _COLUMNS})


def find_thresholds(session: Session, pipeline_id: str = "default") -> GradeThresholds | None:
    """Read the newest policy of a pipeline; None where none was decided."""
    return next((thresholds_of(policy) for policy in list_policies(session) if policy.pipeline_id == pipeline_id), None)


def decide_thresholds(
    session: Session, thresholds: GradeThresholds, decided_by: str, *, pipeline_id: str = "default"
) -> None:
    """Put thresholds in force for a pipeline; earlier ones are kept."""
    values = {name: getattr(thresholds, name) for name in _COLUMNS}
    session.add(GradePolicy(pipeline_id=pipeline_id, decided_by=decided_by, **values))
    session.flush()
