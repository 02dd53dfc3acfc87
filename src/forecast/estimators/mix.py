"""Trees and a logistic regression, mixed in log-odds and calibrated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from forecast.estimators.boosting import Boosting
from forecast.estimators.logistic import Logistic
from forecast.metrics import Floats


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Members fitted on the same matrix.

    log-odds = slope * (share * trees + (1 - share) * logistic) + shift

    Attributes:
        boosting: the trees; may be missing where `boosting_share` is 0.
        logistic: may be missing where `boosting_share` is 1.
        boosting_share: weight of the trees, 0-1.
        slope, shift: the calibration.
    """

    boosting: Boosting | None
    logistic: Logistic | None
    boosting_share: float
    slope: float = 1.0
    shift: float = 0.0

    def log_odds(self, matrix: Floats) -> Floats:
        """Give the calibrated log-odds of each row."""
        mixed = np.zeros(len(matrix))
        for member, share in self._members():
            mixed += share * member.log_odds(matrix)
        return self.slope * mixed + self.shift

    def contributions(self, matrix: Floats) -> Floats:
        """Give each column's part of the calibrated log-odds, shape (rows, columns + 1); the last is the bias."""
        parts = np.zeros((len(matrix), matrix.shape[1] + 1))
        for member, share in self._members():
            parts += share * self.slope * member.contributions(matrix)
        parts[:, -1] += self.shift
        return parts

    def _members(self) -> list[tuple[Boosting | Logistic, float]]:
        members = [(self.boosting, self.boosting_share), (self.logistic, 1 - self.boosting_share)]
        return [(member, share) for member, share in members if member is not None and share > 0]

    def to_json(self) -> dict[str, Any]:
        """Give everything but the trees as JSON values."""
        return {
            "logistic": None if self.logistic is None else self.logistic.to_json(),
            "boosting_share": self.boosting_share,
            "slope": self.slope,
            "shift": self.shift,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], trees: str | None) -> Self:
        """Read what `to_json` gave, and the trees' text."""
        return cls(
            boosting=None if trees is None else Boosting(trees),
            logistic=Logistic.from_json(values["logistic"]) if values["logistic"] else None,
            boosting_share=values["boosting_share"],
            slope=values["slope"],
            shift=values["shift"],
        )
