"""Sentences of what sets an account's value apart, in English and Chinese."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Protocol


def reason_sentence(reason: Mapping[str, Any], language: str) -> str:
    """Say a reason with its value and what is usual; `language` is `en` or `zh`."""
    phrases = _phrases()
    label = phrases["features"][reason["feature"]][language]
    direction = phrases["directions"]["more" if reason["contribution"] > 0 else "less"][language]
    value, usual = (_number(reason[name]) for name in ("value", "usual"))
    return str(phrases["sentence"][language].format(label=label, value=value, usual=usual, direction=direction))


def alert_sentence(alert: Mapping[str, Any], language: str) -> str:
    """Say an alert with its value and what is usual; a probability in percent."""
    share = alert["kind"] == "churn_risk"
    value, usual = (f"{alert[name]:.0%}" if share else _number(alert[name]) for name in ("value", "usual"))
    return str(_phrases()["alerts"][alert["kind"]][language].format(value=value, usual=usual))


def evidence_sentence(kind: str, found: Mapping[str, Any], language: str) -> str:
    """Say how an alert, next products or prospects did against what is simple on held-out time, or what is missing."""
    phrases = _phrases()["evidence"]
    if found.get("enough", True):
        compared = phrases["compared"][kind][language].format(ours=found["ours"], simple=found["simple"])
        return str(phrases["weighed"][language].format(compared=compared, chance=found["chance"]))
    return str(
        phrases["too_few"][language].format(customers=found["customers"], needed=phrases["needed"][kind][language])
    )


def evidence_label(kind: str, language: str) -> str:
    """Name an alert, next products or prospects."""
    return str(_phrases()["evidence"]["kinds"][kind][language])


def why_absent(evidence: Mapping[str, Mapping[str, Any]], kind: str, language: str) -> str:
    """Say why an alert or next products are not given; empty where they are."""
    if kind not in evidence:
        return str(_phrases()["evidence"]["no_time"][language])
    found = evidence[kind]
    return "" if found["passed"] else evidence_sentence(kind, found, language)


def absent_sentence(kind: str, why: str, language: str) -> str:
    """Say that an alert or next products are not given."""
    return str(_phrases()["evidence"]["absent"][language].format(kind=evidence_label(kind, language), why=why))


class Compared(Protocol):
    """A figure of a segment against that of all other accounts."""

    @property
    def figure(self) -> str:
        """The figure's name."""

    @property
    def value(self) -> float:
        """Its mean in the segment."""

    @property
    def others(self) -> float:
        """Its mean elsewhere."""


def difference_sentence(difference: Compared, language: str) -> str:
    """Say in what a segment differs; shares in percent."""
    phrases = _phrases()["segments"]
    shares = difference.figure in ("probability_active", "in_tier_a")
    numbers = (difference.value, difference.others)
    value, others = (f"{number:.0%}" if shares else _number(number) for number in numbers)
    label = phrases["figures"][difference.figure][language]
    return str(phrases["sentence"][language].format(label=label, value=value, others=others))


def potential_label(potential: str, language: str) -> str:
    """Name a potential."""
    return str(_phrases()["potentials"][potential][language])


def strategy(tier: str, potential: str, language: str) -> str:
    """Give the follow-up that is proposed for a tier and potential."""
    return str(_phrases()["strategies"][tier][potential][language])


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if abs(value) >= 10 else f"{value:.3g}"


@cache
def _phrases() -> dict[str, Any]:
    text = (files("forecast") / "accounts/phrases.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
