"""The base records of the CRM layer, one file a subject."""

import sqlalchemy as sa

from forecast.errors import NotFoundError
from forecast.records.account_scores import AccountScore
from forecast.records.accounts import Account, Contact
from forecast.records.audit import ApiKey, AuditEvent, IdempotencyKey, ImportRun
from forecast.records.forecasts import ForecastCell, ForecastOpportunity, ForecastRun
from forecast.records.merging import Merge
from forecast.records.orders import IS_CANCELLED, Order, OrderLine, Product, Quote
from forecast.records.people import Person, Team
from forecast.records.pipeline import (
    PERSONAL_FIELDS,
    Activity,
    Campaign,
    Change,
    CustomField,
    Lead,
    Opportunity,
    Pipeline,
    Stage,
)
from forecast.records.policy import GradePolicy, StrategyPolicy
from forecast.records.record import BOOKKEEPING, Record, Table, TimeKind, record_id
from forecast.records.scores import Score
from forecast.records.service import Case, Feedback
from forecast.records.targets import Quota

RECORD_KINDS: dict[str, type[Record]] = {
    table.__tablename__: table
    for table in (
        Account,
        Activity,
        Campaign,
        Case,
        Contact,
        Feedback,
        Lead,
        Opportunity,
        Order,
        OrderLine,
        Person,
        Pipeline,
        Product,
        Quota,
        Quote,
        Stage,
        Team,
    )
}


def get_table(kind: str) -> sa.Table:
    """Give the table of a kind of record.

    Raises:
        NotFoundError: there is no such kind.
    """
    if kind not in RECORD_KINDS:
        raise NotFoundError(f'"{kind}" is no kind of record; there are: {", ".join(sorted(RECORD_KINDS))}')
    return Table.metadata.tables[kind]


__all__ = [
    "BOOKKEEPING",
    "IS_CANCELLED",
    "PERSONAL_FIELDS",
    "RECORD_KINDS",
    "Account",
    "AccountScore",
    "Activity",
    "ApiKey",
    "AuditEvent",
    "Campaign",
    "Case",
    "Change",
    "Contact",
    "CustomField",
    "Feedback",
    "ForecastCell",
    "ForecastOpportunity",
    "ForecastRun",
    "GradePolicy",
    "IdempotencyKey",
    "ImportRun",
    "Lead",
    "Merge",
    "Opportunity",
    "Order",
    "OrderLine",
    "Person",
    "Pipeline",
    "Product",
    "Quota",
    "Quote",
    "Record",
    "Score",
    "Stage",
    "StrategyPolicy",
    "Table",
    "Team",
    "TimeKind",
    "get_table",
    "record_id",
]
