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
    desk: DeskDep,
    language: Annotated[
        Literal["en", "zh"] | None, Query(description="Language of reasons; goes before Accept-Language.")
    ] = None,
) -> Language:
    """Choose the language: as asked, as the caller prefers, or as the settings say."""
    preferred = preferred_language(request.headers.get("accept-language", ""))
    chosen = language or preferred or desk.settings.language
    response.headers["Content-Language"] = chosen
    response.headers["Vary"] = "Accept-Language"
    return chosen


LanguageDep = Annotated[Language, Depends(choose_language)]


def preferred_language(accepted: str) -> Language | None:
    """Find the language of ours that an Accept-Language header weighs most; of equals, the first."""
    weights: dict[Language, float] = {}
    for part in accepted.split(","):
        tag, _, parameter = part.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        weight = _weight(parameter)
        if primary == "en" and weight > 0:
            weights.setdefault("en", weight)
        elif primary == "zh" and weight > 0:
            weights.setdefault("zh", weight)
    return max(weights.items(), key=lambda item: item[1])[0] if weights else None


def _weight(parameter: str) -> float:
    text = parameter.strip().removeprefix("q=")
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0


def get_live(desk: DeskDep) -> Live:
    """Give the live version of the win model; without one, the service can't do its work (503)."""
    return _get_live(desk, MODEL)


def get_live_lead_model(desk: DeskDep) -> Live:
    """Give the live version of the lead model; 503 without one."""
    return _get_live(desk, LEAD_MODEL)


def _get_live(desk: Desk, model: str) -> Live:
    try:
        return desk.live.get(model)
    except NotFoundError as error:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error


LiveDep = Annotated[Live, Depends(get_live)]
LiveLeadDep = Annotated[Live, Depends(get_live_lead_model)]
