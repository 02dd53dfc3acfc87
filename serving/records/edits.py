"""What is asked of one record: how its row as stored becomes the row to store."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from forecast.errors import ConflictError, NotFoundError
from forecast.intake.columns import ID_CHARACTERS_MAX
from forecast.intake.vocabulary import status_words
from forecast.merging.redirects import read_redirects
from forecast.merging.references import MERGED_KINDS, references_to
from forecast.records import CustomField, record_id
from serving.records.custom import read_custom_types, stored_custom
from serving.records.preconditions import Preconditions, check_version
from serving.records.schemas import RecordIn, check_required, default_of, fields_of, invalid, stored_values

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A change asked of one record.

    Attributes:
        record_id: of the record.
        change: gives the row to store, of the row as stored (None where there is none) and the moment; raises what
            refuses the change.
    """

    record_id: str
    change: Callable[[Row | None, datetime], Row]


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A record as it was sent, its values as the database keeps them; None where a part was not sent."""

    kind: str
    id: str
    source_system: str | None
    external_id: str | None
    values: Mapping[str, Any]
    custom: Mapping[str, Any]
    version: int | None
    read_only: Mapping[str, datetime | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What is stored that a record of a kind is read by.

    Attributes:
        kind: of the record.
        custom: the custom fields that are declared, by name.
        kept: column -> id of a record that was merged into another -> id of that one.
        zone: of moments that name none.
    """

    kind: str
    custom: Mapping[str, CustomField]
    kept: Mapping[str, Mapping[str, str]]
    zone: ZoneInfo


def read_ground(session: Session, kind: str, zone: ZoneInfo) -> Ground:
    """Read what records of a kind are read by."""
    redirects = read_redirects(session)
    kept = {
        reference.column: redirects.kept[merged]
        for merged in MERGED_KINDS
        for reference in references_to(merged)
        if reference.kind == kind
    }
    return Ground(kind=kind, custom=read_custom_types(session, kind), kept=kept, zone=zone)


def receive(ground: Ground, item: RecordIn, *, known_id: str | None = None) -> Incoming:
    """Prepare a record that was sent; a reference to a merged record becomes one to the record that was kept.

    Args:
        ground: of its kind.
        item: what was sent.
        known_id: the id in its address.

    Raises:
        InvalidItemsError: its id contradicts its source, or a value can't be stored.
    """
    values = stored_values(ground.kind, item, ground.zone)
    led = {name: ids.get(values[name], values[name]) for name, ids in ground.kept.items() if name in values}
    return Incoming(
        kind=ground.kind,
        id=_identify(item, known_id),
        source_system=item.source_system,
        external_id=item.external_id,
        values=values | led,
        custom=stored_custom(ground.kind, item.custom, ground.custom, ground.zone),
        version=item.version,
        read_only={name: getattr(item, name) for name in ("stored_at", "deleted_at") if name in item.model_fields_set},
    )


def _identify(item: RecordIn, known_id: str | None) -> str:
    """Give the id that the address, the body, or the source and its id there name; a new one where none does."""
    given = item.id if known_id is None else known_id
    if given is not None and not (0 < len(given) <= ID_CHARACTERS_MAX and given == given.strip()):
        expected = f"1 to {ID_CHARACTERS_MAX} characters, without blanks around them"
        raise invalid("id", given, expected, "give it such an id")
    if item.id is not None and item.id != given:
        raise invalid("id", item.id, f'"{given}", as in the address', "leave it out")
    if item.external_id is None:
        _check_prefix(item, given)
        return given or uuid.uuid4().hex
    made = record_id(item.source_system or "import", item.external_id)
    if given is not None and given != made:
        raise invalid("id", given, f'"{made}", as source_system and external_id say', "leave one of the two out")
    return made


def _check_prefix(item: RecordIn, given: str | None) -> None:
    source, whole = item.source_system or "import", given or ""
    if source != "import" and whole.removeprefix(f"{source}:") in {"", whole}:
        raise invalid("external_id", None, f"the id in {source}", f"give it, or an id that begins with {source}:")


def create(incoming: Incoming) -> Edit:
    """Store a new record; it is a conflict where one of its id is stored."""

    def change(stored: Row | None, _: datetime) -> Row:
        if stored is not None:
            raise ConflictError(
                f'{incoming.kind} "{incoming.id}" is stored already; change it by PATCH, or choose another id'
            )
        return _new(incoming)

    return Edit(record_id=incoming.id, change=change)


def merge(incoming: Incoming, preconditions: Preconditions) -> Edit:
    """Set the fields that were sent, and leave the others."""

    def change(stored: Row | None, now: datetime) -> Row:
        found = get_present(stored, incoming.kind, incoming.id)
        preconditions.check(found)
        return _updated(incoming, found, found, now)

    return Edit(record_id=incoming.id, change=change)


