"""Trees and a logistic regression, mixed in log-odds and calibrated."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forecast.estimators.boosting import Boosting
from forecast.estimators.calibration import NOT_CALIBRATED, Calibration
from forecast.estimators.logistic import Logistic
from forecast.metrics import Floats

AGE_ROUNDING = 1e-6
PARTS = 5
"""Opportunities are dealt into so many parts; each member of a mix lacks another one."""


@dataclass(frozen=True, kw_only=True)
class AgeLevel:
    """What is added to log-odds by the age of a record, so that each age has its own share won.

    Attributes:
        column: of the matrix, that holds the age.
        from_days: lower bounds of the bands, ascending; a missing age is in the first.
        shifts: added in each band.
    """

    column: int
    from_days: tuple[float, ...]
    shifts: tuple[float, ...]

    def of(self, matrix: Floats) -> Floats:
        """Give what is added to each row."""
        return np.array(self.shifts)[self.bands(matrix)]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read the fields."""
        return cls(column=values["column"], from_days=tuple(values["from_days"]), shifts=tuple(values["shifts"]))

    def bands(self, matrix: Floats) -> NDArray[np.int64]:
        """Give the number of each row's band."""
        age = np.nan_to_num(matrix[:, self.column], nan=self.from_days[0])
        return np.maximum(np.searchsorted(self.from_days, age + AGE_ROUNDING, side="right") - 1, 0)


@dataclass(frozen=True)
class Spread:
    """Standard error of each row's log-odds, and the degrees of freedom that it rests on."""

    error: Floats
    freedom: int

    @classmethod
    def of(cls, parts: Floats) -> Self:
        """Take the jackknife over parts (Shao and Wu 1989) of log-odds without each part, shape (parts, rows).

        With n parts such fits vary by a factor of (n - 1)^2 / n less than fits on other opportunities would. Zero where there
        are no parts.
        """
        if len(parts) == 1:
            return cls(np.zeros(parts.shape[1]), 1)
        return cls(np.sqrt((PARTS - 1) ** 2 / PARTS * parts.var(axis=0, ddof=1)), len(parts) - 1)


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Members fitted on the same matrix.

    log-odds = calibration(share * trees + (1 - share) * logistic) + shift + what the age adds

    Attributes:
        boosting: the trees; may be missing where `boosting_share` is 0.
        logistic: may be missing where `boosting_share` is 1.
        boosting_share: weight of the trees, 0-1.
        calibration: the curve that the members' log-odds are bent by.
        shift: what is added for the level.
        by_age: what the age adds; missing where the level is one for all.
    """

    boosting: Boosting | None
    logistic: Logistic | None
    boosting_share: float
    calibration: Calibration = NOT_CALIBRATED
    shift: float = 0.0
    by_age: AgeLevel | None = None

    def log_odds(self, matrix: Floats) -> Floats:
        """Give the calibrated log-odds of each row."""
        mixed = np.zeros(len(matrix))
        for member, share in self._members():
            mixed += share * member.log_odds(matrix)
        return self.calibration.of(mixed) + self.level(matrix)

    def log_odds_with_spread(self, matrix: Floats) -> tuple[Floats, Spread]:
        """Give the calibrated log-odds of each row, and how far they depend on which opportunities were learnt from."""
        mixed, parts = np.zeros(len(matrix)), np.zeros((1, len(matrix)))
        for member, share in self._members():
            whole, without = member.log_odds_with_parts(matrix)
            mixed, parts = mixed + share * whole, parts + share * without
        return self.calibration.of(mixed) + self.level(matrix), Spread.of(self.calibration.of(parts))

    def level(self, matrix: Floats) -> Floats:
        """Give what is added to each row's log-odds for the level."""
        return self.shift + (np.zeros(len(matrix)) if self.by_age is None else self.by_age.of(matrix))

    def contributions(self, matrix: Floats) -> Floats:
        """Give each column's part of the calibrated log-odds, shape (rows, columns + 1); the last is the bias."""
        parts = np.zeros((len(matrix), matrix.shape[1] + 1))
        for member, share in self._members():
            parts += share * member.contributions(matrix)
        parts = self.calibration.of_parts(parts)
        parts[:, -1] += self.shift
        if self.by_age is not None:
            parts[:, self.by_age.column] += self.by_age.of(matrix)
        return parts

    def _members(self) -> list[tuple[Boosting | Logistic, float]]:
        members = [(self.boosting, self.boosting_share), (self.logistic, 1 - self.boosting_share)]
        return [(member, share) for member, share in members if member is not None and share > 0]

    def to_json(self) -> dict[str, Any]:
        """Give everything but the trees as JSON values."""
        return {
            "logistic": None if self.logistic is None else self.logistic.to_json(),
            "boosting_share": self.boosting_share,
            "calibration": self.calibration.to_json(),
            "shift": self.shift,
            "by_age": None if self.by_age is None else asdict(self.by_age),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], trees: str | None) -> Self:
        """Read what `to_json` gave, and the trees' text."""
        return cls(
            boosting=None if trees is None else Boosting(trees),
            logistic=Logistic.from_json(values["logistic"]) if values["logistic"] else None,
            boosting_share=values["boosting_share"],
            calibration=Calibration.from_json(values["calibration"]),
            shift=values["shift"],
            by_age=None if values.get("by_age") is None else AgeLevel.from_json(values["by_age"]),
        )
