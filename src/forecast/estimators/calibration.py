"""Bend log-odds so that probabilities are as often right as they say: sigmoid, beta, isotonic or Venn-Abers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from forecast.metrics import Floats, fit_sigmoid

PENALTY_ROWS = 20.0
KNOTS = 50
RARER_FOR_STEPS = 500
SAFE = 1e-4
"""Probabilities are kept so far from 0 and 1 by steps, which on few rows would be sure of anything."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A rising curve of log-odds, straight between knots and, beyond them, on the slope of 1.

    Attributes:
        kind: how it was found: none, sigmoid, beta, isotonic or venn-abers.
        at, to: the knots; `at` ascends, `to` does not fall. No knots leave everything as it is.
    """

    kind: str = "none"
    at: tuple[float, ...] = ()
    to: tuple[float, ...] = ()

    def of(self, log_odds: Floats) -> Floats:
        """Give the calibrated log-odds."""
        if not self.at:
            return log_odds
        inside = np.clip(log_odds, self.at[0], self.at[-1])
        return np.asarray(np.interp(inside, self.at, self.to) + log_odds - inside)

    def of_parts(self, parts: Floats) -> Floats:
        """Spread what the curve does to each row's sum over its parts, shape (rows, columns + 1); the last is the bias.

        The bias is bent as it would be alone; what the columns add is stretched alike, so that signs stay.
        """
        if not self.at:
            return parts
        bias, added = parts[:, -1], parts[:, :-1].sum(axis=1)
        start, end = self.of(bias), self.of(bias + added)
        tiny = np.abs(added) < SAFE**2
        stretch = np.where(tiny, 1.0, (end - start) / np.where(tiny, 1.0, added))
        bent = np.column_stack([parts[:, :-1] * stretch[:, None], start])
        bent[:, -1] += end - bent.sum(axis=1)
        return bent

    def to_json(self) -> dict[str, Any]:
        """Give the curve as JSON values."""
        return {"kind": self.kind, "at": list(self.at), "to": list(self.to)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        return cls(kind=values["kind"], at=tuple(values["at"]), to=tuple(values["to"]))


NOT_CALIBRATED = Calibration()


def sigmoid(won: Floats, log_odds: Floats, weight: Floats) -> Calibration:
    """Fit a straight line of log-odds (Platt 1999), pulled towards what they are."""
    slope, shift = fit_sigmoid(won, log_odds, weight, penalty=PENALTY_ROWS)
    at = _knots(log_odds)
    return _curve("sigmoid", at, slope * at + shift)


def beta(won: Floats, log_odds: Floats, weight: Floats) -> Calibration:
    """Fit log-odds = a ln p - b ln(1 - p) + c with a, b not negative (Kull et al. 2017), pulled towards what they are."""
    columns = np.column_stack([-np.logaddexp(0, -log_odds), np.logaddexp(0, log_odds), np.ones(len(won))])
    usual = np.array([1.0, 1.0, 0.0])

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scores = columns @ parameters
        value = float(np.sum(weight * (np.logaddexp(0, scores) - won * scores)))
        value += PENALTY_ROWS * float(np.sum((parameters - usual) ** 2)) / 2
        return value, columns.T @ (weight * (expit(scores) - won)) + PENALTY_ROWS * (parameters - usual)

    found = minimize(loss, usual, jac=True, method="L-BFGS-B", bounds=[(0.0, 20.0), (0.0, 20.0), (-20.0, 20.0)]).x
    at = _knots(log_odds)
    return _curve("beta", at, found[0] * -np.logaddexp(0, -at) + found[1] * np.logaddexp(0, at) + found[2])


def isotonic(won: Floats, log_odds: Floats, weight: Floats) -> Calibration:
    """Fit the steps of the lowest squared error that do not fall (Zadrozny and Elkan 2002), read off at the knots."""
    steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(log_odds, won, sample_weight=weight)
    at = _knots(log_odds)
    return _curve("isotonic", at, _log_odds(steps.predict(at)))


def venn_abers(won: Floats, log_odds: Floats, weight: Floats) -> Calibration:
    """Fit steps twice for each knot, as if a row there had been lost, and won (Vovk, Petej and Fedorova 2015).

    Of the two probabilities p0 and p1 so found for the row, p1 / (1 - p0 + p1) is the one of the least regret.
    """
    at, one = _knots(log_odds), float(weight.mean())

    def with_row(knot: float, outcome: float) -> float:
        steps = IsotonicRegression(y_min=0, y_max=1).fit(
            np.append(log_odds, knot), np.append(won, outcome), sample_weight=np.append(weight, one)
        )
        return float(steps.predict([knot])[0])

    lost, found = (np.array([with_row(knot, outcome) for knot in at]) for outcome in (0.0, 1.0))
    return _curve("venn-abers", at, _log_odds(found / (1 - lost + found)))


CALIBRATORS: Mapping[str, Callable[[Floats, Floats, Floats], Calibration]] = {
    "sigmoid": sigmoid,
    "beta": beta,
    "isotonic": isotonic,
    "venn-abers": venn_abers,
}


def calibrators_for(won: Floats) -> tuple[str, ...]:
    """Name the kinds that outcomes can bear: curves of two or three numbers, steps where the rarer came RARER_FOR_STEPS times."""
    rarer = min(won.sum(), len(won) - won.sum())
    return tuple(CALIBRATORS) if rarer >= RARER_FOR_STEPS else ("sigmoid", "beta")


def _knots(log_odds: Floats) -> Floats:
    return np.unique(np.quantile(log_odds, np.linspace(0, 1, KNOTS)))


def _log_odds(probability: Floats) -> Floats:
    return np.asarray(logit(np.clip(probability, SAFE, 1 - SAFE)))


def _curve(kind: str, at: Floats, to: Floats) -> Calibration:
    return Calibration(kind=kind, at=tuple(at.tolist()), to=tuple(np.maximum.accumulate(to).tolist()))
