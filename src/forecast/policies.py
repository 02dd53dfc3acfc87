"""Read and write the policies in force: a version a decision, the newest counts.

Grade policies have one for each pipeline, strategies one for each tier and potential.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import InstrumentedAttribute, Session

from forecast.accounts.tiers import POTENTIALS, TIERS
from forecast.accounts.wording import strategy
from forecast.errors import InputError
from forecast.population import OPPORTUNITIES, Population
from forecast.records import GradePolicy, StrategyPolicy
from forecast.scoring.grades import GradePolicies, GradeThresholds

DEFAULT_THRESHOLDS = GradeThresholds(probability_high=0.5, probability_medium=0.2)
LEAD_PIPELINE = "lead"

_COLUMNS = tuple(GradeThresholds.__dataclass_fields__)


Policy = TypeVar("Policy", GradePolicy, StrategyPolicy)


def _in_force(session: Session, table: type[Policy], *key: InstrumentedAttribute[str]) -> list[Policy]:
    """List the newest row of each key, by key."""
    newest = select(table).ext(distinct_on(*key)).order_by(*key, table.id.desc())
    return list(session.scalars(newest))


def list_policies(session: Session) -> list[GradePolicy]:
    """List the grade policies in force, by pipeline."""
    return _in_force(session, GradePolicy, GradePolicy.pipeline_id)


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


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """The follow-up of a tier and potential in both languages; `version` is missing where nobody decided it."""

    tier: str
    potential: str
    text_en: str
    text_zh: str
    version: int | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None

    def text(self, language: str) -> str:
        """Give the text in `en` or `zh`."""
        return self.text_zh if language == "zh" else self.text_en


Strategies = dict[tuple[str, str], Strategy]


def read_strategies(session: Session) -> Strategies:
    """Read the strategy in force of every tier and potential; that of the product where nothing was decided."""
    rows = _in_force(session, StrategyPolicy, StrategyPolicy.tier, StrategyPolicy.potential)
    decided = {(row.tier, row.potential): row for row in rows}
    return {
        (tier, potential): _strategy(tier, potential, decided.get((tier, potential)))
        for tier in TIERS
        for potential in POTENTIALS
    }


def _strategy(tier: str, potential: str, row: StrategyPolicy | None) -> Strategy:
    texts = {"en": row.text_en, "zh": row.text_zh} if row else {"en": None, "zh": None}
    said: dict[str, Any] = {
        f"text_{language}": text or strategy(tier, potential, language) for language, text in texts.items()
    }
    if row:
        said |= {"version": row.id, "decided_at": row.decided_at, "decided_by": row.decided_by}
    return Strategy(tier=tier, potential=potential, **said)


def decide_strategy(
    session: Session,
    tier: str,
    potential: str,
    *,
    decided_by: str,
    text_en: str | None = None,
    text_zh: str | None = None,
) -> Strategy:
    """Put a follow-up in force; a language that is not given stays as it is, an empty text is the product's again.

    Raises:
        InputError: there is no such tier or potential.
    """
    if tier not in TIERS or potential not in POTENTIALS:
        raise InputError(
            f'there is no strategy of tier "{tier}" and potential "{potential}"; tiers are {", ".join(TIERS)}, '
            f"potentials {', '.join(POTENTIALS)}"
        )
    before = read_strategies(session)[tier, potential]
    given = {
        "text_en": before.text_en if text_en is None else text_en.strip(),
        "text_zh": before.text_zh if text_zh is None else text_zh.strip(),
    }
    session.add(StrategyPolicy(tier=tier, potential=potential, decided_by=decided_by, **given))
    session.flush()
    return read_strategies(session)[tier, potential]
