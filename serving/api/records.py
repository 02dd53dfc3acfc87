"""/v1/records: the base records of every kind, one at a time and as lists."""

from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from pydantic_core import to_json, to_jsonable_python

from forecast.records import get_table
from serving.deps import DeskDep, SessionDep
from serving.posted import utc
from serving.records.custom import read_custom_types
from serving.records.edits import Row, create, delete, gone, merge, missing, replace, restore
from serving.records.idempotency import Answer, answer_once
from serving.records.listing import Place, Sort, list_records, read_conditions
from serving.records.merged import find_merged_away, refuse_merged_away
from serving.records.preconditions import etag
from serving.records.requests import (
    CHANGE_EXAMPLE,
    EXAMPLE,
    ActorDep,
    BodyDep,
    CallDep,
    KindDep,
    PreconditionsDep,
    RecordId,
    json_body,
    receive_body,
)
from serving.records.writing import Written, read_rows, write_record
from serving.schemas import Moment, Schema

router = APIRouter()

_STORED = {**EXAMPLE, "source_system": "import", "version": 3, "stored_at": "2026-09-01T08:30:00Z", "deleted_at": None}
_RECORD: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The record as stored; its ETag is its version.",
        "content": {"application/json": {"example": _STORED}},
    }
}
_WRITES: dict[int | str, dict[str, Any]] = {
    **_RECORD,
    412: {"description": "Another version is stored than the one that was asked for."},
}


class RecordPage(Schema):
    """A page of records; `next_cursor` is missing on the last."""

    records: Annotated[list[dict[str, Any]], Field(examples=[[_STORED]])]
    next_cursor: str | None


@router.get("/v1/records/{kind}", summary="List records of a kind")
def list_kind(
    kind: KindDep,
    *,
    request: Request,
    session: SessionDep,
    desk: DeskDep,
    sort: Annotated[
        Sort, Query(description="By id, or by when they were last written here, oldest or newest (-) first.")
    ] = "id",
    modified_since: Annotated[
        Moment | None,
        Query(description="Only what was written here at or after it.", examples=["2026-09-01T00:00:00Z"]),
    ] = None,
    include_deleted: Annotated[bool, Query(description="Deleted records too; `deleted_at` tells them.")] = False,
    limit: Annotated[int, Query(description="At most so many.", ge=1, le=1000, examples=[100])] = 100,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> RecordPage:
    """List records that meet all filters; any field is a parameter.

    `stage=Quoted` keeps equal values (given twice: either; empty: those without a value), `amount.gte=1000` and `.gt`,
    `.lte`, `.lt` those on a side of it, `custom.region=East` those of a custom field.
    """
    table = get_table(kind)
    declared = read_custom_types(session, kind)
    conditions = read_conditions(kind, request.query_params.multi_items(), declared=declared, zone=desk.zone)
    if modified_since is not None:
        conditions.append(table.c.stored_at >= utc(modified_since, desk.zone))
    if not include_deleted:
        conditions.append(table.c.deleted_at.is_(None))
    after = Place.from_text(cursor, sort) if cursor else None
    found = list_records(session, kind, conditions=conditions, sort=sort, after=after, limit=limit + 1)
    page = found[:limit]
    return RecordPage(
        records=[to_jsonable_python(row) for row in page],
        next_cursor=Place.of(page[-1], sort).to_text() if len(found) > limit else None,
    )


@router.post(
    "/v1/records/{kind}",
    summary="Create a record",
    status_code=HTTPStatus.CREATED,
    responses={201: {**_RECORD[200], "description": "Created; `Location` is its address."}},
    openapi_extra=json_body(EXAMPLE, "A record; without `id` it gets one."),
)
def create_record(kind: KindDep, body: BodyDep, call: CallDep, session: SessionDep, desk: DeskDep) -> Response:
    """Store a new record; 409 where one of its id is stored already."""

    def act() -> Answer:
        edit = create(receive_body(session, desk, kind, body))
        written = write_record(session, kind, edit, actor=call.actor, clock=desk.clock)
        return _answer(kind, written)

    return answer_once(session, call, act, now=desk.clock())


@router.get("/v1/records/{kind}/{record_id:path}", summary="Read a record", responses=_RECORD)
def read_record(
    kind: KindDep,
    record_id: RecordId,
    session: SessionDep,
    preconditions: PreconditionsDep,
    *,
    include_deleted: Annotated[bool, Query(description="A deleted record too.")] = False,
) -> Response:
    """Give a record as stored; with `If-None-Match` and its ETag, 304 as long as it did not change."""
    stored = read_rows(session, kind, [record_id]).get(record_id)
    if stored is None:
        raise missing(kind, record_id)
    if stored["deleted_at"] is not None and not include_deleted:
        raise find_merged_away(session, kind, record_id) or gone(kind, stored)
    if preconditions.is_known(stored):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag(stored)})
    return _shown(stored)


