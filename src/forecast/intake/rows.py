"""Rows of text to typed rows: each is either whole or refused with its first trouble."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from forecast.intake import vocabulary
from forecast.intake.chunks import ROW, Chunk
from forecast.intake.columns import ID_CHARACTERS_MAX, FieldType, read_column
from forecast.intake.mapping import CUSTOM
from forecast.intake.plan import Plan, with_constants
from forecast.intake.rejects import HEADINGS, Trouble, misshapen, still_misshapen
from forecast.intake.statuses import decide_statuses, open_but_closed
from forecast.records import record_id

_NUMBERS: frozenset[FieldType] = frozenset({"number", "integer", "share"})
_ESCAPED_IN_JSON = r'["\\\x00-\x1f]'


@dataclass(frozen=True)
class TypedRows:
    """The rows of a chunk that can be stored, and those that can't, by number.

    `frame` has the columns row, external_id, id, the fields of the kind, and `custom` as JSON.
    """

    frame: pl.DataFrame
    refused: dict[int, tuple[Sequence[str], Trouble]]
    open_but_closed: int


def typed_rows(chunk: Chunk, plan: Plan, imported_at: datetime) -> TypedRows:
    """Read a chunk as its plan says; `imported_at` is when a record flagged as deleted without a moment was."""
    texts = with_constants(chunk.texts, plan.constants)
    frame, troubles = read_fields(texts, plan, is_plain=chunk.is_plain and not plan.constants)
    before = frame
    words = {word: ours for word, ours in _stage_words(plan).items() if ours}
    frame, undecided = decide_statuses(frame, plan.kind, words, zone=plan.mapping.timezone or "UTC")
    left_out = open_but_closed(frame, before)
    frame = _with_deletion(frame, imported_at)
    frame, unidentified = _with_ids(frame, texts, plan)
    frame, incomplete = _with_defaults(frame, plan)
    frame = _with_custom(frame, plan).with_columns(row=chunk.frame[ROW])
    return TypedRows(
        frame=without(frame, all_troubles := {**incomplete, **undecided, **unidentified, **troubles}).drop(
            vocabulary.EVIDENCE.get(plan.kind, ()), strict=False
        ),
        refused=refused_rows(chunk, all_troubles),
        open_but_closed=left_out,
    )


def _stage_words(plan: Plan) -> dict[str, str]:
    own = plan.mapping.values.get("status", {})
    return {**vocabulary.status_words(plan.kind), **{vocabulary.word_key(word): ours for word, ours in own.items()}}


def read_fields(texts: pl.DataFrame, plan: Plan, *, is_plain: bool = False) -> tuple[pl.DataFrame, dict[int, Trouble]]:
    """Read every column; give the first trouble of each row by its place in the frame; `is_plain` as of a chunk."""
    read = {}
    troubles: dict[int, Trouble] = {}
    for reading in plan.readings:
        column = read_column(texts[reading.heading], reading, is_plain=is_plain)
        read[reading.field] = column.values
        if column.refused:
            bad = texts[reading.heading].is_in(list(column.refused)) & column.values.is_null()
            for place in bad.arg_true():
                error = column.refused[texts[reading.heading][place]]
                troubles.setdefault(place, Trouble(reading.heading, error.value, error.reason, error.remedy))
    return pl.DataFrame(read), {**troubles, **_uncorrected(texts)}


def _uncorrected(texts: pl.DataFrame) -> dict[int, Trouble]:
    """Find the rows of a rejects file that were misshapen and are as they were: made up to the width, they look whole."""
    if not set(HEADINGS) <= set(texts.columns):
        return {}
    names = [name for name in texts.columns if name != ROW and not name.startswith("(constant ")]
    suspects = (texts["reject_column"].is_null() & texts["reject_value"].is_not_null()).arg_true()
    rows = texts.select(pl.col(names).fill_null(""))
    found = {place: still_misshapen(names, rows.row(place)) for place in suspects}
    return {place: trouble for place, trouble in found.items() if trouble}


def refused_rows(chunk: Chunk, troubles: dict[int, Trouble]) -> dict[int, tuple[Sequence[str], Trouble]]:
    """Give the refused rows of a chunk by number, those of a wrong width included, with their cells as they were."""
    cells = chunk.frame.drop(ROW)
    numbers = chunk.frame[ROW]
    refused: dict[int, tuple[Sequence[str], Trouble]] = {
        numbers[place]: (cells.row(place), trouble) for place, trouble in troubles.items()
    }
    for number, ragged in chunk.ragged.items():
        refused[number] = (ragged, misshapen(ragged, cells.width))
    return dict(sorted(refused.items()))


def without(frame: pl.DataFrame, troubles: dict[int, Trouble]) -> pl.DataFrame:
    """Leave out the rows in trouble."""
    if not troubles:
        return frame
    places = pl.int_range(pl.len(), dtype=pl.Int64)
    return frame.filter(~places.is_in(list(troubles)))


def _with_deletion(frame: pl.DataFrame, imported_at: datetime) -> pl.DataFrame:
    """Turn the flag is_deleted into a moment: the last change that is known of."""
    if "is_deleted" not in frame.columns:
        return frame
    moments = [pl.col("modified_at")] if "modified_at" in frame.columns else []
    latest = pl.coalesce(*moments, pl.lit(imported_at.astimezone(UTC)).cast(pl.Datetime("us", "UTC")))
    return frame.with_columns(deleted_at=pl.when(pl.col("is_deleted")).then(latest)).drop("is_deleted")


def _with_ids(frame: pl.DataFrame, texts: pl.DataFrame, plan: Plan) -> tuple[pl.DataFrame, dict[int, Trouble]]:
    troubles: dict[int, Trouble] = {}
    if plan.has_content_ids:
        external = _content_ids(texts, plan)
    else:
        field = "external_id" if "external_id" in frame.columns else "name"
        heading = next(reading.heading for reading in plan.readings if reading.field == field)
        bad = (
            (frame[field].is_null() | (frame[field].str.len_chars() > ID_CHARACTERS_MAX))
            .fill_null(value=True)
            .arg_true()
        )
        remedy = f"give every record an id of at most {ID_CHARACTERS_MAX} characters"
        troubles = {place: Trouble(heading, frame[field][place] or "", "can't be an id", remedy) for place in bad}
        external = frame[field]
    troubles |= _totals(texts, plan)
    prefix = record_id(plan.source_system, "")
    return frame.with_columns(external_id=external, id=pl.lit(prefix) + external), troubles


def _totals(texts: pl.DataFrame, plan: Plan) -> dict[int, Trouble]:
    """Refuse the rows in which an export adds up its columns: nothing but numbers beside such a word.

    A record may have the word for its name, or for its id where it has a name. Lines without an id of their own begin with
    their order's.
    """
    headings = {one.field: one.heading for one in plan.readings}
    heading = headings.get("external_id") or headings.get("order_id" if plan.kind == "order_line" else "")
    if heading is None or heading in plan.constants:
        return {}
    said = "is no id but heads a row of totals"
    told = [one.heading for one in plan.readings if one.type not in _NUMBERS and one.heading not in plan.constants]
    places = _places_of_totals(texts[heading])
    rows = texts[places].select(list(dict.fromkeys([heading, *told]))).rows()
    return {
        place: Trouble(heading, word, said, "leave the row out")
        for place, (word, *others) in zip(places, rows, strict=True)
        if not any(map(_says, others))
    }


def _places_of_totals(ids: pl.Series) -> list[int]:
    words = ids.filter(~ids.str.contains(r"\d")).unique()  # most ids have digits, and are not looked at one by one
    totals = [word for word in words if vocabulary.word_key(word) in vocabulary.totals()]
    return ids.is_in(totals).fill_null(value=False).arg_true().to_list() if totals else []


def _says(text: str | None) -> bool:
    return text is not None and text.lower() not in vocabulary.missing_words() and any(map(str.isalpha, text))


def _content_ids(texts: pl.DataFrame, plan: Plan) -> pl.Series:
    """Make an id of what a row says; equal rows are told apart where they are stored."""
    headings = [heading for heading in plan.mapping.columns if heading not in HEADINGS]
    joined = texts.select(pl.concat_str(pl.col(headings).fill_null(""), separator="\x1f")).to_series()
    return pl.Series(
        [hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() for text in joined], dtype=pl.String
    )


def _with_defaults(frame: pl.DataFrame, plan: Plan) -> tuple[pl.DataFrame, dict[int, Trouble]]:
    """Fill empty cells of fields that can't be empty, or refuse their rows where nothing stands in for them."""
    troubles: dict[int, Trouble] = {}
    for name, column in vocabulary.record_columns(plan.kind).items():
        if column.nullable or name not in frame.columns or name == "external_id":
            continue
        if column.default is not None:
            frame = frame.with_columns(pl.col(name).fill_null(pl.lit(column.default.arg)))  # type: ignore[attr-defined]  # a scalar
            continue
        heading = next(reading.heading for reading in plan.readings if reading.field == name)
        for place in frame[name].is_null().arg_true():
            troubles.setdefault(place, Trouble(heading, "", "is empty", f"give every {plan.kind} a {name}"))
    return frame, troubles


