"""Seasonality shrunk towards none by how well it repeats, so that two years of history are enough to use it."""

from dataclasses import dataclass

import numpy as np

from forecast.series.panel import Floats, Ints, Panel

# A year counts this much of the year after it: patterns change slowly.
CYCLE_DECAY = 0.85
# Below this many cycles the repetition of a pattern can't be measured.
CYCLES_MIN = 1.5
ZERO_SHARE_MAX = 0.2


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The seasonal pattern of one series.

    Attributes:
        deviations: one a position in the season: logarithms of factors where `multiplicative`, else amounts.
        strength: 0 to 1, the share of the raw pattern that was kept.
        raw: the pattern before shrinkage.
    """

    deviations: Floats
    raw: Floats
    strength: float
    multiplicative: bool

    def removed(self, values: Floats, positions: Ints) -> Floats:
        """Take the pattern out of values."""
        part = self.deviations[positions]
        removed: Floats = values / np.exp(part) if self.multiplicative else values - part
        return removed

    def restored(self, values: Floats, positions: Ints) -> Floats:
        """Put the pattern back."""
        part = self.deviations[positions]
        restored: Floats = values * np.exp(part) if self.multiplicative else values + part
        return restored

    def widened(self, deviations: Floats, positions: Ints) -> Floats:
        """Scale standard deviations of the adjusted series back to the series' own."""
        return deviations * np.exp(self.deviations[positions]) if self.multiplicative else deviations


def profiles(panel: Panel) -> list[Profile]:
    """Estimate the seasonal profile of each series."""
    return [_profile(values, panel.positions(index), panel.season) for index, values in enumerate(panel.history)]


def likeness(found: list[Profile]) -> float:
    """Give the mean correlation of raw patterns between series, at least 0; nan below three series with a pattern."""
    patterns = np.array([profile.raw for profile in found if profile.raw.std() > 0])
    if len(patterns) < 3:
        return float("nan")
    standard = (patterns - patterns.mean(axis=1, keepdims=True)) / patterns.std(axis=1, keepdims=True)
    count = len(patterns)
    return float(max(0.0, (standard.mean(axis=0).var() * count - 1) / (count - 1)))


def _profile(values: Floats, positions: Ints, season: int) -> Profile:
    none = np.zeros(season)
    if season == 1 or len(values) < season or np.ptp(values) == 0:
        return Profile(deviations=none, raw=none, strength=0.0, multiplicative=False)
    multiplicative = bool(values.min() >= 0 and np.mean(values == 0) <= ZERO_SHARE_MAX)
    level = np.log(values + 0.05 * values.mean()) if multiplicative else values
    rest = level - trend(level, season)
    bound = 4 * np.median(np.abs(rest)) + (0.1 if multiplicative else 0.1 * np.abs(values).mean())
    rest = np.clip(rest, -bound, bound)
    raw, noise = _repetition(rest, positions, season)
    strength = _strength(raw, noise) if len(values) >= CYCLES_MIN * season else 0.0
    return Profile(deviations=strength * raw, raw=raw, strength=strength, multiplicative=multiplicative)


def _repetition(rest: Floats, positions: Ints, season: int) -> tuple[Floats, float]:
    """Give the mean deviation by position and the variance of the error of such a mean."""
    weight = CYCLE_DECAY ** ((len(rest) - 1 - np.arange(len(rest))) // season)
    total = np.bincount(positions, weight, minlength=season)
    pattern = np.bincount(positions, weight * rest, minlength=season) / np.maximum(total, 1e-12)
    pattern[total > 0] -= pattern[total > 0].mean()
    cycles = weight.sum() ** 2 / (weight**2).sum() / season
    variance = ((rest - pattern[positions]) ** 2).sum() / max(1, len(rest) - season)
    return pattern, float(variance / cycles)


def _strength(pattern: Floats, noise: float) -> float:
    """Give the share of a pattern's variance that isn't noise (empirical Bayes; Miller and Williams 2003)."""
    signal = max(0.0, float(pattern.var(ddof=1)) - noise)
    return signal / (signal + noise) if signal > 0 else 0.0


def trend(level: Floats, season: int) -> Floats:
    """Smooth by a centred average over a season, carried on in a straight line; a robust line below two seasons."""
    count = len(level)
    if count < 2 * season:
        return _robust_line(level)
    weights = np.ones(season + 1 if season % 2 == 0 else season)
    if season % 2 == 0:
        weights[[0, -1]] = 0.5
    middle = np.convolve(level, weights / weights.sum(), "valid")
    lost = (count - len(middle)) // 2
    reach = min(season, len(middle)) - 1
    before, after = (middle[reach] - middle[0], middle[-1] - middle[-1 - reach]) if reach else (0.0, 0.0)
    # Half of the slope: a full one overshoots where the series turns at its end.
    back = middle[0] - before / max(1, reach) * 0.5 * np.arange(lost, 0, -1)
    ahead = middle[-1] + after / max(1, reach) * 0.5 * np.arange(1, lost + 1)
    return np.concatenate([back, middle, ahead])


def _robust_line(level: Floats) -> Floats:
    """Fit a line by the median of slopes (Theil 1950, Sen 1968)."""
    place = np.arange(len(level))
    first, second = np.triu_indices(len(level), 1)
    slope = float(np.median((level[second] - level[first]) / (second - first))) if len(first) else 0.0
    line: Floats = np.median(level - slope * place) + slope * place
    return line
