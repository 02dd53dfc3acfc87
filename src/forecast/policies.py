"""Read and write the grade policy in force."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from forecast.grades import GradeThresholds
from forecast.records import GradePolicy

DEFAULT_THRESHOLDS = GradeThresholds(probability_high=0.5, probability_medium=0.2)


def find_thresholds(session: Session, pipeline_id: str = "default") -> GradeThresholds | None:
    """Read the newest policy of a pipeline; None where none was decided."""
    newest = select(GradePolicy).where(GradePolicy.pipeline_id == pipeline_id).order_by(GradePolicy.id.desc()).limit(1)
    policy = session.scalar(newest)
    if policy is None:
        return None
    return GradeThresholds(
        probability_high=policy.probability_high,
        probability_medium=policy.probability_medium,
        expected_value_high=policy.expected_value_high,
        expected_value_medium=policy.expected_value_medium,
    )


def decide_thresholds(
    session: Session, thresholds: GradeThresholds, decided_by: str, *, pipeline_id: str = "default"
) -> None:
    """Put thresholds in force for a pipeline; earlier ones are kept."""
    session.add(
        GradePolicy(
            pipeline_id=pipeline_id,
            probability_high=thresholds.probability_high,
            probability_medium=thresholds.probability_medium,
            expected_value_high=thresholds.expected_value_high,
            expected_value_medium=thresholds.expected_value_medium,
            decided_by=decided_by,
        )
    )
