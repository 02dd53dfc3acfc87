"""Cut rows into what is learnt from and what is judged on: by time, or by opportunity where there are no dates."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

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
    """Folds of one kind.

    `order` is "known" where each is judged on a later part than it learns from, and learns from what was known when that
    part begins; "created" where it is judged on opportunities created later, and outcomes that were known only afterwards
    are learnt from too; "random" where there is no order.
    """

    folds: list[Fold]
    order: Literal["known", "created", "random"]


def newest_part(dataset: Dataset, share: float, seed: int) -> Folds:
    """Hold out the newest share of what could be learnt; what was not known when it begins is not learnt from.

    Where too few outcomes were known by then, the opportunities created last are held out; without dates, a random share.
    No fold where neither leaves both outcomes on both sides.
    """
    lesson = dataset.lesson(dataset.until)
    if not dataset.dated:
        held = _tenths(dataset, seed) < round(10 * share)
        return Folds(folds=[Fold(fit=lesson.within(~held), judged=lesson.within(held))], order="random")
    (start,) = _moments(dataset, lesson, (1 - share,), "as_of")
    newest = Fold(fit=dataset.taught(start), judged=lesson.within(_between(dataset, start, None)))
    if _has_both(dataset, newest, OPPORTUNITIES_MIN):
        return Folds(folds=[newest], order="known")
    (start,) = _moments(dataset, lesson, (1 - share,), "created_at")
    last = _between(dataset, start, None, "created_at")
    fold = Fold(fit=lesson.within(~last), judged=lesson.within(last))
    return Folds(folds=[fold] if _has_both(dataset, fold, OPPORTUNITIES_MIN) else [], order="created")


def choosing_folds(dataset: Dataset, lesson: Lesson, count: int, *, gap_days: float, seed: int) -> Folds:
    """Cut a lesson into folds, each judged on a later part than it learns from; what is young is only learnt from.

    Where too few outcomes were known early enough, folds are in the order of creation; where even that leaves none,
    or there are no dates, they are of random opportunities.
    """
    if dataset.dated:
        ordered = _ordered_folds(dataset, lesson, count, timedelta(days=gap_days))
        if len(ordered) > 1:
            return Folds(folds=ordered, order="known")
    lesson = lesson.settled
    if dataset.dated:
        for parts in range(count, 0, -1):
            if created := _created_folds(dataset, lesson, parts):
                return Folds(folds=created, order="created")
    part = _tenths(dataset, seed + 1) % count
    folds = [Fold(fit=lesson.within(part != number), judged=lesson.within(part == number)) for number in range(count)]
    return Folds(folds=[fold for fold in folds if _has_both(dataset, fold, 1)], order="random")


def _ordered_folds(dataset: Dataset, lesson: Lesson, count: int, gap: timedelta) -> list[Fold]:
    settled = lesson.settled
    folds = [
        Fold(
            fit=dataset.taught(start).within(lesson.used & ~_between(dataset, start - gap, None)),
            judged=settled.within(_between(dataset, start, end)),
        )
        for start, end in _parts(dataset, settled, count, "as_of")
    ]
    return [fold for fold in folds if _has_both(dataset, fold, OPPORTUNITIES_MIN)]


def _created_folds(dataset: Dataset, lesson: Lesson, count: int) -> list[Fold]:
    folds = [
        Fold(
            fit=lesson.within(~_between(dataset, start, None, "created_at")),
            judged=lesson.within(_between(dataset, start, end, "created_at")),
        )
        for start, end in _parts(dataset, lesson, count, "created_at")
    ]
    return [fold for fold in folds if _has_both(dataset, fold, OPPORTUNITIES_MIN)]


def _parts(dataset: Dataset, lesson: Lesson, count: int, column: str) -> list[tuple[datetime, datetime | None]]:
    """Cut the rows after the first share into so many parts of equal size; each as its start and its end."""
    starts = _moments(dataset, lesson, tuple(np.linspace(FIRST_FOLD_SHARE, 1.0, count + 1)[:-1]), column)
    return list(zip(starts, [*starts[1:], None], strict=True))


def _has_both(dataset: Dataset, fold: Fold, least: int) -> bool:
    """Whether at least so many opportunities are won, and as many lost, on both sides; what is young doesn't count."""
    return all(count_rarer(dataset, lesson.settled) >= least for lesson in (fold.fit, fold.judged))


def count_rarer(dataset: Dataset, lesson: Lesson) -> int:
    """Count the opportunities of the rarer outcome; young ones count if won, as those not won may still be open."""
    ended = (lesson.won == 1, lesson.settled.won == 0)
    return min(len(np.unique(dataset.groups[rows])) for rows in ended)


def _moments(dataset: Dataset, lesson: Lesson, shares: tuple[float, ...], column: str) -> list[datetime]:
    """Give the moments by which these shares of a lesson's rows had come, or their opportunities had been created."""
    moments = dataset.keys.filter(pl.Series(lesson.used))[column].sort()
    return [moments[min(int(len(moments) * share), len(moments) - 1)] for share in shares]


def _between(dataset: Dataset, start: datetime, end: datetime | None, column: str = "as_of") -> NDArray[np.bool_]:
    """Mark rows whose moment is at or after `start` and, where it is given, before `end`."""
    rows = pl.col(column) >= start
    return dataset.keys.select(rows if end is None else rows & (pl.col(column) < end)).to_series().to_numpy()


def _tenths(dataset: Dataset, seed: int) -> NDArray[np.int64]:
    """Give each row's opportunity a number from 0 to 9 at random."""
    groups = dataset.groups
    return np.random.default_rng(seed).permutation(groups.max() + 1)[groups] % 10
