"""Cut rows into what is learnt from and what is judged on: by time, or by opportunity where there are no dates."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.dataset import Dataset, Lesson

FIRST_FOLD_SHARE = 0.4
OPPORTUNITIES_MIN = 10


@dataclass(frozen=True, kw_only=True)
class Fold:
    """What is learnt from, and what that is judged on."""

    fit: Lesson
    judged: Lesson


@dataclass(frozen=True, kw_only=True)
class Folds:
    """Folds of one kind; `ordered` where each is judged on a later part than it learns from."""

    folds: list[Fold]
    ordered: bool


def newest_part(dataset: Dataset, share: float, seed: int) -> Folds:
    """Hold out the newest share of what could be learnt; what was not known when it begins is not learnt from.

    Where rows have no dates, or too few outcomes were known by then, a random share of opportunities is held out.
    """
    lesson = dataset.lesson(dataset.until)
    if dataset.dated:
        (start,) = _moments(dataset, lesson, (1 - share,))
        newest = Fold(fit=dataset.lesson(start), judged=lesson.within(_between(dataset, start, None)))
        if _has_both(dataset, newest, OPPORTUNITIES_MIN):
            return Folds(folds=[newest], ordered=True)
    held = _tenths(dataset, seed) < round(10 * share)
    return Folds(folds=[Fold(fit=lesson.within(~held), judged=lesson.within(held))], ordered=False)


def choosing_folds(dataset: Dataset, lesson: Lesson, count: int, *, gap_days: float, seed: int) -> Folds:
    """Cut a lesson into folds, each judged on a later part than it learns from.

    Where rows have no dates, or too few outcomes were known early enough, folds are of random opportunities.
    """
    ordered = _ordered_folds(dataset, lesson, count, timedelta(days=gap_days)) if dataset.dated else []
    if len(ordered) > 1:
        return Folds(folds=ordered, ordered=True)
    part = _tenths(dataset, seed + 1) % count
    folds = [Fold(fit=lesson.within(part != number), judged=lesson.within(part == number)) for number in range(count)]
    return Folds(folds=[fold for fold in folds if _has_both(dataset, fold, 1)], ordered=False)


def _ordered_folds(dataset: Dataset, lesson: Lesson, count: int, gap: timedelta) -> list[Fold]:
    moments = [*_moments(dataset, lesson, tuple(np.linspace(FIRST_FOLD_SHARE, 1.0, count + 1)[:-1])), None]
    folds = [
        Fold(
            fit=dataset.lesson(start).within(~_between(dataset, start - gap, None)),
            judged=lesson.within(_between(dataset, start, end)),
        )
        for start, end in pairwise(moments)
        if start is not None
    ]
    return [fold for fold in folds if _has_both(dataset, fold, OPPORTUNITIES_MIN)]


def _has_both(dataset: Dataset, fold: Fold, least: int) -> bool:
    """Whether at least so many opportunities are won, and as many lost, on both sides."""
    return all(
        len(np.unique(dataset.groups[lesson.used & (lesson.won == outcome)])) >= least
        for lesson in (fold.fit, fold.judged)
        for outcome in (0, 1)
    )


def _moments(dataset: Dataset, lesson: Lesson, shares: tuple[float, ...]) -> list[datetime]:
    """Give the moments by which these shares of a lesson's rows had come."""
    moments = dataset.keys.filter(pl.Series(lesson.used))["as_of"].sort()
    return [moments[min(int(len(moments) * share), len(moments) - 1)] for share in shares]


def _between(dataset: Dataset, start: datetime, end: datetime | None) -> NDArray[np.bool_]:
    """Mark rows at or after `start` and, where it is given, before `end`."""
    rows = pl.col("as_of") >= start
    return dataset.keys.select(rows if end is None else rows & (pl.col("as_of") < end)).to_series().to_numpy()


def _tenths(dataset: Dataset, seed: int) -> NDArray[np.int64]:
    """Give each row's opportunity a number from 0 to 9 at random."""
    groups = dataset.groups
    return np.random.default_rng(seed).permutation(groups.max() + 1)[groups] % 10
