"""English sentences with values in them, found again in a file of their Chinese."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import digits
from types import MappingProxyType

_LISTS = frozenset(
    {
        "choices", "columns", "currencies", "decisions", "each", "endings", "fields", "headings", "ids", "kinds", "levels", "names",
        "options", "others", "periods", "potentials", "stages", "tiers", "units", "versions", "words",
    }
)  # fmt: skip
"""What stands for these is a list."""
_FIELD = re.compile(r"\{(\w+)\}")


@cache
def read_phrases(file: str) -> Mapping[str, str]:
    """Read a file of this folder, once: the Chinese of each English sentence, `{names}` standing for what differs."""
    return MappingProxyType(tomllib.loads(files(__package__).joinpath(file).read_text(encoding="utf-8")))


def find_phrase(sentence: str, *books: str) -> tuple[str, dict[str, str]] | None:
    """Find the Chinese of a sentence, and its values by name; of several that fit, one that begins with a word, with the most words."""
    for english, chinese in _phrases(books):
        values = _values(english, sentence)
        if values is not None:
            return chinese, values
    return None


def chinese_list(name: str, text: str) -> str:
    """Put the comma of Chinese lists between the parts of what stands for a name, if it is a list."""
    return text.replace(", ", "、") if name in _LISTS else text


@cache
def _phrases(books: tuple[str, ...]) -> tuple[tuple[list[str], str], ...]:
    phrases = {english: chinese for book in books for english, chinese in read_phrases(book).items()}
    return tuple((_FIELD.split(english), chinese) for english, chinese in sorted(phrases.items(), key=_rank))


def _rank(phrase: tuple[str, str]) -> tuple[bool, int]:
    """Put what begins with a word before what begins with a value or number, which fits all too much; then the longest first."""
    return phrase[0].startswith(("{", *digits)), -len(_FIELD.sub("", phrase[0]))


def _values(phrase: list[str], sentence: str) -> dict[str, str] | None:
    """Give what stands for each name of a phrase, as little as fits; None where the sentence is another.

    Text that strangers sent may stand in a sentence, and a regular expression of several names can take minutes over it.
    """
    (begin, *between), names = phrase[::2], phrase[1::2]
    if not names:
        return {} if sentence == begin else None
    finish = between.pop()
    if not (sentence.startswith(begin) and sentence.endswith(finish)):
        return None
    values, start, end = {}, len(begin), len(sentence) - len(finish)
    for name, literal in zip(names, between, strict=False):
        at = sentence.find(literal, start + 1, end)
        if at < 0:
            return None
        values[name], start = sentence[start:at], at + len(literal)
    return {**values, names[-1]: sentence[start:end]} if start < end else None
