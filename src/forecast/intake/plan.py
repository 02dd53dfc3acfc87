"""The plan of an import: how every column of one file will be read, decided before a row is."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import polars as pl

from forecast.errors import MappingError
from forecast.intake import survey, vocabulary
from forecast.intake.chunks import Chunk
from forecast.intake.columns import FieldType, Reading, read_column
from forecast.intake.content import (
    ending_doubts,
    lacks_end,
    no_end,
    with_date_order,
    with_discounts,
    with_id,
    with_lone_flag,
)
from forecast.intake.doubts import doubts, missing_doubts, type_doubts
from forecast.intake.endings import StatusWord, status_words
from forecast.intake.fieldtypes import field_bounds, field_type, required_fields
from forecast.intake.files import TableFile
from forecast.intake.mapping import CUSTOM, IGNORE, check_mapping
from forecast.intake.mapping import Mapping as ColumnMapping
from forecast.intake.recognition import custom_target, match_columns, recognise_kind
from forecast.intake.survey import Question, SeenColumn, Survey, Tally
from forecast.records import TimeKind

_LIST_MARKS = ";；、|"
_UNITS = (
    (re.compile(r"百万|[(（\[][^)）]*\b(?:m|mn|mln|millions?)[)）\]]$", re.IGNORECASE), 1_000_000.0),
    (re.compile("万"), 10_000.0),
    (re.compile("亿"), 100_000_000.0),
    (re.compile(r"千元|[(（\[][^)）]*\b(?:k|thousands?|000s?)[)）\]]$", re.IGNORECASE), 1_000.0),
)

_CUSTOM_READINGS: Mapping[str, FieldType] = {
    "number": "number",
    "boolean": "boolean",
    "date": "date_text",
    "list": "list",
    "category": "text",
    "text": "text",
}


@dataclass(frozen=True)
class CustomColumn:
    """A custom field as declared: its type, when it is known, and the heading it came with."""

    type: str
    time: TimeKind
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a file is read.

    Attributes:
        readings: one for every column that is read, in the order of the file; constants first.
        constants: heading of a column that the file does not have -> its text in every row.
        customs: the custom fields among the columns, as they will be declared.
        cleared: custom fields whose declaration gives way to text.
        ignored: headings that are not read.
        mapping: all of it, as a mapping that would read the file the same way.
        words: those of status and stage columns, with the status that each is taken for.
        doubts_of_new: warnings that only hold where the file stores records that were not there.
    """

    kind: str
    source_system: str
    readings: tuple[Reading, ...]
    constants: Mapping[str, str]
    customs: Mapping[str, CustomColumn]
    cleared: frozenset[str]
    ignored: tuple[str, ...]
    mapping: ColumnMapping
    words: tuple[StatusWord, ...]
    warnings: tuple[str, ...]
    doubts_of_new: tuple[str, ...]

    @property
    def fields(self) -> frozenset[str]:
        """Give the fields that the file fills."""
        return frozenset(reading.field for reading in self.readings)

    def reads_as(self, other: "Plan") -> bool:
        """Tell whether another plan makes the same of every row."""
        times = [{name: custom.time for name, custom in plan.customs.items()} for plan in (self, other)]
        return self.readings == other.readings and self.constants == other.constants and times[0] == times[1]

    @property
    def has_content_ids(self) -> bool:
        """Tell whether ids are made of what the rows say, for want of an id or a name."""
        named = self.kind in vocabulary.NAMED_KINDS and "name" in self.fields
        return "external_id" not in self.fields and not named


