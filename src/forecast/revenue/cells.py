"""The frame that a revenue forecast is: one row a level, unit and month."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from forecast.errors import InputError

COMPANY, TEAM, PERSON, REGION, PRODUCT = "company", "team", "person", "region", "product"
LEVELS = (COMPANY, TEAM, PERSON, REGION, PRODUCT)
# Levels whose units are all of the company's revenue have one unit for what belongs to none.
NO_UNIT = {TEAM: "no team", PERSON: "nobody", REGION: "no region", PRODUCT: "no product line"}
BOUNDS = {"lo-50": 0.25, "hi-50": 0.75, "lo-80": 0.1, "hi-80": 0.9, "lo-95": 0.025, "hi-95": 0.975}
CELL_TYPES = pl.Schema(
    {
        "level": pl.String(),
        "unit_id": pl.String(),
        "unit_name": pl.String(),
        "month": pl.Date(),
        "won": pl.Float64(),
        "open": pl.Float64(),
        "new": pl.Float64(),
        "series": pl.Float64(),
        "mean": pl.Float64(),
        **{name: pl.Float64() for name in BOUNDS},
        "draws": pl.List(pl.Float32()),
    }
)
# Of the largest sum: single precision holds seven digits.
TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class RevenueForecast:
    """Revenue by month, as expected at a moment.

    Attributes:
        as_of: nothing known at or after it was used.
        currency: of all amounts; None where the records name none.
        version: of revenue_forecast; None where none is live and weights are the usual ones.
        cells: as CELL_TYPES, sorted by level (in the order of LEVELS), unit and month; every unit has the same months, the first
            of which holds `as_of`. `unit_id` is "" for the company, and the unit of NO_UNIT, which is its own name, for what
            belongs to no unit of a level. A level that the records don't know is left out; the units of one that is
            there add up to the company.
            `won` is booked already in the month; `open` the mean from open opportunities; `new` the mean from
            opportunities that don't exist yet and orders without one; `series` the mean of the time-series view, what is
            booked already included, missing where there is none; `mean` the blend, of which `lo-50 … hi-95` are the ranges.
            `draws` are equally likely futures of the month; the same place is the same future in all rows.
        remarks: what was missing or assumed, in sentences.
    """

    as_of: datetime
    currency: str | None
    version: str | None
    cells: pl.DataFrame
    remarks: tuple[str, ...]


def check_cells(cells: pl.DataFrame) -> pl.DataFrame:
    """Give the cells as they came, where they are what CELL_TYPES and RevenueForecast say.

    Raises:
        InputError: columns, keys, months or draws are not so, or units of a level don't add up to the company.
    """
    if cells.schema != CELL_TYPES:
        raise InputError(f"cells of a revenue forecast have the columns {CELL_TYPES}; found {cells.schema}")
    unknown = cells.filter(~pl.col("level").is_in(LEVELS))
    if unknown.height:
        raise InputError(f'level "{unknown["level"][0]}" is none of {", ".join(LEVELS)}')
    if cells.select("level", "unit_id", "month").is_duplicated().any():
        raise InputError("cells of a revenue forecast hold a level, unit and month twice; give each one row")
    months = cells.group_by("level", "unit_id").agg(pl.col("month").sort())
    if months["month"].n_unique() > 1 or cells.select(pl.col("month").dt.day() != 1).to_series().any():
        raise InputError(
            "units of a revenue forecast differ in their months, or months are not first days; give all the same"
        )
    _check_draws(cells)
    return cells


def _check_draws(cells: pl.DataFrame) -> None:
    if cells["draws"].list.len().n_unique() > 1:
        raise InputError("cells of a revenue forecast have draws of several lengths; the same place is the same future")
    sums = {}
    for (level,), part in cells.group_by("level"):
        months = part.sort("month").partition_by("month")
        sums[level] = np.array([draws_of(month).sum(axis=0) for month in months])
    whole = sums.get(COMPANY)
    for level, parts in sums.items():
        if whole is None or np.abs(parts - whole).max() > TOLERANCE * max(1.0, float(np.abs(whole).max())):
            raise InputError(
                f"units of level {level} don't add up to the company in every draw; make them of the same draws"
            )


def draws_of(cells: pl.DataFrame) -> np.ndarray:
    """Give the draws of cells as numbers, cells × draws."""
    return cells["draws"].explode().to_numpy().reshape(cells.height, -1).astype(np.float64)
