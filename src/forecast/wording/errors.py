"""What commands and the API refuse and what imports report: English sentences, said in Chinese by two files."""

from forecast.wording.labels import Language
from forecast.wording.phrasebook import chinese_list, find_phrase
from forecast.wording.remarks import say_remark

FILES = ("errors.toml", "imports.toml")
_SAID = frozenset({"kind", "why", "how"})
_NONE = "none"
"""What stands in the place of a list without an entry."""
NESTED_MAX = 8
"""Sentences within sentences; deeper ones are what a stranger sent."""


def say_error(sentence: str, language: Language, *, nested_max: int = NESTED_MAX) -> str:
    """Say an error, or a part of one, in a language; what is not known, such as another program's words, stays as it is."""
    found = None if language == "en" or not nested_max else find_phrase(sentence, *FILES)
    if found is None:
        return say_remark(sentence, language)
    chinese, values = found
    return chinese.format(
        **{
            name: say_error(text, language, nested_max=nested_max - 1)
            if name in _SAID or text == _NONE
            else chinese_list(name, text)
            for name, text in values.items()
        }
    )