def _with_custom(frame: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Write the custom fields of each row as one JSON object, without those that are empty."""
    # In the order in which PostgreSQL keeps them, which it then does not have to find.
    names = [f"{CUSTOM}{name}" for name in sorted(plan.customs, key=lambda name: (len(name.encode()), name.encode()))]
    if not names:
        return frame
    if not any(frame[name].null_count() for name in names):
        whole = pl.struct(pl.col(name).alias(name.removeprefix(CUSTOM)) for name in names).struct.json_encode()
        return frame.with_columns(custom=whole).drop(names)
    entries = [
        pl.lit(f"{json.dumps(name.removeprefix(CUSTOM), ensure_ascii=False)}:") + _json_text(frame[name])
        for name in names
    ]
    inside = pl.concat_str(entries, separator=",", ignore_nulls=True)
    return frame.with_columns(custom=pl.concat_str(pl.lit("{"), inside, pl.lit("}"))).drop(names)


def _json_text(column: pl.Series) -> pl.Expr:
    """Write a column as JSON; empty cells stay empty."""
    text = pl.col(column.name)
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return text.cast(pl.String)
    if column.dtype == pl.String and not column.str.contains(_ESCAPED_IN_JSON).any():
        return pl.lit('"') + text + pl.lit('"')
    encoded = pl.struct(text.alias("x")).struct.json_encode().str.strip_prefix('{"x":').str.strip_suffix("}")
    return pl.when(text.is_not_null()).then(encoded)
