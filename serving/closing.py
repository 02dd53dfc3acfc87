"""When opportunities will close: the win curve of the version that scored them."""

from typing import Any

import polars as pl
from sqlalchemy.orm import Session

from forecast.closings import closings, has_win_curve
from forecast.errors import NotFoundError
from forecast.records import Score
from forecast.registry import Version
from forecast.scoring import refused_subjects
from forecast.snapshot import History
from serving.deps import MODEL, Desk
from serving.listing import Stored
from serving.schemas import Closing
from serving.stored_history import stored_history


def find_closing(stored: Stored, session: Session, desk: Desk) -> Closing | None:
    """Tell when an opportunity is expected to end, by what was known before its latest score.

    None where it is closed, not scored, or the version that scored it has no win curve or serves no longer.
    """
    opportunity, score = stored.opportunity, stored.score
    version = _curve_of(score, desk)
    if score is None or version is None or opportunity.status != "open":
        return None
    history = stored_history(opportunity, session, desk)
    subject = pl.DataFrame(
        {"opportunity_id": [opportunity.id], "as_of": [score.as_of]},
        schema={"opportunity_id": pl.String, "as_of": pl.Datetime("us", "UTC")},
    )
    if refused_subjects(history, subject).height:  # its dates were corrected after it was scored
        return None
    return find_closings(history, version, subject)[0]


def find_closings(history: History, version: Version[Any], subjects: pl.DataFrame) -> list[Closing | None]:
    """Tell when each of these subjects is expected to end; None where the version has no win curve."""
    if not has_win_curve(version):
        return [None] * subjects.height
    return [
        Closing(
            expected_close_on=row["expected_close_on"],
            low=row["expected_close_low"],
            high=row["expected_close_high"],
            probability_of_slipping=row["probability_of_slipping"],
            won_by=row["won_by"],
        )
        for row in closings(history, version, subjects).to_dicts()
    ]


def _curve_of(score: Score | None, desk: Desk) -> Version[Any] | None:
    """Find the version that gave a score, where it still serves and has a win curve."""
    try:
        version = desk.live.get(MODEL).version
    except NotFoundError:
        return None
    said_so = score is not None and score.version == version.version
    return version if said_so and has_win_curve(version) else None
