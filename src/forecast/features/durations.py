"""Durations as numbers."""

import polars as pl

from forecast.moments import MICROSECONDS_A_DAY

_DAYS_A_MICROSECOND = 1 / MICROSECONDS_A_DAY


def days(duration: pl.Expr) -> pl.Expr:
    """Give a duration in days, equal to the last bit for one row and for many."""
    # Polars divides one row exactly but multiplies many by the reciprocal, so that a division would differ between them.
    return duration.dt.total_microseconds() * _DAYS_A_MICROSECOND