class Planning:
    """How a file is going to be read, from its headings and the rows seen so far.

    Args:
        file: the file.
        mapping: what is already decided; its timezone and source_system are those in force.
        declared: the custom fields of the kind that are already known.

    Raises:
        MappingError: the kind is not recognised, or the mapping does not fit the file.
    """

    def __init__(self, file: TableFile, mapping: ColumnMapping, declared: Mapping[str, CustomColumn]) -> None:
        kind = mapping.kind or recognise_kind(file.headings, file.title)
        self._file, self._declared, self._mapping = file, declared, replace(mapping, kind=kind)
        check_mapping(self._mapping)
        self._matched = match_columns(kind, file.headings, mapping)
        self._constants = {_constant_heading(field): text for field, text in mapping.constants.items()}
        named = {_constant_heading(field): field for field in mapping.constants} | self._matched.columns
        self._read = {heading: field for heading, field in named.items() if field != IGNORE}
        self._survey = Survey({heading: _question(kind, field) for heading, field in self._read.items()})

    def see(self, chunk: Chunk) -> None:
        """Count in a chunk what decides how its columns are read."""
        self._survey.see(with_constants(chunk.texts, self._constants))

    def seen(self) -> list[SeenColumn]:
        """Give the columns that are read, and what was counted in each so far."""
        kind = self._mapping.kind or ""
        return [
            SeenColumn(heading, field, self._survey.tally(heading), kind, self._mapping)
            for heading, field in self._read.items()
        ]

    def plan(self) -> Plan:
        """Decide how the file is read.

        Raises:
            MappingError: the mapping does not fit the file.
        """
        kind = self._mapping.kind or ""
        seen, of_discounts = with_discounts(with_lone_flag(with_date_order(self.seen())))
        seen, of_ids = with_id(seen, tuple(self._declared))
        taken = set(self._matched.columns.values())
        foreign = {one.heading: custom_target(one.heading, taken) for one in seen if _is_foreign_status(one)}
        seen = [
            replace(one, field=foreign.get(one.heading, one.field))
            for one in seen
            if not _is_empty(one, self._file, self._declared)
        ]
        _check_required(kind, [one.field for one in seen])
        outcomes = {field.removeprefix(CUSTOM): "outcome" for field in foreign.values()}
        times = {**self._matched.times, **outcomes, **self._mapping.times}
        return self._plan_of(seen, times, foreign, (*of_discounts, *of_ids))

    def _plan_of(
        self,
        seen: Sequence[SeenColumn],
        times: Mapping[str, str],
        foreign: Mapping[str, str],
        decided: tuple[str, ...],
    ) -> Plan:
        declared = self._declared
        customs = {one.custom: _custom(one, times, declared) for one in seen if one.custom}
        readings = tuple(_reading(one, customs) for one in seen)
        _check_constants(readings, self._constants)
        read = {reading.heading: reading.field for reading in readings}
        columns = {heading: read.get(heading, IGNORE) for heading in self._file.headings}
        cleared = {name for name, custom in customs.items() if name in declared and declared[name].type != custom.type}
        words = status_words(seen, foreign, _known_words(self._mapping))
        return Plan(
            kind=self._mapping.kind or "",
            source_system=self._mapping.source_system or "import",
            readings=readings,
            constants=self._constants,
            customs=customs,
            cleared=frozenset(cleared),
            ignored=tuple(
                name for name, field in columns.items() if field == IGNORE and not vocabulary.is_ignored(name)
            ),
            mapping=_full_mapping(self._mapping, columns, customs),
            words=words,
            warnings=(
                *self._file.warnings,
                *self._matched.warnings,
                *decided,
                *doubts(seen, readings, foreign),
                *missing_doubts(self._mapping.kind or "", read.values()),
                *ending_doubts(seen, words),
                *type_doubts(seen, cleared),
            ),
            doubts_of_new=(no_end(seen),) if lacks_end(seen, words) else (),
        )


def make_plan(
    file: TableFile, chunks: Iterable[Chunk], mapping: ColumnMapping, declared: Mapping[str, CustomColumn]
) -> Plan:
    """Decide how a file is read from a look over all its rows; arguments and errors as of `Planning`."""
    planning = Planning(file, mapping, declared)
    for chunk in chunks:
        planning.see(chunk)
    return planning.plan()


def _constant_heading(field: str) -> str:
    return f"(constant {field})"


def with_constants(frame: pl.DataFrame, constants: Mapping[str, str]) -> pl.DataFrame:
    """Add the columns that a file does not have."""
    return frame.with_columns(pl.lit(text, dtype=pl.String).alias(heading) for heading, text in constants.items())


def _question(kind: str, field: str) -> Question | None:
    if field.startswith(CUSTOM):
        return "custom"
    asked: dict[FieldType, Question] = {
        "number": "number",
        "integer": "number",
        "share": "share",
        "date": "date",
        "moment": "date",
        "word": "word",
    }
    if field in {"stage", "is_won"} and vocabulary.status_words(kind):
        return "word"
    return None if field == IGNORE else asked.get(field_type(kind, field))


def _is_empty(seen: SeenColumn, file: TableFile, declared: Mapping[str, CustomColumn]) -> bool:
    """Tell whether a column has nothing to say: no cell filled, and no custom field of that name to clear."""
    if seen.custom is None or seen.tally["count"]:
        return False
    return seen.custom not in declared or seen.heading in file.unnamed


def _is_foreign_status(seen: SeenColumn) -> bool:
    if seen.field != "status" or field_type(seen.kind, "status") != "word" or seen.heading in seen.mapping.columns:
        return False
    words = _words(seen)
    known = sum(
        count for name, count in seen.tally.counts.items() if vocabulary.word_key(name.removeprefix("word:")) in words
    )
    return bool(seen.tally["count"]) and known * 2 < seen.tally["count"]


