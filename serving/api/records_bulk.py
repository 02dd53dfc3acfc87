"""POST /v1/records/{kind}/bulk: thousands of records a call, each with its own answer."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from forecast.errors import ForecastError, InputError
from forecast.wording import Language, say_error
from serving.deps import DeskDep, LanguageDep, SessionDep
from serving.errors import InvalidItemsError, say_problem, shown, status_of
from serving.records.edits import Edit, Ground, read_ground, receive, upsert
from serving.records.idempotency import Answer, answer_once
from serving.records.requests import EXAMPLE, Body, BodyDep, CallDep, KindDep, json_lines_body
from serving.records.schemas import invalid, read_record
from serving.records.writing import Refusal, Written, write_records
from serving.schemas import FieldProblem, Schema

LINES_MAX = 10_000
_EXAMPLE_LINES = to_json(EXAMPLE).decode() + "\n" + '{"id": "006Qy00000A1b2D", "stage": "Won", "status": "won"}'

router = APIRouter()


class ItemResult(Schema):
    """What became of one line, counted from 1; `action` is null where the record was so already."""

    line: int
    id: str | None = None
    status: Annotated[int, Field(description="As if the line had been a request of its own.", examples=[201])]
    action: Annotated[str | None, Field(description="create, update or null.")] = None
    version: int | None = None
    detail: str | None = None
    errors: list[FieldProblem] | None = None


class BulkAnswer(Schema):
    """Results in the order of the lines."""

    created: int
    updated: int
    unchanged: int
    refused: int
    results: list[ItemResult]


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A line: the id that it names, and the edit that it asks for or why it can't be read."""

    number: int
    record_id: str | None
    asked: Edit | InputError


@router.post(
    "/v1/records/{kind}/bulk",
    summary="Create or change thousands of records",
    responses={200: {"model": BulkAnswer}},
    openapi_extra=json_lines_body(_EXAMPLE_LINES, "JSON lines: a record a line, with its `id`."),
)
def write_bulk(
    kind: KindDep, body: BodyDep, call: CallDep, *, session: SessionDep, desk: DeskDep, language: LanguageDep
) -> Response:
    """Create or change at most 10,000 records, sent as JSON lines, in one transaction.

    A line sets the fields that it has and leaves the others; with `version` only if that is the stored one. A line that is
    refused does not stop the others: look at `refused` and at each `status`.
    """

    def act() -> Answer:
        lines = list(_read_lines(read_ground(session, kind, desk.zone), body))
        edits = [line.asked for line in lines if isinstance(line.asked, Edit)]
        outcomes = iter(write_records(session, kind, edits, actor=call.actor, clock=desk.clock))
        results = [
            _result(line, next(outcomes) if isinstance(line.asked, Edit) else line.asked, language) for line in lines
        ]
        return Answer(body=_summed(results).model_dump_json(exclude_none=True))

    return answer_once(session, call, act, now=desk.clock())


def _read_lines(ground: Ground, body: Body) -> Iterator[_Line]:
    count = 0
    for number, text in enumerate(body.file, start=1):
        if not text.strip():
            continue
        count += 1
        if count > LINES_MAX:
            raise invalid(
                "body", f"more than {LINES_MAX} lines", f"at most {LINES_MAX}", "send the rest in another call"
            )
        asked = _read_line(ground, text)
        record_id = asked.record_id if isinstance(asked, Edit) else _named_id(text)
        yield _Line(number=number, record_id=record_id, asked=asked)


def _read_line(ground: Ground, text: bytes) -> Edit | InputError:
    try:
        item = read_record(ground.kind, text)
        if item.id is None and item.external_id is None:
            raise invalid("id", None, "the id of the record", "give it; POST a record without one by itself")
        return upsert(receive(ground, item))
    except InputError as error:
        return error


def _named_id(text: bytes) -> str | None:
    """Find the id in a line that is refused, so that its sender finds the record."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    named = found.get("id") if isinstance(found, dict) else None
    return None if named is None else shown(named)


def _result(line: _Line, outcome: Written | Refusal, language: Language) -> ItemResult:
    record_id = line.record_id
    if isinstance(outcome, HTTPException):
        detail = say_error(outcome.detail, language)
        return ItemResult(line=line.number, id=record_id, status=outcome.status_code, detail=detail)
    if isinstance(outcome, ForecastError):
        return ItemResult(
            line=line.number,
            id=record_id,
            status=status_of(outcome),
            detail=say_error(str(outcome), language),
            errors=[say_problem(found, language) for found in outcome.problems]
            if isinstance(outcome, InvalidItemsError)
            else None,
        )
    return ItemResult(
        line=line.number,
        id=record_id,
        status=HTTPStatus.CREATED if outcome.action == "create" else HTTPStatus.OK,
        action=outcome.action,
        version=outcome.row["version"],
    )


def _summed(results: Sequence[ItemResult]) -> BulkAnswer:
    done = [result for result in results if result.status < 300]
    return BulkAnswer(
        created=sum(result.action == "create" for result in done),
        updated=sum(result.action == "update" for result in done),
        unchanged=sum(result.action is None for result in done),
        refused=len(results) - len(done),
        results=list(results),
    )
