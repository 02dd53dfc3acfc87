"""A mapping: which column of a file fills which field, and how its values are read."""

import difflib
import json
import re
import tomllib
import unicodedata
from collections.abc import Iterable
from collections.abc import Mapping as Table
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

from forecast.encodings import check_encoding
from forecast.errors import FileError, MappingError
from forecast.intake import vocabulary
from forecast.records import TimeKind

CUSTOM = "custom."
IGNORE = "ignore"
CUSTOM_TYPES = ("number", "text", "category", "date", "boolean", "list")
_TABLES = frozenset({"columns", "types", "values", "times", "constants", "tables"})
DATE_ORDERS = ("ymd", "dmy", "mdy")


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """How a file is read; what is empty is recognised from the file.

    Attributes:
        kind: a key of RECORD_KINDS, or `change`.
        source_system: where the ids come from; `import` leaves them as they are.
        timezone: IANA name for moments without a zone.
        date_order: ymd, dmy or mdy, for dates such as 03/04/2024.
        encoding: of text files, as Python calls it.
        decimal_mark: `.` or `,`, for amounts such as 1.250.
        columns: heading -> field, `custom.<name>` or `ignore`.
        types: custom field -> number, text, category, date, boolean or list.
        values: field -> {the file's word -> ours}; an empty word of ours is an empty cell.
        times: custom field -> fixed, tracked or outcome.
        constants: field -> its value in every row.
        tables: name of a table (`orders.csv`, `book.xlsx: Sheet1`) -> how it is read; the rest is for the others. Its kind
            may be `ignore`, and a table that it says nothing of is recognised.
    """

    kind: str | None = None
    source_system: str | None = None
    timezone: str | None = None
    date_order: str | None = None
    encoding: str | None = None
    decimal_mark: str | None = None
    columns: Table[str, str] = field(default_factory=dict)
    types: Table[str, str] = field(default_factory=dict)
    values: Table[str, Table[str, str]] = field(default_factory=dict)
    times: Table[str, str] = field(default_factory=dict)
    constants: Table[str, str] = field(default_factory=dict)
    tables: "Table[str, Mapping]" = field(default_factory=dict)

    def of_table(self, name: str) -> "Mapping":
        """Give how one table is read; what its own part leaves open is as for the others."""
        own = self.tables.get(name)
        if own is None:
            return replace(self, tables={})
        shared = ("source_system", "timezone", "date_order", "encoding", "decimal_mark")
        return replace(own, **{part: getattr(own, part) or getattr(self, part) for part in shared})


def read_mapping(path: Path) -> Mapping:
    """Read a mapping from a TOML file.

    Raises:
        FileError: the file is not there or is not TOML.
        MappingError: it holds what a mapping does not have.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise FileError(f"the mapping {path} can't be read: {error.strerror}; give the path of a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(f"the mapping {path} is not TOML: {error}; mend it at that place") from error
    return make_mapping(given)


def make_mapping(given: Table[str, Any]) -> Mapping:
    """Make a mapping of what a TOML file or a request holds, checked as far as it can be without the data.

    Raises:
        MappingError: it holds what a mapping does not have.
    """
    known = [part.name for part in fields(Mapping)]
    for name, value in given.items():
        _check_known(name, known, "a mapping has no part")
        is_table = name in _TABLES
        if is_table != isinstance(value, dict):
            raise MappingError(f"{name} is {value!r} in the mapping; expected {'a table' if is_table else 'a text'}")
    constants = {name: _as_text(value) for name, value in given.get("constants", {}).items()}
    tables = {name: make_mapping(part) for name, part in given.get("tables", {}).items()}
    mapping = Mapping(**{**given, "constants": constants, "tables": tables})
    check_mapping(mapping)
    return mapping


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_mapping(mapping: Mapping) -> None:
    """Refuse a mapping that names what does not exist.

    Raises:
        MappingError: with the nearest names that do exist.
    """
    _check_choice("date_order", mapping.date_order, DATE_ORDERS)
    _check_choice("decimal_mark", mapping.decimal_mark, (".", ","))
    for name, value in mapping.types.items():
        _check_choice(f"the type of {name}", value, CUSTOM_TYPES)
    for name, value in mapping.times.items():
        _check_choice(f"the time of {name}", value, get_args(TimeKind))
    if mapping.encoding is not None:
        check_encoding(mapping.encoding)
    if mapping.timezone is not None:
        check_timezone(mapping.timezone)
    if mapping.kind is not None and mapping.kind != IGNORE:
        _check_known(mapping.kind, vocabulary.KINDS, "there is no kind")
        _check_fields(mapping, mapping.kind)


def check_timezone(name: str) -> None:
    """Refuse a zone that is not known.

    Raises:
        MappingError: the name is not an IANA name.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise MappingError(f'timezone is "{name}"; give an IANA name such as Asia/Shanghai') from error


def _check_fields(mapping: Mapping, kind: str) -> None:
    known = vocabulary.fields(kind)
    named = [target for target in mapping.columns.values() if target != IGNORE]
    for target in (*named, *mapping.constants, *mapping.values):
        if not target.startswith(CUSTOM):
            _check_known(target, known, f"{kind} has no field")
        elif kind == "change" or target != CUSTOM + custom_name(target.removeprefix(CUSTOM)):
            raise MappingError(
                f'"{target}" is not a custom field of {kind}; write custom. and small letters, digits and _, as '
                f"{CUSTOM}{custom_name(target.removeprefix(CUSTOM))}"
            )


def _check_choice(name: str, value: str | None, choices: Iterable[str]) -> None:
    if value is not None and value not in choices:
        raise MappingError(f'{name} is "{value}" in the mapping; give one of {", ".join(choices)}')


def _check_known(name: str, known: Iterable[str], sentence: str) -> None:
    listed = list(known)
    if name in listed:
        return
    near = difflib.get_close_matches(name, listed, n=3)
    meant = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(listed)}"
    raise MappingError(f'{sentence} "{name}"; {meant}')


def custom_name(heading: str) -> str:
    """Make the name of a custom field of a heading: small letters, digits and `_`; Chinese is kept."""
    plain = unicodedata.normalize("NFKC", heading).strip().removesuffix("__c").casefold()
    name = re.sub(r"\W+", "_", plain).strip("_")[:60].strip("_")
    if not name:
        return "unnamed"
    return f"field_{name}" if name[0].isdigit() else name


def write_mapping(mapping: Mapping, path: Path) -> None:
    """Write a mapping as a TOML file that `read_mapping` reads back equal."""
    path.write_text(mapping_text(mapping), "utf-8")


def mapping_text(mapping: Mapping) -> str:
    """Give a mapping as TOML."""
    return "\n".join(_lines(asdict(mapping))) + "\n"


def _lines(given: Table[str, Any], prefix: str = "") -> list[str]:
    filled = {name: value for name, value in given.items() if value}
    lines = [f"{name} = {_quoted(value)}" for name, value in filled.items() if isinstance(value, str)]
    for name, value in filled.items():
        if name == "values":
            for field_name, words in value.items():
                lines += _section(f"{prefix}values.{_quoted(field_name)}", words)
        elif name == "tables":
            for table, part in value.items():
                lines += ["", f"[tables.{_quoted(table)}]", *_lines(part, f"tables.{_quoted(table)}.")]
        elif not isinstance(value, str):
            lines += _section(prefix + name, value)
    return lines


def _section(name: str, entries: Table[str, str]) -> list[str]:
    return ["", f"[{name}]", *(f"{_quoted(key)} = {_quoted(value)}" for key, value in entries.items())]


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's too, apart from DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
