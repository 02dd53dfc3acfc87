"""What commands say to managers, in English or, from phrases.toml, in Chinese."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from rich.markup import escape

from forecast.cli.screen import console
from forecast.settings import read_settings
from forecast.wording import say_remark


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
