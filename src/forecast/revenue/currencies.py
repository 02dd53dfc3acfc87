"""Which amounts count: one rule for the forecast, targets, what changed and accuracy.

Amounts in several currencies are never added up. One that names no currency is in the only one that is known, and in none of several.
"""

from collections.abc import Sequence

import polars as pl

from forecast.errors import InputError, TooLittleHistoryError


def check_currency(asked: str | None, known: Sequence[str | None] | pl.Series) -> str | None:
    """Give the currency that counts: the one asked for, else the only one known; None where none is.

    Args:
        asked: may be None where one is known at most.
        known: of amounts, one each.

    Raises:
        TooLittleHistoryError: amounts are known, and none of them is in the one asked for.
        InputError: they are in several, and none was asked for.
    """
    counts = pl.Series("currency", known, dtype=pl.String).drop_nulls().value_counts(sort=True)
    listed = ", ".join(
        f"{name} ({count})" for name, count in counts.sort("count", "currency", descending=[True, False]).iter_rows()
    )
    if asked is not None and counts.height and asked not in counts["currency"]:
        raise TooLittleHistoryError(f'no amount is in "{asked}" by then; found {listed}: name one of them')
    if asked is None and counts.height > 1:
        raise InputError(f"amounts are in several currencies, {listed}; name one with --currency")
    return asked if asked is not None or counts.is_empty() else str(counts["currency"][0])


def of_currency(rows: pl.DataFrame, asked: str | None, known: Sequence[str | None] | pl.Series) -> pl.DataFrame:
    """Give the rows whose amounts are in a currency, by their column `currency`; all where none is known.

    Args:
        rows: to choose from.
        asked: the currency; None where one is known at most.
        known: of amounts, one each.
    """
    names = set(pl.Series("currency", known, dtype=pl.String).drop_nulls().unique())
    if not names or asked is None:
        return rows
    nameless = pl.lit(names == {asked}) & pl.col("currency").is_null()
    return rows.filter((pl.col("currency") == asked) | nameless)
