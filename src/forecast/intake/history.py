"""Files of changes: the history of fields, as a CRM exports it."""

from dataclasses import replace

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from forecast.errors import RefusedValueError
from forecast.intake import vocabulary
from forecast.intake.chunks import ROW, Chunk
from forecast.intake.columns import Reading, read_column
from forecast.intake.fieldtypes import field_type
from forecast.intake.mapping import CUSTOM, custom_name
from forecast.intake.plan import Plan, with_constants
from forecast.intake.rejects import Trouble
from forecast.intake.rows import TypedRows, read_fields, refused_rows, without
from forecast.intake.staging import Counts
from forecast.intake.upsert import count_rows
from forecast.records import RECORD_KINDS, Change, record_id
from forecast.store import copy_frame

_REFERENCES = ("opportunity_id", "lead_id", "account_id", "contact_id", "case_id")
_COLUMNS = ("kind", "record_id", "field", "changed_at", "old_value", "new_value", "person_id")


def typed_changes(chunk: Chunk, plan: Plan) -> TypedRows:
    """Read a chunk of changes; the values are written as PostgreSQL writes those of their field."""
    texts = with_constants(chunk.texts, plan.constants)
    frame, troubles = read_fields(texts, plan)
    frame, broken = _with_subject(frame)
    frame = _with_field(frame)
    frame, unreadable = _with_values(frame, plan)
    troubles = {**unreadable, **broken, **troubles}
    frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in _COLUMNS if name not in frame.columns)
    frame = frame.select(chunk.frame[ROW].alias("row"), *_COLUMNS)
    return TypedRows(frame=without(frame, troubles), refused=refused_rows(chunk, troubles), open_but_closed=0)


def _with_subject(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[int, Trouble]]:
    """Fill kind and record_id, from a reference where the file has no kind of its own."""
    references = [name for name in _REFERENCES if name in frame.columns]
    kinds = [pl.col("kind").str.to_lowercase()] if "kind" in frame.columns else []
    kinds += [pl.when(pl.col(name).is_not_null()).then(pl.lit(name.removesuffix("_id"))) for name in references]
    ids = [pl.col(name) for name in ("record_id", *references) if name in frame.columns]
    empty = pl.lit(None, pl.String)
    frame = frame.with_columns(kind=pl.coalesce(*kinds, empty), record_id=pl.coalesce(*ids, empty))
    bad = (
        ~frame["kind"].is_in(list(RECORD_KINDS)).fill_null(value=False)
        | frame["record_id"].is_null()
        | frame["changed_at"].is_null()
    )
    remedy = f"give every change a record id, a moment and a kind, one of {', '.join(RECORD_KINDS)}"
    troubles = {
        place: Trouble("", frame["kind"][place] or "", "does not say what changed when", remedy)
        for place in bad.arg_true()
    }
    return frame, troubles


def _with_field(frame: pl.DataFrame) -> pl.DataFrame:
    """Fill field with our name of it; a file with a stage column holds changes of the stage."""
    if "field" not in frame.columns:
        return frame.with_columns(field=pl.lit("stage"), new_value=pl.col("stage"))
    pairs = frame.select("kind", "field").unique().drop_nulls().rows()
    ours = pl.DataFrame(
        [(kind, field, _our_field(kind, field)) for kind, field in pairs],
        schema=dict.fromkeys(("kind", "field", "ours"), pl.String),
        orient="row",
    )
    joined = frame.join(ours, on=["kind", "field"], how="left", maintain_order="left")
    return joined.with_columns(field=pl.col("ours")).drop("ours")


def _our_field(kind: str, field: str) -> str:
    if field.startswith(CUSTOM):
        return CUSTOM + custom_name(field.removeprefix(CUSTOM))
    match = vocabulary.match_heading(kind, field) if kind in RECORD_KINDS else None
    if match is None:
        return CUSTOM + custom_name(field)
    return "expected_close_on" if match.field == "close_date" else match.field


