"""Opportunities as they were seen at a moment: from the records' history, or as a run kept them."""

from datetime import datetime
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from forecast.records import ForecastOpportunity, Score
from forecast.revenue.cells import NO_UNIT, PERSON, TEAM
from forecast.revenue.records import SalesRecords, with_teams
from forecast.snapshot import look_back
from forecast.store import read_frame

WIN_MODEL = "win_probability"
KEPT = (
    "opportunity_id", "name", "owner_id", "team_id", "stage", "amount", "currency", "expected_close_on",
    "forecast_category", "seller_probability",
)  # fmt: skip
DEAL_TYPES = pl.Schema(
    {
        "opportunity_id": pl.String(),
        "name": pl.String(),
        "owner_id": pl.String(),
        "team_id": pl.String(),
        "stage": pl.String(),
        "amount": pl.Float64(),
        "currency": pl.String(),
        "expected_close_on": pl.Date(),
        "forecast_category": pl.String(),
        "seller_probability": pl.Float64(),
        "status": pl.String(),
        "created_on": pl.Date(),
        "closed_on": pl.Date(),
        "won_amount": pl.Float64(),
        "win_probability": pl.Float64(),
    }
)


def read_deals(session: Session, records: SalesRecords, moment: datetime) -> pl.DataFrame:
    """Give all opportunities as they were known strictly before a moment, with the newest win probability of that time.

    Returns:
        As DEAL_TYPES, by id; a team is that which the opportunity names, else its owner's.
    """
    return deals_of(records, moment, read_probabilities(session, moment))


def deals_of(records: SalesRecords, moment: datetime, probabilities: pl.DataFrame) -> pl.DataFrame:
    """Give all opportunities as they were known strictly before a moment; as `read_deals`.

    Args:
        records: as stored.
        moment: when they are looked at.
        probabilities: `opportunity_id, win_probability`.
    """
    history = look_back(records.history, moment)
    zone = records.timezone
    created, closed = (pl.col(name).dt.convert_time_zone(zone).dt.date() for name in ("created_at", "closed_at"))
    return (
        with_teams(history.opportunities, records)
        .join(history.closings, on="opportunity_id", maintain_order="left")
        .join(probabilities, on="opportunity_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("team_id").fill_null(NO_UNIT[TEAM]),
            pl.col("owner_id").fill_null(NO_UNIT[PERSON]),
            created.alias("created_on"),
            pl.when(pl.col("status") != "open").then(closed).alias("closed_on"),
            pl.when(pl.col("status") == "won").then(pl.coalesce("won_amount", "amount")).alias("won_amount"),
        )
        .select(pl.col(name).cast(kind) for name, kind in DEAL_TYPES.items())
    )


def read_probabilities(session: Session, moment: datetime) -> pl.DataFrame:
    """Read `opportunity_id, win_probability` of the newest score at or before a moment."""
    newest = (
        sa.select(Score.record_id.label("opportunity_id"), Score.probability.label("win_probability"))
        .ext(distinct_on(Score.record_id))
        .where(Score.model == WIN_MODEL, Score.as_of <= moment)
        .order_by(Score.record_id, Score.as_of.desc(), Score.id.desc())
    )
    return read_frame(session, newest)


def read_kept_deals(session: Session, run_id: int) -> pl.DataFrame:
    """Read the opportunities that were open at a run; as DEAL_TYPES, by id, without the day of creation."""
    table: Any = ForecastOpportunity.__table__
    columns = [table.c[name] for name in (*KEPT, "win_probability")]
    kept = read_frame(session, sa.select(*columns).where(table.c.run_id == run_id).order_by(table.c.opportunity_id))
    return kept.select(
        (pl.col(name) if name in kept.columns else pl.lit("open" if name == "status" else None)).cast(kind).alias(name)
        for name, kind in DEAL_TYPES.items()
    )
