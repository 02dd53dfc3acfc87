"""What the API says of an account: its value, why, and what to do."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends

from forecast.accounts.alerts import AlertKind
from forecast.accounts.tiers import Potential, Tier
from forecast.accounts.wording import alert_sentence, potential_label, reason_sentence
from forecast.policies import Strategies, read_strategies
from forecast.records import Account, AccountScore
from forecast.wording import Language
from serving.deps import LanguageDep, SessionDep
from serving.schemas import Schema


class Estimate(Schema):
    """What is expected, with the bounds of 80 %."""

    expected: float
    low: float
    high: float


class ValueReason(Schema):
    """What sets the account's value apart; `contribution` is to the log of expected revenue."""

    feature: str
    value: float | None
    usual: float | None
    contribution: float
    sentence: str


class NextOrder(Schema):
    """When the next order would be usual; `overdue` when even the upper bound is past."""

    at: datetime
    low: datetime
    high: datetime
    overdue: bool


class Alert(Schema):
    """Why to call: `value` against what is `usual`, a probability or days (see the sentence)."""

    kind: AlertKind
    value: float
    usual: float
    sentence: str


class NextProduct(Schema):
    """A product that the account may buy next, as it bought `because`; `lift` is against all accounts."""

    product_id: str
    because: str
    lift: float


class AccountValue(Schema):
    """What an account is worth within `horizon_days` of `as_of`, and what to do.

    `revenue` is the mean that totals are made of, `median_revenue` what the middle one of such accounts spends. `margin` is
    missing where no cost is known; `alerts` and `next_products` are empty where they did not prove better than what is simple.
    `level` is `not learnable` where less than a year is known, so that the season ahead was never seen.
    """

    as_of: datetime
    horizon_days: int
    probability_active: float
    orders: Estimate
    revenue: Estimate
    median_revenue: float | None
    margin: Estimate | None
    tier: Tier
    potential: Potential
    potential_label: str
    strategy: str
    next_order: NextOrder | None
    alerts: list[Alert]
    next_products: list[NextProduct]
    reasons: list[ValueReason]
    basis: str
    level: str
    model_version: str


class AccountRow(Schema):
    """An account in a list; `name` is missing where it is known from its orders only."""

    id: str
    name: str | None
    industry: str | None
    region: str | None
    value: AccountValue


@dataclass(frozen=True)
class Said:
    """How things are said: the language asked for, and the strategies in force."""

    language: Language
    strategies: Strategies


def get_said(session: SessionDep, language: LanguageDep) -> Said:
    """Read how things are said."""
    return Said(language, read_strategies(session))


SaidDep = Annotated[Said, Depends(get_said)]


def account_row(score: AccountScore, account: Account | None, said: Said) -> AccountRow:
    """Give a stored score with the account's own row, where it has one."""
    columns = {column.key: getattr(score, column.key) for column in AccountScore.__table__.columns}
    return AccountRow(
        id=score.account_id,
        name=account.name if account else None,
        industry=account.industry if account else None,
        region=account.region if account else None,
        value=account_value(columns, said),
    )


def account_value(row: dict[str, Any], said: Said) -> AccountValue:
    """Give a row of scores as the API says it."""
    return AccountValue(
        as_of=row["as_of"],
        horizon_days=row["horizon_days"],
        probability_active=row["probability_active"],
        orders=_estimate(row, "expected_orders"),
        revenue=_estimate(row, "expected_revenue"),
        median_revenue=row["median_revenue"],
        margin=None if row["expected_margin"] is None else _estimate(row, "expected_margin"),
        tier=row["tier"],
        potential=row["potential"],
        potential_label=potential_label(row["potential"], said.language),
        strategy=said.strategies[row["tier"], row["potential"]].text(said.language),
        next_order=_next_order(row),
        alerts=[Alert(**alert, sentence=alert_sentence(alert, said.language)) for alert in row["alerts"]],
        next_products=[NextProduct(**product) for product in row["next_products"]],
        reasons=[ValueReason(**reason, sentence=reason_sentence(reason, said.language)) for reason in row["reasons"]],
        basis=row["basis"],
        level=row["level"],
        model_version=row["version"],
    )


def _estimate(row: dict[str, Any], name: str) -> Estimate:
    return Estimate(expected=row[name], low=row[f"{name}_low"], high=row[f"{name}_high"])


def _next_order(row: dict[str, Any]) -> NextOrder | None:
    if row["next_order_at"] is None:
        return None
    return NextOrder(
        at=row["next_order_at"], low=row["next_order_low"], high=row["next_order_high"], overdue=row["overdue"]
    )
