"""What a caller asks of the version that is stored, by ETag: If-Match and If-None-Match."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Header
from starlette.exceptions import HTTPException


@dataclass(frozen=True, kw_only=True)
class Preconditions:
    """The tags of the headers; None where a header was not sent, `*` for whatever is stored."""

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    def check(self, stored: Mapping[str, Any] | None) -> None:
        """Refuse a write that was meant for another version (412)."""
        tags = _tags_of(stored)
        if self.if_match is not None and not self.if_match & tags:
            raise _failed(stored, "read it again, and send your change with If-Match and its new ETag")
        if self.if_none_match is not None and self.if_none_match & tags:
            raise _failed(stored, "leave If-None-Match out to change it")

    def require(self, stored: Mapping[str, Any] | None) -> None:
        """Refuse to replace a record by somebody who doesn't say which version they saw (428)."""
        if stored is not None and self.if_match is None and self.if_none_match is None:
            raise HTTPException(
                HTTPStatus.PRECONDITION_REQUIRED,
                f'"{stored["id"]}" is stored at version {stored["version"]}, and PUT would replace all of it; '
                f"send If-Match: {etag(stored)}, or If-Match: * whatever is stored, or PATCH what changed",
            )

    def is_known(self, stored: Mapping[str, Any]) -> bool:
        """Tell whether the caller has this version already."""
        return self.if_none_match is not None and bool(self.if_none_match & _tags_of(stored))


def check_version(stored: Mapping[str, Any] | None, version: int | None) -> None:
    """Refuse a record that was made from another version (412); None asks for nothing."""
    if version is not None and (stored is None or stored["version"] != version):
        raise _failed(stored, "read it again and apply your change to what it says now")


def etag(stored: Mapping[str, Any]) -> str:
    """Give the ETag of a record: its version."""
    return f'"{stored["version"]}"'


def read_preconditions(
    if_match: Annotated[str | None, Header(description='ETag of the version that you saw, as `"3"`; else 412.')] = None,
    if_none_match: Annotated[str | None, Header(description="`*` writes only where nothing is stored.")] = None,
) -> Preconditions:
    """Read the headers of a request."""
    return Preconditions(if_match=_read_tags(if_match), if_none_match=_read_tags(if_none_match))


def _read_tags(header: str | None) -> frozenset[str] | None:
    if header is None:
        return None
    return frozenset(part.strip().removeprefix("W/").strip('"') for part in header.split(","))


def _tags_of(stored: Mapping[str, Any] | None) -> frozenset[str]:
    return frozenset() if stored is None else frozenset({"*", str(stored["version"])})


def _failed(stored: Mapping[str, Any] | None, remedy: str) -> HTTPException:
    found = "nothing is stored" if stored is None else f'"{stored["id"]}" is at version {stored["version"]}'
    return HTTPException(HTTPStatus.PRECONDITION_FAILED, f"{found}, which is not what the request asks for; {remedy}")
