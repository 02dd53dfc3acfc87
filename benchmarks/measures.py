"""Measure probabilities against outcomes, apart from the product's own metrics so that neither hides the other's fault."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """How good probabilities are.

    Attributes:
        auc: chance that a won opportunity has the higher probability; .5 is none.
        log_loss: mean negative log-likelihood in nats.
        brier: mean squared error.
        ece: expected calibration error over 15 bins of equal count.
        ece_by_chance: what perfectly calibrated probabilities, these very ones, would show on so many rows.
        lift: win rate of the most probable tenth over the win rate of all.
    """

    auc: float
    log_loss: float
    brier: float
    ece: float
    ece_by_chance: float
    lift: float


def measure(won: Floats, probability: Floats) -> Accuracy:
    """Measure probabilities of 0-1 outcomes; rows of equal probability share their win rate, so row order is nothing."""
    return Accuracy(
        auc=float(roc_auc_score(won, probability)),
        log_loss=float(log_losses(won, probability).mean()),
        brier=float(np.mean((probability - won) ** 2)),
        ece=expected_calibration_error(won, probability),
        ece_by_chance=calibration_error_by_chance(probability),
        lift=lift(won, probability),
    )


def log_losses(won: Floats, probability: Floats) -> Floats:
    """Give each row's negative log-likelihood in nats; probabilities are kept 1e-12 off 0 and 1."""
    kept = np.clip(probability, 1e-12, 1 - 1e-12)
    losses: Floats = -np.log(np.where(won == 1, kept, 1 - kept))
    return losses


def expected_calibration_error(won: Floats, probability: Floats, *, bins: int = 15) -> float:
    """Average the gap between mean probability and win rate over bins of equal count."""
    order = np.argsort(probability, kind="stable")
    gaps = (probability - _rate_of_equals(won, probability))[order]
    return float(sum(abs(part.sum()) for part in np.array_split(gaps, bins)) / len(gaps))


def calibration_error_by_chance(probability: Floats, *, draws: int = 200, seed: int = 0) -> float:
    """Give the mean calibration error of outcomes that do come with these probabilities."""
    generator = np.random.default_rng(seed)
    outcomes = ((generator.random(len(probability)) < probability).astype(np.float64) for _ in range(draws))
    return float(np.mean([expected_calibration_error(won, probability) for won in outcomes]))


def lift(won: Floats, probability: Floats, *, share: float = 0.1) -> float:
    """Divide the win rate of the most probable share by the win rate of all."""
    top = np.argsort(-probability, kind="stable")[: max(1, round(share * len(won)))]
    return float(_rate_of_equals(won, probability)[top].mean() / won.mean())


def difference(won: Floats, ours: Floats, theirs: Floats) -> tuple[float, float]:
    """Give the mean difference in log loss, ours less theirs, and its standard error over paired rows."""
    gaps = log_losses(won, ours) - log_losses(won, theirs)
    return float(gaps.mean()), float(gaps.std(ddof=1) / np.sqrt(len(gaps)))


def _rate_of_equals(won: Floats, probability: Floats) -> Floats:
    _, group = np.unique(probability, return_inverse=True)
    rate: Floats = (np.bincount(group, weights=won) / np.bincount(group))[group]
    return rate