@router.patch(
    "/v1/records/{kind}/{record_id:path}",
    summary="Change fields of a record",
    responses=_WRITES,
    openapi_extra=json_body(CHANGE_EXAMPLE, "The fields to set; null empties one. Custom fields under `custom`."),
)
def change_record(
    kind: KindDep,
    record_id: RecordId,
    body: BodyDep,
    preconditions: PreconditionsDep,
    actor: ActorDep,
    *,
    session: SessionDep,
    desk: DeskDep,
) -> Response:
    """Set the fields that are sent and leave the others; a changed field gets a row in the history of the record.

    The change is dated by `modified_at` where that is sent and later than the stored one, else it is of now.
    """
    edit = merge(receive_body(session, desk, kind, body, known_id=record_id), preconditions)
    return _shown(write_record(session, kind, edit, actor=actor, clock=desk.clock).row)


@router.put(
    "/v1/records/{kind}/{record_id:path}",
    summary="Store a record under its id",
    responses={**_WRITES, 201: {"description": "Created."}, 428: {"description": "It is stored; send If-Match."}},
    openapi_extra=json_body(EXAMPLE, "The whole record."),
)
def replace_record(
    kind: KindDep,
    record_id: RecordId,
    body: BodyDep,
    preconditions: PreconditionsDep,
    actor: ActorDep,
    *,
    session: SessionDep,
    desk: DeskDep,
) -> Response:
    """Create a record of this id, or replace the one that is stored: fields that are not sent are emptied.

    To replace one, say which version you saw by `If-Match`, or `If-Match: *`. `created_at` stays where it is not sent.
    """
    edit = replace(receive_body(session, desk, kind, body, known_id=record_id), preconditions)
    return _answer(kind, write_record(session, kind, edit, actor=actor, clock=desk.clock)).to_response()


@router.delete(
    "/v1/records/{kind}/{record_id:path}",
    summary="Delete a record",
    status_code=HTTPStatus.NO_CONTENT,
    responses={412: _WRITES[412]},
)
def delete_record(
    kind: KindDep,
    record_id: RecordId,
    preconditions: PreconditionsDep,
    actor: ActorDep,
    *,
    session: SessionDep,
    desk: DeskDep,
) -> None:
    """Put a tombstone on a record: it is in no list, snapshot or score from now on, and can be restored."""
    edit = delete(kind, record_id, preconditions)
    write_record(session, kind, edit, actor=actor, clock=desk.clock)


@router.post("/v1/records/{kind}/{record_id:path}/restore", summary="Restore a deleted record", responses=_WRITES)
def restore_record(
    kind: KindDep,
    record_id: RecordId,
    preconditions: PreconditionsDep,
    call: CallDep,
    *,
    session: SessionDep,
    desk: DeskDep,
) -> Response:
    """Take the tombstone off a record; 409 where it is not deleted, or was merged into another."""

    def act() -> Answer:
        refuse_merged_away(session, kind, record_id)
        edit = restore(kind, record_id, preconditions)
        return _answer(kind, write_record(session, kind, edit, actor=call.actor, clock=desk.clock))

    return answer_once(session, call, act, now=desk.clock())


def _answer(kind: str, written: Written) -> Answer:
    row = written.row
    headers = {"ETag": etag(row)}
    if written.action != "create":
        return Answer(body=to_json(row).decode(), headers=headers)
    headers["Location"] = f"/v1/records/{kind}/{quote(row['id'])}"
    return Answer(body=to_json(row).decode(), headers=headers, status=HTTPStatus.CREATED)


def _shown(row: Row) -> Response:
    return Response(to_json(row), headers={"ETag": etag(row)}, media_type="application/json")
