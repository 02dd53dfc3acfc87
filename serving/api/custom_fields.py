"""/v1/custom-fields: the custom fields of a kind of record, declared before they are written."""

from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Path
from pydantic import ConfigDict

from forecast.errors import ConflictError
from forecast.intake.mapping import custom_name
from forecast.records import AuditEvent, CustomField, TimeKind
from serving.deps import DeskDep, SessionDep
from serving.records.requests import ActorDep, KindDep
from serving.records.schemas import invalid
from serving.schemas import Posted, Schema

router = APIRouter()

FieldName = Annotated[str, Path(description="Small letters, digits and `_`.", examples=["budget_confirmed"])]


class CustomFieldIn(Posted):
    """A custom field; `time` says when it is known: fixed from creation, tracked as it changes, or outcome at the end."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"type": "boolean", "label": "预算已确认"}]})

    type: Literal["number", "text", "category", "date", "boolean", "list"]
    time: TimeKind = "tracked"
    label: str | None = None


class CustomFieldOut(Schema):
    """A custom field as declared."""

    kind: str
    name: str
    type: str
    time: str
    label: str | None


class CustomFieldsAnswer(Schema):
    """The custom fields of a kind, by name."""

    custom_fields: list[CustomFieldOut]


@router.get("/v1/custom-fields/{kind}", summary="List the custom fields of a kind")
def list_custom_fields(kind: KindDep, session: SessionDep) -> CustomFieldsAnswer:
    """List what was declared, by imports or here."""
    found = session.scalars(sa.select(CustomField).where(CustomField.kind == kind).order_by(CustomField.name))
    return CustomFieldsAnswer(custom_fields=[_shown(field) for field in found])


@router.put("/v1/custom-fields/{kind}/{name}", summary="Declare a custom field")
def declare_custom_field(
    kind: KindDep, name: FieldName, given: CustomFieldIn, actor: ActorDep, *, session: SessionDep, desk: DeskDep
) -> CustomFieldOut:
    """Declare a custom field, or change its time and label; the type of one that is declared stays."""
    if custom_name(name) != name:
        raise invalid("name", name, "small letters, digits and _", f"call it {custom_name(name)}")
    known = session.get(CustomField, (kind, name))
    if known is not None and known.type != given.type:
        raise ConflictError(
            f"custom.{name} of {kind} holds {known.type}, and values are stored so; declare {given.type} under another name"
        )
    before = _shown(known).model_dump() if known else None
    stored = session.merge(CustomField(kind=kind, name=name, type=given.type, time=given.time, label=given.label))
    session.flush()
    after = _shown(stored)
    if before != after.model_dump():
        details = {"before": before, "after": after.model_dump()}
        session.add(
            AuditEvent(
                at=desk.clock(), actor=actor, action="declare", kind=kind, record_id=f"custom.{name}", details=details
            )
        )
    return after


def _shown(field: CustomField) -> CustomFieldOut:
    return CustomFieldOut(kind=field.kind, name=field.name, type=field.type, time=field.time, label=field.label)
