"""Is the data fit to learn from and to report on: everything that is checked, in order."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.history import read_sample
from forecast.insight.checks import (
    count_staged,
    dangling_references,
    duplicate_ids,
    find_broken,
    find_unstaged,
    impossible_values,
    read_coverage,
    stale_records,
)
from forecast.insight.conformance import find_breaches, process_findings
from forecast.insight.findings import Finding, Health
from forecast.insight.readiness import read_readiness, shortages
from forecast.insight.suspicions import fields_changed_at_close, leaking_fields
from forecast.records import Opportunity

JUDGED_MAX = 20_000

_SEVEREST_FIRST = ("error", "warning", "note")


def check_health(session: Session, *, now: datetime, experiments: Mapping[str, Mapping[str, Any]]) -> Health:
    """Check the stored records.

    Args:
        session: an open transaction.
        now: what is later is in the future.
        experiments: what config.toml holds, by model; it says how much training needs.
    """
    session.execute(sa.text("SET LOCAL work_mem = '256MB'"))  # ids of other kinds are looked up in memory
    coverage = read_coverage(session)
    readiness = read_readiness(session, now, experiments)
    closed, staged = count_staged(session, now)
    found = [
        *find_broken(session, [*impossible_values(now), *stale_records(now)]),
        *find_unstaged(session, now, closed=closed, staged=staged),
        *process_findings(find_breaches(session, now), open_count=_open_count(session)),
        *dangling_references(session, coverage),
        *duplicate_ids(session),
        *_suspicious_fields(session),
        *shortages(readiness, frozenset(row.kind for row in coverage)),
    ]
    return Health(
        checked_at=now,
        findings=tuple(sorted(found, key=_rank)),
        coverage=coverage,
        readiness=readiness,
        staged_share=staged / closed if closed else None,
    )


def _open_count(session: Session) -> int:
    still_open = (Opportunity.status == "open", Opportunity.deleted_at.is_(None))
    return session.scalar(sa.select(sa.func.count()).where(*still_open)) or 0


def _rank(finding: Finding) -> tuple[int, str]:
    return _SEVEREST_FIRST.index(finding.severity), finding.code


def _suspicious_fields(session: Session) -> Iterator[Finding]:
    history = read_sample(session, JUDGED_MAX)
    yield from leaking_fields(history)
    yield from fields_changed_at_close(history)
