"""Penalised logistic regression on one-hot categories and standardised numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array, hstack
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from forecast.estimators.encoding import Encoding
from forecast.metrics import Floats

CURVATURE_MIN = 1e-9
FARTHEST = 3.0
"""Standard deviations beyond which a number counts no further: a straight line is not believed where little was seen."""


ROWS_AT_ONCE = 20_000
"""Rows that are expanded together: a million at once would fill a memory."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """Expand an encoded matrix: numbers as signed logarithms, standardised, with a flag for missing; levels one-hot.

    Attributes:
        number_count: columns of the matrix that are numbers.
        level_counts: number of codes of each category, the one for other values included.
        center, scale: mean and standard deviation of each number's logarithm.
    """

    number_count: int
    level_counts: tuple[int, ...]
    center: Floats
    scale: Floats

    @property
    def owners(self) -> NDArray[np.int64]:
        """Column of the encoded matrix that each expanded column comes from."""
        numbers = np.arange(self.number_count)
        levels = [np.full(count, self.number_count + i) for i, count in enumerate(self.level_counts)]
        return np.concatenate([numbers, numbers, *levels]).astype(np.int64)

    def expand(self, matrix: Floats) -> csr_array:
        """Give the design matrix, of shape (rows, len(owners)); sparse, since of a category's columns at most one is not 0."""
        scaled, missing = self._scaled(matrix)
        levels, count, width = self._level_columns(matrix), self.number_count, len(self.owners)
        known = levels < width
        values = np.hstack([np.where(missing, 1.0, scaled), known])
        columns = np.hstack([np.arange(count) + count * missing, np.where(known, levels, 0)]).astype(np.int32)
        starts = np.arange(len(matrix) + 1) * matrix.shape[1]  # as many entries in every row: of a missing level a zero
        return csr_array((values.ravel(), columns.ravel(), starts), shape=(len(matrix), width))

    def terms(self, matrix: Floats, lines: Floats) -> Iterator[Floats]:
        """Give, for each line of coefficients, what each encoded column adds, shape (rows, columns)."""
        scaled, missing = self._scaled(matrix)
        levels, count = self._level_columns(matrix), self.number_count
        for line in lines:
            padded = np.append(line, 0.0)
            yield np.hstack([scaled * line[:count] + missing * line[count : 2 * count], padded[levels]])

    def _scaled(self, matrix: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        numbers = matrix[:, : self.number_count]
        missing = np.isnan(numbers)
        spread = np.clip((_signed_log(numbers) - self.center) / self.scale, -FARTHEST, FARTHEST)
        return np.where(missing, 0.0, spread), missing

    def _level_columns(self, matrix: Floats) -> NDArray[np.int64]:
        """Give the expanded column of each category's level, shape (rows, categories); one past the last where it is missing."""
        starts = 2 * self.number_count + np.cumsum([0, *self.level_counts])
        codes = matrix[:, self.number_count :]
        known = np.nan_to_num(codes).astype(np.int64) + starts[:-1]
        return np.asarray(np.where(np.isnan(codes), starts[-1], known))


def _signed_log(values: Floats) -> Floats:
    return np.sign(values) * np.log1p(np.abs(values))


def fit_design(encoding: Encoding, matrix: Floats) -> Design:
    """Fit the scales of the numbers."""
    numbers = _signed_log(matrix[:, : len(encoding.numbers)])
    known = ~np.isnan(numbers)
    count = np.maximum(known.sum(axis=0), 1)
    center = np.where(known, numbers, 0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, numbers - center, 0) ** 2).sum(axis=0) / count)
    return Design(
        number_count=len(encoding.numbers),
        level_counts=tuple(len(levels) + 1 for levels in encoding.levels.values()),
        center=center,
        scale=np.where(spread > 1e-12, spread, 1.0),
    )


