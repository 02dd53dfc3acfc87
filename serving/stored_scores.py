"""Rows of the score table as answers."""

from typing import Any

from forecast.records import Score as ScoreRecord
from forecast.wording.speaker import Speaker
from serving.reasons import StoredReason, money, name_themes, say_reasons
from serving.schemas import Interval, PastScore, Score


def stored_score(score: ScoreRecord | None, currency: str | None, speaker: Speaker) -> Score | None:
    """Give a stored score with its reasons; None where there is none."""
    if score is None:
        return None
    return Score(
        **_said(score, currency),
        base=score.reasons.get("base"),
        themes=name_themes(speaker, score.reasons.get("themes", [])),
        reasons_for=say_reasons(speaker, score.reasons.get("for", [])),
        reasons_against=say_reasons(speaker, score.reasons.get("against", [])),
    )


def stored_past_score(score: ScoreRecord, currency: str | None) -> PastScore:
    """Give a stored score without its reasons."""
    return PastScore(**_said(score, currency), scored_at=score.scored_at)


def stored_reasons(score: ScoreRecord | None) -> list[StoredReason]:
    """List all reasons of a stored score."""
    return [*score.reasons.get("for", []), *score.reasons.get("against", [])] if score else []


def interval(low: float | None, high: float | None) -> Interval | None:
    """Give the range of a probability; None where a score was stored without one."""
    return None if low is None or high is None else Interval(low=low, high=high)


def _said(score: ScoreRecord, currency: str | None) -> dict[str, Any]:
    return {
        "as_of": score.as_of,
        "probability": score.probability,
        "interval": interval(score.probability_low, score.probability_high),
        "grade": score.grade,
        "trend": score.trend,
        "expected_value": money(score.expected_value, currency),
        "basis": score.basis,
        "model_version": score.version,
    }
