"""Quotas as stored, as targets of a unit for a period."""

from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.records import Person, Quota, Team
from forecast.revenue.cells import COMPANY, PERSON, TEAM
from forecast.revenue.planned import REVENUE_METRICS
from forecast.revenue_records import last_days


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a unit is to reach from one day to another, both inclusive.

    Attributes:
        quota_id: of the record; None of a proposal.
        level: company, team or person; a quota that names neither a person nor a team is the company's.
        unit_id: "" for the company.
        known: the unit is stored and, a person, active.
        is_end_assumed: the record names no last day, and `ends_on` follows from its neighbours.
    """

    quota_id: str | None
    level: str
    unit_id: str
    unit_name: str | None
    known: bool
    starts_on: date | None
    ends_on: date | None
    metric: str
    amount: float | None
    currency: str | None
    is_end_assumed: bool = False

    @property
    def counts_revenue(self) -> bool:
        """Tell whether it is reached by revenue, which is what is measured here."""
        return self.metric.strip().lower() in REVENUE_METRICS

    @property
    def place(self) -> tuple[int, str, str, str, str]:
        """Where it stands in a list: company first, then teams, then persons, by name and period."""
        level = (COMPANY, TEAM, PERSON).index(self.level)
        starts_on = self.starts_on.isoformat() if self.starts_on else ""
        return level, self.unit_name or "", self.unit_id, starts_on, self.quota_id or ""


def read_targets(session: Session, starts_on: date, ends_on: date) -> list[Target]:
    """Read the quotas whose period has a day from one day to another, both inclusive; those without dates besides.

    They come company first, then teams, then persons, by name and period.
    """
    last = last_days()
    statement = (
        sa.select(Quota, Person, Team, last.c.ends_on)
        .join(last, last.c.id == Quota.id)
        .outerjoin(Person, sa.and_(Person.id == Quota.person_id, Person.deleted_at.is_(None)))
        .outerjoin(Team, sa.and_(Team.id == Quota.team_id, Team.deleted_at.is_(None)))
        .where(
            Quota.deleted_at.is_(None),
            sa.func.coalesce(Quota.starts_on, starts_on) <= ends_on,
            sa.func.coalesce(last.c.ends_on, ends_on) >= starts_on,
        )
    )
    targets = [_target(*row) for row in session.execute(statement)]
    return sorted(targets, key=lambda target: target.place)


def _target(quota: Quota, person: Person | None, team: Team | None, ends_on: date | None) -> Target:
    level = PERSON if quota.person_id else TEAM if quota.team_id else COMPANY
    unit: Person | Team | None = {PERSON: person, TEAM: team}.get(level)
    return Target(
        quota_id=quota.id,
        level=level,
        unit_id=quota.person_id or quota.team_id or "",
        unit_name=unit.name if unit else None,
        known=level == COMPANY or (unit is not None and getattr(unit, "active", None) is not False),
        starts_on=quota.starts_on,
        ends_on=ends_on,
        metric=quota.metric,
        amount=None if quota.amount is None else float(quota.amount),
        currency=quota.currency,
        is_end_assumed=quota.ends_on is None and ends_on is not None,
    )
