"""Penalised logistic regression on one-hot categories and standardised numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

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

    def expand(self, matrix: Floats) -> Floats:
        """Give the design matrix, of shape (rows, len(owners))."""
        numbers = matrix[:, : self.number_count]
        missing = np.isnan(numbers)
        scaled = np.where(missing, 0.0, np.clip((_signed_log(numbers) - self.center) / self.scale, -FARTHEST, FARTHEST))
        hot = [
            matrix[:, [self.number_count + i]] == np.arange(count)[None, :] for i, count in enumerate(self.level_counts)
        ]
        return np.hstack([scaled, missing, *hot]).astype(np.float64)


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
            expanded = self.design.expand(matrix[part])
            for number, line in enumerate(lines):
                found[number, part] = (expanded * line[:-1]).sum(axis=1) + line[-1]
        return found

    def contributions(self, matrix: Floats) -> Floats:
        """Give coefficient times deviation from the mean, summed by encoded column; the last column is the bias."""
        parts = (self.design.expand(matrix) - self.means) * self.coefficients
        summed = np.zeros((len(matrix), matrix.shape[1] + 1))
        for column, owner in enumerate(self.design.owners):
            summed[:, owner] += parts[:, column]
        summed[:, -1] = self.intercept + self.means @ self.coefficients
        return summed

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
        expanded[:, against] = 0.0
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
    expanded: Floats,
    won: Floats,
    weight: Floats,
    *,
    penalty: float,
    kept: Sequence[NDArray[np.bool_]],
) -> Floats:
    """Give what fits on the kept rows would have found: one Newton step each from the fit on all, which is close to them."""
    columns = np.column_stack([expanded, np.ones(len(expanded))])
    expected = expit(columns @ line)
    missed, certainty = weight * (won - expected), weight * expected * (1 - expected)
    held = np.diag([*[penalty] * expanded.shape[1], CURVATURE_MIN])

    def step(rows: NDArray[np.bool_]) -> Floats:
        curvature = (columns * np.where(rows, certainty, 0.0)[:, None]).T @ columns + held
        return np.asarray(np.linalg.solve(curvature, columns.T @ np.where(rows, 0.0, missed)))

    return np.array([line - step(rows) for rows in kept])


def _fit_line(expanded: Floats, won: Floats, weight: Floats, penalty: float) -> tuple[Floats, float]:
    with threadpool_limits(1):  # on matrices as narrow as these, more threads only wait for each other
        fitted = LogisticRegression(C=1 / penalty, max_iter=500).fit(expanded, won, sample_weight=weight)
    return fitted.coef_[0], float(fitted.intercept_[0])
