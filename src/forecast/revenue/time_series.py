"""Booked revenue as time series: what months would bring if nothing were known of deals."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from forecast.metrics import Floats
from forecast.revenue.cells import PERSON, TEAM
from forecast.revenue.futures import Units
from forecast.revenue.monthly import monthly_revenue
from forecast.revenue.planned import TARGET, planned_inputs
from forecast.revenue.records import Months, Sales
from forecast.series.hierarchy import BOTTOM, span_hierarchy
from forecast.series.outlook import outlook_of_hierarchy, outlook_of_series
from forecast.series.reading import series_of

MONTHS_MIN = 3
# So many usual months' worth of an even course goes into how a month's revenue usually comes.
EVEN_MONTHS = 2.0


@dataclass(frozen=True, kw_only=True)
class SeriesView:
    """What each person is still expected to book in each month, persons × months, and how targets were used, in sentences."""

    mean: Floats
    remarks: tuple[str, ...]


def forecast_series(sales: Sales, units: Units, months: Months) -> SeriesView | None:
    """Forecast months by time series, and by targets where these held before; None of too short a history."""
    booked = sales.booked.select(pl.col(PERSON).alias("owner_id"), "booked_at", "amount", TEAM)
    if _whole_months(sales, months) < MONTHS_MIN:
        return None
    people = booked.group_by(pl.col("owner_id").alias("id")).agg(pl.col(TEAM).mode().sort().first().alias("team_id"))
    rows = monthly_revenue(booked, people, as_of=sales.as_of, timezone=sales.timezone)
    today = sales.as_of.astimezone(ZoneInfo(sales.timezone)).date()
    found = series_of(rows, source=Path("records"), levels=["team"], season=None, today=today)
    hierarchy = span_hierarchy(found.series, ["team"])
    planned = planned_inputs(sales.targets, found.panel, len(months.starts), dict(people.iter_rows()))
    result = outlook_of_hierarchy(found.panel, hierarchy, len(months.starts), amounts=planned)
    bottom = (hierarchy.nodes["level"] == BOTTOM).to_numpy()
    means = dict(zip(hierarchy.nodes["unique_id"].to_numpy()[bottom], result.mean[bottom], strict=True))
    mean = np.array([means.get(name, np.zeros(len(months.starts))) for name in units.ids[PERSON]])
    mean[:, 0] *= 1 - usual_share(sales, months)
    return SeriesView(mean=np.asarray(np.maximum(mean, 0)), remarks=_told(result.shares))


def forecast_level(sales: Sales, units: Units, months: Months, level: str, whole: Floats) -> Floats:
    """Forecast the series of each unit of a level, units × months, scaled to what the company's says of each month."""
    booked = sales.booked.select(pl.col(level).alias("owner_id"), "booked_at", "amount")
    nobody = pl.DataFrame(schema={"id": pl.String, "team_id": pl.String})
    rows = monthly_revenue(booked, nobody, as_of=sales.as_of, timezone=sales.timezone).drop("team")
    today = sales.as_of.astimezone(ZoneInfo(sales.timezone)).date()
    found = series_of(rows, source=Path("records"), levels=[], season=None, today=today)
    result = outlook_of_series(found.panel, len(months.starts))
    means = dict(zip(found.panel.ids, np.maximum(result.mean, 0), strict=True))
    mean = np.array([means.get(unit, np.zeros(len(months.starts))) for unit in units.ids[level]])
    total = mean.sum(axis=0)
    return np.asarray(mean * np.where(total > 0, whole / np.where(total > 0, total, 1), 0))


def _told(shares: Mapping[str, float]) -> tuple[str, ...]:
    """Say how much of the time series' forecast is made of targets."""
    if TARGET not in shares:
        return ()
    if not shares[TARGET]:
        return ("targets are not used: they did not help to forecast earlier months",)
    return (
        f"targets times the usual ratio of revenue to them make up {shares[TARGET]:.0%} of the time series' forecast",
    )


def _whole_months(sales: Sales, months: Months) -> int:
    """Count the months that are over since the first booking."""
    first = sales.booked["booked_at"].dt.convert_time_zone(sales.timezone).min()
    if first is None:
        return 0
    return (months.starts[0].year - first.year) * 12 + months.starts[0].month - first.month  # type: ignore[union-attr]


def usual_share(sales: Sales, months: Months) -> float:
    """Give the share of a month's revenue that has usually come when as much of it is over as of the current one."""
    local = pl.col("booked_at").dt.convert_time_zone(sales.timezone)
    start = local.dt.truncate("1mo")
    place = (local - start) / (start.dt.offset_by("1mo") - start)
    rows = sales.booked.select(start.dt.date().alias("month"), place.alias("place"), "amount")
    past = rows.filter(pl.col("month") < months.starts[0], pl.col("amount") > 0)
    count = past["month"].n_unique()
    if not count:
        return months.elapsed
    whole = float(past["amount"].sum())
    come = float(past.filter(pl.col("place") < months.elapsed)["amount"].sum())
    even = EVEN_MONTHS * whole / count
    return (come + even * months.elapsed) / (whole + even)
