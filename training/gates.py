"""Whether a version may be served: numbered gates, each with what was found and what was asked for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecast.metrics import (
    Floats,
    at_level,
    auc,
    brier_losses,
    calibration_slope,
    chance_of_gain,
    expected_calibration_error,
    lift,
    log_losses,
)
from training.config import GateRules

LOSSES = ("log loss", "Brier score")
NEGLIGIBLE = 0.001
"""A loss that is higher by a smaller share is not worse, however sure the difference is."""
LIVE_GATE = 11
"""Number of the first of the gates that compare with the live version."""
EXCUSE = (
    "; it is served all the same, as the share won has moved: what would be served instead is further from the truth, "
    "and so clearly (train again often)"
)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One gate: `sentence` says what was found and what was asked for.

    Where one that `shows_signal` fails, nothing was learnt.
    """

    name: str
    passed: bool
    sentence: str
    number: int = 0
    shows_signal: bool = False

    def to_json(self) -> dict[str, Any]:
        """Give the gate as JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What became of rows that no model has seen.

    Attributes:
        won: 1 or 0.
        weight: of each row.
        groups: number of each row's opportunity.
    """

    won: Floats
    weight: Floats
    groups: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Judged(Outcomes):
    """Rows that no model has seen, with what each model says of them.

    Attributes:
        ours, prior, logistic: probabilities.
        clock: of the same recipe fitted on age and calendar alone.
        live: of the live version, where it was trained before these rows; else None.
        segments: which rows are in each large segment, by its name.
    """

    ours: Floats
    prior: Floats
    clock: Floats
    logistic: Floats
    live: Floats | None
    segments: Mapping[str, NDArray[np.bool_]] = field(default_factory=lambda: MappingProxyType({}))


def measure(won: Floats, probability: Floats, weight: Floats) -> dict[str, float]:
    """Measure predictions; losses and ranking by weight, calibration error and lift by row."""
    return {
        "rows": float(len(won)),
        "won_share": float(np.average(won, weights=weight)),
        "auc": auc(won, probability, weight),
        "log_loss": float(np.average(log_losses(won, probability), weights=weight)),
        "brier": float(np.average(brier_losses(won, probability), weights=weight)),
        "calibration_error": expected_calibration_error(won, probability),
        "calibration_slope": calibration_slope(won, probability, weight),
        "lift_10": lift(won, probability),
    }


def decide_gates(judged: Judged, rules: GateRules, seed: int) -> list[Gate]:
    """Decide every gate on rows that the judged recipe has not seen, numbered from 1."""
    gates = [
        *_beats(judged, judged.prior, rules, who="the prior", seed=seed),
        *_beats(judged, judged.clock, rules, who="age and calendar alone", seed=seed),
        *_not_worse(_at_level(judged, judged.logistic), rules, who="logistic regression", seed=seed),
        _calibrated(judged, rules, seed),
        _slope(judged, rules),
        plausible(auc(judged.won, judged.ours, judged.weight), rules.auc_max),
        _calibrated_in_segments(judged, rules, seed),
    ]
    if judged.live is not None:
        gates += _not_worse(_as_served(judged, judged.live), rules, who="the live version", seed=seed)
    return [replace(gate, number=number) for number, gate in enumerate(gates, start=1)]


def no_step_back(
    outcomes: Outcomes, ours: Floats, theirs: Floats, rules: GateRules, *, who: str, seed: int
) -> list[Gate]:
    """Ask that rows don't clearly speak for what is served now, numbered as those that compare with a live version."""
    gates = _not_worse(_Pair(outcomes, ours, theirs), rules, who=who, seed=seed)
    return [replace(gate, number=number) for number, gate in enumerate(gates, start=LIVE_GATE)]


@dataclass(frozen=True)
class _Pair:
    """The judged rows with our probabilities and a yardstick's, and how they are compared."""

    judged: Outcomes
    ours: Floats
    theirs: Floats
    how: str = ""


def _as_served(judged: Judged, theirs: Floats) -> _Pair:
    return _Pair(judged, judged.ours, theirs)


def _at_level(judged: Judged, theirs: Floats) -> _Pair:
    """Shift both to the share won, so that only telling opportunities apart counts."""
    ours, others = (at_level(judged.won, values, judged.weight) for values in (judged.ours, theirs))
    return _Pair(judged, ours, others, how=" at the right level")


def _gain(pair: _Pair, loss_name: str, seed: int) -> tuple[float, float, float]:
    """Give our loss, theirs, and the share of bootstrap draws in which ours is lower."""
    judged, losses = pair.judged, {"log loss": log_losses, "Brier score": brier_losses}[loss_name]
    mine, other = (losses(judged.won, values) * judged.weight for values in (pair.ours, pair.theirs))
    total = judged.weight.sum()
    return float(mine.sum() / total), float(other.sum() / total), chance_of_gain(mine, other, judged.groups, seed)


def _beats(judged: Judged, theirs: Floats, rules: GateRules, *, who: str, seed: int) -> list[Gate]:
    """Compare with a yardstick at the right level."""
    gates = []
    pair = _at_level(judged, theirs)
    for loss in LOSSES:
        mine, other, chance = _gain(pair, loss, seed)
        sentence = (
            f"{loss}{pair.how} {mine:.4f} against {other:.4f} of {who}, better in {chance:.1%} of bootstrap draws "
            f"(asked for: {rules.confidence:.0%})"
        )
        passed = chance >= rules.confidence
        gates.append(Gate(name=f"beats {who} on {loss}", passed=passed, sentence=sentence, shows_signal=True))
    return gates


