"""Reasons as sentences: a value, and what is usual among won opportunities."""

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from forecast.wording.labels import (
    NO_CUSTOM,
    CustomFeature,
    Language,
    feature_wording,
    phrase,
    theme_label,
    word_list,
)

_VALUE_AFTER_HAN = re.compile(r"(?<=[\u4e00-\u9fff])(?=\{value\})")


def reason_sentence(
    reason: Mapping[str, Any], language: Language, custom: Mapping[str, CustomFeature] = NO_CUSTOM
) -> str:
    """Say a reason, such as "No activity for 21 days (won opportunities: 6 days)".

    Args:
        reason: `feature`, `value` as text (None where missing), `usual` as a number (None where there is none), and of whom it
            is, `usual_of` (won, stage, stay, lead).
        language: `en` or `zh`.
        custom: custom fields by their column, such as `custom_segment`.
    """
    wording = feature_wording(reason["feature"], language, custom)
    if reason["value"] is None:
        sentence = wording.missing.format(label=wording.label)
    else:
        value = say_value(reason["value"], wording.unit, language)
        sentence = _spaced(wording.sentence, value).format(label=wording.label, value=value)
    if reason.get("usual") is not None:
        usual = say_value(reason["usual"], wording.unit, language)
        template = word_list()["phrases"][f"usual_{reason.get('usual_of') or 'won'}"][language]
        sentence = _spaced(template, usual).format(sentence=sentence, value=usual)
    return sentence


def moved_sentence(theme: str, log_odds: float, language: Language) -> str:
    """Say how far a theme moved a score, such as "Stage: odds of winning 2.50 times as high"."""
    return phrase("moved", language, label=theme_label(theme, language), factor=f"{math.exp(log_odds):.2f}")


def _spaced(template: str, value: str) -> str:
    """Put a space between Chinese and a number, as typesetters do."""
    return _VALUE_AFTER_HAN.sub(" ", template) if value[:1].isdigit() else template


def say_value(value: str | float, unit: str, language: Language) -> str:
    """Give a value with its unit; text that should be a number but is none stays as it is."""
    if unit == "text":
        return value if isinstance(value, str) else _say_number(value, language)
    try:
        return _SAYINGS[unit](float(value), language)
    except (ValueError, OverflowError):
        return str(value)


def _unit(name: str, language: Language, /, **values: str) -> str:
    return str(word_list()["units"][name][language]).format(**values)


def _say_number(value: float, _: Language) -> str:
    """Give thousands separators, and two decimals at most."""
    return f"{value:,.2f}".removesuffix("0").removesuffix("0").removesuffix(".")


def _say_money(value: float, language: Language) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else _say_number(value, language)


def _say_days(value: float, language: Language) -> str:
    if abs(value) < 1:
        return _unit("day_part", language)
    whole = round(value)
    return _unit("day", language) if whole == 1 else _unit("days", language, number=f"{whole:,}")


def _say_days_until(value: float, language: Language) -> str:
    if abs(value) < 1:
        return _unit("today", language)
    return _unit("ahead" if value > 0 else "ago", language, days=_say_days(abs(value), language))


def _say_share(value: float, _: Language) -> str:
    return f"{value * 100:.0f}%" if 0.01 <= value <= 0.99 or value in {0, 1} else f"{value * 100:.1f}%"


def _say_change(value: float, language: Language) -> str:
    return _unit("unchanged", language) if round(value, 2) == 0 else f"{value * 100:+.0f}%"


def _numbered(name: str) -> Callable[[float, Language], str]:
    return lambda value, language: _unit(name, language, number=_say_number(value, language))


def _say_weekday(value: float, language: Language) -> str:
    return str(word_list()["weekdays"][language][(int(value) - 1) % 7])


def _say_month(value: float, language: Language) -> str:
    return str(word_list()["months"][language][(int(value) - 1) % 12])


_SAYINGS: Mapping[str, Callable[[float, Language], str]] = MappingProxyType(
    {
        "number": _say_number,
        "count": _say_number,
        "money": _say_money,
        "days": _say_days,
        "days_until": _say_days_until,
        "share": _say_share,
        "change": _say_change,
        "rating": _numbered("rating"),
        "ratio": _numbered("ratio"),
        "characters": _numbered("characters"),
        "entries": _numbered("entries"),
        "boolean": lambda value, language: _unit("yes" if value >= 0.5 else "no", language),
        "hour": lambda value, _: f"{int(value):02d}:00",
        "weekday": _say_weekday,
        "month": _say_month,
        "year": lambda value, _: f"{value:.0f}",
    }
)
