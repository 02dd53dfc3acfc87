"""Remarks beside forecasts, targets and changes: English sentences as they are kept, said in Chinese by remarks.toml."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from forecast.wording.labels import Language

_FIELD = re.compile(r"\{(\w+)\}")


@cache
def chinese_remarks() -> Mapping[str, str]:
    """Read remarks.toml, once: the Chinese of each English remark."""
    return MappingProxyType(tomllib.loads(files(__package__).joinpath("remarks.toml").read_text(encoding="utf-8")))


def say_remark(remark: str, language: Language) -> str:
    """Say a remark in a language; one that is not known, such as of an earlier release, stays English."""
    if language == "en":
        return remark
    found = ((match, chinese) for pattern, chinese in _patterns() if (match := pattern.fullmatch(remark)))
    match, chinese = next(found, (None, ""))
    if match is None:
        return remark
    return chinese.format(**{name: _say_values(text, language) for name, text in match.groupdict().items()})


def say_remarks(remarks: Iterable[str], language: Language) -> list[str]:
    """Say each of some remarks in a language."""
    return [say_remark(remark, language) for remark in remarks]


def _say_values(text: str, language: Language) -> str:
    return ", ".join(say_remark(part, language) for part in text.split(", "))


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((_pattern(english), chinese) for english, chinese in chinese_remarks().items())


def _pattern(english: str) -> re.Pattern[str]:
    literal = (
        re.escape(part) if place % 2 == 0 else f"(?P<{part}>.+?)" for place, part in enumerate(_FIELD.split(english))
    )
    return re.compile("".join(literal), re.DOTALL)
