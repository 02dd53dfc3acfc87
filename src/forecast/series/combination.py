"""The ensemble: a mean of the members, by weights that backtests of the whole panel support."""

import numpy as np

from forecast.series.backtest import Trial
from forecast.series.panel import Floats

# Two boosted members learn from the same rows, and share one vote.
VOTES = {"theta": 1.0, "smoothing": 1.0, "classical": 1.0, "decomposed": 1.0, "boosted": 0.5, "boosted_yearly": 0.5}
SHARPNESS = 4.0
# A member that no backtest could try has this part of its vote.
UNTRIED = 0.25
TRIED_MIN = 10


def member_weights(trials: list[Trial]) -> dict[str, float]:
    """Weigh members by their errors over all trials, each as compared with the plain mean of members.

    Weights by panel, not by series: a series' own errors are too few to tell its best method from luck.
    """
    if not trials:
        return dict(VOTES)
    errors: dict[str, list[Floats]] = {name: [] for name in VOTES}
    for trial in trials:
        plain = np.abs(combined(trial.forecasts, VOTES) - trial.actual).mean(axis=1)
        for name, forecast in trial.forecasts.items():
            ratio = np.abs(forecast - trial.actual).mean(axis=1) / trial.scale
            errors[name].append(np.column_stack([ratio, plain / trial.scale]))
    return {name: VOTES[name] * _merit(parts) for name, parts in errors.items()}


def _merit(parts: list[Floats]) -> float:
    rows = np.concatenate(parts) if parts else np.empty((0, 2))
    rows = rows[np.isfinite(rows).all(axis=1)]
    if len(rows) < TRIED_MIN:
        return UNTRIED
    own, plain = rows.mean(axis=0)
    return float(np.clip(plain / own, 0.5, 1.5) ** SHARPNESS) if own > 0 and plain > 0 else 1.0


def combined(forecasts: dict[str, Floats], weights: dict[str, float]) -> Floats:
    """Average the members that suit each series."""
    names = [name for name in forecasts if name in weights]
    values = np.stack([forecasts[name] for name in names])
    weight = np.array([weights[name] for name in names])[:, None, None] * np.isfinite(values)
    mean: Floats = (np.nan_to_num(values) * weight).sum(axis=0) / weight.sum(axis=0)
    return mean


def disagreement(forecasts: dict[str, Floats], weights: dict[str, float]) -> Floats:
    """Give the standard deviation of the members that suit each series around their mean; nan where there is only one."""
    mean = combined(forecasts, weights)
    errors = {name: (values - mean) ** 2 for name, values in forecasts.items() if name in weights}
    count = sum(np.isfinite(squares).astype(int) for squares in errors.values())
    return np.where(count > 1, np.sqrt(combined(errors, weights)), np.nan)
