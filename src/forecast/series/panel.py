"""A panel of series: values without gaps on one calendar, each from its own first period to its last."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forecast.series.calendar import Calendar

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Series side by side.

    Attributes:
        ids: one a series.
        history: one array a series, oldest first, without gaps.
        ends: ordinal of each series' last period.
        season: periods after which a pattern repeats; 1 is none.
    """

    ids: tuple[str, ...]
    history: tuple[Floats, ...]
    ends: Ints
    calendar: Calendar
    season: int

    @property
    def lengths(self) -> Ints:
        """Count each series' periods."""
        return np.array([len(values) for values in self.history])

    def positions(self, index: int) -> Ints:
        """Place the periods of a series in the season, 0 to season - 1."""
        count = len(self.history[index])
        place: Ints = (self.ends[index] - count + 1 + np.arange(count)) % self.season
        return place

    def future_positions(self, index: int, horizon: int) -> Ints:
        """Place the periods after a series in the season."""
        place: Ints = (self.ends[index] + 1 + np.arange(horizon)) % self.season
        return place

    def before(self, last: int, chosen: Ints) -> "Panel":
        """Leave out the last periods of the chosen series."""
        return replace(
            self,
            ids=tuple(self.ids[index] for index in chosen),
            history=tuple(self.history[index][: len(self.history[index]) - last] for index in chosen),
            ends=self.ends[chosen] - last,
        )


def may_be_negative(values: Floats) -> bool:
    """Say whether a series has taken values below zero."""
    return bool(len(values) and values.min() < 0)


def bounded(forecast: Floats, values: Floats) -> Floats:
    """Keep a forecast within what its history makes thinkable, and not below zero where history never was.

    A recursion that runs away is caught here, not a trend: the bounds are twice the range outside the history.
    """
    low, high = values.min(), values.max()
    width = 2 * max(high - low, abs(high), abs(low))
    floor = low - width if low < 0 else 0.0
    kept = np.where(np.isfinite(forecast), forecast, values[-1])
    return np.clip(kept, floor, high + width)


def has_ended(values: Floats, season: int) -> bool:
    """Say whether a series stands at zero for longer than it ever did before, and for half a season at least."""
    sold = np.flatnonzero(values)
    if not len(sold):
        return True
    silence = len(values) - 1 - sold[-1]
    longest = int(np.diff(sold).max(initial=1)) - 1
    return bool(silence >= max(3, season // 2) and silence > 2 * longest)
