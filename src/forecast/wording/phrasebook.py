"""English sentences with values in them, found again in a file of their Chinese."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_FIELD = re.compile(r"\{(\w+)\}")


@cache
def read_phrases(file: str) -> Mapping[str, str]:
    """Read a file of this folder, once: the Chinese of each English sentence, `{names}` standing for what differs."""
    return MappingProxyType(tomllib.loads(files(__package__).joinpath(file).read_text(encoding="utf-8")))


def find_phrase(sentence: str, *books: str) -> tuple[str, dict[str, str]] | None:
    """Find the Chinese of a sentence, and its values by name; of several that fit, one that begins with a word, with the most words."""
    for pattern, chinese in _patterns(books):
        match = pattern.fullmatch(sentence)
        if match is not None:
            return chinese, match.groupdict()
    return None


@cache
def _patterns(books: tuple[str, ...]) -> tuple[tuple[re.Pattern[str], str], ...]:
    phrases = {english: chinese for book in books for english, chinese in read_phrases(book).items()}
    return tuple((_pattern(english), chinese) for english, chinese in sorted(phrases.items(), key=_rank))


def _rank(phrase: tuple[str, str]) -> tuple[bool, int]:
    """Put what begins with a word before what begins with a value, which fits all too much; then the longest first."""
    return phrase[0].startswith("{"), -len(_FIELD.sub("", phrase[0]))


def _pattern(english: str) -> re.Pattern[str]:
    literal = (
        re.escape(part) if place % 2 == 0 else f"(?P<{part}>.+?)" for place, part in enumerate(_FIELD.split(english))
    )
    return re.compile("".join(literal), re.DOTALL)
