"""One value: text in, value out, or a refusal that says what to write instead.

The slow way, for the cells that the whole-column way of `columns` could not read.
"""

import math
import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from forecast.errors import RefusedValueError
from forecast.intake import vocabulary

_CURRENCY = re.compile(
    r"(?:US|HK|CA|AU|NT|R)?[$¥€£₹₩₽]|\b(?:USD|EUR|GBP|CNY|RMB|JPY|CHF|AUD|CAD|HKD|INR|SEK|NOK|DKK|SGD|BRL)\b|元|人民币",
    re.IGNORECASE,
)
_SIGNS = re.compile(r"(?<![eE])[()+-]")
_IS_MINUS = {"": False, "+": False, "-": True, "()": True, "(-)": True}
_UNITS = {"万": 10_000, "亿": 100_000_000, "%": 0.01}
_NUMBER = re.compile(r"(?:\d{1,3}(?:[,' ]\d{2,3})*[,' ]\d{3}|\d+)(?:\.\d*)?(?:e[+-]?\d{1,3})?|\.\d+", re.IGNORECASE)

_MONTHS = {
    name: number
    for number, names in enumerate(
        [
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ],
        start=1,
    )
    for name in (names, names[:3], names[:4])
}
_DAYS = (
    re.compile(r"(?P<y>\d{4})\s*年\s*(?P<m>\d{1,2})\s*月\s*(?P<d>\d{1,2})\s*日?"),
    re.compile(r"(?P<y>\d{4})(?P<s>[-/.])(?P<m>\d{1,2})(?P=s)(?P<d>\d{1,2})"),
    re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})"),
    re.compile(r"(?P<a>\d{1,2})(?P<s>[-/.])(?P<b>\d{1,2})(?P=s)(?P<c>\d{4}|\d{2})"),
    re.compile(r"(?P<d>\d{1,2})[- ](?P<M>[a-z]{3,9})\.?,?[- ](?P<y>\d{4})", re.IGNORECASE),
    re.compile(r"(?P<M>[a-z]{3,9})\.? (?P<d>\d{1,2}),? (?P<y>\d{4})", re.IGNORECASE),
)
_TIME = re.compile(
    r"(?:[T\s]\s*|(?=[上下]))(?P<half>[上下]午)?\s*(?P<h>\d{1,2})(?::|时)(?P<min>\d{2})分?"
    r"(?::?(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?秒?)?"
    r"\s*(?P<ampm>[ap]\.?m\.?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?",
    re.IGNORECASE,
)
# Days since the end of 1899, as Excel counts them: those from 1954 to 2118 can be no other date.
_SERIAL = re.compile(r"[2-7]\d{4}(\.\d{1,12})?")
_ORDERED = {"ymd": "yymmdd", "dmy": "ddmmyy", "mdy": "mmddyy"}


def read_number(text: str, *, decimal_mark: str = ".") -> float:
    """Read a number or an amount; 万 and 亿 multiply, a percent sign divides, brackets are minus.

    Raises:
        RefusedValueError: it is not a number with this decimal mark.
    """
    bare = _CURRENCY.sub("", unicodedata.normalize("NFKC", text).replace("−", "-")).strip()
    signs = "".join(_SIGNS.findall(bare))
    bare = bare.strip("()+- ")
    unit = _UNITS.get(bare[-1:], 1)
    digits = bare.rstrip("万亿% ")
    if decimal_mark == ",":
        digits = digits.translate(str.maketrans(",.", ".,"))
    if len(bare) - len(bare.rstrip("万亿%")) > 1 or not _NUMBER.fullmatch(digits):
        raise RefusedValueError(text, "is not a number", _number_remedy(decimal_mark))
    if signs not in _IS_MINUS:
        raise RefusedValueError(text, "has more signs than one", "write at most one minus, as in -5")
    number = float(re.sub(r"[,' ]", "", digits))
    number = number / 100 if unit == 0.01 else number * unit
    if not math.isfinite(number):
        raise RefusedValueError(text, "is too large a number", "write a smaller one")
    return -number if _IS_MINUS[signs] else number