@dataclass(frozen=True, kw_only=True)
class Logistic:
    """A fitted logistic regression.

    Attributes:
        design: how an encoded matrix is expanded.
        coefficients, intercept: of the expanded columns.
        means: of the expanded columns, which contributions are told against.
        parts: coefficients and, last, the intercept without each part of the rows, shape (parts, columns + 1); no rows where
            there are no parts.
    """

    design: Design
    coefficients: Floats
    intercept: float
    means: Floats
    parts: Floats

    def log_odds(self, matrix: Floats) -> Floats:
        """Give the log-odds of each row."""
        return np.asarray(self._lines(matrix, np.append(self.coefficients, self.intercept)[None, :])[0])

    def log_odds_with_parts(self, matrix: Floats) -> tuple[Floats, Floats]:
        """Give the log-odds of each row, and those without each part, shape (parts, rows); as they are where there is none."""
        whole = np.append(self.coefficients, self.intercept)[None, :]
        found = self._lines(matrix, np.vstack([whole, self.parts]) if len(self.parts) else whole)
        return found[0], found[1:] if len(self.parts) else found

    def _lines(self, matrix: Floats, lines: Floats) -> Floats:
        """Give the log-odds by each line of coefficients and intercept, shape (lines, rows)."""
        # A matrix product rounds one row otherwise than many; a sum along each row does not.
        found = np.empty((len(lines), len(matrix)))
        for first in range(0, len(matrix), ROWS_AT_ONCE):
            part = slice(first, first + ROWS_AT_ONCE)
            for number, terms in enumerate(self.design.terms(matrix[part], lines[:, :-1])):
                found[number, part] = terms.sum(axis=1) + lines[number, -1]
        return found

    def contributions(self, matrix: Floats) -> Floats:
        """Give what each encoded column adds beyond its mean over the rows learnt from; the last column is the bias."""
        (terms,) = self.design.terms(matrix, self.coefficients[None, :])
        means = np.bincount(self.design.owners, weights=self.means * self.coefficients, minlength=matrix.shape[1])
        return np.column_stack([terms - means, np.full(len(matrix), self.intercept + means.sum())])

    def to_json(self) -> dict[str, Any]:
        """Give the model as JSON values."""
        return {
            "number_count": self.design.number_count,
            "level_counts": list(self.design.level_counts),
            "center": self.design.center.tolist(),
            "scale": self.design.scale.tolist(),
            "coefficients": self.coefficients.tolist(),
            "intercept": self.intercept,
            "means": self.means.tolist(),
            "parts": self.parts.tolist(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        design = Design(
            number_count=values["number_count"],
            level_counts=tuple(values["level_counts"]),
            center=np.array(values["center"], dtype=np.float64),
            scale=np.array(values["scale"], dtype=np.float64),
        )
        return cls(
            design=design,
            coefficients=np.array(values["coefficients"], dtype=np.float64),
            intercept=values["intercept"],
            means=np.array(values["means"], dtype=np.float64),
            parts=np.array(values.get("parts", []), dtype=np.float64),
        )


def fit_logistic(
    encoding: Encoding,
    matrix: Floats,
    won: Floats,
    weight: Floats,
    penalty: float,
    *,
    monotone: Mapping[str, int] = MappingProxyType({}),
    kept: Sequence[NDArray[np.bool_]] = (),
) -> Logistic:
    """Fit with an L2 penalty of `penalty` rows' worth; both outcomes must be there.

    A number that would go against its direction in `monotone` counts nothing. `kept` are the rows of each part to be told
    apart: all but those that it lacks.
    """
    design = fit_design(encoding, matrix)
    expanded = design.expand(matrix)
    directions = {encoding.numbers.index(name): sign for name, sign in monotone.items() if name in encoding.numbers}
    coefficients, intercept = _fit_line(expanded, won, weight, penalty)
    while against := [column for column, sign in directions.items() if coefficients[column] * sign < 0]:
        expanded = expanded @ diags_array(np.where(np.isin(np.arange(expanded.shape[1]), against), 0.0, 1.0))
        coefficients, intercept = _fit_line(expanded, won, weight, penalty)
    return Logistic(
        design=design,
        coefficients=coefficients,
        intercept=intercept,
        means=expanded.mean(axis=0),
        parts=_without_parts(np.append(coefficients, intercept), expanded, won, weight, penalty=penalty, kept=kept),
    )


def _without_parts(
    line: Floats,
    expanded: csr_array,
    won: Floats,
    weight: Floats,
    *,
    penalty: float,
    kept: Sequence[NDArray[np.bool_]],
) -> Floats:
    """Give what fits on the kept rows would have found: one Newton step each from the fit on all, which is close to them."""
    if not kept:
        return np.empty((0, len(line)))
    columns = csr_array(hstack([expanded, np.ones((len(won), 1))]))
    expected = expit(columns @ line)
    missed, certainty = weight * (won - expected), weight * expected * (1 - expected)
    held = np.diag([*[penalty] * expanded.shape[1], CURVATURE_MIN])

    def curvature(rows: NDArray[np.bool_]) -> Floats:
        taken = columns[rows]
        return np.asarray((taken.T @ (diags_array(certainty[rows]) @ taken)).todense())

    everywhere = curvature(np.ones(len(won), bool)) + held

    def step(rows: NDArray[np.bool_]) -> Floats:
        return np.asarray(np.linalg.solve(everywhere - curvature(~rows), columns.T @ np.where(rows, 0.0, missed)))

    return np.array([line - step(rows) for rows in kept])


def _fit_line(expanded: csr_array, won: Floats, weight: Floats, penalty: float) -> tuple[Floats, float]:
    with _threads().limit(limits=1):  # on matrices as narrow as these, more threads only wait for each other
        fitted = LogisticRegression(C=1 / penalty, max_iter=500).fit(expanded, won, sample_weight=weight)
    return fitted.coef_[0], float(fitted.intercept_[0])


@cache
def _threads() -> ThreadpoolController:
    """Find the libraries that use threads; looking for them takes as long as a small fit."""
    return ThreadpoolController()
