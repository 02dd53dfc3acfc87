"""What each model would need to be trained, and what is there of it."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.insight.findings import Finding, Need, Readiness
from forecast.records import Lead, Opportunity, Order

CLOSED_MIN = 40
LEAD_HORIZON_DAYS = 180.0
CUSTOMERS_MIN = 60
BUYERS_MIN = 20
HELD_OUT_SHARE = 0.35
TIER_HORIZON_DAYS = 365
REVENUE_MONTHS_MIN = 12


def read_readiness(
    session: Session, now: datetime, experiments: Mapping[str, Mapping[str, Any]]
) -> tuple[Readiness, ...]:
    """Count what is known before `now` of what each model learns from.

    Args:
        session: an open transaction.
        now: what is later is in the future.
        experiments: what config.toml holds, by model; what it leaves open is as in the constants above.
    """
    horizon_days = experiments.get("lead_conversion", {}).get("horizon_days", LEAD_HORIZON_DAYS)
    outcomes = {
        "win_probability": ("opportunity", _opportunity_outcomes(session, now)),
        "lead_conversion": ("lead", _lead_outcomes(session, now, horizon_days)),
    }
    needed = {model: experiments.get(model, {}).get("data", {}).get("closed_min", CLOSED_MIN) for model in outcomes}
    tiers = experiments.get("customer_tier", {})
    return (
        *(_classifier(model, kind, found, needed[model]) for model, (kind, found) in outcomes.items()),
        Readiness(model="customer_tier", kind="order", needs=_customer_needs(session, now, tiers)),
        Readiness(model="revenue_forecast", kind="order", needs=_revenue_needs(session, now)),
    )


def _classifier(model: str, kind: str, found: tuple[int, int], needed: int) -> Readiness:
    needs = tuple(Need(what=what, found=n, needed=needed) for what, n in zip(("won", "lost"), found, strict=True))
    return Readiness(model=model, kind=kind, needs=needs)


def _opportunity_outcomes(session: Session, now: datetime) -> tuple[int, int]:
    deal = Opportunity
    known = (deal.deleted_at.is_(None), deal.status != "open", sa.or_(deal.closed_at.is_(None), deal.closed_at < now))
    won = sa.func.count().filter(deal.status == "won")
    wins, total = session.execute(sa.select(won, sa.func.count()).select_from(deal).where(*known)).one()
    return wins, total - wins


def _lead_outcomes(session: Session, now: datetime, horizon_days: float) -> tuple[int, int]:
    closed = sa.and_(Lead.status != "open", sa.or_(Lead.closed_at.is_(None), Lead.closed_at < now))
    expired = sa.and_(Lead.status == "open", Lead.created_at < now - timedelta(days=horizon_days))
    converted = sa.func.count().filter(sa.and_(closed, Lead.status == "converted"))
    lost = sa.func.count().filter(sa.or_(sa.and_(closed, Lead.status != "converted"), expired))
    found = session.execute(sa.select(converted, lost).select_from(Lead).where(Lead.deleted_at.is_(None))).one()
    return found[0], found[1]


def _customer_needs(session: Session, now: datetime, experiment: Mapping[str, Any]) -> tuple[Need, ...]:
    """Count the customers that bought before the newest part of the orders, and those of them that bought in it too."""
    rules, horizon_days = experiment.get("data", {}), experiment.get("horizon_days", TIER_HORIZON_DAYS)
    known = (Order.deleted_at.is_(None), Order.account_id.is_not(None), Order.ordered_at < now)
    first = session.scalar(sa.select(sa.func.min(Order.ordered_at)).where(*known))
    held_out = (now - (first or now)) * rules.get("held_out", HELD_OUT_SHARE)
    cut = now - min(held_out, timedelta(days=horizon_days))
    bought, again = sa.func.min(Order.ordered_at) < cut, sa.func.max(Order.ordered_at) >= cut
    customers = (
        sa.select(again.label("again")).where(*known).group_by(Order.account_id).having(bought).subquery("customers")
    )
    found = session.execute(sa.select(sa.func.count(), sa.func.count().filter(customers.c.again))).one()
    return (
        Need(what="customers", found=found[0], needed=rules.get("customers_min", CUSTOMERS_MIN)),
        Need(what="buyers", found=found[1], needed=rules.get("buyers_min", BUYERS_MIN)),
    )


def _revenue_needs(session: Session, now: datetime) -> tuple[Need, ...]:
    """Count the months with revenue, of orders or of won opportunities, whichever are more."""
    ordered = sa.select(_months(Order.ordered_at)).where(Order.deleted_at.is_(None), Order.ordered_at < now)
    won = sa.select(_months(Opportunity.closed_at)).where(
        Opportunity.deleted_at.is_(None), Opportunity.status == "won", Opportunity.closed_at < now
    )
    months = max(session.scalar(ordered) or 0, session.scalar(won) or 0)
    return (Need(what="months", found=months, needed=REVENUE_MONTHS_MIN),)


def _months(moment: sa.orm.InstrumentedAttribute[datetime | None]) -> sa.ColumnElement[int]:
    return sa.func.count(sa.func.date_trunc("month", moment).distinct())


def shortages(readiness: tuple[Readiness, ...], kinds: frozenset[str]) -> Iterator[Finding]:
    """Find what is missing, of opportunities and of the other kinds of record that are used at all."""
    codes = {"win_probability": "H701", "lead_conversion": "H701", "customer_tier": "H702", "revenue_forecast": "H703"}
    for row in readiness:
        for need in row.needs:
            if need.found < need.needed and row.kind in kinds | {"opportunity"}:
                yield Finding(
                    code=codes[row.model], kind=row.kind, field=need.what, count=need.found, total=need.needed
                )