def _known_words(mapping: ColumnMapping) -> dict[str, str]:
    own = {vocabulary.word_key(word): ours for word, ours in mapping.values.get("status", {}).items()}
    known = vocabulary.status_words(mapping.kind or "")
    return {**known, **own} if known else {}


def _words(seen: SeenColumn) -> dict[str, str]:
    own = {vocabulary.word_key(word): ours for word, ours in seen.mapping.values.get(seen.field, {}).items()}
    known = vocabulary.status_words(seen.kind) if field_type(seen.kind, seen.field) == "word" else {}
    return {**known, **own}


def _check_required(kind: str, found: Collection[str]) -> None:
    missing = [name for name in required_fields(kind) if name not in found]
    if kind == "change" and not {"field", "stage"} & set(found):
        missing.append("field")
    if missing:
        raise MappingError(
            f"a file of kind {kind} needs {', '.join(missing)}; "
            "name the columns in [columns] of a mapping, or a value in [constants]"
        )


def _custom(seen: SeenColumn, times: Mapping[str, str], declared: Mapping[str, CustomColumn]) -> CustomColumn:
    name = seen.field.removeprefix(CUSTOM)
    known = declared.get(name)
    if known is not None:
        return known if _fits(seen.tally, known.type) else replace(known, type="text")
    found = seen.mapping.types.get(name) or survey.custom_type(seen.tally, is_code=vocabulary.is_code(seen.heading))
    time = times.get(name, "tracked")
    checked: TimeKind = "outcome" if time == "outcome" else "fixed" if time == "fixed" else "tracked"
    return CustomColumn(found, checked, seen.heading)


def _fits(tally: Tally, custom_type: str) -> bool:
    """Tell whether a column is of a declared type; single cells that are not will be refused."""
    if custom_type not in {"number", "boolean", "date"}:
        return True
    return (tally[custom_type] + tally["missing"]) * 2 >= tally["count"]


def _reading(seen: SeenColumn, customs: Mapping[str, CustomColumn]) -> Reading:
    custom = customs.get(seen.field.removeprefix(CUSTOM)) if seen.field.startswith(CUSTOM) else None
    kind_of_value = _CUSTOM_READINGS[custom.type] if custom else field_type(seen.kind, seen.field)
    if kind_of_value == "date_text" and (seen.tally["clock"] or survey.epoch_unit(seen.tally)):
        kind_of_value = "moment_text"
    source = seen.mapping.source_system or "import"
    is_reference = kind_of_value == "reference" and seen.field != "external_id"
    return Reading(
        heading=seen.heading,
        field=seen.field,
        type=kind_of_value,
        decimal_mark=seen.mapping.decimal_mark or survey.decimal_mark(seen.tally)[0],
        factor=_factor(seen, kind_of_value),
        date_order=seen.mapping.date_order or survey.date_order(seen.tally)[0],
        epoch_unit=survey.epoch_unit(seen.tally),
        zone=ZoneInfo(seen.mapping.timezone or "UTC"),
        words=_words(seen),
        prefix=f"{source}:" if is_reference and source != "import" else "",
        bounds=field_bounds(seen.kind, seen.field),
        list_marks=_LIST_MARKS if seen.tally["split"] else ",，",
    )


def _factor(seen: SeenColumn, kind_of_value: FieldType) -> float:
    if kind_of_value == "share":
        return 0.01 if "%" in seen.heading or "％" in seen.heading or seen.tally.greatest > 1 else 1.0
    # In Latin letters a unit may be any: Size (m) is metres. Only money of ours is scaled by one.
    if kind_of_value == "number" and (seen.custom is None or not seen.heading.isascii()):
        return next((factor for unit, factor in _UNITS if unit.search(seen.heading)), 1.0)
    return 1.0


def _check_constants(readings: tuple[Reading, ...], constants: Mapping[str, str]) -> None:
    for reading in readings:
        if reading.heading in constants:
            refused = read_column(pl.Series([constants[reading.heading]], dtype=pl.String), reading).refused
            for error in refused.values():
                raise MappingError(f"the constant {reading.field}: {error}")


def _full_mapping(
    mapping: ColumnMapping, columns: Mapping[str, str], customs: Mapping[str, CustomColumn]
) -> ColumnMapping:
    return replace(
        mapping,
        columns=columns,
        types={**mapping.types, **{name: custom.type for name, custom in customs.items()}},
        times={**mapping.times, **{name: custom.time for name, custom in customs.items() if custom.time != "tracked"}},
    )
