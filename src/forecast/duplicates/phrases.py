"""Evidence in words."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from forecast.wording import Language


@cache
def _phrases() -> Mapping[str, Mapping[str, str]]:
    text = files(__package__).joinpath("phrases.toml").read_text(encoding="utf-8")
    return MappingProxyType(tomllib.loads(text))


def say_evidence(evidence: str, language: Language) -> str:
    """Say what `field:result` means."""
    field, _, result = evidence.partition(":")
    return _phrases()[field][f"{result}_{language}"]
