"""Is the data fit to learn from and to report on: everything that is checked, in order."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from forecast.history import read_history
from forecast.insight.checks import (
    count_staged,
    dangling_references,
    duplicate_ids,
    find_broken,
    find_unstaged,
    impossible_values,
    read_coverage,
    read_readiness,
    stale_records,
)
from forecast.insight.findings import Coverage, Finding, Health, Readiness
from forecast.insight.suspicions import fields_changed_at_close, leaking_fields

_SEVEREST_FIRST = ("error", "warning", "note")


def check_health(session: Session, *, now: datetime, closed_min: Mapping[str, int]) -> Health:
    """Check the stored records.

    Args:
        session: an open transaction.
        now: what is later is in the future.
        closed_min: how many won and lost each training needs, by the kind it learns from (`opportunity`, `lead`);
            `data.closed_min` of an experiment under its `population`.
    """
    coverage = read_coverage(session)
    readiness = read_readiness(session, now, closed_min)
    closed, staged = count_staged(session, now)
    return Health(
        checked_at=now,
        findings=tuple(sorted(_findings(session, now, coverage, readiness), key=_rank)),
        coverage=coverage,
        readiness=readiness,
        staged_share=staged / closed if closed else None,
    )


def _rank(finding: Finding) -> tuple[int, str]:
    return _SEVEREST_FIRST.index(finding.severity), finding.code


def _findings(
    session: Session, now: datetime, coverage: Sequence[Coverage], readiness: Sequence[Readiness]
) -> Iterator[Finding]:
    yield from find_broken(session, [*impossible_values(now), *stale_records(now)])
    yield from find_unstaged(session, now)
    yield from dangling_references(session, coverage)
    yield from duplicate_ids(session)
    history = read_history(session)
    yield from leaking_fields(history)
    yield from fields_changed_at_close(history)
    yield from _shortages(readiness)


def _shortages(readiness: Sequence[Readiness]) -> Iterator[Finding]:
    for row in readiness:
        for name, count in (("won", row.won), ("lost", row.lost)):
            if count < row.needed:
                yield Finding(code="H701", kind=row.kind, field=name, count=count, total=row.needed)
