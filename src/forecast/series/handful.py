"""Series of a handful of values: how fast their levels move is learnt from all of them together."""

import numpy as np

from forecast.series.panel import Floats

PACES = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
# The usual pace counts as so many series.
PACE_USUAL, SERIES_USUAL = 0.2, 10
# More series than these tell little more.
SERIES_TRIED = 300


def shared_pace(histories: list[Floats]) -> float:
    """Choose how fast levels move, 0 to 1: by what share each value counts for more than the one before it.

    One such series is too short to tell a level that moves from noise; what many of them missed tells it.
    """
    tried = [values for values in histories if len(values) > 2 and np.ptp(values) > 0]
    if not tried:
        return PACE_USUAL
    tried = tried[:: -(-len(tried) // SERIES_TRIED)]
    errors = np.mean([[_error(values, pace) for pace in PACES] for values in tried], axis=0)
    found = PACES[int(errors.argmin())]
    return (len(tried) * found + SERIES_USUAL * PACE_USUAL) / (len(tried) + SERIES_USUAL)


def level(values: Floats, pace: float) -> tuple[float, float]:
    """Give the mean in which newer values count more, and the variance of its error in variances of a value."""
    weights = (1 - pace) ** np.arange(len(values))[::-1]
    weights = weights / weights.sum()
    return float(weights @ values), float(weights @ weights)


def errors_of_level(values: Floats, pace: float) -> Floats:
    """Give what the level missed each value but the first by, less what a level of so few values adds to it."""
    levels = [level(values[:count], pace) for count in range(1, len(values))]
    return np.array(
        [(came - mean) / np.sqrt(1 + doubt) for came, (mean, doubt) in zip(values[1:], levels, strict=True)]
    )


def _error(values: Floats, pace: float) -> float:
    """Give the mean absolute error over all that came after the first two values and more, as a share of the level."""
    missed = [np.abs(values[count:] - level(values[:count], pace)[0]).mean() for count in range(2, len(values))]
    return float(np.mean(missed) / np.abs(values).mean())
