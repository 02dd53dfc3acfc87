"""Errors as answers: one table of statuses, problem+json bodies, and what pydantic found in our words."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import isfinite
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from forecast import errors
from forecast.wording import Language, say_error
from serving.language import language_of
from serving.schemas import ITEMS_MAX, FieldProblem, Problem

PROBLEM_JSON = "application/problem+json"
PROBLEMS_SHOWN_MAX = 100
_ITEMS = frozenset({"opportunities", "leads"})

STATUSES: Mapping[type[errors.ForecastError], HTTPStatus] = MappingProxyType(
    {
        errors.ForecastError: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.InputError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.FileError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.MappingError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.RefusedValueError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.NotFoundError: HTTPStatus.NOT_FOUND,
        errors.ConflictError: HTTPStatus.CONFLICT,
        errors.AccessError: HTTPStatus.UNAUTHORIZED,
        errors.TooLittleHistoryError: HTTPStatus.CONFLICT,
        errors.GateError: HTTPStatus.CONFLICT,
        errors.StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    }
)

_EXPECTED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "missing": ("a value", "give it"),
        "extra_forbidden": ("a field of this API", "mend its name, or leave it out; see /docs"),
        "string_type": ("text", "write it in quotation marks"),
        "string_too_short": ("text that is not empty", "give it"),
        "datetime": ("a moment", "write 2026-03-01T09:30:00+08:00"),
        "date": ("a date", "write 2026-03-01"),
        "nul_character": ("text without a NUL character", "write it without"),
        "string_unicode": ("text", "write it without half surrogate pairs"),
        "finite_number": ("a number", "write 12.5, or null where there is none"),
        "value_error": ("a moment or a date as text", "write 2026-03-01T09:30:00+08:00, or 2026-03-01 for a date"),
        "decimal": ("an amount with at most 18 digits", "write 125000.00"),
        "float": ("a number", "write 12.5"),
        "int": ("a whole number", "write 4"),
        "list_type": ("a list", "write [ … ]"),
        "too_short": ("at least one", "send one or more"),
        "too_long": (f"at most {ITEMS_MAX}", f"send them in calls of at most {ITEMS_MAX}"),
        "json_invalid": ("JSON", "mend the body at this position"),
    }
)


class InvalidItemsError(errors.InputError):
    """Items of a call can't be scored; `problems` says which and why."""

    def __init__(self, problems: Sequence[FieldProblem], items: str = "opportunities") -> None:
        super().__init__(describe(problems, items))
        self.problems = list(problems)


def describe(problems: Sequence[FieldProblem], items: str = "opportunities") -> str:
    """Say the first problem in a sentence, and how many more there are; `items` is what the call has many of."""
    first = problems[0]
    place = first.field if first.index is None else f"{items}[{first.index}].{first.field}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    found = json.dumps(first.found, ensure_ascii=False, default=str)
    return f"{place}: found {found}, expected {first.expected}; {first.remedy}{more}"


def say_problem(found: FieldProblem, language: Language) -> FieldProblem:
    """Say in a language what was expected of a field, and what to do."""
    said = {"expected": say_error(found.expected, language), "remedy": say_error(found.remedy, language)}
    return found.model_copy(update=said)


def problem(
    request: Request,
    status: int,
    detail: str,
    problems: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Give an answer as RFC 9457 has it, in the language of the request."""
    title = HTTPStatus(status).phrase
    language = language_of(request)
    body = Problem(
        type=f"urn:forecast:problem:{title.lower().replace(' ', '-')}",
        title=title,
        status=status,
        detail=say_error(detail, language),
        errors=[say_problem(found, language) for found in problems[:PROBLEMS_SHOWN_MAX]],
    )
    content = body.model_dump(mode="json", exclude=set() if problems else {"errors"})
    told = {**(headers or {}), "Content-Language": language, "Vary": "Accept-Language"}
    return JSONResponse(content, status_code=status, headers=told, media_type=PROBLEM_JSON)


def status_of(error: errors.ForecastError) -> HTTPStatus:
    """Find the status of an error, by its class or the nearest above."""
    return next(STATUSES[above] for above in type(error).__mro__ if above in STATUSES)


def answer_errors(app: FastAPI) -> None:
    """Let an application answer every error with a problem."""
    app.add_exception_handler(errors.ForecastError, _answer_own)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(sa.exc.OperationalError, _answer_unreachable)
    app.add_exception_handler(sa.exc.TimeoutError, _answer_unreachable)
    app.add_exception_handler(sa.exc.DataError, _answer_unholdable)
    app.add_exception_handler(UnicodeEncodeError, _answer_unholdable)


def _answer_own(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, errors.ForecastError):
        raise error
    headers = {"WWW-Authenticate": 'Bearer realm="forecast"'} if isinstance(error, errors.AccessError) else None
    problems = error.problems if isinstance(error, InvalidItemsError) else ()
    return problem(request, status_of(error), str(error), problems, headers)


def _answer_invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    problems = [field_problem(found) for found in error.errors()]
    items = next((part for part in error.errors()[0]["loc"] if part in _ITEMS), "opportunities")
    return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, describe(problems, items), problems)


def _answer_http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    if isinstance(error.__cause__, UnicodeDecodeError):
        return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, "the body is not UTF-8; send JSON as UTF-8")
    return problem(request, error.status_code, error.detail, headers=error.headers)


def _answer_unreachable(request: Request, _: Exception) -> JSONResponse:
    detail = "the database does not answer; try again, and see /readyz and the server's log if that lasts"
    return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "5"})


def _answer_unholdable(request: Request, _: Exception) -> JSONResponse:
    return problem(
        request,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "a text holds what can't be kept, such as a NUL character or half a surrogate pair",
    )


def field_problem(found: Mapping[str, Any]) -> FieldProblem:
    """Say in our words what pydantic found."""
    place = [part for part in found["loc"] if part not in {"body", "query", "path", "header"}]
    index = None
    if len(place) > 1 and place[0] in _ITEMS and isinstance(place[1], int):
        index, place = place[1], place[2:]
    expected, remedy = _expected(found)
    return FieldProblem(index=index, field=_path(place), found=_found(found), expected=expected, remedy=remedy)


def _path(place: Sequence[str | int]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in place]
    return "".join(parts).removeprefix(".") or "body"


def _expected(found: Mapping[str, Any]) -> tuple[str, str]:
    """Say what was expected and what to do; the longest beginning of pydantic's type that the table has decides."""
    if isinstance(found.get("input"), bytes):  # as it came: without the header it is not read as JSON
        return "JSON", "send it with the header Content-Type: application/json"
    if found["type"] == "literal_error":
        words = found["ctx"]["expected"].replace(" or ", ", ").replace("'", "")
        return f"one of {words}", "give one of these"
    known = [name for name in _EXPECTED if str(found["type"]).startswith(name)]
    if known:
        return _EXPECTED[max(known, key=len)]
    said = str(found["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    return said, "see /docs"


def _found(found: Mapping[str, Any]) -> Any:
    if found["type"] == "missing":
        return None
    if found["type"] == "too_long":
        return found["ctx"]["actual_length"]
    value = found.get("input")
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value)):
        return value
    return shown(value)


def shown(value: object) -> str:
    """Give the beginning of what was found, fit for any answer."""
    return str(value)[:200].encode(errors="backslashreplace").decode()
