"""Rows to learn from: every opportunity at several moments of its life, with what became of it."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecast.estimators.win import occasions
from forecast.features import FeaturePlan, opportunity_features
from forecast.features.untold import OPEN_ONLY
from forecast.metrics import Floats
from forecast.outcomes import censoring_weights, maturity, opportunity_outcomes
from forecast.snapshot import History, take_snapshot
from forecast.snapshot.subjects import opportunities_at_ages, opportunities_entering_stages
from training.young import find_young


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Labelled and still unlabelled rows, in time order.

    Attributes:
        keys: `opportunity_id, as_of, won, known_at, closed_at, created_at`; `won` is missing where the outcome was not known at `until`.
        features: same rows, one column a feature.
        until: nothing recorded at or after this moment is in the rows.
    """

    keys: pl.DataFrame
    features: pl.DataFrame
    until: datetime

    @property
    def dated(self) -> bool:
        """Whether the rows can be put in time order."""
        return self.keys["as_of"].null_count() == 0

    @property
    def timed(self) -> bool:
        """Whether most outcomes came at a known moment after creation, so that age and calendar mean something."""
        closed = self.keys.filter(pl.col("won").is_not_null())
        return self.dated and closed["closed_at"].null_count() * 2 < closed.height

    @cached_property
    def shows_open(self) -> bool:
        """Whether open records have what ended ones lack, as closing overwrote it and no change tells of it."""
        ended = self.keys["won"].is_not_null()
        still_open = self.features.filter(~ended)
        newest = self.features.filter(ended).tail(still_open.height)
        if newest.is_empty():
            return False
        lacking, open_lacking = (
            [count / rows.height for count in rows.null_count().row(0)] for rows in (newest, still_open)
        )
        return any(one - other > OPEN_ONLY for one, other in zip(lacking, open_lacking, strict=True))

    @cached_property
    def won(self) -> Floats:
        """1, 0 or NaN while unknown."""
        return self.keys["won"].cast(pl.Float64).fill_null(float("nan")).to_numpy()

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """Number of each row's opportunity."""
        return self.keys["opportunity_id"].rank("dense").cast(pl.Int64).to_numpy()

    def lesson(self, until: datetime) -> "Lesson":
        """Give what could be learnt, or judged on, at `until`: known outcomes of opportunities that were old enough then.

        Weights let known outcomes stand for all that existed; rows after the first moment together weigh at most
        as much as those at it, however many moments there are.
        """
        weight = self._balanced(self._weights(until))
        return Lesson(won=np.where(weight > 0, self.won, np.nan), weight=weight)

    def taught(self, until: datetime) -> "Lesson":
        """Give what is learnt from at `until`: the lesson and, where losses come by silence, what is too young for it.

        The young are left out where features show which records are still open: to be so would pass for a loss.
        """
        young = find_young(self.keys, until) if self.timed and not self.shows_open else None
        if young is None:
            return self.lesson(until)
        weight = self._balanced(np.where(young.rows, young.weight, self._weights(until)))
        won = np.where(young.rows, young.won, self.won)
        return Lesson(won=np.where(weight > 0, won, np.nan), weight=weight, young=young.rows)

    def _weights(self, until: datetime) -> Floats:
        rows = self.keys.with_row_index("row").filter(pl.col("as_of").is_null() | (pl.col("as_of") < until))
        opportunities = rows.unique("opportunity_id", keep="first", maintain_order=True)
        known = opportunities.filter(
            pl.col("won").is_not_null(), pl.col("known_at").is_null() | (pl.col("known_at") < until)
        )
        age = maturity(known["created_at"], known["known_at"], known["won"])
        mature = opportunities.filter(pl.col("created_at").is_null() | (pl.col("created_at") <= until - age))
        weights = mature.select(
            "opportunity_id", censoring_weights(mature["created_at"], mature["known_at"], until).alias("weight")
        )
        weighted = rows.join(weights, on="opportunity_id", maintain_order="left").filter(pl.col("won").is_not_null())
        weight = np.zeros(self.keys.height)
        weight[weighted["row"].to_numpy()] = weighted["weight"].to_numpy()
        return weight

    def _balanced(self, weight: Floats) -> Floats:
        """Reduce weights so that neither later days nor the moments of entering a stage outweigh the first moments."""
        age = pl.col("age_days")
        later = self.features.select((age > age.min()).fill_null(value=False)).to_series().to_numpy()
        entered = occasions(self.features)["entry"]
        first_sum = weight[~later].sum()
        for rows in (later & ~entered, later & entered):
            if weight[rows].sum() > first_sum:
                weight = np.where(rows, weight * (first_sum / weight[rows].sum()), weight)
        return weight

    @cached_property
    def digest(self) -> str:
        """A SHA-256 of the rows, equal for equal data."""
        rows = pl.concat([self.keys, self.features.drop("opportunity_id", "as_of")], how="horizontal")
        names = ",".join(rows.columns).encode()
        return hashlib.sha256(names + rows.hash_rows(seed=0).to_numpy().tobytes()).hexdigest()

    def part(self, rows: NDArray[np.bool_]) -> "Dataset":
        """Give the data set of these rows only."""
        if rows.all():
            return self
        kept = pl.Series(rows)
        return Dataset(keys=self.keys.filter(kept), features=self.features.filter(kept), until=self.until)

    def thinned(self, counted: NDArray[np.bool_], rows_max: int, seed: int) -> NDArray[np.bool_]:
        """Mark the rows of as many opportunities, drawn at random, as have about `rows_max` of the counted rows; all where fewer are."""
        return thinned(self.groups, int(counted.sum()), rows_max, seed)


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Rows of a data set that are learnt from or judged on: `won` is 1 or 0 and `weight` above 0; NaN and 0 elsewhere.

    Attributes:
        young: rows that are learnt from, but not judged on: open ones among them count as partly lost; none where missing.
    """

    won: Floats
    weight: Floats
    young: NDArray[np.bool_] | None = None

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which rows are in the lesson."""
        return self.weight > 0

    @property
    def settled(self) -> "Lesson":
        """The same lesson without what is young, to judge on."""
        return self if self.young is None else replace(self.within(~self.young), young=None)

    def within(self, rows: NDArray[np.bool_]) -> "Lesson":
        """Give the same lesson from these rows only."""
        return replace(self, won=np.where(rows, self.won, np.nan), weight=np.where(rows, self.weight, 0.0))

    def part(self, rows: NDArray[np.bool_]) -> "Lesson":
        """Give the lesson of the data set of these rows only."""
        young = None if self.young is None else self.young[rows]
        return Lesson(won=self.won[rows], weight=self.weight[rows], young=young)


