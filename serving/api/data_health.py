"""GET /v1/data-health: is the data fit to learn from and to report on."""

import tomllib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from forecast.insight.findings import Finding, Health, Severity, say_finding
from forecast.insight.health import check_health
from forecast.registry import Version
from forecast.wording import Language
from serving.deps import DeskDep, LanguageDep, SessionDep
from serving.schemas import Schema, Share

router = APIRouter()


class FindingOut(Schema):
    """One trouble of one kind of record; docs/health.md lists the codes."""

    code: str
    severity: Severity
    kind: str
    field: str | None
    count: int
    total: Annotated[int, Field(description="Records that were looked at.")]
    measure: Annotated[float | None, Field(description="An AUC or a share, where the code measures one.")]
    example_ids: list[str]
    title: str
    extent: str
    meaning: str
    remedy: str


class CoverageOut(Schema):
    """How many of a kind's records fill a field."""

    kind: str
    field: str
    filled: int
    total: int
    share: Share


class ReadinessOut(Schema):
    """What training needs and has of a kind: `needed` won and `needed` lost."""

    kind: str
    won: int
    lost: int
    needed: int
    enough: bool


class DataHealthAnswer(Schema):
    """Errors first, then warnings, then notes."""

    checked_at: datetime
    findings: list[FindingOut]
    coverage: list[CoverageOut]
    readiness: Annotated[list[ReadinessOut], Field(description="Of what the live versions learnt from.")]
    staged_share: Annotated[Share | None, Field(description="Closed opportunities whose stage history is known.")]


@router.get("/v1/data-health", summary="Check the stored records")
def read_data_health(session: SessionDep, desk: DeskDep, language: LanguageDep) -> DataHealthAnswer:
    """Check all stored records, now: impossible values, references, stale deals, duplicates, history, leaks.

    All records are read, which takes a while where there are many: ask for it after an import, not on every page.
    """
    closed_min = needed_outcomes([live.version for live in desk.live.list()])
    return _answer(check_health(session, now=desk.clock(), closed_min=closed_min), language)


def needed_outcomes(versions: list[Version]) -> Mapping[str, int]:
    """Give how many won and lost training needs, by kind, as the experiments say that these versions were made of."""
    experiments = [tomllib.loads(version.bundle["config"]) for version in versions if "config" in version.bundle]
    return {experiment["population"]: experiment["data"]["closed_min"] for experiment in experiments}


def _answer(health: Health, language: Language) -> DataHealthAnswer:
    return DataHealthAnswer(
        checked_at=health.checked_at,
        findings=[_finding(finding, language) for finding in health.findings],
        coverage=[
            CoverageOut(kind=row.kind, field=row.field, filled=row.filled, total=row.total, share=row.share)
            for row in health.coverage
        ],
        readiness=[
            ReadinessOut(kind=row.kind, won=row.won, lost=row.lost, needed=row.needed, enough=row.enough)
            for row in health.readiness
        ],
        staged_share=health.staged_share,
    )


def _finding(finding: Finding, language: Language) -> FindingOut:
    said = say_finding(finding, language)
    return FindingOut(
        code=finding.code,
        severity=finding.severity,
        kind=finding.kind,
        field=finding.field,
        count=finding.count,
        total=finding.total,
        measure=finding.measure,
        example_ids=list(finding.examples),
        title=said.title,
        extent=said.extent,
        meaning=said.meaning,
        remedy=said.remedy,
    )
