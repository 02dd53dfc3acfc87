"""What commands say to managers, in English or, from phrases.toml, in Chinese."""

import tomllib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from zoneinfo import ZoneInfo

from rich.markup import escape

from forecast.cli.screen import console
from forecast.errors import InputError
from forecast.settings import read_settings
from forecast.wording import Language, say_error, say_remark

_SCALES: Mapping[Language, tuple[tuple[float, str], ...]] = MappingProxyType(
    {"en": ((1e9, "bn"), (1e6, "M"), (1e3, "k")), "zh": ((1e8, "亿"), (1e4, "万"))}
)


@cache
def chinese() -> Mapping[str, str]:
    """Read phrases.toml, once: the Chinese of each English phrase."""
    return MappingProxyType(tomllib.loads(files(__package__).joinpath("phrases.toml").read_text(encoding="utf-8")))


def say(english: str, /, **values: object) -> str:
    """Say a phrase in the language of FORECAST_LANGUAGE, with its values filled in; a name of the company's own stays as it is."""
    template = chinese().get(english, english) if read_settings().language == "zh" else english
    return template.format(**values)


def print_notes(*remarks: str) -> None:
    """Print remarks beside what was asked for, a line each, in the language of FORECAST_LANGUAGE."""
    for remark in remarks:
        said = say_remark(remark, read_settings().language)
        console.print(f"[yellow]{say('note: ')}[/yellow]{escape(said)}")


def short_money(amount: float | None) -> str:
    """Write an amount with three digits or so, in thousands or in 万; nothing where it is missing."""
    if amount is None:
        return ""
    for divisor, letters in _SCALES[read_settings().language]:
        scaled = amount / divisor
        if abs(scaled) >= 0.9995:
            return f"{scaled:.3g}{letters}" if abs(scaled) < 999.5 else f"{scaled:.0f}{letters}"
    return f"{amount:.0f}"


def say_moment(moment: datetime | None) -> str:
    """Write a moment to the minute in FORECAST_TIMEZONE, and name the zone; nothing where it is missing."""
    return "" if moment is None else f"{moment.astimezone(ZoneInfo(read_settings().timezone)):%Y-%m-%d %H:%M %Z}"


def say_refusal(sentence: str) -> str:
    """Say why a command ends early in the language of FORECAST_LANGUAGE; in English where a setting is what is wrong."""
    try:
        return say_error(sentence, read_settings().language)
    except InputError:
        return sentence
