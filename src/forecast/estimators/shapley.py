"""Shapley values of trees for many rows at once: what LightGBM's `pred_contrib` gives, in a fraction of its time.

A leaf pays each feature of its path by which of them a row agrees with, and by nothing else of the row. So its payments are
worked out once for every such pattern, and looked up for each row (Yang 2021, "Fast TreeSHAP").
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecast.metrics import Floats

ROWS_AT_ONCE = 16_384
FEATURES_IN_A_TABLE = 12
ZERO = 1e-35
CATEGORICAL, DEFAULT_LEFT = 1, 2
MISSING_IS_ZERO, MISSING_IS_NAN = 1, 2
_NO_LEVEL = np.iinfo(np.int64).max

Codes = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A tree of LightGBM's text format; children below 0 are leaves, `~child` their number.

    Attributes:
        feature, threshold, decision, left, right: of each split; the decision's bits are LightGBM's.
        node_rows, leaf_rows: how many rows of the training came there.
        leaf_value: what each leaf adds.
        levels: of each categorical split, by its threshold: which codes go left; the last entry is for any other.
    """

    feature: Codes
    threshold: Floats
    decision: Codes
    left: Codes
    right: Codes
    node_rows: Floats
    leaf_rows: Floats
    leaf_value: Floats
    levels: list[NDArray[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class _Path:
    """The way to a leaf: its features, and the share of the training rows that agreed with the splits by each."""

    leaf: int
    features: tuple[int, ...]
    shares: Floats


def read_trees(text: str) -> list[Tree]:
    """Read all trees of LightGBM's model files, one after another."""
    return [_read_tree(block) for block in re.findall(r"(?ms)^Tree=\d+\n(.*?)\n\n", text)]


def _read_tree(block: str) -> Tree:
    entries = dict(line.split("=", 1) for line in block.splitlines())

    def numbers(name: str, kind: type[Any]) -> NDArray[Any]:
        return np.array(entries.get(name, "").split(), dtype=kind)

    bounds, words = numbers("cat_boundaries", np.int64), numbers("cat_threshold", np.uint32)
    return Tree(
        feature=numbers("split_feature", np.int64),
        threshold=numbers("threshold", np.float64),
        decision=numbers("decision_type", np.int64),
        left=numbers("left_child", np.int64),
        right=numbers("right_child", np.int64),
        node_rows=numbers("internal_count", np.float64),
        leaf_rows=numbers("leaf_count", np.float64),
        leaf_value=numbers("leaf_value", np.float64),
        levels=[_bits(words[first:end]) for first, end in pairwise(bounds)],
    )


def _bits(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    return np.append(np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little").astype(bool), False)


def tree_contributions(trees: list[Tree], matrix: Floats) -> Floats:
    """Give the path-dependent TreeSHAP contributions of a sum of trees (Lundberg et al. 2020).

    Args:
        trees: of one model.
        matrix: of shape (rows, features).

    Returns:
        Shape (rows, features + 1), the last the bias; each row adds up to the trees' sum.
    """
    found = np.zeros((matrix.shape[1] + 1, len(matrix)))
    chunks = [slice(first, first + ROWS_AT_ONCE) for first in range(0, len(matrix), ROWS_AT_ONCE)]
    columns = [Columns(matrix[chunk]) for chunk in chunks]
    for tree in trees:
        if not len(tree.feature):
            found[-1] += tree.leaf_value[0]
            continue
        paths = list(_paths(tree))
        found[-1] += sum(float(tree.leaf_value[path.leaf] * path.shares.prod()) for path in paths)
        tables = {path.leaf: _table(tree, path) for path in paths if len(path.features) <= FEATURES_IN_A_TABLE}
        for chunk, part in zip(chunks, columns, strict=True):
            _add(tree, paths, tables, part, found[:, chunk])
    return np.ascontiguousarray(found.T)


def _add(tree: Tree, paths: list[_Path], tables: dict[int, Floats], columns: "Columns", found: Floats) -> None:
    """Add what a tree pays to rows; `found` is of shape (features + 1, rows)."""
    looked_up = np.empty(found.shape[1])
    for path, left_at in zip(paths, _where_left(tree, columns), strict=True):
        table, at = tables.get(path.leaf), left_at
        if table is None:  # too many patterns for all to be worked out
            patterns, at = np.unique(left_at, return_inverse=True)
            table = _payments(path.shares, patterns) * float(tree.leaf_value[path.leaf])
        for feature, payments in zip(path.features, table, strict=True):
            np.take(payments, at, out=looked_up, mode="clip")
            found[feature] += looked_up


class Columns:
    """Columns of a matrix, with what splits ask of them, each computed once."""

    def __init__(self, matrix: Floats) -> None:
        self.values = np.ascontiguousarray(matrix.T)
        self._missing: dict[int, NDArray[np.bool_]] = {}
        self._codes: dict[int, Codes] = {}

    def missing(self, feature: int) -> NDArray[np.bool_]:
        """Tell which rows have no value."""
        if feature not in self._missing:
            self._missing[feature] = np.isnan(self.values[feature])
        return self._missing[feature]

    def codes(self, feature: int) -> Codes:
        """Give a category's codes; what is none is _NO_LEVEL."""
        if feature not in self._codes:
            values = self.values[feature]
            known = values >= 0
            self._codes[feature] = np.where(known, np.where(known, values, 0).astype(np.int64), _NO_LEVEL)
        return self._codes[feature]


def _paths(tree: Tree) -> Iterator[_Path]:
    """List the ways to all leaves, in the order of `_where_left`."""
    stack: list[tuple[int, dict[int, float]]] = [(0, {})]
    while stack:
        node, shares = stack.pop()
        if node < 0:
            yield _Path(leaf=~node, features=tuple(shares), shares=np.array(list(shares.values())))
            continue
        feature = int(tree.feature[node])
        for child in (int(tree.left[node]), int(tree.right[node])):
            rows = tree.leaf_rows[~child] if child < 0 else tree.node_rows[child]
            stack.append((child, {**shares, feature: shares.get(feature, 1.0) * float(rows / tree.node_rows[node])}))


def _where_left(tree: Tree, columns: Columns) -> Iterator[Codes]:
    """Give each leaf's pattern of each row: bit j is set where the row leaves the path at its j-th feature."""
    stack: list[tuple[int, tuple[int, ...], Codes]] = [(0, (), np.zeros(columns.values.shape[1], np.int64))]
    while stack:
        node, features, pattern = stack.pop()
        if node < 0:
            yield pattern
            continue
        feature = int(tree.feature[node])
        path = features if feature in features else (*features, feature)
        at_left = goes_left(tree, node, columns)
        bit = 1 << path.index(feature)
        stack.append((int(tree.left[node]), path, pattern | (~at_left * bit)))
        stack.append((int(tree.right[node]), path, pattern | (at_left * bit)))


def goes_left(tree: Tree, node: int, columns: Columns) -> NDArray[np.bool_]:
    """Tell which rows go left at a split."""
    feature, threshold, decision = int(tree.feature[node]), tree.threshold[node], int(tree.decision[node])
    if decision & CATEGORICAL:
        levels = tree.levels[int(threshold)]
        return np.asarray(levels[np.minimum(columns.codes(feature), len(levels) - 1)])
    values, missing_type = columns.values[feature], decision >> 2
    below: NDArray[np.bool_] = values <= threshold
    if missing_type == MISSING_IS_ZERO:
        return np.where(columns.missing(feature) | (np.abs(values) <= ZERO), bool(decision & DEFAULT_LEFT), below)
    missing_goes_left = decision & DEFAULT_LEFT if missing_type == MISSING_IS_NAN else threshold >= 0
    return below | columns.missing(feature) if missing_goes_left else below


def _table(tree: Tree, path: _Path) -> Floats:
    """Give what a leaf pays each feature of its path, for every pattern, shape (features, patterns)."""
    return _payments(path.shares, np.arange(1 << len(path.shares))) * float(tree.leaf_value[path.leaf])


def _payments(shares: Floats, patterns: Codes) -> Floats:
    """Give the Shapley values of a leaf of value 1, shape (features, patterns).

    With a_j 1 where the row agrees with the path at feature j and 0 else, and z_j its share, feature i gets
    (a_i - z_i) * the integral over t in (0, 1) of the product over j other than i of a_j t + z_j (1 - t): a polynomial,
    which Gauss and Legendre's points integrate exactly.
    """
    count = len(shares)
    agrees = 1.0 - ((patterns >> np.arange(count)[:, None]) & 1)
    z = np.maximum(shares, ZERO)[:, None]
    total = np.zeros_like(agrees)
    for time, weight in _points((count + 1) // 2):
        terms = agrees * time + z * (1 - time)
        total += weight * terms.prod(axis=0) / terms
    return np.asarray((agrees - z) * total, dtype=np.float64)


@cache
def _points(count: int) -> list[tuple[float, float]]:
    """Give the points in (0, 1) at which a polynomial of degree 2 * count - 1 is integrated, with their weights."""
    points, weights = np.polynomial.legendre.leggauss(count)
    return [(float(point + 1) / 2, float(weight) / 2) for point, weight in zip(points, weights, strict=True)]
