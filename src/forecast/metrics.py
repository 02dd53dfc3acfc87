"""Losses, ranking and calibration: arrays in, numbers out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

Floats = NDArray[np.float64]

CLIP = 1e-6


def log_losses(won: Floats, probability: Floats) -> Floats:
    """Give each row's log loss, with probabilities clipped to [1e-6, 1 - 1e-6]."""
    clipped = np.clip(probability, CLIP, 1 - CLIP)
    return -(won * np.log(clipped) + (1 - won) * np.log1p(-clipped))


def brier_losses(won: Floats, probability: Floats) -> Floats:
    """Give each row's squared error."""
    return (won - probability) ** 2


def auc(won: Floats, probability: Floats, weight: Floats | None = None) -> float:
    """Give the area under the ROC curve; nan where only one class is there."""
    if len(np.unique(won)) < 2:
        return float("nan")
    return float(roc_auc_score(won, probability, sample_weight=weight))


def expected_calibration_error(won: Floats, probability: Floats, bins: int = 15) -> float:
    """Give the mean gap between predicted and observed share over bins of equal count, weighted by count."""
    return float(
        sum(
            len(part.won) / len(won) * abs(part.observed - part.predicted)
            for part in reliability(won, probability, bins)
        )
    )


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows of similar predicted probability."""

    won: Floats
    predicted: float
    observed: float


def reliability(won: Floats, probability: Floats, bins: int = 15) -> list[ReliabilityBin]:
    """Cut rows into bins of equal count by predicted probability (stable order on ties)."""
    order = np.argsort(probability, kind="stable")
    return [
        ReliabilityBin(won[part], float(probability[part].mean()), float(won[part].mean()))
        for part in np.array_split(order, min(bins, len(order)))
        if len(part)
    ]


def calibration_slope(won: Floats, probability: Floats, weight: Floats | None = None) -> float:
    """Give the slope of outcome on predicted log-odds (Cox 1958): 1 is right, below 1 is too extreme."""
    slope, _ = fit_sigmoid(won, logit(np.clip(probability, CLIP, 1 - CLIP)), weight)
    return slope


def fit_sigmoid(
    won: Floats, log_odds: Floats, weight: Floats | None = None, penalty: float = 0.0
) -> tuple[float, float]:
    """Fit p = sigmoid(slope * log_odds + shift) by maximum likelihood (Platt 1999).

    Args:
        penalty: pull towards slope 1 and shift 0, in rows.
    """
    weights = np.ones_like(won) if weight is None else weight

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slope, shift = parameters
        scores = slope * log_odds + shift
        error = (expit(scores) - won) * weights
        value = float(np.sum(weights * (np.logaddexp(0, scores) - won * scores)))
        value += penalty * ((slope - 1) ** 2 + shift**2) / 2
        gradient = np.array([error @ log_odds + penalty * (slope - 1), error.sum() + penalty * shift])
        return value, gradient

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.05, 20.0), (-20.0, 20.0)])
    return float(found.x[0]), float(found.x[1])


def at_level(won: Floats, probability: Floats, weight: Floats) -> Floats:
    """Shift probabilities, in log-odds, so that their weighted mean is the share won; their order stays."""
    log_odds = logit(np.clip(probability, CLIP, 1 - CLIP))
    return np.asarray(expit(log_odds + level_shift(won, log_odds, weight)))


def level_shift(won: Floats, log_odds: Floats, weight: Floats) -> float:
    """Find what must be added to log-odds for the weighted mean of probabilities to be the share won."""
    share = np.clip(np.average(won, weights=weight), CLIP, 1 - CLIP)

    def gap(shift: float) -> float:
        return float(np.average(expit(log_odds + shift), weights=weight) - share)

    return float(brentq(gap, -60.0, 60.0))


def lift(won: Floats, probability: Floats, share: float = 0.1) -> float:
    """Give how many times more often the top share by probability was won than all."""
    count = max(1, round(len(won) * share))
    top = np.argsort(-probability, kind="stable")[:count]
    return float(won[top].mean() / won.mean()) if won.mean() > 0 else float("nan")


def chance_of_gain(ours: Floats, theirs: Floats, groups: NDArray[np.int64], seed: int, rounds: int = 2000) -> float:
    """Give the share of paired bootstrap draws in which our mean loss is below theirs.

    Args:
        ours: loss of each row.
        theirs: loss of the same rows.
        groups: rows of equal number are drawn together (snapshots of one opportunity are not independent).
    """
    _, position = np.unique(groups, return_inverse=True)
    gains = np.bincount(position, weights=theirs - ours)
    generator = np.random.default_rng(seed)
    draws = [gains[generator.integers(0, len(gains), len(gains))].sum() for _ in range(rounds)]
    return float(np.mean(np.array(draws) > 0))
