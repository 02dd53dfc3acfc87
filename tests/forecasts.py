"""A revenue forecast of a company of two teams and three persons, with draws that add up."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from forecast.records import Opportunity
from forecast.revenue.cells import BOUNDS, CELL_TYPES, RevenueForecast, check_cells
from forecast.runs import keep_forecast
from forecast.store import unit_of_work

AS_OF = datetime(2026, 9, 15, 8, 30, tzinfo=UTC)
KEPT_AT = AS_OF + timedelta(minutes=5)
PEOPLE = {"U01": "T1", "U02": "T1", "U03": "T2"}
MONTHS = (date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1))


def forecast_of(draws, *, as_of=AS_OF, months=MONTHS, won=0.0, version="v1", remarks=()):
    """Make a forecast of draws by person (months × draws); teams and the company are their sums."""
    units = {("person", person): values for person, values in draws.items()}
    for team in sorted({PEOPLE[person] for person in draws}):
        units["team", team] = sum(values for person, values in draws.items() if PEOPLE[person] == team)
    units["company", ""] = sum(draws.values())
    cells = [
        cell_of(level, unit_id, month, values=values[place], won=won)
        for (level, unit_id), values in sorted(units.items())
        for place, month in enumerate(months)
    ]
    frame = pl.DataFrame(cells, schema=CELL_TYPES, orient="row")
    return RevenueForecast(
        as_of=as_of, currency="CNY", version=version, cells=check_cells(frame), remarks=tuple(remarks)
    )


def cell_of(level, unit_id, month, *, values, won):
    """Give one row, half of whose mean is open."""
    mean = float(np.mean(values))
    bounds = [float(np.quantile(values, quantile)) for quantile in BOUNDS.values()]
    return (
        level,
        unit_id,
        f"Name of {unit_id}",
        month,
        won,
        mean / 2,
        mean / 2 - won,
        None,
        mean,
        *bounds,
        list(values),
    )


def random_draws(seed=1, *, months=4, count=200, people=("U01", "U02", "U03")):
    """Draw revenue of some persons, in whole money so that single precision holds the sums."""
    rng = np.random.default_rng(seed)
    return {person: np.round(rng.gamma(4, 25, (months, count))) for person in people}


def day(month, number, year=2026):
    """Give noon of a day."""
    return datetime(year, month, number, 12, tzinfo=UTC)


def keep(engine, forecast, now=KEPT_AT):
    """Keep a forecast."""
    return keep_forecast(engine, forecast, now=now, timezone="UTC")


def store(engine, *records):
    """Add records."""
    with unit_of_work(engine) as session:
        session.add_all(records)


def opportunity(record_id, **values):
    """Make an opportunity of U01's that is open since 5 January."""
    usual = {"created_at": day(1, 5), "owner_id": "U01", "currency": "CNY"}
    return Opportunity(id=record_id, external_id=record_id, **{**usual, **values})
