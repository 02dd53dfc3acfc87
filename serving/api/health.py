"""GET /healthz and /readyz: is the process up, and can it do its work."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException

from forecast.errors import ForecastError
from forecast.store import check_schema
from forecast.wording import say_error
from serving.deps import MODEL, Desk, DeskDep, LanguageDep
from serving.schemas import Health

router = APIRouter()
_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"description": "The database, its schema or a live version is missing; `detail` says which, and what to do."}
}


@router.get("/healthz", summary="Is the process up")
def report_health() -> Health:
    """Answer, and nothing else."""
    return Health()


@router.get("/readyz", summary="Can the service do its work", responses=_NOT_READY)
def report_readiness(desk: DeskDep, language: LanguageDep) -> Health:
    """Check the database, its schema and the live version; 503 names what is missing."""
    missing = [say_error(found, language) for check in _CHECKS.values() if (found := _trouble(check, desk))]
    if missing:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(missing))
    return Health()


def _trouble(check: Callable[[Desk], object], desk: Desk) -> str | None:
    try:
        check(desk)
    except ForecastError as error:
        return str(error)
    return None


_CHECKS: Mapping[str, Callable[[Desk], object]] = {
    "schema": lambda desk: check_schema(desk.engine),
    "live version": lambda desk: desk.live.get(MODEL),
}
