"""Is a target measurable, attainable, dated and owned: checks with sentences in English and Chinese."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from forecast.revenue.cells import COMPANY
from forecast.targets.attainment import Attainment
from forecast.wording import Language

Criterion = Literal["measurable", "attainable", "dated", "owned"]
UNLIKELY, CERTAIN = 0.2, 0.95


@dataclass(frozen=True, kw_only=True)
class Check:
    """One criterion of a target; `passed` is missing where it can't be told."""

    criterion: Criterion
    passed: bool | None
    label: str
    sentence: str


def check_target(found: Attainment, language: Language) -> tuple[Check, ...]:
    """Check a target by each criterion."""
    values = _values(found)
    return tuple(
        Check(
            criterion=criterion,
            passed=passed,
            label=_phrases()["criteria"][criterion][language],
            sentence=_phrases()["sentences"][criterion][said][language].format(**values),
        )
        for criterion, passed, said in _findings(found)
    )


def _findings(found: Attainment) -> Iterator[tuple[Criterion, bool | None, str]]:
    target = found.target
    if target.amount is None or target.amount <= 0:
        yield "measurable", False, "no_amount"
    else:
        yield "measurable", target.counts_revenue, "ok" if target.counts_revenue else "no_metric"
    yield "attainable", *_attainable(found)
    if target.starts_on is None or target.ends_on is None:
        yield "dated", False, "no_dates"
    else:
        in_order = target.starts_on <= target.ends_on
        yield "dated", in_order, "ok" if in_order else "reversed"
    said = "unknown_unit" if not target.known else "company" if target.level == COMPANY else "ok"
    yield "owned", target.known, said


def _attainable(found: Attainment) -> tuple[bool | None, str]:
    amount = found.target.amount
    if amount is not None and found.attained is not None and found.attained >= amount:
        return True, "reached"
    if found.gap is not None and found.outlook is None:
        return False, "missed"
    if found.outlook is None or found.outlook.probability is None:
        return None, "unknown"
    probability = found.outlook.probability
    return (
        probability >= UNLIKELY,
        "certain" if probability >= CERTAIN else "ok" if probability >= UNLIKELY else "unlikely",
    )


def _values(found: Attainment) -> dict[str, str]:
    target = found.target
    probability = None if found.outlook is None else found.outlook.probability
    return {
        "amount": f"{target.amount or 0:,.0f} {target.currency or ''}".strip(),
        "metric": target.metric,
        "probability": "" if probability is None else f"{probability:.0%}",
        "starts_on": str(target.starts_on),
        "ends_on": str(target.ends_on),
        "unit": target.unit_name or target.unit_id,
    }


@cache
def _phrases() -> dict[str, Any]:
    return tomllib.loads((files("forecast.targets") / "phrases.toml").read_text(encoding="utf-8"))
