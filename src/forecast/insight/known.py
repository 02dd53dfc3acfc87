"""One record as it was known at a moment: its fields with since when, its stages, activities and scores."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.errors import InputError, NotFoundError
from forecast.records import BOOKKEEPING, RECORD_KINDS, Activity, Change, CustomField, Record, Score
from forecast.snapshot.changes import CHANGE_TYPES, as_known
from forecast.store import read_frame

Origin = Literal["creation", "change", "closing", "unknown", "hidden"]

SCORES_MAX = 5


@dataclass(frozen=True, kw_only=True)
class KnownField:
    """A field as it was known.

    Attributes:
        name: of the column; `custom.<name>` for a custom field.
        value: as PostgreSQL prints it; None where it was empty or is hidden.
        origin: `creation`: known from then on; `change` or `closing`: set at `since`; `unknown`: as stored, of unknown
            moment, taken as if known from creation; `hidden`: closing overwrote it and nothing tells what stood before.
        since: the moment; None where it is not known.
        before: what the change replaced, as far as it or the change before it says.
    """

    name: str
    value: str | None
    origin: Origin
    since: datetime | None
    before: str | None = None


@dataclass(frozen=True, kw_only=True)
class KnownStage:
    """A stage that was entered; None where a moment is not known or the stage was not left yet."""

    stage: str | None
    entered_at: datetime | None
    left_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class KnownActivity:
    """An activity that was entered before the moment; a planned one takes place at or after it."""

    known_at: datetime
    occurred_at: datetime | None
    planned: bool
    type: str | None
    direction: str | None
    subject: str | None
    person_id: str | None


@dataclass(frozen=True, kw_only=True)
class KnownScore:
    """A score by what was known before `as_of`."""

    model: str
    version: str
    as_of: datetime
    probability: float
    grade: str


@dataclass(frozen=True, kw_only=True)
class KnownRecord:
    """What was known of a record strictly before `as_of`.

    Attributes:
        fields: in the order of the columns, custom ones last.
        stages: oldest first; of opportunities with a history of stages only.
        activities: newest first.
        scores: the newest SCORES_MAX of all models, newest first; those as of `as_of` or earlier.
    """

    kind: str
    id: str
    as_of: datetime
    created_at: datetime | None
    deleted_at: datetime | None
    fields: tuple[KnownField, ...]
    stages: tuple[KnownStage, ...]
    activities: tuple[KnownActivity, ...]
    scores: tuple[KnownScore, ...]

    def field(self, name: str) -> KnownField:
        """Give a field by its name.

        Raises:
            NotFoundError: this kind of record has none of that name.
        """
        for known in self.fields:
            if known.name == name:
                return known
        raise NotFoundError(f'{self.kind} has no field "{name}"; it has: {", ".join(f.name for f in self.fields)}')


def record_as_known(session: Session, kind: str, *, record_id: str, as_of: datetime) -> KnownRecord:
    """Give a record as it was known strictly before `as_of`, or at its creation where that is the same moment.

    Raises:
        InputError: there is no such kind of record.
        NotFoundError: the record is not stored, or did not exist yet.
    """
    stored = _get_record(session, kind, record_id)
    if stored.created_at is not None and stored.created_at > as_of:
        raise NotFoundError(
            f'{kind} "{record_id}" was created at {stored.created_at.isoformat()}, after {as_of.isoformat()}; '
            "ask for a later moment"
        )
    changes = _read_changes(session, kind, record_id)
    return KnownRecord(
        kind=kind,
        id=record_id,
        as_of=as_of,
        created_at=stored.created_at,
        deleted_at=stored.deleted_at if stored.deleted_at and stored.deleted_at < as_of else None,
        fields=tuple(_known_fields(session, stored, as_of, changes)),
        stages=_known_stages(stored, as_of, changes),
        activities=_known_activities(session, kind, record_id, as_of=as_of),
        scores=_known_scores(session, kind, record_id, as_of=as_of),
    )


def _get_record(session: Session, kind: str, record_id: str) -> Record:
    if kind not in RECORD_KINDS:
        raise InputError(f'"{kind}" is no kind of record; there are: {", ".join(sorted(RECORD_KINDS))}')
    stored = session.get(RECORD_KINDS[kind], record_id)
    if stored is None:
        raise NotFoundError(f'no {kind} "{record_id}" is stored; ids of other sources than "import" are source:id')
    return stored


def _read_changes(session: Session, kind: str, record_id: str) -> pl.DataFrame:
    statement = (
        sa.select(*(getattr(Change, name) for name in CHANGE_TYPES), Change.id)
        .where(Change.kind == kind, Change.record_id == record_id)
        .order_by(Change.changed_at, Change.id)
    )
    return read_frame(session, statement).sort("changed_at", "id").drop("id")


def _known_fields(session: Session, stored: Record, as_of: datetime, changes: pl.DataFrame) -> Iterator[KnownField]:
    texts, times = _as_text(session, stored), _times(session, stored)
    row = pl.DataFrame({"row": [0], "record": [stored.id]}).with_columns(
        pl.lit(as_of).cast(pl.Datetime("us", "UTC")).alias("as_of")
    )
    known = as_known(row, texts.rename({"id": "record"}), changes, "record").row(0, named=True)
    stood = texts.row(0, named=True)
    for name, time in times.items():
        if time == "outcome":
            yield _known_outcome(name, stood[name], stored, as_of)
        elif time == "fixed":
            yield KnownField(name=name, value=stood[name], origin="creation", since=stored.created_at)
        else:
            yield _tracked_field(name, known[name], stored, as_of, changes.filter(pl.col("field") == name))


def _times(session: Session, stored: Record) -> dict[str, str]:
    """Give the fields of a record with their kinds of time."""
    custom = session.execute(
        sa.select(CustomField.name, CustomField.time)
        .where(CustomField.kind == stored.__tablename__)
        .order_by(CustomField.name)
    )
    columns = {
        column.name: str(column.info["time"]) for column in stored.__table__.columns if column.name not in BOOKKEEPING
    }
    return columns | {f"custom.{name}": time for name, time in custom}


def _as_text(session: Session, stored: Record) -> pl.DataFrame:
    """Read the record's columns and custom fields as PostgreSQL prints them, which is how changes hold values."""
    table = type(stored)
    columns = [column for column in table.__table__.columns if column.name not in BOOKKEEPING]
    names = session.scalars(sa.select(CustomField.name).where(CustomField.kind == stored.__tablename__))
    custom = [table.custom.op("->>", return_type=sa.Text())(name).label(f"custom.{name}") for name in names]
    texts = [sa.cast(column, sa.Text).label(column.name) for column in columns]
    return read_frame(session, sa.select(table.id, *texts, *custom).where(table.id == stored.id))


