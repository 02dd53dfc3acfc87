"""/v1/accounts: what customers are worth, stored and as sent."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import polars as pl
import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field
from sqlalchemy.orm import Session

from forecast.accounts.alerts import ALERT_KINDS, AlertKind
from forecast.accounts.call_list import list_alerts, scored_accounts
from forecast.accounts.scoring import score_customers
from forecast.accounts.tiers import Potential, Tier, Yardsticks
from forecast.accounts.wording import why_absent
from forecast.customers import ATTRIBUTES, EVENTS, CustomerHistory
from forecast.errors import InputError, NotFoundError
from forecast.records import Account, AccountScore
from serving.account_values import AccountRow, AccountValue, SaidDep, account_row, account_value
from serving.deps import Desk, DeskDep, SessionDep, get_live_of
from serving.listing import PAST_SCORES_MAX, Cursor, comes_after
from serving.live import Live
from serving.posted import utc
from serving.schemas import ITEMS_MAX, Amount, Moment, Posted, Schema

TIER_MODEL = "customer_tier"
ORDERS_MAX = 10_000

router = APIRouter()


class AccountPage(Schema):
    """A page of a list; `next_cursor` is missing on the last."""

    accounts: list[AccountRow]
    next_cursor: str | None


class PastValue(Schema):
    """An earlier score."""

    as_of: datetime
    probability_active: float
    expected_revenue: float
    tier: Tier
    potential: Potential


class AccountAnswer(AccountRow):
    """An account with its newest score and those before it, newest first."""

    trend: list[PastValue]


class OrderIn(Posted):
    """A purchase; a return has a negative amount."""

    ordered_at: Moment
    amount: Amount = Decimal(0)


class CustomerIn(Posted):
    """A customer with all orders that the caller knows of."""

    id: Annotated[str, Field(min_length=1)]
    industry: str | None = None
    region: str | None = None
    size: str | None = None
    channel: str | None = None
    orders: Annotated[list[OrderIn], Field(min_length=1, max_length=ORDERS_MAX)]


class AccountScoreRequest(Schema):
    """Customers to score as of a moment, now where none is given."""

    as_of: Moment | None = None
    accounts: Annotated[list[CustomerIn], Field(min_length=1, max_length=ITEMS_MAX)]


class ScoredAccount(Schema):
    """A customer as sent; `value` is missing where nothing was bought before the moment."""

    id: str
    value: AccountValue | None


class AccountScoreAnswer(Schema):
    """Scores in the order of what was sent."""

    accounts: list[ScoredAccount]


def get_live_tiers(desk: DeskDep) -> Live:
    """Give the live version of customer tiers; 503 without one."""
    return get_live_of(desk, TIER_MODEL)


LiveTiersDep = Annotated[Live, Depends(get_live_tiers)]


@router.post("/v1/accounts/score", summary="Score customers that you send")
def score_posted_accounts(
    call: AccountScoreRequest, desk: DeskDep, live: LiveTiersDep, said: SaidDep
) -> AccountScoreAnswer:
    """Score 1 to 1,000 customers by their orders; nothing is stored.

    Tiers are measured against the customers that the version was trained on.
    """
    as_of = utc(call.as_of, desk.zone) if call.as_of else desk.clock()
    _refuse_twice(call.accounts)
    version: Any = live.version
    yardsticks = Yardsticks(**version.bundle["yardsticks"])
    scores = score_customers(_posted_history(call.accounts, desk), version, as_of=as_of, yardsticks=yardsticks)
    found = {row["account_id"]: account_value(row, said) for row in scores.iter_rows(named=True)}
    return AccountScoreAnswer(accounts=[ScoredAccount(id=one.id, value=found.get(one.id)) for one in call.accounts])


@router.get("/v1/accounts", summary="List accounts, the most valuable first")
def list_accounts(
    *,
    session: SessionDep,
    said: SaidDep,
    tier: Annotated[Tier | None, Query(description="Only those of this tier.", examples=["A"])] = None,
    potential: Annotated[
        Potential | None, Query(description="Only those of this potential.", examples=["declining"])
    ] = None,
    overdue: Annotated[bool | None, Query(description="Only those whose next order is overdue, or is not.")] = None,
    region: Annotated[str | None, Query(description="Only those in this region.")] = None,
    industry: Annotated[str | None, Query(description="Only those of this industry.")] = None,
    limit: Annotated[int, Query(description="At most so many.", ge=1, le=500, examples=[50])] = 50,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> AccountPage:
    """List scored accounts by expected revenue, highest first."""
    asked = (
        (AccountScore.tier, tier),
        (AccountScore.potential, potential),
        (AccountScore.overdue, overdue),
        (Account.region, region),
        (Account.industry, industry),
    )
    statement = (
        scored_accounts()
        .where(AccountScore.latest, *(column == wanted for column, wanted in asked if wanted is not None))
        .order_by(AccountScore.expected_revenue.desc(), AccountScore.account_id)
        .limit(limit + 1)
    )
    if cursor:
        after = Cursor.from_text(cursor)
        statement = statement.where(comes_after(after, AccountScore.expected_revenue, AccountScore.account_id))
    found = session.execute(statement).all()
    rows = [account_row(score, account, said) for score, account in found[:limit]]
    more = len(found) > limit
    last = Cursor(value=rows[-1].value.revenue.expected, record_id=rows[-1].id) if more else None
    return AccountPage(accounts=rows, next_cursor=last.to_text() if last else None)


class AbsentAlert(Schema):
    """A kind of alert that is not given, and why."""

    kind: AlertKind
    why: str


class AlertsAnswer(Schema):
    """Accounts to call, the most valuable first, and what is not given."""

    accounts: list[AccountRow]
    absent: list[AbsentAlert]


@router.get("/v1/accounts/alerts", summary="List accounts with alerts, the most valuable first")
def list_account_alerts(
    *,
    session: SessionDep,
    desk: DeskDep,
    said: SaidDep,
    kind: Annotated[AlertKind | None, Query(description="Only alerts of this kind.", examples=["churn_risk"])] = None,
    tier: Annotated[Tier | None, Query(description="Only those of this tier.", examples=["A"])] = None,
    owner_id: Annotated[str | None, Query(description="Only accounts of this person.")] = None,
    limit: Annotated[int, Query(description="At most so many.", ge=1, le=500, examples=[50])] = 50,
) -> AlertsAnswer:
    """List accounts that may leave, fell silent again or are past their usual next order, with reasons and strategy."""
    found = list_alerts(session, kind=kind, tier=tier, owner_id=owner_id, limit=limit)
    rows = [account_row(score, account, said) for score, account in found]
    evidence = _evidence(desk)
    asked = [one for one in ALERT_KINDS if kind in (None, one)]
    absent = [AbsentAlert(kind=one, why=why_absent(evidence, one, said.language)) for one in asked]
    return AlertsAnswer(accounts=rows, absent=[one for one in absent if one.why])


def _evidence(desk: Desk) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = desk.live.get(TIER_MODEL).version.bundle.get("evidence", {})
    except NotFoundError:
        return {}
    return found


@router.get("/v1/accounts/{account_id:path}", summary="Read one account with its value and trend")
def read_account(
    account_id: Annotated[str, Path(description="Id of the account.", examples=["A00012"])],
    session: SessionDep,
    said: SaidDep,
) -> AccountAnswer:
    """Give the newest score of an account with its reasons, and the newest 50 scores."""
    scores = _scores_of(session, account_id)
    newest = next((score for score in scores if score.latest), None)
    if newest is None:
        raise NotFoundError(
            f'account "{account_id}" has no score; accounts that have bought get one by `forecast score {TIER_MODEL}`'
        )
    account = session.get(Account, account_id)
    row = account_row(newest, None if account is None or account.deleted_at else account, said)
    trend = [
        PastValue(
            as_of=score.as_of,
            probability_active=score.probability_active,
            expected_revenue=score.expected_revenue,
            tier=score.tier,  # type: ignore[arg-type]  # written by assign_tiers
            potential=score.potential,  # type: ignore[arg-type]  # likewise
        )
        for score in scores
    ]
    return AccountAnswer(**dict(row), trend=trend)


def _scores_of(session: Session, account_id: str) -> Sequence[AccountScore]:
    statement = (
        sa.select(AccountScore)
        .where(AccountScore.account_id == account_id)
        .order_by(AccountScore.as_of.desc(), AccountScore.id.desc())
        .limit(PAST_SCORES_MAX)
    )
    return session.scalars(statement).all()


def _refuse_twice(items: Sequence[CustomerIn]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise InputError(f'account "{item.id}" was sent twice; send each once, with all its orders')
        seen.add(item.id)


def _posted_history(items: Sequence[CustomerIn], desk: DeskDep) -> CustomerHistory:
    orders = [(one.id, utc(order.ordered_at, desk.zone), float(order.amount)) for one in items for order in one.orders]
    moment = pl.Datetime("us", "UTC")
    accounts = [(one.id, None, *(getattr(one, name) for name in ATTRIBUTES)) for one in items]
    return CustomerHistory(
        orders=pl.DataFrame(
            orders,
            schema={"account_id": pl.String(), "ordered_at": moment, "amount": pl.Float64()},
            orient="row",
        ).sort("account_id", "ordered_at"),
        accounts=pl.DataFrame(
            accounts, schema=dict.fromkeys(("account_id", "name", *ATTRIBUTES), pl.String()), orient="row"
        ),
        events=pl.DataFrame(
            schema={"account_id": pl.String(), "happened_at": moment, "kind": pl.Enum(EVENTS)},
        ),
    )
