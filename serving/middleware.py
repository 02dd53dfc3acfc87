"""What happens around every request: its id, its size, and errors that nobody expected."""

import logging
import re
import uuid
from http import HTTPStatus

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import problem

BODY_BYTES_MAX = 32 * 1024 * 1024

_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_log = logging.getLogger("forecast.serving")


class RequestIdentity:
    """Gives each request an id, sends it back, and answers unexpected errors with it; details go to the log only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            _log.exception("request %s: %s %s failed", request_id, scope["method"], scope["path"])
            if started:
                raise
            detail = f"something went wrong on our side; tell your administrator the request id {request_id}"
            await problem(Request(scope), HTTPStatus.INTERNAL_SERVER_ERROR, detail)(scope, receive, send_with_id)


def _request_id(scope: Scope) -> str:
    """Take the caller's id where it can stand in a log, else make one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _ID.fullmatch(given) else uuid.uuid4().hex


class BodyLimit:
    """Refuses bodies over BODY_BYTES_MAX, before they are in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced) > BODY_BYTES_MAX:
            await problem(Request(scope), HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)(scope, receive, send)
            return
        seen = 0

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > BODY_BYTES_MAX:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
            return message

        await self._app(scope, receive_counted, send)


_TOO_LARGE = f"the body is over {BODY_BYTES_MAX // 1024 // 1024} MB; send fewer records a call"
