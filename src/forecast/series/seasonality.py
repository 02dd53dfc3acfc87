"""Seasonality shrunk towards none by how well it repeats, so that two years of history are enough to use it."""

from dataclasses import dataclass

import numpy as np

from forecast.series.panel import Floats, Ints, Panel

# A year counts this much of the year after it: patterns change slowly.
CYCLE_DECAY = 0.85
# Below this many cycles the repetition of a pattern can't be measured.
CYCLES_MIN = 1.5
# So many series tell what they have in common from what one of them has.
SIBLINGS_MIN = 3
ZERO_SHARE_MAX = 0.2
# So many series show half of what there is of a return to where they began.
SERIES_SHOWING = 20


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The seasonal pattern of one series.

    Attributes:
        deviations: one a position in the season: logarithms of factors where `multiplicative`, else amounts.
        strength: 0 to 1, the share that was kept of what the series has of its own.
        doubt: variance of the pattern's error, in variances of what the pattern leaves.
        raw: the pattern before shrinkage.
    """

    deviations: Floats
    raw: Floats
    strength: float
    doubt: float
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
    """Estimate the seasonal profile of each series, leaning on the one that the series have in common.

    A pattern is shrunk twice by how far it stands out from chance: what is common towards none, and what a series has
    of its own towards what is common. A series that is too short for one has what is common.
    """
    found = [_raw_pattern(values, panel.positions(index), panel.season) for index, values in enumerate(panel.history)]
    common = _common(found, panel)
    return [_leaning(raw, common if raw.multiplicative else np.zeros(panel.season)) for raw in found]


def likeness(found: list[Profile]) -> float:
    """Give the mean correlation of raw patterns between series, at least 0; nan below three series with a pattern."""
    patterns = np.array([profile.raw for profile in found if profile.raw.std() > 0])
    if len(patterns) < 3:
        return float("nan")
    standard = (patterns - patterns.mean(axis=1, keepdims=True)) / patterns.std(axis=1, keepdims=True)
    count = len(patterns)
    return float(max(0.0, (standard.mean(axis=0).var() * count - 1) / (count - 1)))


def closeness(panel: Panel) -> float:
    """Say how far histories of about one season come back to where they began, 0 to 1: a season does, a walk doesn't.

    By the variogram of all series together: values half a season apart differ by more than those almost a season apart.
    Chance differs by as much, a walk or a trend by less. Few series show little.
    """
    season = panel.season
    middle = range(max(1, season // 2 - season // 12), season // 2 + season // 12 + 1)
    far = range(max(1, season - 2 if season > 4 else season - 1), season)
    found = [_differences(values, [middle, far]) for values in panel.history if len(values) >= season > 2]
    known = [pair for pair in found if np.isfinite(pair).all()]
    if not known or not (apart := float(np.mean([pair[0] for pair in known]))):
        return 0.0
    back = 1 - float(np.mean([pair[1] for pair in known])) / apart
    return max(0.0, back) * len(known) / (len(known) + SERIES_SHOWING)


def _differences(values: Floats, lags: list[range]) -> Floats:
    """Give the mean squared difference of logarithms at each range of lags, in variances."""
    level = np.log(values + 0.05 * values.mean()) if values.min() >= 0 < values.max() else values
    if np.ptp(level) == 0:
        return np.full(len(lags), np.nan)
    pairs = [np.concatenate([level[lag:] - level[:-lag] for lag in each]) for each in lags]
    found: Floats = np.array([(pair**2).mean() for pair in pairs]) / level.var()
    return found


@dataclass(frozen=True, kw_only=True)
class _RawPattern:
    """The mean deviation by position in the season, before any shrinkage.

    Attributes:
        noise: variance of the error of the pattern; infinite where it can't be measured.
        rest: what the trend leaves of the history, outliers bounded; empty where there is no whole season.
    """

    pattern: Floats
    noise: float
    multiplicative: bool
    rest: Floats


def _raw_pattern(values: Floats, positions: Ints, season: int) -> _RawPattern:
    multiplicative = bool(values.min() >= 0 and values.max() > 0 and np.mean(values == 0) <= ZERO_SHARE_MAX)
    if season == 1 or len(values) < season or np.ptp(values) == 0:
        return _RawPattern(pattern=np.zeros(season), noise=np.inf, multiplicative=multiplicative, rest=np.empty(0))
    level = np.log(values + 0.05 * values.mean()) if multiplicative else values
    rest = level - trend(level, season)
    bound = 4 * np.median(np.abs(rest)) + (0.1 if multiplicative else 0.1 * np.abs(values).mean())
    rest = np.clip(rest, -bound, bound)
    pattern, noise = _repetition(rest, positions, season)
    known = len(values) >= CYCLES_MIN * season
    return _RawPattern(pattern=pattern, noise=noise if known else np.inf, multiplicative=multiplicative, rest=rest)


def _common(found: list[_RawPattern], panel: Panel) -> Floats:
    """Give the pattern that series have in common: that of the mean of their histories, each weighed by its noise.

    Measured on the mean, as a happening that strikes all of them at once repeats no better than in one of them.
    """
    chosen = [index for index, raw in enumerate(found) if raw.multiplicative and np.isfinite(raw.noise)]
    if len(chosen) < SIBLINGS_MIN:
        return np.zeros(panel.season)
    mean, positions = _mean_rest(found, chosen, panel)
    if len(mean) < CYCLES_MIN * panel.season:
        return np.zeros(panel.season)
    pattern, noise = _repetition(mean, positions, panel.season)
    shared = _strength(pattern, noise) * pattern
    own = float(np.mean([(found[index].pattern - shared).var(ddof=1) - found[index].noise for index in chosen]))
    alike = float(shared.var(ddof=1)) / max(float(shared.var(ddof=1)) + max(own, 0.0), 1e-12)
    return alike * shared


def _mean_rest(found: list[_RawPattern], chosen: list[int], panel: Panel) -> tuple[Floats, Ints]:
    """Give the weighed mean of what trends leave of the chosen series, by period, and the places of these periods."""
    last, span = int(panel.ends[chosen].max()), max(len(found[index].rest) for index in chosen)
    total, weights = np.zeros(span), np.zeros(span)
    usual = float(np.median([found[index].noise for index in chosen]))
    for index in chosen:
        stop = max(0, span - (last - int(panel.ends[index])))
        rest = found[index].rest[-stop:] if stop else np.empty(0)
        weight = 1 / (found[index].noise + usual + 1e-12)
        total[stop - len(rest) : stop] += weight * rest
        weights[stop - len(rest) : stop] += weight
    begin = int(np.argmax(weights > 0))
    mean: Floats = total[begin:] / np.maximum(weights[begin:], 1e-12)
    places: Ints = (last - len(mean) + 1 + np.arange(len(mean))) % panel.season
    return mean, places


def _leaning(raw: _RawPattern, common: Floats) -> Profile:
    seen_once = bool(len(raw.rest)) and not np.isfinite(raw.noise)
    own = raw.pattern - common
    strength = _strength(own, raw.noise) if len(raw.rest) else 0.0
    return Profile(
        deviations=np.zeros_like(common) if seen_once else common + strength * own,
        raw=raw.pattern,
        strength=strength,
        doubt=strength * len(common) / len(raw.rest) if strength else 0.0,
        multiplicative=raw.multiplicative,
    )


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
    signal = max(0.0, float(pattern.var(ddof=1)) - noise) if len(pattern) > 1 and np.isfinite(noise) else 0.0
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
