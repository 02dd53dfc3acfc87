"""Which data-dependent features there are: decided once, in training, and kept with the version."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

import polars as pl

from forecast.features.columns import CATEGORIES, NUMBERS
from forecast.features.words import frequent_entries, frequent_words
from forecast.snapshot import History

MOST_ACTIVITY_TYPES = 12
MOST_RECENT_TYPES = 6
MOST_STAGES = 20
MOST_KEYS = 8
KEY_VALUES_MIN = 20
KEY_ROWS_MIN = 3
KEY_SHARE_MIN = 0.5


@dataclass(frozen=True, kw_only=True)
class FeaturePlan:
    """The part of a feature frame's shape that follows from the data.

    Attributes:
        rates: columns whose as-of win rates are features.
        activity_types: types of activity that are counted one by one.
        recent_types: those of them that are counted within windows too.
        stages: stages whose first entry is a feature.
        custom: custom columns with their types.
        entries: of custom lists, the entries whose presence is a feature.
        words: of custom texts and of the next step, likewise the words.
    """

    rates: tuple[str, ...] = ()
    activity_types: tuple[str, ...] = ()
    recent_types: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    custom: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    entries: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    words: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> dict[str, Any]:
        """Give the plan as JSON values."""
        return {
            "rates": list(self.rates),
            "activity_types": list(self.activity_types),
            "recent_types": list(self.recent_types),
            "stages": list(self.stages),
            "custom": [[name, kind] for name, kind in self.custom.items()],
            "entries": [[name, list(entries)] for name, entries in self.entries.items()],
            "words": [[name, list(words)] for name, words in self.words.items()],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        return cls(
            rates=tuple(values["rates"]),
            activity_types=tuple(values["activity_types"]),
            recent_types=tuple(values.get("recent_types", ())),
            stages=tuple(values["stages"]),
            custom=MappingProxyType(dict(values["custom"])),
            entries=MappingProxyType({name: tuple(entries) for name, entries in values.get("entries", [])}),
            words=MappingProxyType({name: tuple(words) for name, words in values.get("words", [])}),
        )


def plan_features(history: History, rates: tuple[str, ...]) -> FeaturePlan:
    """Decide the data-dependent features from what is in history; the most frequent types and stages are kept.

    Args:
        history: what is stored.
        rates: columns whose as-of win rates are features in any case; others whose values recur often enough join them.
    """
    entered = history.changes.filter(pl.col("field") == "stage").rename({"new_value": "stage"})
    return FeaturePlan(
        rates=(*rates, *(name for name in _recurring(history) if name not in rates)),
        activity_types=_most_frequent(history.activities, "type", MOST_ACTIVITY_TYPES),
        recent_types=_most_frequent(history.activities, "type", MOST_RECENT_TYPES),
        stages=_most_frequent(_without_ends(entered, history), "stage", MOST_STAGES),
        custom=MappingProxyType(dict(history.custom_types)),
        entries=_frequent(history, "list", frequent_entries),
        words=MappingProxyType({**_frequent(history, "text", frequent_words), **_next_step_words(history)}),
    )


def _frequent(
    history: History, kind: str, frequent: Callable[[pl.Series], tuple[str, ...]]
) -> Mapping[str, tuple[str, ...]]:
    """Find what many lists or texts have, by the name of the custom column; columns of which none has are left out."""
    columns = [
        frame[name]
        for frame in (history.opportunities, history.accounts)
        for name, own in history.custom_types.items()
        if own == kind and name in frame.columns
    ]
    found = {column.name: frequent(column) for column in columns}
    return MappingProxyType({name: listed for name, listed in found.items() if listed})


def _next_step_words(history: History) -> dict[str, tuple[str, ...]]:
    """Find the words of next steps: of those of open opportunities, and of those that were set; closing overwrites the rest."""
    is_open = history.closings["status"] == "open"
    changed = history.changes.filter(pl.col("field") == "next_step")["new_value"]
    words = frequent_words(pl.concat([history.opportunities.filter(is_open)["next_step"], changed]).drop_nulls())
    return {"next_step": words} if words else {}


def _recurring(history: History) -> list[str]:
    """Find columns of many values, most of which come again: an amount may be a price, a text the name of a partner."""
    kinds = history.custom_types
    names = [*CATEGORIES, *NUMBERS, *(name for name, kind in kinds.items() if kind in {"category", "number"})]
    columns = history.opportunities.select(
        name for name in history.opportunities.columns if name in set(names) - history.overwritten_on_close
    )
    shares = {column.name: _recurring_share(column) for column in columns.iter_columns()}
    found = sorted((name for name, share in shares.items() if share >= KEY_SHARE_MIN), key=lambda name: -shares[name])
    return found[:MOST_KEYS]


def _recurring_share(column: pl.Series) -> float:
    """Give the share of rows whose value at least KEY_ROWS_MIN rows have; 0 for a column of few values."""
    counts = column.drop_nulls().value_counts()["count"]
    if len(counts) <= KEY_VALUES_MIN:
        return 0.0
    return float(counts.filter(counts >= KEY_ROWS_MIN).sum()) / len(column)


def _without_ends(entered: pl.DataFrame, history: History) -> pl.DataFrame:
    """Leave out stages that only ever come at the very end: entering them is the outcome."""
    ends = history.stages.filter(pl.col("kind") != "open")["stage"].implode()
    closed = history.closings.filter(pl.col("status") != "open").select("opportunity_id", "closed_at")
    seen_open = (
        entered.join(closed, left_on="record_id", right_on="opportunity_id", how="left")
        .filter(pl.col("closed_at").is_null() | (pl.col("changed_at") < pl.col("closed_at")))["stage"]
        .implode()
    )
    return entered.filter(pl.col("stage").is_in(seen_open), ~pl.col("stage").is_in(ends))


def _most_frequent(frame: pl.DataFrame, column: str, most: int) -> tuple[str, ...]:
    counts = frame.drop_nulls(column).group_by(column).len().sort(["len", column], descending=[True, False])
    return tuple(sorted(counts[column].head(most)))
