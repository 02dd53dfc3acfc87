"""POST /v1/opportunities/score and /v1/leads/score: records in, scores out, nothing stored."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import sqlalchemy as sa
from fastapi import APIRouter
from sqlalchemy.orm import Session

from forecast.policies import read_policies
from forecast.population import population_of
from forecast.records import Campaign
from forecast.registry import Version
from forecast.scoring.scores import score_opportunities
from forecast.scoring.table import read_past_scores
from forecast.snapshot import History
from forecast.wording import Language
from forecast.wording.speaker import Speaker, read_speaker
from serving.closing import scored_closing
from serving.deps import Desk, DeskDep, LanguageDep, LiveDep, LiveLeadDep, SessionDep
from serving.errors import InvalidItemsError
from serving.posted import Item, find_problems, posted_history, posted_lead_history, utc
from serving.reasons import money, name_themes, say_reasons
from serving.remarks import item_warnings
from serving.schemas import (
    FieldProblem,
    LeadIn,
    LeadScoreRequest,
    OpportunityIn,
    ScoreAnswer,
    ScoredRecord,
    ScoreRequest,
)
from serving.stored_scores import interval
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
    items, as_of = call.opportunities, _moment_asked(call.as_of, desk)
    surroundings = desk.surroundings.get(session)
    custom_types = _checked_types(items, surroundings, live.version, as_of, desk)
    history = posted_history(items, surroundings.history, custom_types=custom_types, zone=desk.zone)
    scored = _scored(items, history, live.version, as_of, session)
    return _answer(items, scored, surroundings, live.version, desk=desk, session=session, language=language)


@router.post("/v1/leads/score", summary="Score leads that you send")
def score_posted_leads(
    call: LeadScoreRequest, desk: DeskDep, session: SessionDep, live: LiveLeadDep, language: LanguageDep
) -> ScoreAnswer:
    """Score 1 to 1,000 open leads; nothing is stored.

    What is known of their owners, campaigns and of earlier leads comes from the stored records, at most a minute old.
    """
    items, as_of = call.leads, _moment_asked(call.as_of, desk)
    surroundings = desk.surroundings.get(session, population_of(live.version.bundle["config"]))
    custom_types = _checked_types(items, surroundings, live.version, as_of, desk)
    history = posted_lead_history(
        items,
        surroundings.history,
        custom_types=custom_types,
        channels=_campaign_channels(session, items),
        zone=desk.zone,
    )
    scored = _scored(items, history, live.version, as_of, session)
    return _answer(items, scored, surroundings, live.version, desk=desk, session=session, language=language)


def _campaign_channels(session: Session, items: Sequence[LeadIn]) -> dict[str, str]:
    named = {item.campaign_id for item in items if item.campaign_id}
    found = session.execute(sa.select(Campaign.id, Campaign.channel).where(Campaign.id.in_(named)))
    return {identity: channel for identity, channel in found if channel}


def _moment_asked(asked: datetime | None, desk: Desk) -> datetime:
    now = desk.clock().astimezone(UTC)
    if asked is None:
        return now
    as_of = utc(asked, desk.zone)
    if as_of > now + CLOCKS_DIFFER_MAX:
        found = FieldProblem(
            index=None,
            field="as_of",
            found=asked.isoformat(),
            expected=f"a moment that is not after now, {now.isoformat()}",
            remedy="leave it out to score as of now",
        )
        raise InvalidItemsError([found])
    return as_of


def _checked_types(
    items: Sequence[Item], surroundings: Surroundings, version: Version, as_of: datetime, desk: Desk
) -> Mapping[str, str]:
    """Give the types of custom fields, after checking that the items can be scored."""
    custom_types = {**version.plan.custom, **surroundings.history.custom_types}
    problems = find_problems(items, as_of=as_of, custom_types=custom_types, zone=desk.zone)
    if problems:
        raise InvalidItemsError(problems, "leads" if isinstance(items[0], LeadIn) else "opportunities")
    return custom_types


def _scored(
    items: Sequence[Item], history: History, version: Version, as_of: datetime, session: Session
) -> list[dict[str, Any]]:
    subjects = _subjects(items, as_of)
    policies = read_policies(session, population_of(version.bundle.get("config", "")))
    past = read_past_scores(session, subjects, model=version.name, decided_at=policies.decided_at)
    return score_opportunities(history, version, subjects, policies=policies, past=past).to_dicts()


def _subjects(items: Sequence[Item], as_of: datetime) -> pl.DataFrame:
    return pl.DataFrame({"opportunity_id": [item.id for item in items]}).with_columns(
        pl.lit(as_of).cast(pl.Datetime("us", "UTC")).alias("as_of")
    )


def _answer(
    items: Sequence[Item],
    rows: list[dict[str, Any]],
    surroundings: Surroundings,
    version: Version,
    *,
    desk: Desk,
    session: Session,
    language: Language,
) -> ScoreAnswer:
    reasons = [reason for row in rows for reason in (*row["reasons_for"], *row["reasons_against"])]
    kind = population_of(version.bundle.get("config", "")).kind
    speaker = read_speaker(session, language, reasons, kind=kind)
    return ScoreAnswer(
        scores=[
            _record(
                item,
                row,
                item_warnings(item, version, surroundings, as_of=row["as_of"], zone=desk.zone, language=language),
                speaker,
            )
            for item, row in zip(items, rows, strict=True)
        ]
    )


def _record(item: Item, row: dict[str, Any], warnings: list[str], speaker: Speaker) -> ScoredRecord:
    return ScoredRecord(
        id=item.id,
        probability=row["probability"],
        interval=interval(row["probability_low"], row["probability_high"]),
        grade=row["grade"],
        trend=row["trend"],
        expected_value=money(row["expected_value"], getattr(item, "currency", None)),
        basis=row["basis"],
        model_version=row["version"],
        as_of=row["as_of"],
        base=row["base"],
        themes=name_themes(speaker, row["themes"]),
        reasons_for=say_reasons(speaker, row["reasons_for"]),
        reasons_against=say_reasons(speaker, row["reasons_against"]),
        closing=scored_closing(row) if isinstance(item, OpportunityIn) else None,
        warnings=warnings,
    )
