"""Stored accounts with alerts: whom to call, the most valuable first."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.accounts.alerts import AlertKind
from forecast.accounts.tiers import Tier
from forecast.errors import NotFoundError
from forecast.records import Account, AccountScore, Person


def scored_accounts() -> sa.Select[AccountScore, Account]:
    """Select scores with the account's own row, where it has one."""
    known = sa.and_(Account.id == AccountScore.account_id, Account.deleted_at.is_(None))
    return sa.select(AccountScore, Account).outerjoin(Account, known)


def list_alerts(
    session: Session,
    *,
    kind: AlertKind | None,
    tier: Tier | None,
    owner_id: str | None,
    limit: int,
) -> list[tuple[AccountScore, Account | None]]:
    """List the newest scores that have an alert of a kind, of any where none is given."""
    statement = (
        scored_accounts()
        .where(AccountScore.latest, AccountScore.alerts != sa.text("'[]'::jsonb"))
        .order_by(AccountScore.expected_revenue.desc(), AccountScore.account_id)
        .limit(limit)
    )
    if kind is not None:
        statement = statement.where(AccountScore.alerts.contains([{"kind": kind}]))
    if tier is not None:
        statement = statement.where(AccountScore.tier == tier)
    if owner_id is not None:
        statement = statement.where(Account.owner_id == owner_id)
    return [(score, account) for score, account in session.execute(statement)]


def check_owner(session: Session, owner_id: str) -> None:
    """Check that a person or an account knows an owner.

    Raises:
        NotFoundError: neither does.
    """
    owns = sa.select(sa.exists().where(Account.owner_id == owner_id))
    if session.get(Person, owner_id) is None and not session.scalar(owns):
        raise NotFoundError(f'"{owner_id}" is the id of no person, and owns no account')
