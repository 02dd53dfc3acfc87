"""The pace at which opportunities live, by their amount: what is larger mostly takes longer."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forecast.metrics import Floats

ENDS_MIN = 60
EXPONENT_BOUND = 1.0
BOUND_SHARES = (0.005, 0.995)
"""Of opportunities: a mistyped amount beyond them neither bends the exponent nor lives at a pace that nobody has seen."""
NEWTON_ROUNDS = 25
CLEARLY = 2.0


@dataclass(frozen=True, kw_only=True)
class DealClock:
    """How many days pass for an opportunity while one of the usual amount lives a day.

    pace = (amount / usual) ^ exponent: an accelerated failure time. An opportunity ten times as large that takes three times
    as long is then at each moment where a usual one is at a third of its age, and hazards by this clock need not tell large
    ones, which are few, from small ones.

    Attributes:
        amount_column, age_column: of the matrix; without the age, rows don't say how far they have come.
        usual: amount whose pace is 1; amounts that are unknown or not above zero have it too.
        exponent: of the amount.
        low, high: amounts beyond which the pace stays.
    """

    amount_column: int
    age_column: int | None
    usual: float
    exponent: float
    low: float
    high: float

    def paces(self, matrix: Floats) -> Floats:
        """Give each row's pace."""
        return self._pace(matrix[:, self.amount_column])

    @property
    def fastest(self) -> float:
        """The pace of those that live fastest: the smallest of all."""
        return float(min(self._pace(np.array([self.low, self.high]))))

    def _pace(self, amounts: Floats) -> Floats:
        known = np.where(amounts > 0, amounts, self.usual)
        return np.asarray((np.clip(known, self.low, self.high) / self.usual) ** self.exponent)

    def with_own_age(self, matrix: Floats) -> Floats:
        """Give the matrix with one more column, the age by this clock."""
        if self.age_column is None:
            return matrix
        return np.column_stack([matrix, matrix[:, self.age_column] / self.paces(matrix)])

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Give the fields as JSON values."""
        return asdict(self)


def fit_clock(
    amounts: Floats, lasted_days: Floats, ended: NDArray[np.bool_], *, columns: tuple[str, ...]
) -> DealClock | None:
    """Find how the time to an end goes with the amount; None where it does not clearly, or where a column is missing.

    Exponential regression on the logarithm of the amount: none within CLEARLY standard errors of it, beyond shrunk by them
    (James and Stein's factor; the error does not rest on the distribution).

    Args:
        amounts: one an opportunity.
        lasted_days: from creation to the end; of those still open, until they were last seen.
        ended: which of them ended, won or lost.
        columns: names of the matrix's columns.
    """
    known = (amounts > 0) & (lasted_days > 0)
    if "amount" not in columns or (known & ended).sum() < ENDS_MIN:
        return None
    logs = np.log(amounts[known])
    low, middle, high = np.quantile(logs, (BOUND_SHARES[0], 0.5, BOUND_SHARES[1]))
    exponent = _slowing(np.clip(logs, low, high) - middle, lasted_days[known], ended[known].astype(np.float64))
    if exponent == 0:
        return None
    return DealClock(
        amount_column=columns.index("amount"),
        age_column=columns.index("age_days") if "age_days" in columns else None,
        usual=float(np.exp(middle)),
        exponent=exponent,
        low=float(np.exp(low)),
        high=float(np.exp(high)),
    )


def _slowing(size: Floats, lasted_days: Floats, ended: Floats) -> float:
    """Fit rate = exp(a - exponent * size) by Newton's method, and shrink the exponent."""
    design = np.column_stack([np.ones(len(size)), -size])
    found = np.array([np.log(ended.sum() / lasted_days.sum()), 0.0])
    for _ in range(NEWTON_ROUNDS):
        expected = lasted_days * np.exp(np.clip(design @ found, -50, 50))
        bread = np.linalg.pinv((design * expected[:, None]).T @ design)
        found = found + np.clip(bread @ design.T @ (ended - expected), -1, 1)
    scores = design * (ended - expected)[:, None]
    error = (bread @ (scores.T @ scores) @ bread)[1, 1]
    if found[1] ** 2 <= CLEARLY**2 * error:
        return 0.0
    return float(np.clip(found[1] - error / found[1], -EXPONENT_BOUND, EXPONENT_BOUND))
