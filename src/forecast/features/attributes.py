"""What an opportunity, its account, owner and product are."""

from collections.abc import Callable, Sequence

import polars as pl

from forecast.features.columns import CATEGORIES, NUMBERS
from forecast.features.durations import days
from forecast.features.plan import FeaturePlan
from forecast.features.words import entry_features, word_features
from forecast.snapshot import Snapshot


def attribute_features(snapshot: Snapshot, plan: FeaturePlan) -> pl.DataFrame:
    """Give categories as text and numbers as float64, one row a subject."""
    return snapshot.rows.select(
        *(pl.col(name) for name in CATEGORIES),
        "team_id",
        pl.col("next_step").str.len_chars().cast(pl.Float64).alias("next_step_length"),
        *(pl.col(name).cast(pl.Float64) for name in NUMBERS),
        (pl.col("amount") / pl.col("product_list_price").replace(0.0, None)).alias("amount_to_list_price"),
        *(_custom_feature(name, kind) for name, kind in plan.custom.items() if name in snapshot.rows.columns),
        *(one for name, entries in plan.entries.items() for one in _told(snapshot, name, entries, entry_features)),
        *(one for name, words in plan.words.items() for one in _told(snapshot, name, words, word_features)),
        *(
            pl.lit(None).cast(_dtype(kind)).alias(name)
            for name, kind in plan.custom.items()
            if name not in snapshot.rows.columns
        ),
    )


def _told(
    snapshot: Snapshot, name: str, listed: Sequence[str], told: Callable[[pl.Expr, Sequence[str]], list[pl.Expr]]
) -> list[pl.Expr]:
    """Tell entries or words of a field; of one that is gone, all are missing."""
    gone = pl.lit(None, pl.String).alias(name)
    return told(pl.col(name) if name in snapshot.rows.columns else gone, listed)


def _dtype(kind: str) -> type[pl.DataType]:
    return pl.String if kind == "category" else pl.Float64


def _custom_feature(name: str, kind: str) -> pl.Expr:
    value = pl.col(name)
    if kind == "category":
        return value
    if kind in {"number", "boolean"}:
        return value.cast(pl.Float64)
    if kind == "date":
        return days(value.cast(pl.Datetime("us", "UTC")) - pl.col("as_of")).alias(name)
    if kind == "list":
        return value.str.json_decode(pl.List(pl.String)).list.len().cast(pl.Float64).alias(name)
    return value.str.len_chars().cast(pl.Float64)
