"""Moments: as people write them, and how long a day is in the unit of our frames."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from forecast.errors import InputError

MICROSECONDS_A_DAY = 86_400_000_000


def read_moment(text: str, timezone: str) -> datetime:
    """Read an ISO date or moment; one without a zone is of `timezone`, a date is its first instant. Gives UTC.

    Raises:
        InputError: it is neither, or lies outside the years 1 to 9999 in UTC.
    """
    try:
        if len(text) == len("2024-03-01"):
            found = datetime.combine(date.fromisoformat(text), datetime.min.time())
        else:
            found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f'"{text}" is not a moment; write 2024-03-01 or 2024-03-01T09:30:00+08:00') from error
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(timezone))
    try:
        return found.astimezone(UTC)
    except OverflowError as error:
        raise InputError(f"the moment {text} is out of range in UTC; write one of this century") from error
