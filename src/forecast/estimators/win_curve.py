"""When opportunities end: discrete-time hazards of two competing ends, won and lost."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import softmax

from forecast.estimators.deal_clock import DealClock
from forecast.estimators.interval_scores import interval_scores
from forecast.estimators.shapley import Tree, read_trees
from forecast.metrics import Floats

OPEN, WON, LOST = 0, 1, 2
ROUNDS = 60
FEW_ROWS = 200
INTERVALS = 12
# Where few are left, ends come ever more slowly: a last interval of a twelfth of them would be far too long to be straight in.
TAIL = (0.95, 0.98, 0.995)
# No opportunity counts for more, or less, than so many usual ones.
WEIGHT_BOUND = 20.0
PARAMETERS: Mapping[str, Any] = {
    "objective": "multiclass",
    "num_class": 3,
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "learning_rate": 0.06,
    "num_leaves": 12,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "cat_smooth": 50.0,
    "min_data_per_group": 50,
}


@dataclass(frozen=True)
class WinCurve:
    """Fitted hazards: the chance of ending, won or lost, in each interval of days from now, of what was open before it.

    Attributes:
        edges_days: days from now at which it is read off, ascending; the last is the horizon.
        text: LightGBM's model file. Its last column is the number of the interval.
        clock: by which large opportunities live at a pace of their own; missing where amounts say nothing of time.
        ticks: ends of the intervals, in days by the clock; without a clock they are `edges_days`.
    """

    edges_days: tuple[float, ...]
    text: str
    clock: DealClock | None = None
    ticks: tuple[float, ...] = ()

    @cached_property
    def booster(self) -> lgb.Booster:
        """The parsed model, for few rows."""
        return lgb.Booster(model_str=self.text)

    @cached_property
    def trees(self) -> list[Tree]:
        """Its trees, for many rows."""
        return read_trees(self.text)

    def ended(self, matrix: Floats) -> tuple[Floats, Floats]:
        """Give the probabilities of being won, and of being lost, by each edge; shape (rows, edges) each."""
        if self.clock is None:
            return self._by_tick(matrix)
        asked = np.array(self.edges_days) / self.clock.paces(matrix)[:, None]
        won, lost = (at_days(curve, self.ticks, asked) for curve in self._by_tick(self.clock.with_own_age(matrix)))
        return won, lost

    def _by_tick(self, matrix: Floats) -> tuple[Floats, Floats]:
        found = self._ends(matrix) if len(matrix) < FEW_ROWS else self._ends_of_many(matrix)
        open_before = np.cumprod(np.concatenate([np.ones((1, len(matrix))), found[OPEN, :-1]]), axis=0)
        won, lost = (np.ascontiguousarray(np.cumsum(open_before * found[end], axis=0).T) for end in (WON, LOST))
        return won, lost

    @property
    def _intervals(self) -> int:
        return len(self.ticks or self.edges_days)

    def _ends(self, matrix: Floats) -> Floats:
        """Give the chance of each end in each interval of what was open before it, shape (ends, intervals, rows)."""
        rows, count = len(matrix), self._intervals
        if not rows:  # LightGBM fails on no rows
            return np.zeros((3, count, 0))
        asked = _with_interval(matrix, np.tile(np.arange(rows), count), np.repeat(np.arange(count), rows))
        return np.asarray(self.booster.predict(asked, num_threads=1)).T.reshape(3, count, rows)

    def _ends_of_many(self, matrix: Floats) -> Floats:
        """Give the same in a tenth of the time, after a start that few rows are not worth."""
        scores = interval_scores(self.trees, matrix, intervals=self._intervals, classes=3)
        return np.asarray(softmax(scores, axis=0))

    @classmethod
    def from_json(cls, values: Mapping[str, Any], text: str) -> Self:
        """Read what `to_json` gave, and the trees' text."""
        clock = values.get("clock")
        return cls(
            edges_days=tuple(values["edges_days"]),
            text=text,
            clock=None if clock is None else DealClock.from_json(clock),
            ticks=tuple(values.get("ticks", ())),
        )

    def to_json(self) -> dict[str, Any]:
        """Give everything but the trees as JSON values."""
        return {
            "edges_days": list(self.edges_days),
            "clock": None if self.clock is None else self.clock.to_json(),
            "ticks": list(self.ticks),
        }


def won_as_scored(won: Floats, lost: Floats, probability: Floats) -> Floats:
    """Give the probability of being won by each edge, so that it goes with the win model's.

    The hazards say when opportunities end; which of two ends comes, the model of win probability knows better:
    won by t = P(ended within the horizon) * probability * (won by t / won within the horizon, by the hazards).

    Args:
        won, lost: by each edge, by the hazards, shape (rows, edges).
        probability: of being won, if it ends, by the win model.
    """
    shape = won / np.maximum(won[:, -1:], 1e-12)
    return (won[:, -1] + lost[:, -1])[:, None] * probability[:, None] * shape


