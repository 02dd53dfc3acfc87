"""How often customers buy, and how much at a time: BG/NBD and gamma-gamma, from counts, ages and sums alone.

Times are in weeks. `repeats` counts the purchase days after the first, `last` is the age at the last of them, `age` the
time since the first purchase.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln, hyp2f1

from forecast.metrics import Floats

_LOG_BOUND = 12.0
_LOG_LEAVING_MAX = 5.7
"""Of a and b: beyond, all customers are as likely to leave after a purchase, and both would run off together."""

_DROPOUT_MIN = 1e-4
_PARAMETER_MAX = 1e4
ALIVE_MIN = 0.01
"""Nobody is given up for certain: BG/NBD is far too sure that frequent buyers have left, and some come back."""

UNKNOWN_GAP_WEEKS = 8.0


@dataclass(frozen=True, kw_only=True)
class BuyingRate:
    """A fitted BG/NBD: purchases at a gamma-distributed rate, until a customer leaves after one of them.

    Attributes:
        r, alpha: of the rate's gamma distribution, alpha in weeks.
        a, b: of the beta distribution of leaving; a is 0 where nobody is seen to leave (NBD).
        log_likelihood: of the fit.
        trouble: why BG/NBD itself could not be used and NBD stands in for it; empty where it could.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    trouble: str = ""

    def alive(self, repeats: Floats, last: Floats, age: Floats) -> Floats:
        """Give the probability that a customer has not left, at least ALIVE_MIN."""
        if self.a == 0:
            return np.ones(len(repeats))
        stayed = np.log(self.a) - np.log(self.b + np.maximum(repeats, 1) - 1)
        odds_left = np.exp(stayed + (self.r + repeats) * (np.log(self.alpha + age) - np.log(self.alpha + last)))
        return np.asarray(np.where(repeats > 0, np.maximum(1 / (1 + odds_left), ALIVE_MIN), 1.0))

    def active(self, repeats: Floats, last: Floats, age: Floats, *, weeks: float) -> Floats:
        """Give the probability of at least one purchase in the coming weeks."""
        silent = ((self.alpha + age) / (self.alpha + age + weeks)) ** (self.r + repeats)
        return np.asarray(self.alive(repeats, last, age) * (1 - silent))

    def expected(self, repeats: Floats, last: Floats, age: Floats, *, weeks: float) -> Floats:
        """Give the expected number of purchase days in the coming weeks (Fader, Hardie and Lee 2005, equation 10)."""
        if self.a == 0:
            return np.asarray((self.r + repeats) / (self.alpha + age) * weeks)
        share = weeks / (self.alpha + age + weeks)
        rest = hyp2f1(self.r + repeats, self.b + repeats, self.a + self.b + repeats - 1, share)
        left = 1 - ((self.alpha + age) / (self.alpha + age + weeks)) ** (self.r + repeats) * rest
        return np.asarray(
            (self.a + self.b + repeats - 1) / (self.a - 1) * left * self.alive(repeats, last, age),
        )

    def to_json(self) -> dict[str, Any]:
        """Give the parameters as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        return cls(**values)


def fit_buying_rate(repeats: Floats, last: Floats, age: Floats) -> BuyingRate:
    """Fit BG/NBD by maximum likelihood; NBD, with the reason, where its parameters run to a boundary or predict nothing."""
    if age.max() <= 0:
        told = "no time has passed since the first purchase of any customer"
        return BuyingRate(r=1.0, alpha=UNKNOWN_GAP_WEEKS, a=0.0, b=1.0, log_likelihood=0.0, trouble=told)
    rows, counts = np.unique(np.column_stack([repeats, last, age]), axis=0, return_counts=True)
    scale = float(age.max()) / 10
    scaled = rows / np.array([1.0, scale, scale])

    def loss(logs: Floats) -> float:
        return -float(counts @ _bg_nbd(logs, *scaled.T)) / len(repeats)

    bounds = [(-_LOG_BOUND, _LOG_BOUND)] * 2 + [(-_LOG_BOUND, _LOG_LEAVING_MAX)] * 2
    found = minimize(loss, np.zeros(4), method="L-BFGS-B", bounds=bounds)
    r, alpha, a, b = np.exp(found.x) * np.array([1.0, scale, 1.0, 1.0])
    # The scale of time changes the density of each purchase, not the parameters.
    likelihood = -found.fun * len(repeats) - float(repeats.sum()) * np.log(scale)
    fitted = BuyingRate(r=float(r), alpha=float(alpha), a=float(a), b=float(b), log_likelihood=float(likelihood))
    trouble = _trouble(fitted, found.x, rows)
    return _fit_without_leaving(scaled, counts.astype(np.float64), scale, trouble) if trouble else fitted


def _bg_nbd(logs: Floats, repeats: Floats, last: Floats, age: Floats) -> Floats:
    r, alpha, a, b = np.exp(logs)
    counted = gammaln(r + repeats) - gammaln(r) + r * logs[1]
    beta = gammaln(a + b) + gammaln(b + repeats) - gammaln(b) - gammaln(a + b + repeats)
    stayed = -(r + repeats) * np.log(alpha + age)
    left = logs[2] - np.log(b + np.maximum(repeats, 1) - 1) - (r + repeats) * np.log(alpha + last)
    return np.asarray(counted + beta + np.where(repeats > 0, np.logaddexp(stayed, left), stayed))


def _trouble(fitted: BuyingRate, logs: Floats, rows: Floats) -> str:
    leaving = fitted.a / (fitted.a + fitted.b)
    if np.abs(logs).max() > _LOG_BOUND - 0.01 or fitted.r > _PARAMETER_MAX:
        return "a parameter of BG/NBD ran to its boundary"
    if not _DROPOUT_MIN < leaving < 1 - _DROPOUT_MIN:
        return f"BG/NBD finds that {leaving:.2g} of customers leave after a purchase, which is not a fit"
    with np.errstate(all="ignore"):
        expected = fitted.expected(*rows.T, weeks=float(rows[:, 2].max()))
    if not np.isfinite(expected).all() or expected.min() < 0:
        return "BG/NBD predicts no finite number of purchases"
    return ""


def _fit_without_leaving(scaled: Floats, counts: Floats, scale: float, trouble: str) -> BuyingRate:
    repeats, _, age = scaled.T

    def loss(logs: Floats) -> float:
        r, alpha = np.exp(logs)
        each = gammaln(r + repeats) - gammaln(r) + r * logs[1] - (r + repeats) * np.log(alpha + age)
        return -float(counts @ each) / float(counts.sum())

    found = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=[(-_LOG_BOUND, _LOG_BOUND)] * 2)
    r, alpha = np.exp(found.x)
    likelihood = -found.fun * counts.sum() - float(counts @ repeats) * np.log(scale)
    return BuyingRate(
        r=float(r), alpha=float(alpha * scale), a=0.0, b=1.0, log_likelihood=float(likelihood), trouble=trouble
    )


@dataclass(frozen=True, kw_only=True)
class PurchaseValue:
    """A fitted gamma-gamma model of what a customer spends on a purchase day.

    The expected value is a mean of the customer's own and the company's: (p n z + p gamma) / (p n + q - 1).
    """

    p: float
    q: float
    gamma: float

    def expected(self, purchases: Floats, mean: Floats) -> Floats:
        """Give the expected value of a purchase day of customers with so many, of such a mean (missing: 0 purchases)."""
        known = np.nan_to_num(np.maximum(mean, 0.0))
        return np.asarray(self.p * (self.gamma + purchases * known) / (self.p * purchases + self.q - 1))

    def to_json(self) -> dict[str, Any]:
        """Give the parameters as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        return cls(**values)


