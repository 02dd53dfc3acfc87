"""What the endpoints of records share: the kind in the address, the caller, the body, and how it is described."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, Any

from fastapi import Depends, Path, Request
from sqlalchemy.orm import Session

from forecast.records import RECORD_KINDS, get_table
from serving.deps import Desk, require_key
from serving.records.edits import Incoming, read_ground, receive
from serving.records.idempotency import Call, KeyHeader, identify_call
from serving.records.preconditions import Preconditions, read_preconditions
from serving.records.schemas import read_record

_IN_MEMORY_BYTES = 1 << 20

EXAMPLE: dict[str, Any] = {
    "id": "006Qy00000A1b2C",
    "name": "年度框架合同",
    "account_id": "A00012",
    "owner_id": "U07",
    "stage": "Quoted",
    "amount": "125000.00",
    "currency": "CNY",
    "created_at": "2026-08-03T09:12:00+08:00",
    "expected_close_on": "2026-12-15",
    "need_fit": 4,
}
CHANGE_EXAMPLE: dict[str, Any] = {"stage": "Negotiation", "amount": "118000.00"}


@dataclass(frozen=True, kw_only=True)
class Body:
    """A body as it was sent, in memory or on disk, and its digest."""

    file: IO[bytes]
    sha256: str


def known_kind(
    kind: Annotated[
        str, Path(description="Kind of record.", examples=["opportunity"], json_schema_extra={"enum": [*RECORD_KINDS]})
    ],
) -> str:
    """Give the kind in the address.

    Raises:
        NotFoundError: there is no such kind.
    """
    get_table(kind)
    return kind


async def spool_body(request: Request) -> AsyncIterator[Body]:
    """Take a body in as it comes, so that a long one is on disk and not in memory."""
    digest = hashlib.sha256()
    with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as file:
        async for block in request.stream():
            digest.update(block)
            file.write(block)
        file.seek(0)
        yield Body(file=file, sha256=digest.hexdigest())


KindDep = Annotated[str, Depends(known_kind)]
ActorDep = Annotated[str, Depends(require_key)]
BodyDep = Annotated[Body, Depends(spool_body)]
PreconditionsDep = Annotated[Preconditions, Depends(read_preconditions)]
RecordId = Annotated[str, Path(description="Id of the record.", examples=["006Qy00000A1b2C"])]


def describe_call(request: Request, actor: ActorDep, body: BodyDep, key: KeyHeader = None) -> Call:
    """Tell what makes this request the same as another."""
    return identify_call(request, actor=actor, key=key, body_sha256=body.sha256)


CallDep = Annotated[Call, Depends(describe_call)]


def receive_body(session: Session, desk: Desk, kind: str, body: Body, *, known_id: str | None = None) -> Incoming:
    """Read the record in a body; errors as of `read_record` and `receive`."""
    ground = read_ground(session, kind, desk.zone)
    return receive(ground, read_record(kind, body.file.read()), known_id=known_id)


def json_body(example: dict[str, Any], description: str) -> dict[str, Any]:
    """Describe a body of JSON that the endpoint reads itself."""
    schema = {"type": "object", "additionalProperties": True}
    return _described(description, {"application/json": {"schema": schema, "example": example}})


def json_lines_body(example: str, description: str) -> dict[str, Any]:
    """Describe a body of JSON lines; /docs shows an example of plain text as it is to be sent."""
    lines = {"schema": {"type": "string"}, "example": example}
    return _described(description, {"text/plain": lines, "application/x-ndjson": lines})


def _described(description: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "description": description, "content": content}}
