"""Their words and ours: the headings of the usual exports, and the fields that each kind of record has."""

import re
import tomllib
import unicodedata
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import sqlalchemy as sa

from forecast.records import RECORD_KINDS, TimeKind

KINDS: tuple[str, ...] = (*RECORD_KINDS, "change")

# Fields that decide a status and are stored in no column of their own.
EVIDENCE = {
    "opportunity": ("is_closed", "is_won", "is_active", "won_at", "lost_at", "close_date"),
    "lead": ("is_won", "won_at"),
}
# Kinds that others name instead of giving an id: where a file has no id, the name is the id.
NAMED_KINDS = frozenset({"account", "campaign", "contact", "person", "pipeline", "product", "team"})
_NAMED_FIELDS = frozenset({"owner_id", "person_id"})
_KEPT_BY_US = frozenset({"id", "source_system", "version", "stored_at", "import_digest", "custom"})
_CHANGE_FIELDS = (
    *("kind", "record_id", "opportunity_id", "lead_id", "account_id", "contact_id", "case_id"),
    *("field", "stage", "old_value", "new_value", "changed_at", "person_id"),
)


def normalise(text: str) -> str:
    """Reduce a heading or a word to what is compared: letters and digits, without case."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())


def word_key(text: str) -> str:
    """Reduce a word to what is compared; a word of signs only, such as √, stays as it is."""
    return normalise(text) or text.strip()


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(resources.files("forecast.intake").joinpath("synonyms.toml").read_text("utf-8"))


def record_columns(kind: str) -> Mapping[str, sa.Column[Any]]:
    """Give the columns of a kind that a file may fill."""
    if kind == "change":
        return {}
    return {name: column for name, column in _columns(kind).items() if name not in _KEPT_BY_US}


def _columns(kind: str) -> dict[str, sa.Column[Any]]:
    return dict(record_table(kind).columns.items())


def record_table(kind: str) -> sa.Table:
    """Give the table of a kind."""
    table = RECORD_KINDS[kind].__table__
    if not isinstance(table, sa.Table):
        raise TypeError(f"{kind} is stored in {table!r}, not in a table")
    return table


def fields(kind: str) -> tuple[str, ...]:
    """Give every field of a kind that a mapping may name, evidence included."""
    if kind == "change":
        return _CHANGE_FIELDS
    return (*record_columns(kind), *EVIDENCE.get(kind, ()), "is_deleted")


def field_time(kind: str, field: str) -> TimeKind:
    """Say when a field is known; evidence is an outcome."""
    column = record_columns(kind).get(field)
    return "outcome" if column is None else column.info["time"]


@dataclass(frozen=True)
class Match:
    """A field that a heading names; of two headings for one field the lower rank is the more specific."""

    field: str
    rank: int


@cache
def headings(kind: str) -> Mapping[str, Match]:
    """Give the match of every heading known for a kind, by normalised heading."""
    found: dict[str, Match] = {}
    for field, names in _listed(kind):
        for rank, name in enumerate(names):
            found.setdefault(normalise(name), Match(field, rank))
    return found


def _listed(kind: str) -> Iterator[tuple[str, list[str]]]:
    own, every = _table()["kinds"][kind], {} if kind == "change" else _table()["every"]
    for field in fields(kind):
        yield field, [*own.get(field, ()), *every.get(field, ()), field]


def match_heading(kind: str, heading: str) -> Match | None:
    """Find the field that a heading names; what stands in brackets at its end is tried without, so is the kind before it.

    A data warehouse calls an id a key, and some exports write "Deal Owner Name" for the owner.
    """
    known = headings(kind)
    plain = normalise(heading)
    exact = known.get(plain)
    if exact is not None:
        return exact
    if plain.endswith("key") and (keyed := known.get(plain.removesuffix("key") + "id")):
        return Match(keyed.field, keyed.rank + 100)
    if plain.endswith("name") and (owner := known.get(plain.removesuffix("name"))) and owner.field in _NAMED_FIELDS:
        return Match(owner.field, owner.rank + 100)
    bare = known.get(normalise(re.sub(r"[(（\[【][^()（）]*[)）\]】]\s*$", "", heading)))
    if bare is not None:
        return Match(bare.field, bare.rank + 100)
    before, _, rest = heading.partition(" - ")
    named = known.get(normalise(rest)) if before.casefold() in _table()["prefixes"].get(kind, ()) else None
    return named and Match(named.field, named.rank + 100)


def is_ignored(heading: str) -> bool:
    """Tell whether a column means nothing to anyone, such as those of a rejects file."""
    return normalise(heading) in {normalise(name) for name in _table()["ignored"]}


def is_outcome(heading: str, *, beside: Container[str]) -> bool:
    """Tell whether a column that is no field of ours is known only in the end, given the fields beside it."""
    custom = _table()["custom"]
    known = custom["outcome"] + (custom["outcome_beside_stage"] if "stage" in beside else [])
    return normalise(heading) in {normalise(name) for name in known}


def is_code(heading: str) -> bool:
    """Tell whether a column holds codes rather than quantities."""
    return _ends_in(heading, _table()["custom"]["codes"])


def is_id(heading: str) -> bool:
    """Tell whether a heading ends as an id does, and is not the id of another kind of record."""
    if not _ends_in(heading, _table()["custom"]["ids"]):
        return False
    fields = {match.field for kind in KINDS if (match := match_heading(kind, heading))}
    return not any(field == "external_id" or field.endswith("_id") for field in fields)


def hints_at_end(heading: str) -> bool:
    """Tell whether a heading of ours unknown sounds like how something ended."""
    return any(part in normalise(heading) for part in _table()["custom"]["ends"])


def _ends_in(heading: str, endings: Collection[str]) -> bool:
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", heading).casefold()
    last = re.split(r"[\W_]+", words.strip(" _"))[-1]
    return last in endings or any(last.endswith(one) for one in endings if not one.isascii())


def has_needed(kind: str, found: Collection[str]) -> bool:
    """Tell whether a file with these fields may be taken for a kind."""
    return all(set(either.split("|")) & set(found) for either in _table()["needs"].get(kind, ()))


def is_named_otherwise(kind: str, name: str) -> bool:
    """Tell whether the name of a table, in lower case, says that it is not of a kind."""
    return any(word in name for word in _table()["other_names"].get(kind, ()))


def file_name_hints(kind: str) -> tuple[str, ...]:
    """Give what a file of a kind is often called."""
    return tuple(_table()["file_names"].get(kind, ()))


@cache
def status_words(kind: str) -> Mapping[str, str]:
    """Give the status of ours for each normalised word of a kind; empty where its status is free text."""
    return _reversed(_table()["words"]["status"].get(kind, {}))


def guess_status(kind: str, word: str) -> str:
    """Guess the status that a normalised word hints at; open where it hints at no end."""
    hints: Mapping[str, list[str]] = _table()["words"]["hints"].get(kind, {})
    return next((status for status, parts in hints.items() if any(part in word for part in parts)), "open")


@cache
def boolean_words() -> Mapping[str, bool]:
    """Give true or false for each normalised word."""
    return {word: value == "true" for word, value in _reversed(_table()["words"]["boolean"]).items()}


@cache
def missing_words() -> frozenset[str]:
    """Give the texts, in lower case, that stand for an empty cell in a typed column."""
    return frozenset(word.casefold() for word in _table()["words"]["missing"])


@cache
def totals() -> frozenset[str]:
    """Give the normalised words that head the row in which an export adds up its columns."""
    return frozenset(map(word_key, _table()["words"]["totals"]))


def _reversed(words: Mapping[str, list[str]]) -> dict[str, str]:
    return {word_key(word): value for value, listed in words.items() for word in listed}
