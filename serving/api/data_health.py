"""GET /v1/data-health: is the data fit to learn from and to report on."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

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


class NeedOut(Schema):
    """How much there is of what training needs.

    won, lost; customers with earlier orders, buyers among them with newer ones; months with revenue.
    """

    what: Literal["won", "lost", "customers", "buyers", "months"]
    found: int
    needed: int


class ReadinessOut(Schema):
    """What a model needs to be trained, and the kind of record it learns from."""

    model: str
    kind: str
    needs: list[NeedOut]
    enough: bool


class DataHealthAnswer(Schema):
    """Errors first, then warnings, then notes."""

    checked_at: datetime
    findings: list[FindingOut]
    coverage: list[CoverageOut]
    readiness: Annotated[list[ReadinessOut], Field(description="Of each model, whether it is live or not.")]
    staged_share: Annotated[Share | None, Field(description="Closed opportunities whose stage history is known.")]


@router.get("/v1/data-health", summary="Check the stored records")
def read_data_health(session: SessionDep, desk: DeskDep, language: LanguageDep) -> DataHealthAnswer:
    """Check all stored records, now: impossible values, references, stale deals, duplicates, history, leaks.

    All records are read, which takes a while where there are many: ask for it after an import, not on every page.
    """
    experiments = live_experiments([live.version for live in desk.live.list()])
    return _answer(check_health(session, now=desk.clock(), experiments=experiments), language)


def live_experiments(versions: list[Version]) -> Mapping[str, Mapping[str, Any]]:
    """Give what the experiments say that these versions were made of, by model."""
    return {version.name: tomllib.loads(version.bundle["config"]) for version in versions if "config" in version.bundle}


def _answer(health: Health, language: Language) -> DataHealthAnswer:
    return DataHealthAnswer(
        checked_at=health.checked_at,
        findings=[_finding(finding, language) for finding in health.findings],
        coverage=[
            CoverageOut(kind=row.kind, field=row.field, filled=row.filled, total=row.total, share=row.share)
            for row in health.coverage
        ],
        readiness=[
            ReadinessOut(
                model=row.model,
                kind=row.kind,
                needs=[NeedOut.model_validate(asdict(need)) for need in row.needs],
                enough=row.enough,
            )
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
