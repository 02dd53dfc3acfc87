"""What features are called, read from labels.toml."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

Language = Literal["en", "zh"]


@dataclass(frozen=True, kw_only=True)
class CustomFeature:
    """What is known of a custom field: how its company calls it, and its type as in `records.CustomField`."""

    label: str
    type: str


@dataclass(frozen=True, kw_only=True)
class Wording:
    """How one feature is said in one language; `sentence` and `missing` are templates of {label} and {value}."""

    label: str
    sentence: str
    missing: str
    unit: str


NO_CUSTOM: Mapping[str, CustomFeature] = MappingProxyType({})

_TOLD = re.compile(r"((?:account_)?custom_.+?|next_step)_(has|says)_(.+)", re.DOTALL)
_CUSTOM_UNITS = {
    "number": "number",
    "boolean": "boolean",
    "date": "days_until",
    "list": "entries",
    "text": "characters",
}


@cache
def word_list() -> Mapping[str, Any]:
    """Read labels.toml, once."""
    return MappingProxyType(tomllib.loads(files(__package__).joinpath("labels.toml").read_text(encoding="utf-8")))


def feature_wording(feature: str, language: Language, custom: Mapping[str, CustomFeature]) -> Wording:
    """Give the label, the templates and the unit of a feature; one that is not known (any more) keeps its own name.

    Args:
        feature: as in a feature frame.
        language: `en` or `zh`.
        custom: custom fields by their column, such as `custom_segment`.
    """
    told = None if feature in custom else _TOLD.fullmatch(feature)
    if told:
        return _told_wording(told, language, custom)
    entry, name = _entry(feature)
    own = custom.get(feature)
    subject = _subject(entry.get("subject"), name, language, own or custom.get(name))
    unit = _CUSTOM_UNITS.get(own.type, "text") if own else entry.get("unit", "text")
    return _wording(feature, language, subject, unit)


def _told_wording(told: re.Match[str], language: Language, custom: Mapping[str, CustomFeature]) -> Wording:
    """Say that a custom list has an entry, or a custom text a word."""
    column, kind, entry = told.groups()
    whole = feature_wording(column, language, custom)
    missing = whole.missing.format(label=whole.label).replace("{", "{{").replace("}", "}}")
    return Wording(
        label=phrase(kind, language, label=whole.label, entry=entry),
        sentence=word_list()["phrases"]["value"][language],
        missing=missing,
        unit="boolean",
    )


@lru_cache(maxsize=4096)
def _entry(feature: str) -> tuple[Mapping[str, Any], str]:
    """Find the entry of a feature, and the part of its name that its family leaves open."""
    exact = word_list()["features"].get(feature)
    if exact:
        return exact, ""
    for family in word_list()["families"]:
        if match := re.fullmatch(family["pattern"], feature, flags=re.DOTALL):
            return family, match[1]
    return {"en": feature, "zh": feature}, ""


def _subject(group: str | None, name: str, language: Language, custom: CustomFeature | None) -> str:
    if group is None:
        return ""
    if custom is not None:
        return custom.label
    if group == "custom":
        return name
    listed = word_list()["subjects"].get(group, {}).get(name)
    return str(listed[language]) if listed else phrase("quoted", language, name=name)


@lru_cache(maxsize=4096)
def _wording(feature: str, language: Language, subject: str, unit: str) -> Wording:
    def said(template: str) -> str:
        return template.replace("{subject}", subject.replace("{", "{{").replace("}", "}}"))

    entry, _ = _entry(feature)
    phrases = word_list()["phrases"]
    return Wording(
        label=entry[language].replace("{subject}", subject),
        sentence=said(entry.get(f"{language}_sentence", phrases["value"][language])),
        missing=said(entry.get(f"{language}_missing", phrases["missing"][language])),
        unit=unit,
    )


def theme_label(theme: str, language: Language) -> str:
    """Name a theme."""
    return str(word_list()["themes"][theme][language])


def phrase(name: str, language: Language, /, **values: str) -> str:
    """Fill in one of the phrases."""
    return str(word_list()["phrases"][name][language]).format(**values)


def warning_sentence(name: str, language: Language, /, **values: str) -> str:
    """Say what a caller should know of a score; `name` is a key of [warnings]."""
    return str(word_list()["warnings"][name][language]).format(**values)
