"""From what is known of sales to a revenue forecast."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from forecast.estimators.revenue import RevenueModel, usual_model
from forecast.metrics import Floats
from forecast.revenue.blending import blend_factors, draw_sales, draws_count, strike, totals
from forecast.revenue.cells import (
    BOUNDS,
    CELL_TYPES,
    COMPANY,
    LEVELS,
    NO_UNIT,
    PERSON,
    PRODUCT,
    REGION,
    TEAM,
    RevenueForecast,
)
from forecast.revenue.closing import ENDS_MIN
from forecast.revenue.futures import Drawn, units_of
from forecast.revenue.records import UNITS, Sales
from forecast.revenue.time_series import forecast_level
from forecast.revenue.views import Views, both_views

HORIZON = 6
SEED = 20
UNITS_MAX = 200
KNOWN_SHARE_MIN = 0.5


def forecast_revenue(
    sales: Sales,
    *,
    model: RevenueModel | None,
    version: str | None,
    names: Mapping[tuple[str, str], str],
    horizon: int = HORIZON,
    won_by: Floats | None = None,
    seed: int = SEED,
) -> RevenueForecast:
    """Forecast revenue by month for the company and its units.

    Args:
        model: of the live version; the usual weights where there is none.
        version: its id.
        names: of units, by level and id.
        horizon: months, the one that holds the moment included.
        won_by: probability of each open deal, in the order of `sales.open_deals`, of being won by each month's end, where a
            win model knows it.
    """
    views = both_views(sales, horizon=horizon, won_by=won_by, seed=seed)
    used = usual_model(sales.announced_share) if model is None else model
    factors = blend_factors(views.parts, views.series, used)
    count = draws_count(views)
    drawn = strike(views, draw_sales(views, factors, count=count, seed=seed), used, count=count, seed=seed)
    blend = _Blend(views=views, factors=factors, drawn=drawn, count=count)
    frames = [_level_cells(blend, level, names) for level in _levels(sales)]
    return RevenueForecast(
        as_of=sales.as_of,
        currency=sales.currency,
        version=version,
        cells=pl.concat(frames),
        remarks=(*sales.remarks, *views.remarks, *_remarks(views, version)),
    )


def forecast_units(sales: Sales, names: Mapping[tuple[str, str], str]) -> pl.DataFrame:
    """List what a forecast may speak of: `level, unit_id, unit_name`; units without anything expected are not in it."""
    ids = units_of([sales.open_deals, sales.booked]).ids
    rows = [(level, unit, _name(level, unit, names)) for level in _levels(sales) for unit in ids[level]]
    return pl.DataFrame(rows, schema=dict.fromkeys(("level", "unit_id", "unit_name"), pl.String), orient="row")


def _levels(sales: Sales) -> list[str]:
    """List the levels that the records know: most sales belong to one of two units or more, or to some team or person."""
    rows = pl.concat([sales.open_deals.select(UNITS), sales.booked.select(UNITS)])
    found = [COMPANY]
    for level in LEVELS[1:]:
        known = rows.filter(pl.col(level) != NO_UNIT[level])[level]
        least = 2 if level in {REGION, PRODUCT} else 1
        enough = len(known) >= KNOWN_SHARE_MIN * rows.height
        if enough and least <= known.n_unique() and (level in {TEAM, PERSON} or known.n_unique() <= UNITS_MAX):
            found.append(level)
    return found


@dataclass(frozen=True, kw_only=True)
class _Blend:
    """Both views, by how much the blend raises or lowers them, and the sales of so many futures."""

    views: Views
    factors: Floats
    drawn: list[Drawn]
    count: int


def _level_cells(blend: _Blend, level: str, names: Mapping[tuple[str, str], str]) -> pl.DataFrame:
    views, factors = blend.views, blend.factors
    ids, months = views.units.ids[level], views.months.starts
    won = np.zeros((len(ids), len(months)))
    won[:, 0] = views.won[level]
    mean = won + views.open(level, factors) + views.new(level, factors)
    draws = totals(views, blend.drawn, level, count=blend.count)
    bounds = np.quantile(draws, list(BOUNDS.values()), axis=2)
    series = _series(views, level)
    columns = {"won": won, "open": views.open(level), "new": views.new(level), "mean": mean}
    columns |= dict(zip(BOUNDS, bounds, strict=True))
    cells = pl.DataFrame(
        {
            "level": [level] * mean.size,
            "unit_id": np.repeat(np.array(ids, dtype=object), len(months)),
            "unit_name": np.repeat(np.array([_name(level, unit, names) for unit in ids], dtype=object), len(months)),
            "month": list(months) * len(ids),
            **{name: values.ravel() for name, values in columns.items()},
            "series": [None] * mean.size if series is None else series.ravel(),
            "draws": pl.Series(draws.reshape(-1, blend.count).astype(np.float32)).arr.to_list(),
        },
        schema_overrides={"unit_id": pl.String, "unit_name": pl.String, "series": pl.Float64},
    )
    seen = (np.abs(mean) + np.abs(draws).sum(axis=2)).sum(axis=1) > 0
    kept = np.repeat(seen | (level == COMPANY), len(months))
    return cells.filter(pl.Series(kept)).select(CELL_TYPES.names()).cast(CELL_TYPES)


def _name(level: str, unit: str, names: Mapping[tuple[str, str], str]) -> str:
    return names.get((level, unit), unit or COMPANY)


def _series(views: Views, level: str) -> Floats | None:
    """Give the time-series view of a level's units; None where they have none."""
    if views.series is None:
        return None
    team_of = _team_of_person(views.sales)
    if level in {REGION, PRODUCT} or (level == TEAM and team_of is None):
        rest = forecast_level(views.sales, views.units, views.months, level, views.series.sum(axis=0))
        rest[:, 0] += views.won[level]
        return rest
    if level == PERSON:
        place = np.arange(len(views.units.ids[PERSON]))
    elif level == TEAM and team_of is not None:
        place = np.array([views.units.ids[TEAM].index(team_of[name]) for name in views.units.ids[PERSON]])
    else:
        place = np.zeros(len(views.units.ids[PERSON]), dtype=np.int64)
    found = np.zeros((len(views.units.ids[level]), len(views.months.starts)))
    np.add.at(found, place, views.series)
    found[:, 0] += views.won[level]
    return found


def _team_of_person(sales: Sales) -> Mapping[str, str] | None:
    """Give the team of each person; None where one sells in several."""
    rows = pl.concat([sales.booked.select(PERSON, TEAM), sales.open_deals.select(PERSON, TEAM)]).unique()
    return None if rows[PERSON].is_duplicated().any() else dict(rows.iter_rows())


def _remarks(views: Views, version: str | None) -> list[str]:
    sales, found = views.sales, []
    if version is None:
        found.append("no version of revenue_forecast is live: the usual weights and ranges are used; train one")
    if sales.open_deals.is_empty():
        found.append("no opportunity is open: the forecast rests on what was booked")
    ended = sales.deals.filter(pl.col("status") != "open").height
    if not sales.open_deals.is_empty() and ended < ENDS_MIN:
        found.append(
            f"only {ended} opportunities have ended, so that open ones are taken to end as often and be won as often as all"
        )
    if sales.booked.is_empty():
        found.append(
            "nothing was booked yet: open opportunities are counted, and what those to come bring is not known"
        )
    elif views.series is None:
        found.append("too few months were booked for a time series: the forecast is that of its parts")
    return found
