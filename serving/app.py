"""The application: how requests, errors and resources are put together."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from types import MappingProxyType, ModuleType
from typing import Any

from fastapi import APIRouter, Depends, FastAPI

from forecast.settings import Settings, read_settings
from forecast.store import migrate, open_engine
from serving.api import (
    accounts,
    audit,
    custom_fields,
    data_health,
    duplicates,
    forecast,
    forecast_accuracy,
    forecast_changes,
    grade_policies,
    health,
    leads,
    merges,
    models,
    opportunities,
    pipelines,
    record_kinds,
    records,
    records_bulk,
    records_export,
    scoring,
    segments,
    strategies,
    targets,
    what_if,
)
from serving.deps import Desk, require_key
from serving.documentation import serve_documentation
from serving.errors import PROBLEM_JSON, answer_errors
from serving.live import LiveModels
from serving.middleware import BodyLimit, RequestIdentity
from serving.schemas import Problem
from serving.surroundings import SurroundingsCache


def _problem_schema() -> dict[str, Any]:
    """Describe a problem in one piece: what stands in an answer can refer to nothing beside it."""
    schema = Problem.model_json_schema()
    schema["properties"]["errors"]["items"] = schema.pop("$defs")["FieldProblem"]
    return schema


_ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "content": {PROBLEM_JSON: {"schema": _problem_schema()}}}
    for status, description in {
        401: "No key, a wrong key or a revoked key.",
        404: "Not there.",
        409: "What is asked contradicts what is stored, or too little is known.",
        413: "The body is too large.",
        422: "What was sent can't be used; `errors` says which fields, why, and what to send.",
        503: "The database or a live version is missing; `detail` says what to do.",
    }.items()
}

# As /docs shows them. Addresses that end in a word of their own go before those that take any id.
_RESOURCES: Mapping[str, tuple[ModuleType, ...]] = MappingProxyType(
    {
        "Opportunities and leads": (scoring, what_if, opportunities, leads, grade_policies),
        "Revenue": (forecast, forecast_changes, forecast_accuracy, targets),
        "Accounts": (accounts, segments, strategies),
        "Records": (record_kinds, records_bulk, records_export, records, custom_fields, audit),
        "Data": (data_health, duplicates, merges, pipelines),
        "Service": (models,),
    }
)


def _now() -> datetime:
    return datetime.now(UTC)


def create_app(settings: Settings | None = None, *, clock: Callable[[], datetime] = _now) -> FastAPI:
    """Build the service.

    Args:
        settings: of this host; read from the environment where none are given, as
            `uvicorn --factory serving.app:create_app` does.
        clock: what tells the moment, UTC.
    """
    known = settings or read_settings()
    app = FastAPI(
        title="Forecast",
        version=version("forecast"),
        description="Win probabilities, customer values, grades and reasons for a CRM to read, and the records behind them.",
        lifespan=_lifespan(known, clock),
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestIdentity)
    answer_errors(app)
    serve_documentation(app)
    with_key = APIRouter(dependencies=[Depends(require_key)], responses=_ANSWERS)
    for title, resources in _RESOURCES.items():
        for resource in resources:
            with_key.include_router(resource.router, tags=[title])
    app.include_router(with_key)
    app.include_router(health.router, tags=["Service"])
    return app


def _lifespan(settings: Settings, clock: Callable[[], datetime]) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = open_engine(settings)
        try:
            migrate(engine)
            app.state.desk = Desk(
                settings=settings,
                engine=engine,
                clock=clock,
                live=LiveModels(settings.models_folder),
                surroundings=SurroundingsCache(clock),
            )
            yield
        finally:
            engine.dispose()

    return lifespan