def _not_worse(pair: _Pair, rules: GateRules, *, who: str, seed: int) -> list[Gate]:
    gates = []
    swapped = replace(pair, ours=pair.theirs, theirs=pair.ours)
    for loss in LOSSES:
        other, mine, chance = _gain(swapped, loss, seed)
        sure, little = chance >= rules.confidence, mine - other < NEGLIGIBLE * other
        sentence = (
            f"{loss}{pair.how} {mine:.4f} against {other:.4f} of {who}, worse in {chance:.1%} of bootstrap draws "
            f"(asked for: below {rules.confidence:.0%})"
        )
        if sure and little:
            sentence += "; by too little to count"
        gates.append(Gate(name=f"no worse than {who} on {loss}", passed=little or not sure, sentence=sentence))
    return gates


def is_worse_than_logistic(judged: Judged, rules: GateRules, seed: int) -> bool:
    """Tell whether the regression alone tells opportunities apart clearly better than the mix does."""
    gates = _not_worse(_at_level(judged, judged.logistic), rules, who="logistic regression", seed=seed)
    return not all(gate.passed for gate in gates)


def _better_than_what_is_off(judged: Judged, rules: GateRules, seed: int) -> bool:
    """Tell whether the share won has moved so far that the prior is off beyond the bound, and ours, as it stands, is clearly closer."""
    if _beyond_chance(judged.won, judged.prior, seed)[0] <= rules.calibration_error_max:
        return False
    pair = _as_served(judged, judged.prior)
    return all(_gain(pair, loss, seed)[2] >= rules.confidence for loss in LOSSES)


def _beyond_chance(won: Floats, probability: Floats, seed: int) -> tuple[float, float]:
    """Give the calibration error beyond what comes by chance, and what comes so."""
    chance = _calibration_error_by_chance(probability, seed)
    return expected_calibration_error(won, probability) - chance, chance


def _calibrated(judged: Judged, rules: GateRules, seed: int) -> Gate:
    beyond, chance = _beyond_chance(judged.won, judged.ours, seed)
    within = beyond <= rules.calibration_error_max
    excused = not within and _better_than_what_is_off(judged, rules, seed)
    return Gate(
        name="calibrated",
        passed=within or excused,
        sentence=(
            f"expected calibration error {beyond + chance:.3f}, of which {chance:.3f} would come by chance "
            f"(asked for: at most {rules.calibration_error_max} beyond chance){EXCUSE if excused else ''}"
        ),
    )


def _calibrated_in_segments(judged: Judged, rules: GateRules, seed: int) -> Gate:
    """Ask of each large segment what is asked of the whole, with a wider bound: there are many of them."""
    beyond = {
        name: _beyond_chance(judged.won[rows], judged.ours[rows], seed)[0] for name, rows in judged.segments.items()
    }
    asked = f"(asked for: at most {rules.segment_error_max} beyond chance)"
    worst = max(beyond, key=lambda name: beyond[name], default=None)
    within = worst is None or beyond[worst] <= rules.segment_error_max
    excused = not within and _better_than_what_is_off(judged, rules, seed)
    return Gate(
        name="calibrated in each large segment",
        passed=within or excused,
        sentence=f"no segment is large enough to be asked {asked}"
        if worst is None
        else f"furthest off of {len(beyond)}: {worst}, expected calibration error {beyond[worst]:.3f} beyond chance "
        f"{asked}{EXCUSE if excused else ''}",
    )


def _calibration_error_by_chance(probability: Floats, seed: int, rounds: int = 100) -> float:
    generator = np.random.default_rng(seed)
    order = np.argsort(probability, kind="stable")  # once: what is in order is sorted quickly
    draws = ((generator.random(len(order)) < probability)[order].astype(np.float64) for _ in range(rounds))
    return float(np.mean([expected_calibration_error(won, probability[order]) for won in draws]))


def _slope(judged: Judged, rules: GateRules) -> Gate:
    found = calibration_slope(judged.won, judged.ours, judged.weight)
    return Gate(
        name="neither too sure nor too timid",
        passed=rules.slope_min <= found <= rules.slope_max,
        sentence=f"calibration slope {found:.2f} (asked for: {rules.slope_min} to {rules.slope_max})",
    )


def plausible(found: float, auc_max: float) -> Gate:
    """Ask that an AUC is not higher than anything honest could reach."""
    return Gate(
        name="not too good to be true",
        passed=found <= auc_max,
        sentence=f"AUC {found:.3f} (above {auc_max} something knows the outcome)",
    )


def verdict(gates: list[Gate]) -> str:
    """Say in a sentence whether the version may be served, and if not why."""
    failed = [gate for gate in gates if not gate.passed]
    if not failed:
        return "promoted: every gate passed"
    no_signal = any(gate.shows_signal for gate in failed)
    reasons = "; ".join(f"gate {gate.number} ({gate.name}): {gate.sentence}" for gate in failed)
    return f"{'no signal found: ' if no_signal else ''}not promoted: {reasons}"
