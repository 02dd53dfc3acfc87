"""Who did what: import runs, audit events, API keys."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, Integer, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from forecast.records.record import MOMENT, Table, fixed, outcome


class ImportRun(Table):
    """One import of one table; `place` is its place, from 1, in a `batch` of several."""

    __tablename__ = "import_run"

    id: Mapped[int] = fixed(BigInteger, Identity(), primary_key=True)
    file: Mapped[str] = fixed(Text)
    sha256: Mapped[str] = fixed(Text)
    kind: Mapped[str] = fixed(Text)
    source_system: Mapped[str] = fixed(Text)
    mapping: Mapped[dict[str, Any]] = fixed(JSONB, default=dict, server_default="{}")
    counts: Mapped[dict[str, Any]] = outcome(JSONB, default=dict, server_default="{}")
    batch: Mapped[str | None] = fixed(Text)
    place: Mapped[int | None] = fixed(Integer)
    started_at: Mapped[datetime] = fixed(MOMENT, server_default=func.now())
    finished_at: Mapped[datetime | None] = outcome(MOMENT)


class AuditEvent(Table):
    """One act of one person or key; of a written record, `details` holds the fields that changed, before and after."""

    __tablename__ = "audit_event"
    __table_args__ = (Index("ix_audit_event_record", "kind", "record_id", "id"),)

    id: Mapped[int] = fixed(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = fixed(MOMENT, server_default=func.now())
    actor: Mapped[str] = fixed(Text)
    action: Mapped[str] = fixed(Text)
    kind: Mapped[str | None] = fixed(Text)
    record_id: Mapped[str | None] = fixed(Text)
    details: Mapped[dict[str, Any]] = fixed(JSONB, default=dict, server_default="{}")


class ApiKey(Table):
    """A key of the API; only the SHA-256 of its secret is kept."""

    __tablename__ = "api_key"

    id: Mapped[int] = fixed(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = fixed(Text, unique=True)
    secret_sha256: Mapped[str] = fixed(Text, unique=True)
    created_at: Mapped[datetime] = fixed(MOMENT, server_default=func.now())
    revoked_at: Mapped[datetime | None] = outcome(MOMENT)


class IdempotencyKey(Table):
    """The answer that a request got, kept for callers that send it again."""

    __tablename__ = "idempotency_key"

    actor: Mapped[str] = fixed(Text, primary_key=True)
    key: Mapped[str] = fixed(Text, primary_key=True)
    request_sha256: Mapped[str] = fixed(Text)
    created_at: Mapped[datetime] = fixed(MOMENT, index=True)
    status: Mapped[int | None] = outcome(Integer)
    headers: Mapped[dict[str, str]] = outcome(JSONB, default=dict, server_default="{}")
    body: Mapped[str | None] = outcome(Text)
