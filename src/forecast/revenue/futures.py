"""Equally likely futures: every sale that may come, drawn one by one, and what strikes all of them together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecast.estimators.revenue import PERSISTENCE
from forecast.metrics import Floats
from forecast.revenue.arrivals import Arrivals
from forecast.revenue.cells import COMPANY, PERSON
from forecast.revenue.records import UNITS

Ints = NDArray[np.int64]
AT_ONCE = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Sales of drawn futures, one an element; numbers are kept short, as sales are many millions.

    Attributes:
        units: number of the unit of each deal or example that sales are drawn from, by level, in the order of `Units`.
        source: number of the deal or example that each sale is drawn from.
        month: number of its month.
        future: number of the future that it is in.
        amount: of it.
    """

    units: Mapping[str, Ints]
    source: NDArray[np.int32]
    month: NDArray[np.int16]
    future: NDArray[np.int16]
    amount: Floats


@dataclass(frozen=True, kw_only=True)
class Units:
    """The units of each level, sorted; the company is one."""

    ids: Mapping[str, tuple[str, ...]]

    def numbers(self, rows: pl.DataFrame) -> dict[str, Ints]:
        """Give the number of each row's unit, by level."""
        found = {level: rows[level].cast(pl.Enum(self.ids[level])).to_physical().cast(pl.Int64) for level in UNITS}
        return {COMPANY: np.zeros(rows.height, np.int64), **{level: codes.to_numpy() for level, codes in found.items()}}


def units_of(frames: list[pl.DataFrame]) -> Units:
    """List all units that any of the rows belong to."""
    every = pl.concat([frame.select(UNITS) for frame in frames])
    return Units(ids={COMPANY: ("",), **{level: tuple(every[level].unique().sort()) for level in UNITS}})


def draw_open(
    units: Mapping[str, Ints], won_by: Floats, amounts: Floats, spread: Floats, *, count: int, rng: np.random.Generator
) -> Drawn:
    """Draw for each open deal whether it is won, in which month and for what.

    Args:
        won_by: probability of being won by each month's end, deals × months.
        amounts: expected where won.
        spread: standard deviation of the amount's logarithm.
    """
    parts = []
    for rows in np.array_split(np.arange(len(won_by)), max(1, len(won_by) * count // AT_ONCE)):
        luck = rng.random((len(rows), count))
        month = (luck[:, :, None] >= won_by[rows][:, None, :]).sum(axis=2)
        deal, future = np.nonzero(month < won_by.shape[1])
        parts.append((rows[deal], month[deal, future], future))
    deal, month, future = (np.concatenate(column) for column in zip(*parts, strict=True))
    luck = np.exp(spread[deal] * rng.standard_normal(len(deal)) - spread[deal] ** 2 / 2)
    return Drawn(
        units=units,
        source=deal.astype(np.int32),
        month=month.astype(np.int16),
        future=future.astype(np.int16),
        amount=amounts[deal] * luck,
    )


def draw_arrivals(arrivals: Arrivals, units: Units, *, count: int, rng: np.random.Generator) -> Drawn:
    """Draw sales that are to come: how many, and each like one of the past."""
    months = len(arrivals.counts)
    expected = np.repeat(arrivals.counts[:, None], count, axis=1)
    if arrivals.dispersion > 0:
        shape = 1 / arrivals.dispersion
        expected = expected * rng.gamma(shape, 1 / shape, count)
    numbers = rng.poisson(expected)
    like = np.concatenate([_likened(arrivals, month, int(numbers[month].sum()), rng) for month in range(months)])
    return Drawn(
        units=units.numbers(arrivals.examples),
        source=like,
        month=np.repeat(np.repeat(np.arange(months, dtype=np.int16), count), numbers.ravel()),
        future=np.repeat(np.tile(np.arange(count, dtype=np.int16), months), numbers.ravel()),
        amount=arrivals.examples["amount"].to_numpy()[like],
    )


def _likened(arrivals: Arrivals, month: int, count: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Draw which example each of a month's sales is like."""
    weights = arrivals.expected[:, month]
    if not count:
        return np.zeros(0, np.int32)
    return rng.choice(len(weights), count, p=weights / weights.sum()).astype(np.int32)


def add_up(drawn: list[Drawn], units: Units, level: str, *, months: int, count: int) -> Floats:
    """Add sales up to units × months × futures."""
    size = len(units.ids[level])
    sums = np.zeros(size * months * count)
    for sales in drawn:
        place = (sales.units[level][sales.source] * months + sales.month) * count + sales.future
        sums += np.bincount(place, sales.amount, minlength=len(sums))
    return sums.reshape(size, months, count)


def shocks(spreads: Floats, *, shape: tuple[int, int, int], rng: np.random.Generator) -> Floats:
    """Draw what strikes all sales of a unit together: factors of mean 1, units × months × futures.

    Args:
        spreads: standard deviation of their logarithm in each month.
    """
    state = rng.standard_normal((shape[0], shape[2]))
    found = np.empty(shape)
    for month, spread in enumerate(spreads):
        if month:
            fresh = rng.standard_normal(state.shape)
            state = PERSISTENCE * state + np.sqrt(1 - PERSISTENCE**2) * fresh
        found[:, month] = np.exp(spread * state - spread**2 / 2)
    return found


def struck(drawn: Drawn, factors: Floats) -> Drawn:
    """Multiply sales by what strikes their person's sales of the month; factors are persons × months × futures."""
    person = drawn.units[PERSON][drawn.source]
    return replace(drawn, amount=drawn.amount * factors[person, drawn.month, drawn.future])
