"""How the two views of revenue are blended, and what strikes all sales of a company or person together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from forecast.metrics import Floats

COMPANY, PERSON = "company", "person"
# Where opportunities announce what is booked, the time series adds next to nothing to the parts; a little guards against
# what their records miss, the more the further ahead. Of sales that nothing announces, both know as much;
# a company with both kinds lies nearer to the first.
ANNOUNCED_SHARES = (0.1, 0.1, 0.15, 0.2)
UNANNOUNCED_SHARE = 0.5
# What strikes all sales of a company grows with the months ahead: how many come and how they grow is known ever less.
USUAL_SPREADS = {COMPANY: (0.15, 0.15, 0.2, 0.2, 0.25, 0.3), PERSON: (0.3,)}
PERSISTENCE = 0.5


@dataclass(frozen=True, kw_only=True)
class RevenueModel:
    """Weights and spreads by month ahead, of the company and of persons; the last holds for all months after it.

    Attributes:
        series_shares: weight of the time series in the blend, 0-1, by level; the parts have the rest.
        spreads: standard deviation of the logarithm of what strikes all sales together, by level.
    """

    kind: ClassVar[str] = "revenue"

    series_shares: Mapping[str, tuple[float, ...]]
    spreads: Mapping[str, tuple[float, ...]]

    def series_share(self, level: str, months: int) -> Floats:
        """Give the weight of the time series in each month ahead."""
        return carried_on(self.series_shares[level], months)

    def spread(self, level: str, months: int) -> Floats:
        """Give the spread of what strikes all sales of a unit in each month ahead."""
        return carried_on(self.spreads[level], months)

    def to_json(self) -> dict[str, Any]:
        """Give weights and spreads as JSON values."""
        return {
            "series_shares": {level: list(shares) for level, shares in self.series_shares.items()},
            "spreads": {level: list(spreads) for level, spreads in self.spreads.items()},
        }

    def texts(self) -> dict[str, str]:
        """Give nothing: there are no trees; hazards are learnt from the records whenever it forecasts."""
        return {}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], texts: Mapping[str, str]) -> Self:  # noqa: ARG003 - as all estimators
        """Read what `to_json` gave."""
        return cls(
            series_shares={level: tuple(shares) for level, shares in values["series_shares"].items()},
            spreads={level: tuple(spreads) for level, spreads in values["spreads"].items()},
        )


def carried_on(values: tuple[float, ...], months: int) -> Floats:
    """Give a value for each month ahead; the last holds for all months after it."""
    return np.array([values[min(month, len(values) - 1)] for month in range(months)])


def usual_model(announced_share: float) -> RevenueModel:
    """Give the usual weights and spreads where so much of what is booked, 0-1, was announced by opportunities."""
    unannounced = (1 - announced_share) ** 2
    shares = tuple(share + unannounced * (UNANNOUNCED_SHARE - share) for share in ANNOUNCED_SHARES)
    return RevenueModel(series_shares=dict.fromkeys((COMPANY, PERSON), shares), spreads=USUAL_SPREADS)
