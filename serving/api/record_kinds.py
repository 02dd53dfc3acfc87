"""GET /v1/records: the kinds of records and their fields."""

import inspect
import math
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import Field

from forecast.intake.fieldtypes import field_bounds, field_type, required_fields
from forecast.intake.vocabulary import field_time, status_words
from forecast.records import RECORD_KINDS, CustomField
from serving.deps import SessionDep
from serving.records.schemas import fields_of
from serving.schemas import Schema

router = APIRouter()


class FieldOut(Schema):
    """A field of a kind of record; numbers may lie between `least` and `greatest`, words are among `values`."""

    name: str
    type: Annotated[
        str,
        Field(
            description="text, reference (an id), word, number, integer, share (0 to 1), boolean, date, moment; of custom "
            "fields number, text, category, date, boolean, list.",
            examples=["number"],
        ),
    ]
    time: Annotated[str, Field(description="When it is known: fixed, tracked or outcome.", examples=["tracked"])]
    required: bool = False
    values: list[str] | None = None
    least: float | None = None
    greatest: float | None = None


class KindOut(Schema):
    """A kind of record, with its own fields and the custom fields that are declared."""

    kind: str
    description: str
    fields: list[FieldOut]


class KindsAnswer(Schema):
    """The kinds of records, by name."""

    kinds: list[KindOut]


@router.get("/v1/records", summary="List the kinds of records and their fields")
def list_record_kinds(session: SessionDep) -> KindsAnswer:
    """Say what can be stored: every kind, its fields with their types and bounds, and its custom fields."""
    declared = session.scalars(sa.select(CustomField).order_by(CustomField.name)).all()
    return KindsAnswer(
        kinds=[
            KindOut(
                kind=kind,
                description=(inspect.getdoc(RECORD_KINDS[kind]) or "").partition("\n")[0],
                fields=[
                    *(_field(kind, name) for name in fields_of(kind)),
                    *(_custom(field) for field in declared if field.kind == kind),
                ],
            )
            for kind in sorted(RECORD_KINDS)
        ]
    )


def _field(kind: str, name: str) -> FieldOut:
    type_ = field_type(kind, name)
    least, greatest = field_bounds(kind, name)
    return FieldOut(
        name=name,
        type=type_,
        time=field_time(kind, name),
        required=name in required_fields(kind),
        values=sorted({*status_words(kind).values()}) if type_ == "word" else None,
        least=least if math.isfinite(least) else None,
        greatest=greatest if math.isfinite(greatest) else None,
    )


def _custom(field: CustomField) -> FieldOut:
    return FieldOut(name=f"custom.{field.name}", type=field.type, time=field.time)
