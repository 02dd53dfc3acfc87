"""Symmetric trees, for few rows: a level of a tree asks all its nodes the same, and chance has a say in what.

The ideas are CatBoost's (Prokhorenkova et al. 2018). Where rows are few, the split that looks best is often so by chance. That
one question must serve a whole level, and that what it scores gets noise, keeps trees from learning rows by heart.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from forecast.estimators.encoding import Encoding
from forecast.estimators.tree_text import Leaf, Question, Split, symmetric_tree, write_trees
from forecast.metrics import Floats

LEARNING_RATE = 0.05
DEPTH = 4
BORDERS_MAX = 64
PENALTY_ROWS, LEAF_PENALTY_ROWS = 3.0, 0.75
NOISE = 1.0
"""Standard deviations of what a question would score where there is nothing to learn."""
NEWTON_STEPS, STEP_MAX = 5, 1.0
"""In log-odds; where hardly any row is won, a step unbounded from there goes ever further astray in a leaf where many are."""
ROWS_A_TREE = 2_500
"""More rows choose a question little better; what its answers add is worked out on all of them."""
LEFT_OF_ALL = -1e300

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """What is learnt from, encoded."""

    matrix: Floats
    won: Floats
    weight: Floats

    def part(self, rows: NDArray[np.bool_]) -> "Rows":
        """Give these rows only."""
        return Rows(self.matrix[rows], self.won[rows], self.weight[rows])


def fit_symmetric(
    encoding: Encoding, rows: Rows, rounds: int, *, seed: int, unseen: frozenset[str] = frozenset()
) -> lgb.Booster:
    """Fit a number of trees whose sum is a log-odds; both outcomes must be there. `unseen` features are not asked for."""
    chance = np.random.default_rng(seed)
    table = _Table.of(encoding, rows.matrix, unseen)
    start = float(logit(np.average(rows.won, weights=rows.weight)))
    log_odds = np.full(len(rows.won), start)
    trees: list[Split | Leaf] = []
    for _ in range(rounds):
        cells = _choose_cells(table, rows, log_odds, chance)
        leaf = table.leaves(slice(None), cells)
        values = LEARNING_RATE * _leaf_values(rows, log_odds, leaf, 2 ** len(cells))
        log_odds = log_odds + values[leaf]
        counts = np.bincount(leaf, minlength=len(values))
        questions = [table.question(cell) for cell in cells]
        trees.append(symmetric_tree(questions, values if trees else values + start, counts))
    return lgb.Booster(model_str=write_trees(trees, len(encoding.features)))


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A column whose values became codes: of a number the intervals between borders, of a category its levels.

    Attributes:
        position: in the matrix.
        codes: of each row. A missing number has 0; of a category, what is missing has one code more than there are levels.
        borders: of a number, the highest value of each code from 1 on, apart from the last; None of a category.
        size: how many codes there are.
    """

    position: int
    codes: Codes
    borders: Floats | None
    size: int

    def question(self, code: int) -> Question:
        """Ask whether a number has at most this code, or a category this one."""
        if self.borders is None:
            return Question(column=self.position, goes_left=np.arange(self.size - 1) == code)
        return Question(column=self.position, threshold=float(self.borders[code - 1]) if code else LEFT_OF_ALL)


def _number(position: int, values: Floats) -> _Column:
    known = np.sort(values[~np.isnan(values)])
    at = np.linspace(0, len(known), BORDERS_MAX + 2)[1:-1].astype(np.int64)
    borders = np.unique(known[at]) if len(known) else known
    borders = borders[borders < known[-1:].sum()]
    codes = np.where(np.isnan(values), 0, 1 + np.searchsorted(borders, values))
    return _Column(position=position, codes=codes, borders=borders, size=len(borders) + 2)


def _category(position: int, values: Floats, level_count: int) -> _Column:
    codes = np.where(np.isnan(values), level_count, values).astype(np.int64)
    return _Column(position=position, codes=codes, borders=None, size=level_count + 1)


