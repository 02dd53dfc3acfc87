"""Columns made of drawn arrays: ids, words, moments, days, and gaps where nobody filled a field in."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

SECONDS_A_DAY = 86_400


def ids(prefix: str, numbers: Ints, *, digits: int) -> pl.Series:
    """Write ids such as O000001 for number 0."""
    return (prefix + pl.Series(numbers + 1).cast(pl.String).str.zfill(digits)).alias("id")


def words(choices: Sequence[str], codes: Ints) -> pl.Series:
    """Give the word of each code."""
    return pl.Series(choices, dtype=pl.String).gather(codes)


def local_words(chinese: Sequence[str], english: Sequence[str], *, codes: Ints, in_chinese: Bools) -> pl.Series:
    """Give the word of each code in the language of its row; both lists are equally long."""
    return words([*chinese, *english], codes + np.where(in_chinese, 0, len(chinese)))


def moments(seconds: Ints) -> pl.Series:
    """Turn seconds since 1970 into UTC moments."""
    return (pl.Series(seconds) * 1_000_000).cast(pl.Datetime("us", "UTC"))


def days(numbers: Ints) -> pl.Series:
    """Turn days since 1970 into dates."""
    return pl.Series(numbers.astype(np.int32)).cast(pl.Date)


def with_gaps(column: pl.Series, missing: Bools) -> pl.Series:
    """Empty a column where `missing` is true."""
    return pl.select(pl.when(~pl.Series(missing)).then(column)).to_series().alias(column.name)


def standardised(values: Floats) -> Floats:
    """Shift and scale to mean 0 and standard deviation 1; a constant becomes 0."""
    centred: Floats = values - values.mean()
    spread = float(centred.std())
    return centred / spread if spread > 0 else centred


def choose(rng: np.random.Generator, weights: Sequence[float], count: int) -> Ints:
    """Draw codes with probabilities in proportion to the weights."""
    cumulated = np.cumsum(weights)
    return np.searchsorted(cumulated / cumulated[-1], rng.random(count), side="right").astype(np.int64)


def spread_rows(counts: Ints) -> Ints:
    """Repeat each row's number as often as its count says."""
    return np.repeat(np.arange(len(counts)), counts)
