"""POST /v1/opportunities/score: records in, scores out, nothing stored."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from fastapi import APIRouter

from forecast.policies import DEFAULT_THRESHOLDS, find_thresholds
from forecast.scoring import score_opportunities
from forecast.snapshot import History
from serving.deps import Desk, DeskDep, LanguageDep, LiveDep, SessionDep
from serving.errors import InvalidItemsError
from serving.posted import find_problems, posted_history, utc
from serving.reasons import Speaker, money, read_speaker
from serving.remarks import item_warnings
from serving.schemas import FieldProblem, OpportunityIn, ScoreAnswer, ScoredOpportunity, ScoreRequest
from serving.surroundings import Surroundings

CLOCKS_DIFFER_MAX = timedelta(minutes=5)

router = APIRouter()


@router.post("/v1/opportunities/score", summary="Score opportunities that you send")
def score_posted(
    call: ScoreRequest, desk: DeskDep, session: SessionDep, live: LiveDep, language: LanguageDep
) -> ScoreAnswer:
    """Score 1 to 1,000 open opportunities; nothing is stored.

    What is known of their accounts, owners, products and of earlier closings comes from the stored records, at most a
    minute old. The same opportunities, version and records give the same scores.
    """
    version, items = live.version, call.opportunities
    as_of = _moment_asked(call, desk)
    surroundings = desk.surroundings.get(session)
    history = _checked_history(items, surroundings, desk, as_of=as_of, planned_types=version.plan.custom)
    subjects = pl.DataFrame({"opportunity_id": [item.id for item in items]}).with_columns(
        pl.lit(as_of).cast(pl.Datetime("us", "UTC")).alias("as_of")
    )
    thresholds = find_thresholds(session) or DEFAULT_THRESHOLDS
    rows = score_opportunities(history, version, subjects, thresholds=thresholds).to_dicts()
    reasons = [reason for row in rows for reason in (*row["reasons_for"], *row["reasons_against"])]
    speaker = read_speaker(session, language, reasons)
    warnings = [
        item_warnings(item, version, surroundings, as_of=as_of, zone=desk.zone, language=language) for item in items
    ]
    return ScoreAnswer(scores=[_answer(*parts, speaker) for parts in zip(items, rows, warnings, strict=True)])


def _moment_asked(call: ScoreRequest, desk: Desk) -> datetime:
    now = desk.clock().astimezone(UTC)
    if call.as_of is None:
        return now
    as_of = utc(call.as_of, desk.zone)
    if as_of > now + CLOCKS_DIFFER_MAX:
        found = FieldProblem(
            index=None,
            field="as_of",
            found=call.as_of.isoformat(),
            expected=f"a moment that is not after now, {now.isoformat()}",
            remedy="leave it out to score as of now",
        )
        raise InvalidItemsError([found])
    return as_of


def _checked_history(
    items: Sequence[OpportunityIn],
    surroundings: Surroundings,
    desk: Desk,
    *,
    as_of: datetime,
    planned_types: Mapping[str, str],
) -> History:
    custom_types = {**planned_types, **surroundings.history.custom_types}
    problems = find_problems(items, as_of=as_of, custom_types=custom_types, zone=desk.zone)
    if problems:
        raise InvalidItemsError(problems)
    return posted_history(items, surroundings.history, custom_types=custom_types, zone=desk.zone)


def _answer(item: OpportunityIn, row: dict[str, Any], warnings: list[str], speaker: Speaker) -> ScoredOpportunity:
    return ScoredOpportunity(
        id=item.id,
        probability=row["probability"],
        grade=row["grade"],
        expected_value=money(row["expected_value"], item.currency),
        basis=row["basis"],
        model_version=row["version"],
        as_of=row["as_of"],
        reasons_for=speaker.say(row["reasons_for"]),
        reasons_against=speaker.say(row["reasons_against"]),
        warnings=warnings,
    )