@dataclass(frozen=True, kw_only=True)
class _Table:
    """All columns side by side; a cell is one code of one column, and the question about it.

    Attributes:
        cells: of each row in each column.
        starts: first cell of each column and, last, the number of cells.
        column_of: the column of each cell.
        asks: whether the question about a cell asks anything: the last code of a column is what is left.
    """

    columns: list[_Column]
    cells: Codes
    starts: Codes
    column_of: Codes
    asks: NDArray[np.bool_]

    @classmethod
    def of(cls, encoding: Encoding, matrix: Floats, unseen: frozenset[str]) -> Self:
        """Code the columns of a matrix."""
        level_counts = {name: len(levels) for name, levels in encoding.levels.items()}
        columns = [
            _category(position, matrix[:, position], level_counts[name] + 1)
            if name in level_counts
            else _number(position, matrix[:, position])
            for position, name in enumerate(encoding.features)
            if name not in unseen
        ]
        sizes = [column.size for column in columns]
        starts = np.cumsum([0, *sizes])
        cells = np.array([column.codes for column in columns], np.int64).reshape(len(columns), len(matrix)).T
        return cls(
            columns=columns,
            cells=np.ascontiguousarray(cells + starts[:-1]),
            starts=starts,
            column_of=np.repeat(np.arange(len(columns)), sizes),
            asks=~np.isin(np.arange(starts[-1]), starts[1:] - 1),
        )

    @property
    def is_category(self) -> NDArray[np.bool_]:
        """Which cells are levels of a category."""
        return np.array([column.borders is None for column in self.columns], bool)[self.column_of]

    def question(self, cell: int) -> Question:
        """Give the question about a cell."""
        column = int(self.column_of[cell])
        return self.columns[column].question(cell - int(self.starts[column]))

    def leaves(self, rows: Codes | slice, cells: list[int]) -> Codes:
        """Give each row the number of its leaf: its answers to the questions about these cells, as bits, 0 being yes."""
        asked = self.cells[rows]
        leaf = np.zeros(len(asked), np.int64)
        for cell in cells:
            column = int(self.column_of[cell])
            at, category = asked[:, column], self.columns[column].borders is None
            leaf = 2 * leaf + (at != cell if category else at > cell)
        return leaf


def _choose_cells(table: _Table, rows: Rows, log_odds: Floats, chance: np.random.Generator) -> list[int]:
    """Choose the question of each level: of each column the best, then of all columns the best, each time with noise."""
    some = _some(len(log_odds), chance)
    weight = rows.weight[some]
    missed = weight * (rows.won[some] - expit(log_odds[some]))
    noise = NOISE * float(np.sqrt(np.sum(missed**2) / np.sum(weight)))
    cells: list[int] = []
    while table.columns and len(cells) < DEPTH:
        scores = _scores(table, some, table.leaves(some, cells), missed, weight, leaf_count=2 ** len(cells))
        noisy = scores + noise * chance.normal(size=len(scores))
        tops = np.array([first + noisy[first:end].argmax() for first, end in pairwise(table.starts)])
        cells.append(int(tops[np.argmax(scores[tops] + noise * chance.normal(size=len(tops)))]))
    return cells


def _some(count: int, chance: np.random.Generator) -> Codes:
    return np.arange(count) if count <= ROWS_A_TREE else np.sort(chance.choice(count, ROWS_A_TREE, replace=False))


def _scores(table: _Table, rows: Codes, leaf: Codes, missed: Floats, weight: Floats, *, leaf_count: int) -> Floats:
    """Give each cell's question the root of what it explains of the squares, over all leaves and both answers."""
    width = int(table.starts[-1])
    at = (table.cells[rows] + (leaf * width)[:, None]).ravel()
    (m_left, m_right), (w_left, w_right) = (
        _sides(table, at, leaf, values, leaf_count=leaf_count) for values in (missed, weight)
    )
    penalty = PENALTY_ROWS * float(weight.mean())
    explained = m_left**2 / (w_left + penalty) + m_right**2 / (w_right + penalty)
    return np.where(table.asks, np.sqrt(explained.sum(axis=0)), -np.inf)


def _sides(table: _Table, at: Codes, leaf: Codes, values: Floats, *, leaf_count: int) -> tuple[Floats, Floats]:
    """Sum values by leaf and answer to each cell's question, each of shape (leaves, cells)."""
    width, columns = int(table.starts[-1]), len(table.columns)
    alone = np.bincount(at, np.repeat(values, columns), minlength=leaf_count * width).reshape(leaf_count, width)
    running = np.cumsum(alone, axis=1)
    before = np.hstack([np.zeros((leaf_count, 1)), running])[:, table.starts[:-1]]
    left = np.where(table.is_category, alone, running - before[:, table.column_of])
    both = np.bincount(leaf, values, minlength=leaf_count)
    return np.asarray(left), np.asarray(both[:, None] - left, dtype=np.float64)


def _leaf_values(rows: Rows, log_odds: Floats, leaf: Codes, count: int) -> Floats:
    """Minimise the log loss in each leaf by Newton's steps, each bounded."""
    found = np.zeros(count)
    penalty = LEAF_PENALTY_ROWS * float(rows.weight.mean())
    for _ in range(NEWTON_STEPS):
        expected = expit(log_odds + found[leaf])
        missed = np.bincount(leaf, rows.weight * (rows.won - expected), minlength=count)
        certainty = np.bincount(leaf, rows.weight * expected * (1 - expected), minlength=count)
        found += np.clip((missed - penalty * found) / (certainty + penalty), -STEP_MAX, STEP_MAX)
    return found
