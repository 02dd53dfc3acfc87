"""What endpoints are given: a session, the caller's key and language, the live version."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import Depends, Query, Request, Response
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException

from forecast.errors import NotFoundError
from forecast.settings import Settings
from forecast.store import unit_of_work
from forecast.wording import Language
from serving.auth import check_key
from serving.language import language_of
from serving.live import Live, LiveModels
from serving.surroundings import SurroundingsCache

MODEL = "win_probability"
LEAD_MODEL = "lead_conversion"

_bearer = HTTPBearer(auto_error=False, description="`Authorization: Bearer fc_…`")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="`X-API-Key: fc_…`")


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What the process holds between requests."""

    settings: Settings
    engine: sa.Engine
    clock: Callable[[], datetime]
    live: LiveModels
    surroundings: SurroundingsCache

    @property
    def zone(self) -> ZoneInfo:
        """The zone of moments that name none."""
        return ZoneInfo(self.settings.timezone)


def get_desk(request: Request) -> Desk:
    """Give what the process holds."""
    desk: Desk = request.app.state.desk
    return desk


DeskDep = Annotated[Desk, Depends(get_desk)]


def open_session(desk: DeskDep) -> Iterator[Session]:
    """Open the request's one transaction; it is committed before the answer is sent."""
    with unit_of_work(desk.engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(open_session, scope="function")]


def require_key(
    session: SessionDep,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    header: Annotated[str | None, Depends(_header)],
) -> str:
    """Give the name of the caller's key.

    Raises:
        AccessError: no key was sent, it is not known or withdrawn.
    """
    return check_key(session, bearer.credentials if bearer else header)


def choose_language(
    request: Request,
    response: Response,
    language: Annotated[  # noqa: ARG001 - to be checked, and described at /docs; language_of reads it
        Literal["en", "zh"] | None, Query(description="Language of reasons; goes before Accept-Language.")
    ] = None,
) -> Language:
    """Choose the language: as asked, as the caller prefers, or as the settings say."""
    chosen = language_of(request)
    response.headers["Content-Language"] = chosen
    response.headers["Vary"] = "Accept-Language"
    return chosen


LanguageDep = Annotated[Language, Depends(choose_language)]


def get_live(desk: DeskDep) -> Live:
    """Give the live version of the win model; 503 without one."""
    return get_live_of(desk, MODEL)


def get_live_lead_model(desk: DeskDep) -> Live:
    """Give the live version of the lead model; 503 without one."""
    return get_live_of(desk, LEAD_MODEL)


def get_live_of(desk: Desk, model: str) -> Live:
    """Give the live version of a model; without one, the service can't do this (503)."""
    try:
        return desk.live.get(model)
    except NotFoundError as error:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error


LiveDep = Annotated[Live, Depends(get_live)]
LiveLeadDep = Annotated[Live, Depends(get_live_lead_model)]
