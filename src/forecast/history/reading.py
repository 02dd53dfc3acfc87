"""Read what is stored into the frames that snapshots are cut from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from forecast.history.dealings import read_account_events, read_contacts, read_quotes
from forecast.history.leads import LEAD_TYPES, lead_columns, lead_frames, name_lead_changes
from forecast.history.neighbours import opportunity_events
from forecast.population import OPPORTUNITIES, Population
from forecast.process import read_stages
from forecast.records import (
    PERSONAL_FIELDS,
    Account,
    Activity,
    Campaign,
    Change,
    CustomField,
    Lead,
    Opportunity,
    Person,
    Product,
)
from forecast.snapshot import History, cut_history
from forecast.snapshot.changes import CHANGE_TYPES
from forecast.store import Statement, read_frame

_CUSTOM_SQL_TYPES: Mapping[str, sa.types.TypeEngine[Any]] = MappingProxyType(
    {
        "number": sa.Float(),
        "boolean": sa.Boolean(),
        "date": sa.Date(),
    }
)

OPPORTUNITY_COLUMNS = tuple(
    column for column in Opportunity.__table__.columns if column.info["time"] != "outcome" and column.name != "custom"
)
OVERWRITTEN_ON_CLOSE = frozenset(
    column.name for column in Opportunity.__table__.columns if column.info.get("overwritten_on_close")
)
Reference = InstrumentedAttribute[str | None] | InstrumentedAttribute[str]
_ACCOUNT_ATTRIBUTES = (
    "industry", "region", "country", "channel", "size", "employees", "annual_revenue", "founded_year",
)  # fmt: skip
_PIPELINE_NAMES = (
    "id", "created_at", "name", "account_id", "owner_id", "team_id", "product_id", "pipeline_id", "stage", "amount", "currency",
    "expected_close_on", "forecast_category", "seller_probability",
)  # fmt: skip
_PIPELINE_COLUMNS = tuple(column for column in OPPORTUNITY_COLUMNS if column.name in _PIPELINE_NAMES)
_NONE = sa.select(Opportunity.id).where(sa.false())


def read_history(session: Session, *, population: Population = OPPORTUNITIES, until: datetime | None = None) -> History:
    """Read the records of a population and their surroundings, cut by `cut_history` at `until` where one is given.

    Leads stand in the place of opportunities, in the same shape. Tombstoned ones are left out; an account, person or product is known until it was deleted.
    """
    if population.kind == "lead":
        history = _lead_history(session, population)
    else:
        opportunities = _with_dealings(session, _opportunity_history(session))
        events = pl.concat([read_account_events(session), opportunity_events(opportunities)])
        history = replace(opportunities, account_events=events)
    return history if until is None else cut_history(history, until)


def read_sample(session: Session, size: int) -> History:
    """Read so many opportunities, or all where there are fewer, as `read_history` does, but without activities.

    They are chosen by chance, the same ones every time.
    """
    chosen = sa.select(Opportunity.id).order_by(sa.func.md5(Opportunity.id)).limit(size)
    return _with_dealings(session, _opportunity_history(session, among=chosen, active=_NONE))


def read_pipeline(session: Session, fields: Collection[str], *, since: datetime | None) -> History:
    """Read what tells how much all opportunities are worth, whose they are and when they close, as it was at past moments.

    Custom fields, activities and all that surrounds opportunities are left out, but for regions of accounts.

    Args:
        session: an open transaction.
        fields: of opportunities that are asked for as of a moment; others are as they stand now.
        since: the first moment that is asked for; those that had closed before it are as they stand now.
    """
    custom: Mapping[str, tuple[str, str]] = {}
    opportunities = _read_opportunities(session, custom, None, columns=_PIPELINE_COLUMNS)
    lasting = None if since is None else sa.select(Opportunity.id).where(_is_open_since(since))
    return History(
        opportunities=_without_ends(opportunities),
        closings=_ends(opportunities),
        changes=_read_changes(session, "opportunity", "", lasting, fields=fields),
        account_changes=_read_changes(session, "account", "account_", fields=("region",)),
        activities=_read_activities(session, Activity.opportunity_id, _NONE),
        accounts=_read_accounts(session, custom),
        people=_read_people(session),
        products=_read_products(session),
        stages=read_stages(session),
        overwritten_on_close=OVERWRITTEN_ON_CLOSE,
        stored_at=session.scalar(sa.select(sa.func.max(Opportunity.stored_at))),
    )


def _is_open_since(moment: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(Opportunity.status == "open", Opportunity.closed_at.is_(None), Opportunity.closed_at >= moment)


def _opportunity_history(
    session: Session, *, among: Statement | None = None, active: Statement | None = None
) -> History:
    custom = _custom_columns(session, "opportunity")
    account_custom = _custom_columns(session, "account", prefix="account_")
    opportunities = _read_opportunities(session, custom, among)
    return History(
        opportunities=_without_ends(opportunities),
        closings=_ends(opportunities),
        changes=_read_changes(session, "opportunity", "", among),
        account_changes=_read_changes(session, "account", "account_"),
        activities=_read_activities(session, Activity.opportunity_id, active),
        accounts=_read_accounts(session, account_custom),
        people=_read_people(session),
        products=_read_products(session),
        stages=read_stages(session),
        custom_types={name: kind for name, (_, kind) in {**custom, **account_custom}.items()},
        overwritten_on_close=OVERWRITTEN_ON_CLOSE,
        stored_at=session.scalar(sa.select(sa.func.max(Opportunity.stored_at))),
        deletions=_read_deletions(session),
    )


def _without_ends(opportunities: pl.DataFrame) -> pl.DataFrame:
    return opportunities.rename({"id": "opportunity_id"}).drop("status", "closed_at", "won_amount")


def _ends(opportunities: pl.DataFrame) -> pl.DataFrame:
    return opportunities.select(pl.col("id").alias("opportunity_id"), "status", "closed_at", "won_amount")


def _with_dealings(session: Session, history: History) -> History:
    return replace(history, quotes=read_quotes(session), contacts=read_contacts(session))


def _lead_history(session: Session, population: Population) -> History:
    custom = _custom_columns(session, "lead")
    found = lead_frames(session, population, _read_leads(session, custom))
    accounts = _read_accounts(session, {}).clear()
    return History(
        opportunities=found.leads,
        closings=found.closings,
        departures=found.departures,
        changes=name_lead_changes(_read_changes(session, "lead", "")),
        account_changes=pl.DataFrame(schema=CHANGE_TYPES),
        activities=_read_activities(session, Activity.lead_id),
        accounts=accounts.drop("account_industry", "account_region"),
        people=_read_people(session),
        products=_read_products(session),
        stages=read_stages(session).clear(),
        custom_types={**LEAD_TYPES, **{name: kind for name, (_, kind) in custom.items()}},
        deletions=_read_deletions(session),
    )


def _custom_columns(session: Session, kind: str, *, prefix: str = "") -> dict[str, tuple[str, str]]:
    """Give column name -> (field name, type) of the custom fields that may enter a snapshot."""
    declared = session.execute(
        sa.select(CustomField.name, CustomField.type)
        .where(CustomField.kind == kind, CustomField.time != "outcome", CustomField.name.not_in(PERSONAL_FIELDS))
        .order_by(CustomField.name)
    )
    return {f"{prefix}custom_{name}": (name, field_type) for name, field_type in declared}


def _custom_expressions(table: type[Any], custom: Mapping[str, tuple[str, str]]) -> list[sa.ColumnElement[Any]]:
    return [
        sa.cast(table.custom.op("->>")(name), _CUSTOM_SQL_TYPES[kind]).label(column)
        if kind in _CUSTOM_SQL_TYPES
        else table.custom.op("->>", return_type=sa.Text())(name).label(column)
        for column, (name, kind) in custom.items()
    ]


def _read_opportunities(
    session: Session,
    custom: Mapping[str, tuple[str, str]],
    among: Statement | None,
    *,
    columns: Sequence[sa.ColumnElement[Any]] = OPPORTUNITY_COLUMNS,
) -> pl.DataFrame:
    statement = sa.select(
        *columns,
        Opportunity.status,
        Opportunity.closed_at,
        Opportunity.won_amount,
        *_custom_expressions(Opportunity, custom),
    ).where(Opportunity.deleted_at.is_(None), _is_among(Opportunity.id, among))
    return read_frame(session, statement).sort("id")


def _is_among(record_id: Reference, ids: Statement | None) -> sa.ColumnElement[bool]:
    return sa.true() if ids is None else record_id.in_(ids)


def _read_leads(session: Session, custom: Mapping[str, tuple[str, str]]) -> pl.DataFrame:
    statement = (
        sa.select(
            *lead_columns(OPPORTUNITY_COLUMNS),
            Lead.status,
            Lead.closed_at,
            *_custom_expressions(Lead, custom),
        )
        .outerjoin(Campaign, Campaign.id == Lead.campaign_id)
        .where(Lead.deleted_at.is_(None))
    )
    return read_frame(session, statement).sort("id")


def _read_changes(
    session: Session, kind: str, prefix: str, among: Statement | None = None, *, fields: Collection[str] | None = None
) -> pl.DataFrame:
    """Read changes of records, or of these fields of them only, ordered by moment."""
    asked = sa.true() if fields is None else Change.field.in_(fields)
    statement = sa.select(*(getattr(Change, name) for name in CHANGE_TYPES), Change.id).where(
        Change.kind == kind, _is_among(Change.record_id, among), asked
    )
    named = pl.concat_str(pl.lit(prefix), pl.col("field").str.replace("custom.", "custom_", literal=True))
    return read_frame(session, statement).sort("changed_at", "id").drop("id").with_columns(named.alias("field"))


def _read_activities(session: Session, record: Reference, among: Statement | None = None) -> pl.DataFrame:
    known_at = sa.func.coalesce(Activity.created_at, Activity.occurred_at)
    names: Sequence[str] = ("occurred_at", "type", "direction", "person_id", "contact_id", "duration_minutes")
    statement = sa.select(
        record.label("opportunity_id"),
        *(getattr(Activity, name) for name in names),
        known_at.label("known_at"),
        Activity.id,
    ).where(record.is_not(None), Activity.deleted_at.is_(None), _is_among(record, among))
    return read_frame(session, statement).sort("occurred_at", "id").drop("id")


def _read_people(session: Session) -> pl.DataFrame:
    return read_frame(session, _attributes(Person, "owner_", ("team_id", "title", "manager_id")))


def _read_products(session: Session) -> pl.DataFrame:
    return read_frame(session, _attributes(Product, "product_", ("family", "line", "list_price")))


def _read_deletions(session: Session) -> pl.DataFrame:
    deleted = [
        sa.select(sa.literal(key).label("key"), table.id.label("record_id"), table.deleted_at).where(
            table.deleted_at.is_not(None)
        )
        for key, table in (("account_id", Account), ("owner_id", Person), ("product_id", Product))
    ]
    return read_frame(session, sa.select(sa.union_all(*deleted).subquery()))


def _attributes(table: type[Any], prefix: str, names: Sequence[str]) -> Statement:
    key = {"owner_": "owner_id", "product_": "product_id", "account_": "account_id"}[prefix]
    return sa.select(table.id.label(key), *(getattr(table, name).label(prefix + name) for name in names))


def _read_accounts(session: Session, custom: Mapping[str, tuple[str, str]]) -> pl.DataFrame:
    statement = _attributes(Account, "account_", _ACCOUNT_ATTRIBUTES)
    return read_frame(session, statement.add_columns(*_custom_expressions(Account, custom)))
