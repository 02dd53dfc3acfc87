"""GET /v1/audit: who did what, when."""

from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import Field

from forecast.errors import InputError
from forecast.records import RECORD_KINDS, AuditEvent
from serving.deps import DeskDep, SessionDep
from serving.posted import utc
from serving.schemas import Moment, Schema

router = APIRouter()

_DETAILS = {"before": {"stage": "Quoted"}, "after": {"stage": "Negotiation"}}


class AuditOut(Schema):
    """One act; of a written record, `details` holds the fields that changed, before and after."""

    id: int
    at: datetime
    actor: Annotated[str, Field(description="Name of the API key, or who used the command line.", examples=["crm"])]
    action: Annotated[str, Field(examples=["update"])]
    kind: str | None
    record_id: str | None
    details: Annotated[dict[str, Any], Field(examples=[_DETAILS])]


class AuditPage(Schema):
    """A page of acts, newest first; `next_cursor` is missing on the last."""

    events: list[AuditOut]
    next_cursor: int | None


@router.get("/v1/audit", summary="List who did what, newest first")
def list_audit(
    session: SessionDep,
    desk: DeskDep,
    *,
    kind: Annotated[
        str | None,
        Query(
            description="Acts on records of this kind.",
            examples=["opportunity"],
            json_schema_extra={"enum": [*RECORD_KINDS]},
        ),
    ] = None,
    record_id: Annotated[
        str | None, Query(description="Acts on the record with this id.", examples=["006Qy00000A1b2C"])
    ] = None,
    actor: Annotated[str | None, Query(description="By whom: the name of a key.", examples=["crm"])] = None,
    action: Annotated[
        str | None, Query(description="What was done, such as create, update or delete.", examples=["update"])
    ] = None,
    since: Annotated[Moment | None, Query(description="At or after it.")] = None,
    until: Annotated[Moment | None, Query(description="Before it.")] = None,
    limit: Annotated[int, Query(description="At most so many.", ge=1, le=1000)] = 100,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`next_cursor` of the page before.")] = None,
) -> AuditPage:
    """List acts that meet all filters; what imports did is in the runs of imports, not here."""
    if kind is not None and kind not in RECORD_KINDS:
        raise InputError(f'"{kind}" is no kind of record; there are: {", ".join(sorted(RECORD_KINDS))}')
    given = {"kind": kind, "record_id": record_id, "actor": actor, "action": action}
    statement = sa.select(AuditEvent).filter_by(**{name: value for name, value in given.items() if value is not None})
    if since is not None:
        statement = statement.where(AuditEvent.at >= utc(since, desk.zone))
    if until is not None:
        statement = statement.where(AuditEvent.at < utc(until, desk.zone))
    if cursor is not None:
        statement = statement.where(AuditEvent.id < cursor)
    found = session.scalars(statement.order_by(AuditEvent.id.desc()).limit(limit + 1)).all()
    page = [_shown(event) for event in found[:limit]]
    return AuditPage(events=page, next_cursor=page[-1].id if len(found) > limit else None)


def _shown(event: AuditEvent) -> AuditOut:
    return AuditOut(
        id=event.id,
        at=event.at,
        actor=event.actor,
        action=event.action,
        kind=event.kind,
        record_id=event.record_id,
        details=event.details,
    )