def fit_purchase_value(purchases: Floats, mean: Floats) -> PurchaseValue:
    """Fit gamma-gamma by maximum likelihood (Fader and Hardie 2013); customers without a value above 0 tell nothing.

    Where it runs to a boundary, the customer's own mean is shrunk by two purchases of the company's.
    """
    used = (mean > 0) & (purchases > 0)
    if not used.any():
        return PurchaseValue(p=1.0, q=2.0, gamma=0.0)
    n, level = purchases[used], float(np.average(mean[used], weights=purchases[used]))
    z = mean[used] / level

    def loss(logs: Floats) -> float:
        p, q, gamma = np.exp(logs)
        each = (
            gammaln(p * n + q)
            - gammaln(p * n)
            - gammaln(q)
            + q * logs[2]
            + (p * n - 1) * np.log(z)
            + p * n * np.log(n)
            - (p * n + q) * np.log(gamma + n * z)
        )
        return -float(each.mean())

    found = minimize(loss, np.log([2.0, 3.0, 1.0]), method="L-BFGS-B", bounds=[(-6.0, 6.0)] * 3)
    p, q, gamma = np.exp(found.x)
    if np.abs(found.x).max() > 5.9 or q <= 1.05:
        return PurchaseValue(p=1.0, q=3.0, gamma=2.0 * level)
    return PurchaseValue(p=float(p), q=float(q), gamma=float(gamma * level))
