"""What a column as a whole shows: how its numbers and dates are written, and of what type a custom field is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import polars as pl

from forecast.intake import vocabulary
from forecast.intake.mapping import CUSTOM
from forecast.intake.mapping import Mapping as ColumnMapping

Question = Literal["number", "share", "date", "custom", "word"]

_TEXT = pl.col("text")
_COUNT = pl.col("count")
_DIGITS_ONLY = pl.col("digits")
_PLAIN = r"^\d+(\.\d{1,2})?$"
_DAY = r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{4}\s?年\s?\d{1,2}\s?月\s?\d{1,2}\s?日|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})"
_CLOCK = r"(T|\s)\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s?([AaPp][Mm])?\s?(Z|UTC|[+-]\d{2}:?(\d{2})?)?"
_CURRENCY = r"([¥￥$€£]|(USD|EUR|GBP|CNY|RMB|JPY|CHF|AUD|CAD|HKD|INR|SEK|NOK|DKK|SGD|BRL)\b)"
_DIGITS = r"(\d{1,15}|\d{1,3}([,. ']\d{2,3})*[,. ']\d{3})([.,]\d+)?"
_SIGNED = rf"[-+]?{_CURRENCY}?\s?[-+]?{_DIGITS}\s?([万亿]?元?|%|{_CURRENCY})"
_MONEY = r"[¥￥$€£₹₩₽元万亿]|\b(USD|EUR|GBP|CNY|RMB|JPY|CHF|AUD|CAD|HKD|INR|SEK|NOK|DKK|SGD|BRL)\b"
_NUMBER = rf"^({_SIGNED}|\({_SIGNED}\))$"
_LEADING_ZERO = r"^[-+]?0\d"
_YEAR_LAST = r"^(\d{1,2})[-/.](\d{1,2})[-/.]\d{2,4}(\D|$)"


_TEXTS_AT_ONCE = 50_000
_WORDS_MAX = 1000  # a column with more in a chunk holds no words that say the same of many records


@dataclass(frozen=True)
class Tally:
    """What was counted in a column; every count is of cells, empty ones left out.

    `greatest` is the greatest number without a percent sign; `distinct` counts a text again every 50,000.
    """

    counts: Mapping[str, int]
    greatest: float

    def __getitem__(self, name: str) -> int:
        """Give a count, 0 where it was not asked."""
        return self.counts.get(name, 0)

    def all_are(self, *names: str) -> bool:
        """Tell whether every cell that is not a missing mark is one of these, and at least one is."""
        fit = sum(self[name] for name in names)
        return fit > 0 and fit + self["missing"] >= self["count"]

    def mostly(self, name: str) -> bool:
        """Tell whether more than half of the cells are so."""
        return self[name] * 2 > self["count"]


@dataclass(frozen=True)
class SeenColumn:
    """One column of a file, the field that it fills, what is counted in it, and the mapping that rules it."""

    heading: str
    field: str
    tally: Tally
    kind: str
    mapping: ColumnMapping

    @property
    def custom(self) -> str | None:
        """Give the name of the custom field, None for a field of ours."""
        return self.field.removeprefix(CUSTOM) if self.field.startswith(CUSTOM) else None


@cache
def _number_marks() -> dict[str, pl.Expr]:
    # Evidence for a decimal comma and for a decimal point, and what is neither: 1,250 and 1.250.
    comma = r"^(\d*,\d{1,2}|\d*,\d{4,}|0,\d+|\d{4,},\d+|\d{1,3}(\.\d{3})+,\d*|\d{1,3}(\.\d{3}){2,})$"
    point = r"^(\d*\.\d{1,2}|\d*\.\d{4,}|0\.\d+|\d{4,}\.\d+|\d{1,3}(,\d{3})+\.\d*|\d{1,3}(,\d{3}){2,})$"
    return {
        "decimal_comma": _DIGITS_ONLY.str.contains(comma),
        "decimal_point": _DIGITS_ONLY.str.contains(point),
        "unclear_comma": _DIGITS_ONLY.str.contains(r"^[1-9]\d{0,2},\d{3}$"),
        "unclear_point": _DIGITS_ONLY.str.contains(r"^[1-9]\d{0,2}\.\d{3}$"),
    }


@cache
def _date_marks() -> dict[str, pl.Expr]:
    first = _TEXT.str.extract(_YEAR_LAST, 1).cast(pl.Int64)
    second = _TEXT.str.extract(_YEAR_LAST, 2).cast(pl.Int64)
    return {
        "year_last": first.is_not_null(),
        "day_first": first > 12,
        "month_first": second > 12,
        "clock": _TEXT.str.contains(":", literal=True),
        "seconds": _TEXT.str.contains(r"^\d{10}$"),
        "milliseconds": _TEXT.str.contains(r"^\d{13}$"),
        "recent_milliseconds": _TEXT.str.contains(r"^1\d{12}$"),  # 2001 to 2033
    }


@cache
def _type_marks() -> dict[str, pl.Expr]:
    small = _TEXT.str.to_lowercase()
    return {
        "missing": small.is_in(list(vocabulary.missing_words())),
        "number": _TEXT.str.contains(_NUMBER) & ~_TEXT.str.contains(_LEADING_ZERO),
        "boolean": small.is_in(list(vocabulary.boolean_words())),
        "date": _TEXT.str.contains(f"^{_DAY}({_CLOCK})?$"),
        "split": _TEXT.str.contains("[;；、|]"),
        "sentence": _TEXT.str.contains(r"[。，！？]|\. \w"),
        "spaced": _TEXT.str.contains(r"[^;；\s][\s，。、][^;；\s]"),
    }


@cache
def _share_marks() -> dict[str, pl.Expr]:
    # What tells an amount of money from a share.
    return {
        "money": _TEXT.str.contains(_MONEY),
        "percent": _TEXT.str.contains("[%％]"),
        "negative": _TEXT.str.contains(r"^\W*[-−]\W*\d|^\("),
        "grouped_comma": _DIGITS_ONLY.str.contains(r"^[1-9]\d{0,2}(,\d{3})+(\.\d*)?$"),
        "grouped_point": _DIGITS_ONLY.str.contains(r"^[1-9]\d{0,2}(\.\d{3})+(,\d*)?$"),
    }


def _marks(question: Question) -> dict[str, pl.Expr]:
    if question == "number":
        return _number_marks()
    if question == "date":
        return _date_marks()
    if question == "word":
        return {}
    of_shares = _share_marks() if question == "share" else {}
    return {**_number_marks(), **_date_marks(), **_type_marks(), **of_shares}


@dataclass
class Survey:
    """What is counted in every column, over the frames of texts seen so far.

    Attributes:
        questions: heading -> what is asked of its column; None asks only how many cells are filled. A column of words has
            a count for each text, called `word:` and the text.
    """

    questions: Mapping[str, Question | None]
    _found: dict[str, list[Tally]] = field(default_factory=dict, repr=False)
    _waiting: dict[str, list[pl.DataFrame]] = field(default_factory=dict, repr=False)

    def see(self, frame: pl.DataFrame) -> None:
        """Count in a frame of texts."""
        for heading, question in self.questions.items():
            filled = frame[heading].drop_nulls()
            if question is None or filled.is_empty():
                self._add(heading, Tally({"count": len(filled)}, float("-inf")))
            elif question == "word":
                self._add(heading, _tally_of_words(filled))
            elif question == "number":
                is_plain = filled.str.contains(_PLAIN)
                self._add(heading, _tally_of_plain(filled.filter(is_plain)))
                self._wait(heading, filled.filter(~is_plain))
            else:
                self._wait(heading, filled)

    def tally(self, heading: str) -> Tally:
        """Give what was counted in a column so far."""
        return _sum_of([*self._found.get(heading, []), *self._waited(heading)])

    def _add(self, heading: str, tally: Tally) -> None:
        self._found.setdefault(heading, []).append(tally)

    def _wait(self, heading: str, texts: pl.Series) -> None:
        """Keep distinct texts to be looked at together: most come again in the next frame."""
        waiting = self._waiting.setdefault(heading, [])
        waiting.append(_value_counts(texts))
        if sum(one.height for one in waiting) >= _TEXTS_AT_ONCE:
            self._found.setdefault(heading, []).extend(self._waited(heading))
            del self._waiting[heading]

    def _waited(self, heading: str) -> list[Tally]:
        waiting, question = self._waiting.get(heading), self.questions.get(heading)
        if not waiting or not question:
            return []
        together = pl.concat(waiting)
        if len(waiting) > 1:
            together = together.group_by("text").agg(_COUNT.sum())
        return [_tally(together, question)]


def _sum_of(parts: Sequence[Tally]) -> Tally:
    counts: dict[str, int] = {}
    for part in parts:
        for name, count in part.counts.items():
            counts[name] = counts.get(name, 0) + count
    return Tally(counts, max((part.greatest for part in parts), default=float("-inf")))


def _value_counts(filled: pl.Series) -> pl.DataFrame:
    return filled.rename("text").value_counts()


def _tally_of_plain(texts: pl.Series) -> Tally:
    """Count plain amounts, as most are: of those the dot alone tells all that is asked."""
    with_point = texts.str.contains(".", literal=True).sum()
    return Tally({"count": len(texts), "decimal_point": int(with_point)}, float("-inf"))


def _tally_of_words(filled: pl.Series) -> Tally:
    distinct = _value_counts(filled)
    if distinct.height > _WORDS_MAX:
        return Tally({"count": len(filled)}, float("-inf"))
    return Tally({f"word:{text}": count for text, count in distinct.rows()} | {"count": len(filled)}, float("-inf"))


def _tally(distinct: pl.DataFrame, question: Question) -> Tally:
    """Count in the texts of a column, each with how often it is there."""
    if distinct.select(_TEXT.str.len_bytes().sum() != _TEXT.str.len_chars().sum()).item():
        distinct = distinct.with_columns(_TEXT.str.normalize("NFKC"))  # full-width digits count as digits
    if question != "date":
        distinct = distinct.with_columns(_TEXT.str.replace_all(r"[^\d.,]", "").alias("digits"))
    asked = {name: (mark.cast(pl.Int64) * _COUNT).sum() for name, mark in _marks(question).items()}
    row = distinct.select(
        count=_COUNT.sum(), distinct=pl.len(), characters=(_TEXT.str.len_chars() * _COUNT).sum(), **asked
    ).row(0, named=True)
    return Tally({name: int(count) for name, count in row.items()}, _greatest(distinct["text"]))


def _greatest(texts: pl.Series) -> float:
    has_comma = texts.str.contains(",", literal=True).any()
    numbers = (texts.str.replace(",", ".", literal=True) if has_comma else texts).cast(pl.Float64, strict=False)
    found = numbers.filter(numbers.is_finite()).max()
    return float(found) if isinstance(found, int | float) else float("-inf")


def custom_type(tally: Tally, *, is_code: bool) -> str:
    """Infer the type of a custom field: every cell must fit, else it is a category, a list or a text."""
    if not is_code and tally.all_are("recent_milliseconds"):
        return "date"
    if not is_code and tally.all_are("number"):
        return "number"
    if tally.all_are("boolean") and not tally["number"]:
        return "boolean"
    if tally.all_are("date"):
        return "date"
    if tally.mostly("split") and not tally.mostly("sentence"):
        return "list"
    long = tally["characters"] > 40 * tally["count"]
    sentences = tally["count"] >= 20 and tally["distinct"] > 0.9 * tally["count"] and tally.mostly("spaced")
    return "text" if long or sentences else "category"


def decimal_mark(tally: Tally) -> tuple[str, bool]:
    """Decide the decimal mark of a column, and whether the column leaves it open."""
    unclear = tally["unclear_comma"] + tally["unclear_point"] > 0
    if tally["decimal_comma"] > tally["decimal_point"]:
        return ",", False
    return ".", unclear and not tally["decimal_point"]


def date_order(tally: Tally) -> tuple[str, bool]:
    """Decide the order of the dates of a column whose year comes last, and whether the column leaves it open."""
    order = "mdy" if tally["month_first"] > tally["day_first"] else "dmy"
    both_or_neither = (tally["month_first"] > 0) == (tally["day_first"] > 0)
    return order, tally["year_last"] > 0 and both_or_neither


def epoch_unit(tally: Tally) -> Literal["", "s", "ms"]:
    """Tell whether every cell counts seconds or milliseconds from 1970."""
    if tally["count"] and tally["milliseconds"] == tally["count"]:
        return "ms"
    return "s" if tally["count"] and tally["seconds"] == tally["count"] else ""
