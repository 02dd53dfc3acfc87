"""Leads in the shape of a history: the frames that snapshots of opportunities are cut from, with leads in their place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.moments import MICROSECONDS_A_DAY
from forecast.population import Population
from forecast.records import Campaign, Lead, Opportunity
from forecast.store import read_frame

LEAD_TYPES: Mapping[str, str] = MappingProxyType(
    {"lead_title": "category", "campaign_channel": "category", "email_known": "boolean", "phone_known": "boolean"}
)
"""Columns of a lead that an opportunity has not, with their types as of custom fields."""

_RENAMED = {"industry": "account_industry", "region": "account_region", "title": "lead_title"}
_PRESENCE = {"email": "email_known", "phone": "phone_known"}


@dataclass(frozen=True, kw_only=True)
class LeadFrames:
    """What a history needs of leads; a lead's id is its `opportunity_id`.

    Attributes:
        leads: the columns of opportunities, LEAD_TYPES and `account_industry, account_region`.
        closings: `opportunity_id, status, closed_at, won_amount`; `won` is the target reached.
        departures: `opportunity_id, left_at` of leads that became opportunities before they reached the target.
    """

    leads: pl.DataFrame
    closings: pl.DataFrame
    departures: pl.DataFrame


def lead_columns(shared: Iterable[sa.ColumnElement[Any]]) -> list[sa.ColumnElement[Any]]:
    """Give the columns of a lead in the shape of an opportunity; what a lead has not is empty.

    Args:
        shared: the columns of opportunities that enter a snapshot.
    """
    own = Lead.__table__.columns
    known = {name for name in own.keys() if own[name].info["time"] != "outcome"}  # noqa: SIM118 - sqlalchemy's own
    return [
        *(own[c.name] if c.name in known else sa.cast(sa.null(), c.type).label(c.name) for c in shared),
        *(own[name].label(renamed) for name, renamed in _RENAMED.items()),
        *(own[name].is_not(None).label(renamed) for name, renamed in _PRESENCE.items()),
        Campaign.channel.label("campaign_channel"),
    ]


def lead_frames(session: Session, population: Population, leads: pl.DataFrame) -> LeadFrames:
    """Read what became of leads.

    Args:
        leads: columns of `lead_columns` with `status` and `closed_at` of the leads themselves, sorted by `id`.
    """
    sales = _sales(session) if population.target == "won" else None
    ends = leads.select("id", "created_at", "status", "closed_at").with_columns(
        converted=pl.col("status") == "converted"
    )
    reached = _converted(ends) if sales is None else _won(ends, sales)
    departures = ends.filter(pl.col("converted"), pl.lit(sales is not None), pl.col("closed_at").is_not_null())
    return LeadFrames(
        leads=leads.drop("status", "closed_at").rename({"id": "opportunity_id"}),
        closings=_within_horizon(reached, population.horizon_days),
        departures=departures.select(pl.col("id").alias("opportunity_id"), pl.col("closed_at").alias("left_at")),
    )


def _sales(session: Session) -> pl.DataFrame:
    """Read what became of the opportunities of each lead: `id, won, won_at, all_lost, lost_at`."""
    linked = sa.or_(Opportunity.lead_id == Lead.id, Opportunity.id == Lead.opportunity_id)
    statement = (
        sa.select(Lead.id, Opportunity.status.label("sale"), Opportunity.closed_at.label("sold_at"))
        .join(Opportunity, linked)
        .where(Opportunity.deleted_at.is_(None), Lead.deleted_at.is_(None))
    )
    won, sold_at = pl.col("sale") == "won", pl.col("sold_at")
    return (
        read_frame(session, statement)
        .group_by("id")
        .agg(
            won.any().alias("won"),
            sold_at.filter(won).min().alias("won_at"),
            (pl.col("sale") == "lost").all().alias("all_lost"),
            sold_at.max().alias("lost_at"),
        )
    )


def _converted(ends: pl.DataFrame) -> pl.DataFrame:
    reached = pl.when("converted").then(pl.lit("won")).when(pl.col("status") == "open").then(pl.lit("open"))
    return ends.select("id", "created_at", reached.otherwise(pl.lit("lost")).alias("status"), "closed_at")


def _won(ends: pl.DataFrame, sales: pl.DataFrame) -> pl.DataFrame:
    """Tell leads whose opportunity was won from those disqualified or lost; the others are open."""
    dropped = (pl.col("status") != "open") & ~pl.col("converted")
    return ends.join(sales, on="id", how="left", maintain_order="left").select(
        "id",
        "created_at",
        pl.when("won")
        .then(pl.lit("won"))
        .when(dropped | pl.col("all_lost"))
        .then(pl.lit("lost"))
        .otherwise(pl.lit("open"))
        .alias("status"),
        pl.when("won")
        .then("won_at")
        .when(dropped)
        .then("closed_at")
        .when("all_lost")
        .then("lost_at")
        .alias("closed_at"),
    )


def _within_horizon(reached: pl.DataFrame, horizon_days: float | None) -> pl.DataFrame:
    """Call lost at the horizon what had not ended by then.

    Nothing is called so of leads of unknown creation, nor where most ends have no date: who converted may have done so after the
    horizon, so that the silence of the others says nothing.
    """
    if horizon_days is None:
        end = pl.lit(None, pl.Datetime("us", "UTC"))
    else:
        end = pl.col("created_at") + pl.duration(microseconds=round(horizon_days * MICROSECONDS_A_DAY))
    ended, dated = pl.col("status") != "open", pl.col("closed_at").is_not_null()
    in_time = (dated & (pl.col("closed_at") <= end)) | (ended & ~dated)
    mostly_dated = (ended & dated).sum() >= (ended & ~dated).sum()
    late = mostly_dated & end.is_not_null() & ~in_time
    return reached.select(
        pl.col("id").alias("opportunity_id"),
        pl.when(late).then(pl.lit("lost")).otherwise("status").alias("status"),
        pl.when(late).then(end).otherwise("closed_at").alias("closed_at"),
        pl.lit(None, pl.Float64).alias("won_amount"),
    )


def name_lead_changes(changes: pl.DataFrame) -> pl.DataFrame:
    """Give changes of leads the names and values of `lead_columns`."""
    field = pl.col("field")
    presence = field.is_in(list(_PRESENCE))
    known = {True: "true", False: "false"}
    return changes.with_columns(
        field.replace(_RENAMED | _PRESENCE),
        *(
            pl.when(presence)
            .then(pl.col(name).is_not_null().replace_strict(known, return_dtype=pl.String))
            .otherwise(name)
            .alias(name)
            for name in ("old_value", "new_value")
        ),
    )