def _with_values(frame: pl.DataFrame, plan: Plan) -> tuple[pl.DataFrame, dict[int, Trouble]]:
    """Write old and new values as the type of their field is written."""
    troubles = {
        place: Trouble("field", "", "is empty", "name the field that changed")
        for place in frame["field"].is_null().arg_true()
    }
    for kind, field in frame.select("kind", "field").unique().drop_nulls().rows():
        if kind not in RECORD_KINDS or field not in vocabulary.record_columns(kind):
            continue
        chosen = (frame["kind"] == kind) & (frame["field"] == field)
        for side in ("old_value", "new_value"):
            if side in frame.columns:
                values, refused = _as_stored(frame[side].set(~chosen.fill_null(value=False), None), kind, field, plan)
                for place in frame[side].is_in(list(refused)).fill_null(value=False).arg_true() if refused else ():
                    if chosen[place]:
                        error = refused[frame[side][place]]
                        troubles.setdefault(place, Trouble(side, error.value, error.reason, error.remedy))
                frame = frame.with_columns(pl.when(chosen).then(values).otherwise(pl.col(side)).alias(side))
    return frame, troubles


def _as_stored(texts: pl.Series, kind: str, field: str, plan: Plan) -> tuple[pl.Series, dict[str, RefusedValueError]]:
    model = next(reading for reading in plan.readings if reading.field == "changed_at")
    kind_of_value = field_type(kind, field)
    prefix = record_id(plan.source_system, "") if kind_of_value == "reference" else ""
    reading = replace(
        model, field=field, type=kind_of_value, prefix=prefix, epoch_unit="", words=vocabulary.status_words(kind)
    )
    if kind_of_value != "word":
        reading = replace(reading, words={})
    column = read_column(texts, _with_percent(texts, reading))
    return _texts(column.values, vocabulary.record_table(kind).c[field].type), dict(column.refused)


def _with_percent(texts: pl.Series, reading: Reading) -> Reading:
    if reading.type != "share":
        return reading
    greatest = texts.cast(pl.Float64, strict=False).max()
    return replace(reading, factor=0.01 if isinstance(greatest, float) and greatest > 1 else 1.0, bounds=(0.0, 1.0))


def _texts(values: pl.Series, sql: sa.types.TypeEngine[object]) -> pl.Series:
    if isinstance(sql, sa.DateTime):
        return values.dt.strftime("%Y-%m-%d %H:%M:%S%.6f+00").str.replace(r"\.?0+\+00$", "+00")
    if isinstance(sql, sa.Boolean):
        return values.cast(pl.String)
    if isinstance(sql, sa.Numeric):
        return values.cast(pl.Decimal(20, 2)).cast(pl.String)
    if isinstance(sql, sa.Float):
        return values.cast(pl.String).str.replace(r"\.0$", "")
    return values.cast(pl.String)


def create_change_staging(session: Session) -> sa.Table:
    """Create the temporary table of one file of changes; it goes with the transaction."""
    columns = [sa.Column(name, Change.__table__.c[name].type) for name in _COLUMNS]
    staged = sa.Table(
        "staged_change",
        sa.MetaData(),
        sa.Column("row", sa.BigInteger),
        *columns,
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )
    staged.create(session.connection())
    return staged


def stage_changes(session: Session, staged: sa.Table, frame: pl.DataFrame) -> None:
    """Add typed changes."""
    copy_frame(session, staged, frame)


def store_changes(session: Session, staged: sa.Table) -> Counts:
    """Write the changes that are not stored yet, in the order of the file."""
    given = session.scalar(sa.select(sa.func.count()).select_from(staged)) or 0
    query = sa.select(*(staged.c[name] for name in _COLUMNS), sa.literal("history")).order_by(
        staged.c.changed_at, staged.c.row
    )
    new = count_rows(session, insert(Change).from_select([*_COLUMNS, "origin"], query).on_conflict_do_nothing())
    session.execute(sa.text("DROP TABLE staged_change"))
    return Counts(new=new, changed=0, unchanged=given - new, changes=new)