def at_days(curve: Floats, edges_days: tuple[float, ...], days: Floats) -> Floats:
    """Read curves off at days from now, shape (rows, days): straight between edges, 0 before now, level after the last.

    Args:
        curve: value at each edge, shape (rows, edges).
        edges_days: the edges.
        days: of shape (rows, days) or (days,).
    """
    asked = np.broadcast_to(days, (len(curve), np.shape(days)[-1]))
    edges = np.concatenate([[0.0], edges_days])
    values = np.concatenate([np.zeros((len(curve), 1)), curve], axis=1)
    return np.array([np.interp(row, edges, line) for row, line in zip(asked, values, strict=True)]).reshape(asked.shape)


def days_until(curve: Floats, edges_days: tuple[float, ...], shares: tuple[float, ...]) -> Floats:
    """Give after how many days each curve has come so far of its own last value, shape (rows, shares)."""
    edges = np.concatenate([[0.0], edges_days])
    values = np.concatenate([np.zeros((len(curve), 1)), curve / np.maximum(curve[:, -1:], 1e-12)], axis=1)
    return np.array([np.interp(shares, line, edges) for line in values]).reshape(len(curve), len(shares))


def cut_time(took_days: Floats, end: NDArray[np.int64], horizon_days: float) -> tuple[float, ...]:
    """Cut the time to the horizon where equal numbers had ended, and further where few are left."""
    ended = took_days[(end != OPEN) & (took_days < horizon_days)]
    shares = [*np.linspace(0, 1, INTERVALS + 1)[1:-1], *TAIL]
    inner = np.quantile(ended, shares) if len(ended) else []
    return tuple(sorted({round(float(edge), 4) for edge in inner if edge > 0} | {float(horizon_days)}))


def fit_win_curve(
    matrix: Floats,
    took_days: Floats,
    end: NDArray[np.int64],
    *,
    edges_days: tuple[float, ...],
    category_positions: list[int],
    seed: int,
    weights: Floats | None = None,
    clock: DealClock | None = None,
) -> WinCurve:
    """Fit hazards on a row for each opportunity and interval that it was seen to begin open.

    Args:
        matrix: one row a subject.
        took_days: until the end; of those still open, until they were last seen.
        end: OPEN, WON or LOST.
        edges_days: ends of the intervals; where there is a clock, days at which the curve is read off.
        category_positions: columns of the matrix that hold codes.
        seed: of LightGBM.
        weights: how much each row counts; all the same where missing.
        clock: by which time is measured.
    """
    ticks, asked, took = edges_days, matrix, took_days
    if clock is not None:
        took, asked = took_days / clock.paces(matrix), clock.with_own_age(matrix)
        ticks = cut_time(took, end, edges_days[-1] / clock.fastest)
    row, interval, label = _seen_intervals(took, end, ticks)
    data = lgb.Dataset(
        _with_interval(asked, row, interval),
        label,
        weight=None if weights is None else weights[row],
        categorical_feature=category_positions,
    )
    booster = lgb.train({**PARAMETERS, "seed": seed}, data, num_boost_round=ROUNDS)
    text = booster.model_to_string(num_iteration=-1)
    return WinCurve(edges_days, text, clock, () if clock is None else ticks)


def _seen_intervals(
    took_days: Floats, end: NDArray[np.int64], edges_days: tuple[float, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """List the intervals that each subject was seen to begin open, and how it ended in them: subject, interval, end."""
    starts, ends = np.array([0.0, *edges_days[:-1]]), np.array(edges_days)
    over = took_days[:, None] >= ends  # an open one counts in an interval only if it was seen to its end
    ended_in = (end[:, None] != OPEN) & (took_days[:, None] >= starts) & ~over
    row, interval = np.nonzero(over | ended_in)
    return row, interval, np.where(ended_in[row, interval], end[row], OPEN)


def amount_weights(amounts: pl.Series) -> Floats:
    """Let opportunities count by the fourth root of their amounts: revenue rests on the large ones."""
    known = amounts.clip(lower_bound=0).to_numpy()
    usual = float(np.nanmean(known)) if np.isfinite(known).any() else 0.0
    share = np.nan_to_num(known / usual, nan=1.0) if usual > 0 else np.ones(len(known))
    return np.asarray(np.clip(share, 1 / WEIGHT_BOUND, WEIGHT_BOUND) ** 0.25)


def _with_interval(matrix: Floats, row: NDArray[np.int64], interval: NDArray[np.int64]) -> Floats:
    return np.column_stack([matrix[row], interval.astype(np.float64)])
