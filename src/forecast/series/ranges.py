"""Ranges that hold: errors of backtests, pooled over series and measured in each series' own uncertainty."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from forecast.series.backtest import Trial
from forecast.series.panel import Floats

LEVELS = (50, 80, 95)
# Fewer errors than this say little about the tails, and what is usual stands in for what they lack.
ERRORS_ENOUGH = 60
# Usual errors of the ensemble, in standard deviations of exponential smoothing: Student's t of so many degrees of
# freedom, growing as this power of the step. Measured on monthly, quarterly and weekly series of many kinds.
FREEDOM_USUAL, GROWTH_USUAL = 6, 0.05
GRID = np.concatenate([[0.001, 0.005], np.arange(0.01, 1.0, 0.01), [0.995, 0.999]])
PERSISTENCE_USUAL = 0.6


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How errors are distributed, in units of a series' own standard deviation at a step.

    Attributes:
        growth: one a step, by which errors outgrow those deviations.
        quantiles: at the shares of `GRID`, of errors divided by deviation and growth.
        persistence: correlation of errors of neighbouring steps.
    """

    growth: Floats
    quantiles: Floats
    persistence: float

    def error(self, share: Floats) -> Floats:
        """Give the error, in units of a step's deviation without growth, below which a share of errors lies."""
        return np.interp(share, GRID, self.quantiles)


def spreads(trials: list[Trial], means: list[Floats], groups: np.ndarray, horizon: int) -> dict[str, Spread]:
    """Measure the distribution of errors in each group of series.

    Args:
        means: one a trial, what was forecast.
        groups: one name a series of the panel, such as its level.
    """
    errors = [_standard_errors(trial, mean, horizon) for trial, mean in zip(trials, means, strict=True)]
    every = np.concatenate(errors) if errors else np.empty((0, horizon))
    names = np.concatenate([groups[trial.chosen] for trial in trials]) if trials else np.empty(0, dtype=str)
    alike = np.concatenate([trial.alike for trial in trials]) if trials else np.empty(0)
    usual = Spread(
        growth=_power(GROWTH_USUAL, horizon), quantiles=student.ppf(GRID, FREEDOM_USUAL), persistence=PERSISTENCE_USUAL
    )
    whole = _spread(every, alike, like=usual)
    if len(np.unique(groups)) == 1:
        return {groups[0]: whole}
    return {name: _spread(every[names == name], alike[names == name], like=whole) for name in np.unique(groups)}


def _standard_errors(trial: Trial, mean: Floats, horizon: int) -> Floats:
    """Give errors in standard deviations, trials × horizon; nan for steps that were not judged."""
    error = trial.actual - mean
    standard = np.full((len(error), horizon), np.nan)
    known = trial.deviations > 0
    standard[:, : error.shape[1]] = np.where(known, error / np.where(known, trial.deviations, 1), np.nan)
    return standard


def _spread(errors: Floats, alike: Floats, *, like: Spread) -> Spread:
    """Measure a group's spread, leaning on another in so far as the group has few errors, or errors of other histories."""
    judged = np.isfinite(errors).any(axis=1)
    rows, horizon = errors[judged], errors.shape[1]
    trust = float(alike[judged].sum() / (len(rows) + ERRORS_ENOUGH))
    if not trust:
        return like
    growth = like.growth ** (1 - trust) * _growth(rows, horizon) ** trust
    pooled = (rows / growth).ravel()
    pooled = pooled[np.isfinite(pooled)]
    own = np.quantile(pooled, GRID)
    return Spread(
        growth=growth,
        quantiles=(1 - trust) * like.quantiles + trust * own,
        persistence=(1 - trust) * like.persistence + trust * _persistence(rows),
    )


def _growth(rows: Floats, horizon: int) -> Floats:
    """Fit the growth of the usual error with the step as a power; 1 at the first step."""
    steps = np.flatnonzero(np.isfinite(rows).sum(axis=0) >= 5)
    if len(steps) < 3:
        return _power(GROWTH_USUAL, horizon)
    usual = np.log(np.maximum([np.nanmean(np.abs(rows[:, step])) for step in steps], 1e-9))
    seen = (steps[-1] + 1) / horizon
    power = seen * np.polyfit(np.log(steps + 1), usual, 1)[0] + (1 - seen) * GROWTH_USUAL
    return _power(float(np.clip(power, -0.3, 0.8)), horizon)


def _power(power: float, horizon: int) -> Floats:
    growth: Floats = np.arange(1, horizon + 1, dtype=np.float64) ** power
    return growth


def _persistence(rows: Floats) -> float:
    before, after = rows[:, :-1].ravel(), rows[:, 1:].ravel()
    both = np.isfinite(before) & np.isfinite(after)
    if both.sum() < 10 or before[both].std() == 0 or after[both].std() == 0:
        return PERSISTENCE_USUAL
    bound = np.quantile(np.abs(before[both]), 0.95)
    return float(
        np.clip(
            np.corrcoef(np.clip(before[both], -bound, bound), np.clip(after[both], -bound, bound))[0, 1], -0.5, 0.98
        )
    )