def _number_remedy(decimal_mark: str) -> str:
    return f"write digits such as 12500{decimal_mark}50"


def read_boolean(text: str) -> bool:
    """Read yes or no in English or Chinese, or 1 or 0.

    Raises:
        RefusedValueError: the word is not known.
    """
    found = vocabulary.boolean_words().get(vocabulary.word_key(text))
    if found is None:
        raise RefusedValueError(text, "is neither yes nor no", "write true or false")
    return found


def read_moment(text: str, *, date_order: str = "dmy", zone: ZoneInfo) -> datetime:
    """Read a moment as UTC; without a zone it is `zone`'s, without a time its midnight.

    Raises:
        RefusedValueError: it is no date, or the date does not exist.
    """
    found = _read_date_and_time(text, date_order)
    try:
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError as error:
        raise RefusedValueError(text, "is too late a date", "write one before 9999-12-31") from error


def read_date(text: str, *, date_order: str = "dmy", zone: ZoneInfo) -> date:
    """Read a date; of a moment with a zone, the day that it was in `zone`.

    Raises:
        RefusedValueError: it is no date, or the date does not exist.
    """
    found = _read_date_and_time(text, date_order)
    return found.astimezone(zone).date() if found.tzinfo else found.date()


def _read_date_and_time(text: str, date_order: str) -> datetime:
    bare = unicodedata.normalize("NFKC", text).strip()
    if _SERIAL.fullmatch(bare):
        return datetime(1899, 12, 30) + timedelta(seconds=round(float(bare) * 86_400))  # noqa: DTZ001  # its zone is the column's
    for pattern in _DAYS:
        day = pattern.match(bare)
        rest = _TIME.fullmatch(bare[day.end() :]) if day else None
        if day and (rest or day.end() == len(bare)):
            try:
                return datetime.combine(_day(day.groupdict(), text, date_order), *_time(rest))
            except (ValueError, OverflowError) as error:
                raise RefusedValueError(text, "is a date that does not exist", "write one as 2024-02-29") from error
    raise RefusedValueError(text, "is not a date", "write it as 2024-02-29 or 2024-02-29 17:30")


def _day(parts: dict[str, str | None], text: str, date_order: str) -> date:
    if parts.get("a"):
        return _day_of_order([str(parts[name]) for name in "abc"], text, date_order)
    month = parts.get("m") or _MONTHS.get((parts.get("M") or "").casefold())
    if month is None:
        raise RefusedValueError(text, "names no month", "write it as 2024-02-29")
    return date(int(str(parts["y"])), int(month), int(str(parts["d"])))


def _day_of_order(numbers: list[str], text: str, date_order: str) -> date:
    if date_order == "ymd" and len(numbers[2]) == 4:
        raise RefusedValueError(
            text, "does not begin with its year", 'write it as 2024-02-29, or set date_order = "dmy"'
        )
    named = dict(zip(_ORDERED[date_order][::2], numbers, strict=True))
    year = int(named["y"])
    # Two digits are read as POSIX does: 69 to 99 are of the last century.
    century = 0 if len(named["y"]) > 2 else 1900 if year >= 69 else 2000
    return date(century + year, int(named["m"]), int(named["d"]))


def _time(found: re.Match[str] | None) -> tuple[time] | tuple[time, timezone]:
    if found is None:
        return (time(),)
    half = {"上": "a", "下": "p"}.get((found["half"] or "")[:1]) or (found["ampm"] or "")[:1].casefold()
    hour = int(found["h"])
    if half:
        hour = hour % 12 + (12 if half == "p" else 0) if hour <= 12 else hour
    fraction = (found["f"] or "").ljust(6, "0")[:6]
    clock = time(hour, int(found["min"]), int(found["s"] or 0), int(fraction))
    return (clock, _zone(found["zone"])) if found["zone"] else (clock,)


def _zone(text: str) -> timezone:
    if text[0] not in "+-":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)
