"""Which records are worth comparing, without comparing each with each (blocking)."""

from collections.abc import Sequence

import polars as pl

BLOCK_ROWS_MAX = 50
TYPO_LETTERS = (7, 40)

# Hashes are looked at in so many parts, so that a million names fit in memory.
_PARTS = 16
_PAIR = pl.Schema({"left": pl.Int64(), "right": pl.Int64()})


def candidate_pairs(records: pl.DataFrame, *, blocks: Sequence[str], spelled: str) -> pl.DataFrame:
    """List pairs of records that share a key, or whose names differ by one letter.

    Args:
        records: `row`, 0 on, and keys, missing where a record has none.
        blocks: columns; two records of the same value are a pair. Where more than BLOCK_ROWS_MAX share one, each is
            paired with the next only: the work grows with the records, not with their square.
        spelled: the column in which one letter may differ.

    Returns:
        `left, right`, rows with left < right, each pair once.
    """
    found = [_PAIR.to_frame(), _one_letter_apart(records, spelled)]
    for name in blocks:
        found += _sharing(records.select("row", pl.col(name).alias("key")).drop_nulls())
    return pl.concat(found).unique()


def _sharing(keyed: pl.DataFrame) -> list[pl.DataFrame]:
    shared = keyed.filter(pl.col("key").is_duplicated()).sort("row")
    size = pl.len().over("key")
    small, large = shared.filter(size <= BLOCK_ROWS_MAX), shared.filter(size > BLOCK_ROWS_MAX)
    pairs = small.join(small, on="key").filter(pl.col("row") < pl.col("row_right"))
    chained = large.select(pl.col("row").shift(1).over("key").alias("left"), pl.col("row").alias("right"))
    return [pairs.select(pl.col("row").alias("left"), pl.col("row_right").alias("right")), chained.drop_nulls()]


def _one_letter_apart(records: pl.DataFrame, spelled: str) -> pl.DataFrame:
    """Pair names that become equal when one letter is taken out of either or both; the first record of each name.

    Every name with each one of its letters taken out is hashed; only hashes that come twice are looked at.
    """
    letters = pl.col("key").str.len_chars()
    names = (
        records.select("row", pl.col(spelled).alias("key"))
        .drop_nulls()
        .unique("key", keep="first", maintain_order=True)
        .filter(letters.is_between(*TYPO_LETTERS))
    )
    longest = int(names.select(letters.max()).item() or 0)
    variants = [names.select("row", pl.col("key").hash().alias("key"))]
    variants += [_without_letter(names.filter(letters > place), place) for place in range(longest)]
    hashed = pl.concat(variants)
    parts = (hashed.filter(pl.col("key") % _PARTS == part).unique() for part in range(_PARTS))
    return pl.concat([pair for part in parts for pair in _sharing(part)])


def _without_letter(names: pl.DataFrame, place: int) -> pl.DataFrame:
    rest = pl.col("key").str.slice(0, place) + pl.col("key").str.slice(place + 1)
    return names.select("row", rest.hash().alias("key"))
