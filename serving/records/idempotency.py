"""Answers kept for a day, so that a request that is sent again with its key is not done again."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated

import sqlalchemy as sa
from fastapi import Header, Request, Response
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException

from forecast.records import IdempotencyKey

KEPT_FOR = timedelta(days=1)

KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Of your choice, new for each act: sent again within a day, the request is answered as it was, and not "
        "done again.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A JSON answer, as it can be kept."""

    body: str
    status: int = HTTPStatus.OK
    headers: dict[str, str] = field(default_factory=dict)

    def to_response(self, **more: str) -> Response:
        """Give the answer as it is sent."""
        headers = {**self.headers, **more}
        return Response(self.body, status_code=self.status, headers=headers, media_type="application/json")


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that may be sent again: whose it is, its key, and what tells it from another."""

    actor: str
    key: str | None
    sha256: str


def identify_call(request: Request, *, actor: str, key: str | None, body_sha256: str) -> Call:
    """Tell a request by its method, its address and its body."""
    text = f"{request.method} {request.url.path}?{request.url.query}\n{body_sha256}"
    return Call(actor=actor, key=key, sha256=hashlib.sha256(text.encode()).hexdigest())


def answer_once(session: Session, call: Call, act: Callable[[], Answer], *, now: datetime) -> Response:
    """Act and keep the answer under the call's key, or give the answer that was kept.

    A call that fails keeps nothing, so that it can be sent again. Two at once wait for each other.
    """
    if call.key is None:
        return act().to_response()
    session.execute(sa.delete(IdempotencyKey).where(IdempotencyKey.created_at < now - KEPT_FOR))
    new = insert(IdempotencyKey).values(actor=call.actor, key=call.key, request_sha256=call.sha256, created_at=now)
    if session.scalar(new.on_conflict_do_nothing().returning(IdempotencyKey.key)) is None:
        return _kept(session, call).to_response(**{"Idempotency-Replayed": "true"})
    answer = act()
    session.execute(
        sa.update(IdempotencyKey)
        .where(IdempotencyKey.actor == call.actor, IdempotencyKey.key == call.key)
        .values(status=answer.status, headers=answer.headers, body=answer.body)
    )
    return answer.to_response()


def _kept(session: Session, call: Call) -> Answer:
    kept = session.scalars(
        sa.select(IdempotencyKey).where(IdempotencyKey.actor == call.actor, IdempotencyKey.key == call.key)
    ).one()
    if kept.request_sha256 != call.sha256:
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f'the Idempotency-Key "{call.key}" was sent with another request at {kept.created_at.isoformat()}; '
            "choose a new key for each act",
        )
    return Answer(body=kept.body or "", status=kept.status or HTTPStatus.OK, headers=kept.headers)