def _tracked_field(name: str, value: str | None, stored: Record, as_of: datetime, changes: pl.DataFrame) -> KnownField:
    earlier = changes.filter(pl.col("changed_at") < as_of)
    if earlier.height:
        before = earlier["old_value"].fill_null(earlier["new_value"].shift(1))[-1]
        return KnownField(name=name, value=value, origin="change", since=earlier["changed_at"][-1], before=before)
    if changes.height:
        return KnownField(name=name, value=value, origin="creation", since=stored.created_at)
    if not _is_closed(stored) or name not in _overwritten_on_close(stored):
        return KnownField(name=name, value=value, origin="unknown", since=None)
    if _closed_before(stored, as_of):
        return KnownField(name=name, value=value, origin="closing", since=_closed_at(stored))
    return KnownField(name=name, value=None, origin="hidden", since=None)


def _known_outcome(name: str, value: str | None, stored: Record, as_of: datetime) -> KnownField:
    if not hasattr(stored, "closed_at") or (_is_closed(stored) and _closed_at(stored) is None):
        return KnownField(name=name, value=value, origin="unknown", since=None)
    if _closed_before(stored, as_of):
        return KnownField(name=name, value=value, origin="closing", since=_closed_at(stored))
    not_yet = "open" if name == "status" else None
    return KnownField(name=name, value=not_yet, origin="creation", since=stored.created_at)


def _closed_at(stored: Record) -> datetime | None:
    closed_at: datetime | None = getattr(stored, "closed_at", None)
    return closed_at


def _is_closed(stored: Record) -> bool:
    return _closed_at(stored) is not None or getattr(stored, "status", "open") != "open"


def _closed_before(stored: Record, as_of: datetime) -> bool:
    closed_at = _closed_at(stored)
    return closed_at is not None and closed_at < as_of


def _overwritten_on_close(stored: Record) -> frozenset[str]:
    return frozenset(column.name for column in stored.__table__.columns if column.info.get("overwritten_on_close"))


def _known_stages(stored: Record, as_of: datetime, changes: pl.DataFrame) -> tuple[KnownStage, ...]:
    moves = changes.filter(pl.col("field") == "stage")
    if not moves.height:
        return ()
    entered: list[tuple[str | None, datetime | None]] = [(moves["old_value"][0], stored.created_at)]
    entered += moves.filter(pl.col("changed_at") < as_of).select("new_value", "changed_at").rows()
    if entered[0][0] is None:
        del entered[0]
    left: list[datetime | None] = [moment for _, moment in entered[1:]]
    return tuple(
        KnownStage(stage=stage, entered_at=moment, left_at=until)
        for (stage, moment), until in zip(entered, [*left, None], strict=False)
    )


def _known_activities(session: Session, kind: str, record_id: str, *, as_of: datetime) -> tuple[KnownActivity, ...]:
    column = getattr(Activity, f"{kind}_id", None)
    if column is None:
        return ()
    known_at = sa.func.coalesce(Activity.created_at, Activity.occurred_at)
    statement = (
        sa.select(Activity, known_at)
        .where(column == record_id, Activity.deleted_at.is_(None), known_at < as_of)
        .order_by(known_at.desc(), Activity.id.desc())
    )
    return tuple(_known_activity(activity, moment, as_of) for activity, moment in session.execute(statement))


def _known_activity(activity: Activity, known_at: datetime, as_of: datetime) -> KnownActivity:
    return KnownActivity(
        known_at=known_at,
        occurred_at=activity.occurred_at,
        planned=activity.occurred_at is not None and activity.occurred_at >= as_of,
        type=activity.type,
        direction=activity.direction,
        subject=activity.subject,
        person_id=activity.person_id,
    )


def _known_scores(session: Session, kind: str, record_id: str, *, as_of: datetime) -> tuple[KnownScore, ...]:
    statement = (
        sa.select(Score)
        .where(Score.kind == kind, Score.record_id == record_id, Score.as_of <= as_of)
        .order_by(Score.as_of.desc(), Score.id.desc())
        .limit(SCORES_MAX)
    )
    return tuple(
        KnownScore(
            model=score.model,
            version=score.version,
            as_of=score.as_of,
            probability=score.probability,
            grade=score.grade,
        )
        for score in session.scalars(statement)
    )
