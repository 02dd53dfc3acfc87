"""Generalised linear models that correct a given prediction: a penalised fit of what it misses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from forecast.metrics import Floats

Family = Literal["logistic", "poisson", "tweedie"]

TWEEDIE_POWER = 1.5
_EXTREME = 4.0
_ETA_MAX = 30.0


@dataclass(frozen=True, kw_only=True)
class Correction:
    """What is added to the linear predictor of the given prediction; features in their own units.

    Attributes:
        mean, spread: of each feature in training; standardised values are held within 4.
        weights: of the standardised features.
        intercept: the change of level.
    """

    mean: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def parts(self, matrix: Floats) -> Floats:
        """Give each feature's part, shape of `matrix`."""
        standard = np.clip((matrix - np.array(self.mean)) / np.array(self.spread), -_EXTREME, _EXTREME)
        return np.asarray(standard * np.array(self.weights))

    def shift(self, matrix: Floats) -> Floats:
        """Give what is added for each row."""
        return np.asarray(self.intercept + self.parts(matrix).sum(axis=1))

    def to_json(self) -> dict[str, Any]:
        """Give the correction as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        mean, spread, weights = (tuple(values[name]) for name in ("mean", "spread", "weights"))
        return cls(mean=mean, spread=spread, weights=weights, intercept=values["intercept"])


def fit_correction(
    family: Family, matrix: Floats, target: Floats, offset: Floats, *, penalties: Sequence[float]
) -> Correction:
    """Fit a correction of the linear predictor `offset`; the level is free, weights are shrunk.

    Each penalty, in rows, gives a fit; the mean of them is steadier than the one that happens to do best.
    """
    mean, spread = matrix.mean(axis=0), matrix.std(axis=0)
    spread = np.where(spread > 1e-9, spread, np.inf)
    standard = np.clip((matrix - mean) / spread, -_EXTREME, _EXTREME)
    losses = _LOSSES[family]

    def loss(values: Floats, penalty: float) -> tuple[float, Floats]:
        eta = np.clip(offset + values[0] + standard @ values[1:], -_ETA_MAX, _ETA_MAX)
        each, slope = losses(eta, target)
        total = each.sum() + 0.5 * penalty * (values[1:] ** 2).sum()
        gradient = np.concatenate([[slope.sum()], standard.T @ slope + penalty * values[1:]])
        return float(total) / len(target), gradient / len(target)

    fits = [np.zeros(matrix.shape[1] + 1)]
    for penalty in sorted(penalties, reverse=True):
        found = minimize(loss, fits[-1], (penalty,), jac=True, method="L-BFGS-B", options={"maxiter": 300})
        fits.append(found.x)
    values = np.mean(fits[1:], axis=0)
    finite = np.where(np.isfinite(spread), spread, 1.0)
    return Correction(
        mean=tuple(mean.tolist()),
        spread=tuple(finite.tolist()),
        weights=tuple(np.where(np.isfinite(spread), values[1:], 0.0).tolist()),
        intercept=float(values[0]),
    )


def _logistic(eta: Floats, target: Floats) -> tuple[Floats, Floats]:
    return np.logaddexp(0, eta) - target * eta, expit(eta) - target


def _poisson(eta: Floats, target: Floats) -> tuple[Floats, Floats]:
    mean = np.exp(eta)
    return mean - target * eta, mean - target


def _tweedie(eta: Floats, target: Floats) -> tuple[Floats, Floats]:
    low, high = np.exp((1 - TWEEDIE_POWER) * eta), np.exp((2 - TWEEDIE_POWER) * eta)
    return target * low / (TWEEDIE_POWER - 1) + high / (2 - TWEEDIE_POWER), high - target * low


_LOSSES: Mapping[Family, Callable[[Floats, Floats], tuple[Floats, Floats]]] = {
    "logistic": _logistic,
    "poisson": _poisson,
    "tweedie": _tweedie,
}