def upsert(incoming: Incoming) -> Edit:
    """Set the fields that were sent, of a new record where none is stored."""

    def change(stored: Row | None, now: datetime) -> Row:
        if stored is None:
            return _new(incoming)
        found = get_present(stored, incoming.kind, incoming.id)
        return _updated(incoming, found, found, now)

    return Edit(record_id=incoming.id, change=change)


def replace(incoming: Incoming, preconditions: Preconditions) -> Edit:
    """Store a record as it was sent: fields that were not are emptied, apart from `created_at`."""

    def change(stored: Row | None, now: datetime) -> Row:
        preconditions.check(stored)
        if stored is None:
            return _new(incoming)
        preconditions.require(stored)
        found = get_present(stored, incoming.kind, incoming.id)
        emptied = {name: None for name in fields_of(incoming.kind) if name not in {"created_at", "modified_at"}}
        return _updated(incoming, found, {**found, **emptied, "custom": {}}, now)

    return Edit(record_id=incoming.id, change=change)


def delete(kind: str, record_id: str, preconditions: Preconditions) -> Edit:
    """Put a tombstone on a record."""

    def change(stored: Row | None, now: datetime) -> Row:
        found = get_present(stored, kind, record_id)
        preconditions.check(found)
        return {**found, "deleted_at": now}

    return Edit(record_id=record_id, change=change)


def restore(kind: str, record_id: str, preconditions: Preconditions) -> Edit:
    """Take the tombstone off a record."""

    def change(stored: Row | None, _: datetime) -> Row:
        if stored is None:
            raise missing(kind, record_id)
        preconditions.check(stored)
        if stored["deleted_at"] is None:
            raise ConflictError(f'{kind} "{record_id}" is not deleted; nothing is left to do')
        return {**stored, "deleted_at": None}

    return Edit(record_id=record_id, change=change)


def get_present(stored: Row | None, kind: str, record_id: str) -> Row:
    """Give a row that is stored and not deleted.

    Raises:
        NotFoundError: it is not stored, or deleted.
    """
    if stored is None:
        raise missing(kind, record_id)
    if stored["deleted_at"] is not None:
        raise gone(kind, stored)
    return stored


def gone(kind: str, row: Row) -> NotFoundError:
    """Say that a record was deleted."""
    return NotFoundError(
        f'{kind} "{row["id"]}" was deleted at {row["deleted_at"].isoformat()}; '
        f"bring it back by POST /v1/records/{kind}/{row['id']}/restore"
    )


def missing(kind: str, record_id: str) -> NotFoundError:
    """Make the error for a record that is not stored."""
    return NotFoundError(f'no {kind} "{record_id}" is stored; ids of other sources than "import" are source:id')


def _new(incoming: Incoming) -> Row:
    check_version(None, incoming.version)
    for name, value in incoming.read_only.items():
        if value is not None:
            raise invalid(name, str(value), "nothing for a new record", "leave it out; only this service sets it")
    return _merged(incoming, _new_row(incoming))


def _new_row(incoming: Incoming) -> Row:
    source = incoming.source_system or "import"
    prefix = record_id(source, "")
    return {
        **dict.fromkeys(fields_of(incoming.kind)),
        "id": incoming.id,
        "source_system": source,
        "external_id": incoming.external_id or incoming.id.removeprefix(prefix),
        "version": 0,
        "stored_at": None,
        "deleted_at": None,
        "custom": {},
    }


def _updated(incoming: Incoming, stored: Row, base: Row, now: datetime) -> Row:
    check_version(stored, incoming.version)
    _check_read_only(incoming, stored)
    row = _with_end_dated(incoming, stored, _merged(incoming, base), now)
    if "modified_at" not in incoming.values and row != stored:
        row["modified_at"] = now
    return row


def _with_end_dated(incoming: Incoming, stored: Row, row: Row, now: datetime) -> Row:
    """Date an end that is sent without its moment as the change is dated, lost become won too; what is open again has no end."""
    if "closed_at" in incoming.values or "closed_at" not in row or not status_words(incoming.kind):
        return row
    if stored["status"] == row["status"]:
        return row
    sent, known = incoming.values.get("modified_at"), stored["modified_at"]
    moment = sent if sent is not None and (known is None or sent > known) else now
    return {**row, "closed_at": None if row["status"] == "open" else moment}


def _check_read_only(incoming: Incoming, stored: Row) -> None:
    """Refuse what callers can't set, unless it is sent back as it was read."""
    identity = {"source_system": incoming.source_system, "external_id": incoming.external_id}
    given = {name: value for name, value in identity.items() if value is not None}
    for name, value in {**given, **incoming.read_only}.items():
        if value != stored[name]:
            raise invalid(name, str(value), f"{stored[name]}, as stored", "leave it out; only this service sets it")


def _merged(incoming: Incoming, base: Row) -> Row:
    columns = fields_of(incoming.kind)
    row = {**base, **incoming.values}
    row |= {name: default_of(column) for name, column in columns.items() if not column.nullable and row[name] is None}
    check_required(incoming.kind, row)
    custom = {**base["custom"], **incoming.custom}
    return {**row, "custom": {name: value for name, value in custom.items() if value is not None}}
