"""Whether a version of customer tiers may be served."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from forecast.estimators.value import Target
from forecast.metrics import Floats, auc, chance_of_gain, log_losses
from training.gates import Gate, plausible, verdict
from training.tier_config import TierGates

TOP_SHARE = 0.2
EXCUSE = "; it is served all the same, as buying rate and purchase value, which would be served instead, have {instead}"


@dataclass(frozen=True, kw_only=True)
class JudgedCustomers:
    """Customers of the held-out part, with what each model said of them.

    Attributes:
        actual: what they did.
        ours, baseline: predictions; the baseline is buying rate and purchase value alone.
        last_period: what each spent within a horizon before.
        recency_days: since the last purchase.
    """

    actual: Mapping[Target, Floats]
    ours: Mapping[Target, Floats]
    baseline: Mapping[Target, Floats]
    last_period: Floats
    recency_days: Floats

    def losses(self, predicted: Mapping[Target, Floats]) -> Floats:
        """Give the Tweedie deviance (power 1.5) of revenue, in units of the mean revenue, and the log loss, added up."""
        unit = self._unit
        actual, expected = self.actual["revenue"] / unit, np.maximum(predicted["revenue"] / unit, 1e-9)
        deviance = 2 * actual / np.sqrt(expected) + 2 * np.sqrt(expected)
        return np.asarray(deviance + log_losses(self.actual["active"], predicted["active"]))

    def absolute_errors(self, predicted: Mapping[Target, Floats]) -> Floats:
        """Give the absolute error of revenue, in units of the mean revenue."""
        return np.asarray(np.abs(self.actual["revenue"] - predicted["revenue"]) / self._unit)

    @property
    def _unit(self) -> float:
        return max(float(self.actual["revenue"].mean()), 1e-9)


def top_capture(actual: Floats, predicted: Floats) -> float:
    """Give the share of the actual total that the predicted top fifth of customers carries."""
    top = np.argsort(-predicted, kind="stable")[: round(TOP_SHARE * len(actual))]
    return float(actual[top].sum() / max(actual.sum(), 1e-9))


def measure_tiers(judged: JudgedCustomers) -> dict[str, float]:
    """Measure this version, its baseline and the last period, as `<who>_<metric>`."""
    revenue, active = judged.actual["revenue"], judged.actual["active"]
    who = {
        "model": (judged.ours["revenue"], judged.ours["active"]),
        "baseline": (judged.baseline["revenue"], judged.baseline["active"]),
        "last_period": (judged.last_period, -judged.recency_days),
    }
    weight = np.ones(len(active))
    found = {"customers": float(len(active)), "active_share": float(active.mean())}
    for name, (worth, likely) in who.items():
        found[f"{name}_capture_20"] = top_capture(revenue, worth)
        found[f"{name}_auc"] = auc(active, likely, weight)
        found[f"{name}_absolute_error"] = float(np.abs(revenue - worth).mean())
        found[f"{name}_total_ratio"] = float(worth.sum() / max(revenue.sum(), 1e-9))
    found["model_log_loss"] = float(log_losses(active, judged.ours["active"]).mean())
    found["baseline_log_loss"] = float(log_losses(active, judged.baseline["active"]).mean())
    return found


def decide_tier_gates(judged: JudgedCustomers, rules: TierGates, seed: int, *, learnable: bool) -> list[Gate]:
    """Decide every gate on customers that the judged fit has not seen the future of, numbered from 1."""
    alike: dict[Target, Floats] = {name: np.full(len(found), found.mean()) for name, found in judged.actual.items()}
    ours = judged.losses(judged.ours)
    gates = [
        _better("taking all customers as alike", ours, judged.losses(alike), rules, seed),
        _not_worse_than_last_period(judged, rules, seed),
        _not_worse("buying rate and purchase value", ours, judged.losses(judged.baseline), rules, seed),
        _total(judged, rules, learnable=learnable),
        plausible(
            auc(judged.actual["active"], judged.ours["active"], np.ones(len(judged.recency_days))), rules.auc_max
        ),
    ]
    return [replace(gate, number=number) for number, gate in enumerate(gates, start=1)]


def _better(who: str, mine: Floats, theirs: Floats, rules: TierGates, seed: int) -> Gate:
    chance = chance_of_gain(mine, theirs, np.arange(len(mine)), seed)
    return Gate(
        name=f"beats {who}",
        passed=chance >= rules.confidence,
        sentence=(
            f"{mine.mean():.4g} against {theirs.mean():.4g}, better in {chance:.1%} of bootstrap draws "
            f"(asked for: {rules.confidence:.0%})"
        ),
        shows_signal=True,
    )


def _not_worse(who: str, mine: Floats, theirs: Floats, rules: TierGates, seed: int) -> Gate:
    chance = chance_of_gain(theirs, mine, np.arange(len(mine)), seed)
    return Gate(
        name=f"no worse than {who}",
        passed=chance < rules.confidence,
        sentence=(
            f"{mine.mean():.4g} against {theirs.mean():.4g}, worse in {chance:.1%} of bootstrap draws "
            f"(asked for: below {rules.confidence:.0%})"
        ),
    )


def _not_worse_than_last_period(judged: JudgedCustomers, rules: TierGates, seed: int) -> Gate:
    """Refuse a larger absolute error, unless that of what would be served instead is surely larger still."""
    predicted = (judged.ours["revenue"], judged.last_period, judged.baseline["revenue"])
    mine, last, instead = (np.abs(judged.actual["revenue"] - revenue) for revenue in predicted)
    gate = _not_worse("the last period on absolute error", mine, last, rules, seed)
    excused = chance_of_gain(mine, instead, np.arange(len(mine)), seed) >= rules.confidence
    if gate.passed or not excused:
        return gate
    return replace(gate, passed=True, sentence=gate.sentence + EXCUSE.format(instead=f"{instead.mean():.4g}"))


def _total(judged: JudgedCustomers, rules: TierGates, *, learnable: bool) -> Gate:
    ratio = float(judged.ours["revenue"].sum() / max(judged.actual["revenue"].sum(), 1e-9))
    said = "" if learnable else "; level not learnable: the season was never seen, so this does not decide"
    return Gate(
        name="the total is right, or said to be not learnable",
        passed=not learnable or abs(ratio - 1) <= rules.total_error_max,
        sentence=f"predicted {ratio:.2f} of the actual total (asked for: within {rules.total_error_max:.0%}){said}",
    )


def tier_verdict(gates: list[Gate]) -> str:
    """Say in a sentence whether the version may be served, and if not why and what is served instead."""
    said = verdict(gates)
    return said if all(gate.passed for gate in gates) else f"{said}; buying rate and purchase value alone are served"
