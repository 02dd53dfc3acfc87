"""Keys of the API: made, withdrawn, listed and checked."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from forecast.errors import AccessError, ConflictError, InputError, NotFoundError
from forecast.records import ApiKey

_REMEDY = "make one with `forecast keys create NAME` and send it as `Authorization: Bearer fc_…` or `X-API-Key: fc_…`"


@dataclass(frozen=True, kw_only=True)
class Key:
    """What is known of a key; its secret is not."""

    name: str
    created_at: datetime
    revoked_at: datetime | None


def create_key(session: Session, name: str) -> str:
    """Make a key and give its secret, which can't be read again.

    Raises:
        InputError: the name is empty.
        ConflictError: there is or was a key of that name.
    """
    if not name.strip():
        raise InputError(f'the name of a key is "{name}"; give one that says who uses it')
    if _find(session, name):
        raise ConflictError(f'there is a key "{name}" already; choose another name, revoked ones stay on record')
    secret = f"fc_{secrets.token_urlsafe(32)}"
    session.add(ApiKey(name=name, secret_sha256=_sha256(secret)))
    session.flush()
    return secret


def revoke_key(session: Session, name: str, *, at: datetime) -> None:
    """Withdraw a key from now on.

    Raises:
        NotFoundError: there is no key of that name.
        ConflictError: it was withdrawn before.
    """
    key = _find(session, name)
    if key is None:
        names = ", ".join(sorted(known.name for known in list_keys(session))) or "none"
        raise NotFoundError(f'there is no key "{name}"; there are: {names}')
    if key.revoked_at:
        raise ConflictError(f'the key "{name}" was revoked at {key.revoked_at.isoformat()}; nothing is left to do')
    key.revoked_at = at
    session.flush()


def list_keys(session: Session) -> list[Key]:
    """List all keys, oldest first."""
    rows = session.execute(sa.select(ApiKey.name, ApiKey.created_at, ApiKey.revoked_at).order_by(ApiKey.id))
    return [Key(name=name, created_at=created_at, revoked_at=revoked_at) for name, created_at, revoked_at in rows]


def check_key(session: Session, secret: str | None) -> str:
    """Give the name of the key with this secret.

    Only digests are compared, so that the time taken tells nothing of a secret.

    Raises:
        AccessError: there is no secret, no such key, or it was withdrawn.
    """
    if not secret:
        raise AccessError(f"no API key was sent; {_REMEDY}")
    found = session.execute(
        sa.select(ApiKey.name, ApiKey.revoked_at).where(ApiKey.secret_sha256 == _sha256(secret))
    ).one_or_none()
    if found is None:
        raise AccessError(f"the API key is not known; {_REMEDY}")
    if found.revoked_at:
        raise AccessError(f'the API key "{found.name}" was revoked at {found.revoked_at.isoformat()}; {_REMEDY}')
    return str(found.name)


def _find(session: Session, name: str) -> ApiKey | None:
    return session.scalar(sa.select(ApiKey).where(ApiKey.name == name))


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
