"""Remarks beside forecasts, targets and changes: English sentences as they are kept, said in Chinese by remarks.toml."""

from collections.abc import Iterable

from forecast.wording.labels import Language
from forecast.wording.phrasebook import chinese_list, find_phrase

REMARKS = "remarks.toml"


def say_remark(remark: str, language: Language) -> str:
    """Say a remark in a language; one that is not known, such as of an earlier release, stays English."""
    found = None if language == "en" else find_phrase(remark, REMARKS)
    if found is None:
        return remark
    chinese, values = found
    return chinese.format(**{name: chinese_list(name, _say_values(text, language)) for name, text in values.items()})


def say_remarks(remarks: Iterable[str], language: Language) -> list[str]:
    """Say each of some remarks in a language."""
    return [say_remark(remark, language) for remark in remarks]


def _say_values(text: str, language: Language) -> str:
    return ", ".join(say_remark(part, language) for part in text.split(", "))
