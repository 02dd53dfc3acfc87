"""Turn a feature frame into a matrix, the same way in training and in scoring."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl

from forecast.metrics import Floats

LEVEL_ROWS_MIN = 10
LEVELS_MAX = 250
INSTANT_DAYS = 0.01


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """Columns of the matrix: numbers first, then a code for each category.

    Attributes:
        numbers: features taken as they are; missing is NaN.
        levels: for each category its frequent levels, whose position is the code; any other value gets the code one
            past the last, missing is NaN.
    """

    numbers: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the matrix's columns in order."""
        return (*self.numbers, *self.levels)

    @property
    def category_positions(self) -> list[int]:
        """Columns of the matrix that hold codes."""
        return list(range(len(self.numbers), len(self.features)))

    def matrix(self, features: pl.DataFrame) -> Floats:
        """Give float64 of shape (rows, features), in C order."""
        codes = [_code(name, kind) for name, kind in self._kinds.items()]
        encoded = features.select(*(_number(name) for name in self.numbers), *codes)
        return np.ascontiguousarray(encoded.fill_null(float("nan")).to_numpy().astype(np.float64, copy=False))

    @cached_property
    def _kinds(self) -> dict[str, pl.Enum]:
        return {name: pl.Enum(levels) for name, levels in self.levels.items()}

    def to_json(self) -> dict[str, Any]:
        """Give the encoding as JSON values; lists, as the order of columns must survive a sorting of keys."""
        return {"numbers": list(self.numbers), "levels": [[name, list(levels)] for name, levels in self.levels.items()]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        return cls(
            numbers=tuple(values["numbers"]),
            levels={name: tuple(levels) for name, levels in values["levels"]},
        )


def _code(name: str, levels: pl.Enum) -> pl.Expr:
    code = pl.col(name).cast(levels, strict=False).to_physical().cast(pl.Float64).fill_null(len(levels.categories))
    return pl.when(pl.col(name).is_not_null()).then(code).alias(name)


def _number(name: str) -> pl.Expr:
    """Give a number as it is; a duration of exactly zero becomes an instant.

    Trees give exact zero a place of its own, where the hours after it would fall in with the days that follow.
    """
    value = pl.col(name).cast(pl.Float64)
    return pl.when(value == 0).then(INSTANT_DAYS).otherwise(value).alias(name) if name.endswith("_days") else value


def fit_encoding(features: pl.DataFrame, left_out: frozenset[str] = frozenset()) -> Encoding:
    """Choose columns that vary, and the levels of categories that at least LEVEL_ROWS_MIN rows have."""
    kept = features.drop("opportunity_id", "as_of", *left_out, strict=False)
    varying = next(kept.select(pl.all().ne_missing(pl.all().first()).any()).iter_rows(named=True), {})
    texts = [name for name, kind in kept.schema.items() if kind == pl.String]
    frequent = {name: _frequent_levels(kept[name]) for name in texts if varying[name]}
    return Encoding(
        numbers=tuple(name for name, varies in varying.items() if varies and name not in texts),
        levels={name: levels for name, levels in frequent.items() if levels},
    )


def _frequent_levels(column: pl.Series) -> tuple[str, ...]:
    counts = column.drop_nulls().value_counts().rename({column.name: "level"})
    frequent = counts.filter(pl.col("count") >= LEVEL_ROWS_MIN).sort(["count", "level"], descending=[True, False])
    return tuple(frequent["level"].head(LEVELS_MAX))