def thinned(groups: NDArray[np.int64], rows: int, rows_max: int, seed: int) -> NDArray[np.bool_]:
    """Mark what belongs to groups drawn at random, so many that of this number of rows about `rows_max` are left."""
    count = int(groups.max(initial=-1)) + 1
    drawn = np.random.default_rng(seed).permutation(count) < count * min(1.0, rows_max / max(1, rows))
    return np.asarray(drawn[groups])


def build_dataset(history: History, plan: FeaturePlan, ages_days: tuple[float, ...], until: datetime) -> Dataset:
    """Take snapshots before `until`, and join what was known of their outcomes then.

    Each opportunity is seen at every age, and when it first enters each stage of the plan, as long as it was open. Where most
    closed opportunities have dates, those without are left out; else none is.
    """
    return _of_subjects(history, plan, _subjects(history, plan, ages_days, until), until)


def sample_dataset(
    history: History, plan: FeaturePlan, ages_days: tuple[float, ...], until: datetime, *, rows_max: int, seed: int
) -> Dataset:
    """Build the data set of as many opportunities, drawn at random, as have about `rows_max` rows; of all where fewer are."""
    subjects = _subjects(history, plan, ages_days, until)
    groups = subjects["opportunity_id"].rank("dense").cast(pl.Int64).to_numpy()
    drawn = thinned(groups, subjects.height, rows_max, seed)
    return _of_subjects(history, plan, subjects.filter(pl.Series(drawn)), until)


def _subjects(history: History, plan: FeaturePlan, ages_days: tuple[float, ...], until: datetime) -> pl.DataFrame:
    subjects = pl.concat(
        [opportunities_at_ages(history, ages_days), opportunities_entering_stages(history, plan.stages)]
    ).unique()
    subjects = subjects.filter(pl.col("as_of").is_null() | (pl.col("as_of") < until))
    closed = history.opportunities.join(history.closings, on="opportunity_id").filter(pl.col("status") != "open")
    if closed["created_at"].null_count() * 2 < closed.height:
        subjects = subjects.filter(pl.col("as_of").is_not_null())
    return subjects.sort("as_of", "opportunity_id", nulls_last=True)


def _of_subjects(history: History, plan: FeaturePlan, subjects: pl.DataFrame, until: datetime) -> Dataset:
    features = opportunity_features(take_snapshot(history, subjects), plan)
    keys = opportunity_outcomes(history, features.select("opportunity_id", "as_of"))
    return Dataset(keys=keys, features=features, until=until)
