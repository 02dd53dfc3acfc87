"""How far a forecast is missed: as far as its members differ, as its siblings are, and as its series was missed before."""

from dataclasses import replace

import numpy as np

from forecast.series.backtest import Trial
from forecast.series.combination import disagreement
from forecast.series.members import TINY
from forecast.series.panel import Floats, Panel

# The share of a series' miss, beside its siblings', that usually comes again; it counts as so many pairs of origins.
CARRIED_USUAL, PAIRS_USUAL = 0.2, 40.0
MISS_BOUND = 10.0
# Misses grow as this power of how far members lie apart; what is usual and least of that, in standard deviations.
APART_POWER, APART_USUAL, APART_MIN = 0.2, 0.33, 0.05
# The variance by chance of the logarithm of a standard deviation of so many periods is 1: twice that of normal errors.
CHANCE_PERIODS = 1.0


def by_disagreement(deviations: Floats, forecasts: dict[str, Floats], weights: dict[str, float]) -> Floats:
    """Scale deviations by how far members lie apart: more of it than usual makes them wider, less narrower.

    Args:
        deviations: series × steps.
        forecasts: by member, series × steps; a series that only one of them suits keeps its deviations.
    """
    apart = disagreement(forecasts, weights)
    known = (deviations > 0) & np.isfinite(apart)
    share = np.hypot(np.where(known, apart / np.where(known, deviations, 1), APART_USUAL), APART_MIN)
    return np.where(known, deviations * (share / APART_USUAL) ** APART_POWER, deviations)


def leaning_on_siblings(deviations: Floats, panel: Panel, groups: np.ndarray) -> Floats:
    """Lean deviations, as shares of the level, on the geometric mean of their group, as far as they differ by chance.

    Those that look calm are less calm than they look, and the noisy ones less noisy. What a handful of values says was leant
    on longer siblings before, where there are any.

    Args:
        deviations: series × steps.
        groups: one name a series of the panel.
    """
    level = np.array([float(np.abs(values).mean()) for values in panel.history])
    known = (deviations > 0).all(axis=1) & (level > 0)
    longer = panel.lengths >= TINY
    known &= longer | ~longer.any()
    leant = deviations.copy()
    for name in np.unique(groups[known]):
        chosen = np.flatnonzero(known & (groups == name))
        # The logarithm of a standard deviation of few values is too low on average.
        too_low = 0.5 / np.maximum(panel.lengths[chosen] - 1, 1)
        noise = np.log(deviations[chosen].mean(axis=1) / level[chosen]) + too_low
        chance = CHANCE_PERIODS / panel.lengths[chosen]
        share = chance / (chance + max(0.0, float(noise.var() - chance.mean())))
        leant[chosen] *= np.exp(too_low + share * (noise.mean() - noise))[:, None]
    return leant


def with_own_scales(trials: list[Trial], means: list[Floats], groups: np.ndarray) -> tuple[list[Trial], Floats]:
    """Scale deviations by how far each series was missed at other origins; gives the trials so, and one factor a series.

    A trial is scaled by origins alone that share no judged period with it, so that what is left of its errors is honest.

    Args:
        trials: from earlier origins.
        means: one a trial, what was forecast.
        groups: one name a series of the panel; series are compared with those of their group.
    """
    missed = _missed(trials, means, groups)
    carried = _carried(trials, missed)
    scaled = []
    for trial in trials:
        apart = [_precedes(trial, other) or _precedes(other, trial) for other in trials]
        own = _factors(missed[apart], carried)[trial.chosen]
        scaled.append(replace(trial, deviations=trial.deviations * own[:, None]))
    return scaled, _factors(missed, carried)


def _missed(trials: list[Trial], means: list[Floats], groups: np.ndarray) -> Floats:
    """Give logarithms of mean errors in standard deviations beside those of the group, trials × series; nan where not tried.

    Those of another history than the one now say less.
    """
    found = np.full((len(trials), len(groups)), np.nan)
    for row, trial, mean in zip(found, trials, means, strict=True):
        tried = (trial.deviations > 0).all(axis=1) & (trial.alike > 0)
        ratio = np.abs(trial.actual - mean)[tried] / trial.deviations[tried]
        chosen = trial.chosen[tried]
        row[chosen] = np.log(np.clip(ratio.mean(axis=1), 1 / MISS_BOUND, MISS_BOUND))
        for name in np.unique(groups[chosen]):
            row[chosen[groups[chosen] == name]] -= row[chosen[groups[chosen] == name]].mean()
        row[chosen] *= trial.alike[tried]
    return found


def _precedes(earlier: Trial, later: Trial) -> bool:
    """Tell whether all judged periods of one trial were over at the other's origin."""
    return bool(earlier.cut - later.cut >= earlier.actual.shape[1])


def _carried(trials: list[Trial], missed: Floats) -> float:
    """Give the share of a series' miss at one origin that comes again at a later one, leaning on the usual one."""
    pairs = [
        np.stack([missed[one], missed[two]])
        for one, earlier in enumerate(trials)
        for two, later in enumerate(trials)
        if _precedes(earlier, later)
    ]
    every = np.concatenate([*pairs, np.empty((2, 0))], axis=1)
    before, after = every[:, np.isfinite(every).all(axis=0)]
    spread = float(np.mean(before**2)) if len(before) else 0.0
    if not spread:
        return CARRIED_USUAL
    share = (float(before @ after) / spread + PAIRS_USUAL * CARRIED_USUAL) / (len(before) + PAIRS_USUAL)
    return float(np.clip(share, 0, 1))


def _factors(missed: Floats, carried: float) -> Floats:
    """Give one factor a series; 1 where it was not tried."""
    count = np.isfinite(missed).sum(axis=0)
    mean: Floats = np.exp(carried * np.nansum(missed, axis=0) / np.maximum(count, 1))
    return mean
