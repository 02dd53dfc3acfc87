"""Stored opportunities with their scores: one page at a time, or one whole."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from forecast.errors import InputError, NotFoundError
from forecast.records import Account, Opportunity, Person, Score
from forecast.scoring.grades import Grade
from serving.deps import MODEL

PAST_SCORES_MAX = 50


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which open opportunities are listed; a team's are its own and those of its members."""

    grade: Grade | None = None
    owner_id: str | None = None
    team_id: str | None = None
    stage: str | None = None


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """Where a page ended; the next begins right after, whatever was added or removed in between."""

    value: float | None
    record_id: str

    def to_text(self) -> str:
        """Give the cursor as callers carry it."""
        return base64.urlsafe_b64encode(json.dumps([self.value, self.record_id]).encode()).decode()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what `to_text` gave.

        Raises:
            InputError: it gave something else.
        """
        try:
            value, record_id = json.loads(base64.urlsafe_b64decode(text.encode()))
            return cls(value=None if value is None else float(value), record_id=str(record_id))
        except (ValueError, TypeError, binascii.Error) as error:
            raise unknown_cursor(text) from error


def unknown_cursor(text: str) -> InputError:
    """Say that a cursor is none of this list."""
    return InputError(
        f'cursor: found "{text}", expected the next_cursor of an earlier answer; leave it out to start again'
    )


@dataclass(frozen=True)
class Stored:
    """An opportunity with its names and latest score, where there are any."""

    opportunity: Opportunity
    account_name: str | None
    owner_name: str | None
    score: Score | None

    @property
    def cursor(self) -> Cursor:
        """Where a page that ends here ends."""
        value = self.score.expected_value if self.score else None
        return Cursor(value=value, record_id=self.opportunity.id)


def list_open(session: Session, filters: Filters, after: Cursor | None, limit: int) -> list[Stored]:
    """List open opportunities by expected value, highest first, those without one last, then by id."""
    asked: dict[sa.SQLColumnExpression[Any], object] = {
        Score.grade: filters.grade,
        Opportunity.owner_id: filters.owner_id,
        sa.func.coalesce(Opportunity.team_id, Person.team_id): filters.team_id,
        Opportunity.stage: filters.stage,
    }
    statement = (
        _with_names_and_score()
        .where(Opportunity.status == "open", Opportunity.deleted_at.is_(None), *where_given(asked))
        .order_by(Score.expected_value.desc().nulls_last(), Opportunity.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(comes_after(after, Score.expected_value, Opportunity.id))
    return [Stored(*row) for row in session.execute(statement)]


def get_stored(session: Session, opportunity_id: str) -> Stored:
    """Find an opportunity by its id, open or closed.

    Raises:
        NotFoundError: there is none.
    """
    statement = _with_names_and_score().where(Opportunity.id == opportunity_id, Opportunity.deleted_at.is_(None))
    row = session.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError(
            f'no opportunity "{opportunity_id}" is stored; import it, or score it without storing by '
            "POST /v1/opportunities/score"
        )
    return Stored(*row)


def past_scores(session: Session, record_id: str, *, model: str = MODEL) -> Sequence[Score]:
    """List the newest scores of a record, newest first."""
    statement = (
        sa.select(Score)
        .where(Score.model == model, Score.record_id == record_id)
        .order_by(Score.as_of.desc(), Score.id.desc())
        .limit(PAST_SCORES_MAX)
    )
    return session.scalars(statement).all()


def _with_names_and_score() -> sa.Select[*tuple[Any, ...]]:
    latest = sa.and_(Score.record_id == Opportunity.id, Score.model == MODEL, Score.latest)
    return (
        sa.select(Opportunity, Account.name, Person.name, Score)
        .outerjoin(Account, Account.id == Opportunity.account_id)
        .outerjoin(Person, Person.id == Opportunity.owner_id)
        .outerjoin(Score, latest)
    )


def where_given(
    asked: Mapping[sa.SQLColumnExpression[Any], object],
) -> list[sa.ColumnElement[bool]]:
    """Keep the rows whose columns hold what was asked for; what was not is None."""
    return [column == value for column, value in asked.items() if value is not None]


def comes_after(
    cursor: Cursor, value: InstrumentedAttribute[Any], record_id: InstrumentedAttribute[str]
) -> sa.ColumnElement[bool]:
    """Keep what comes after a cursor where rows are sorted by value, highest first, missing last, then by id."""
    later_id = record_id > cursor.record_id
    if cursor.value is None:
        return sa.and_(value.is_(None), later_id)
    same = sa.and_(value == cursor.value, later_id)
    return sa.or_(value < cursor.value, same, value.is_(None))
