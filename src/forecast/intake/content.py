"""What the cells of a whole file say where its headings leave it open: which column is the id, and which alone tells the end."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from forecast.intake import survey, vocabulary
from forecast.intake.endings import STATUSES, StatusWord
from forecast.intake.recognition import custom_target
from forecast.intake.statuses import ENDS
from forecast.intake.survey import SeenColumn

_DISCOUNT = "discount_share"
_FLAG = "is_won"
_OTHER_ENDS = ENDS - {_FLAG, "won_at", "closed_at"}
_NAMED_MAX = 5
_ONE_SIDED_MIN = 40
_PERCENT_MAX = 100
_UNIQUE_SHARE = 0.95


def with_lone_flag(seen: Sequence[SeenColumn]) -> list[SeenColumn]:
    """Read a flag of winning as the status where nothing else tells the end: its "no" is then an end too.

    A lead that is not converted yet says "no" as well. It stays open where it has a moment of creation, from which the
    horizon counts, unless empty cells beside "no" stand for what is open. Where more have a moment of closing than were won,
    that moment tells the end of the others.
    """
    fields = {column.field for column in seen}
    if fields & _OTHER_ENDS or _tells_of_losses(seen):
        return list(seen)
    rows = _rows(seen)
    return [replace(one, field="status") if _is_lone_flag(one, fields, rows) else one for one in seen]


def _is_lone_flag(column: SeenColumn, fields: set[str], rows: int) -> bool:
    if column.field != _FLAG or column.heading in column.mapping.columns:
        return False
    words = {name.removeprefix("word:") for name in column.tally.counts if name.startswith("word:")}
    known = vocabulary.status_words(column.kind)
    if not words or any(vocabulary.word_key(word) not in known for word in words):
        return False
    may_be_open = column.kind == "lead" and "created_at" in fields
    return not may_be_open or column.tally["count"] < rows


def _tells_of_losses(seen: Sequence[SeenColumn]) -> bool:
    """Tell whether some cells of a moment of closing are empty, and more are filled than were won."""
    flag, closed = (next((one for one in seen if one.field == name), None) for name in (_FLAG, "closed_at"))
    if flag is None or closed is None:
        return False
    words = vocabulary.status_words(flag.kind)
    known = {name: words.get(vocabulary.word_key(name.removeprefix("word:"))) for name in flag.tally.counts}
    won = sum(count for name, count in flag.tally.counts.items() if known[name] in {"won", "converted"})
    return won < closed.tally["count"] < _rows(seen)


def with_date_order(seen: Sequence[SeenColumn]) -> list[SeenColumn]:
    """Read dates that may be day first or month first as the columns beside them that tell, where those agree."""
    order = told_date_order(seen)
    if order is None:
        return list(seen)
    return [
        replace(one, mapping=replace(one.mapping, date_order=order)) if leaves_date_order(one) else one for one in seen
    ]


def told_date_order(seen: Iterable[SeenColumn]) -> str | None:
    """Give the order of days and months that columns tell by a number above 12; None where none does, or they differ."""
    told = [survey.date_order(one.tally) for one in seen if _holds_dates(one)]
    orders = {order for order, is_open in told if not is_open}
    return orders.pop() if len(orders) == 1 else None


def leaves_date_order(column: SeenColumn) -> bool:
    """Tell whether every date of a column may be day first or month first, and no mapping says which."""
    is_told = column.tally["day_first"] + column.tally["month_first"] > 0
    return _holds_dates(column) and not is_told and column.mapping.date_order is None


def _holds_dates(column: SeenColumn) -> bool:
    """Tell whether a column has dates whose year comes last."""
    return column.tally["year_last"] > 0 and (column.custom is None or column.tally.all_are("date"))


def with_id(seen: Sequence[SeenColumn], declared: Sequence[str]) -> tuple[list[SeenColumn], tuple[str, ...]]:
    """Take a column for the id where no heading is known to be one: its heading ends as ids do, and it tells rows apart.

    Args:
        seen: the columns.
        declared: custom fields that are there already; what was stored as one of them stays one.
    """
    if (
        not seen
        or seen[0].kind in {*vocabulary.NAMED_KINDS, "change"}
        or any(one.field == "external_id" for one in seen)
    ):
        return list(seen), ()
    rows = _rows(seen)
    found = next((one for one in seen if one.custom not in declared and _is_id(one, rows)), None)
    if found is None:
        return list(seen), ()
    sentence = f'"{found.heading}" is taken for the id; if it is none, set it to a custom field in a mapping'
    return [replace(one, field="external_id") if one is found else one for one in seen], (sentence,)


def _is_id(column: SeenColumn, rows: int) -> bool:
    if column.custom is None or column.heading in column.mapping.columns or not vocabulary.is_id(column.heading):
        return False
    return column.tally["count"] == rows and column.tally["distinct"] >= _UNIQUE_SHARE * rows


def with_discounts(seen: Sequence[SeenColumn]) -> tuple[list[SeenColumn], tuple[str, ...]]:
    """Keep a discount that is no share of the price as a custom field: none of its rows is refused."""
    found = next((one for one in seen if one.field == _DISCOUNT and one.heading not in one.mapping.columns), None)
    why = found and _no_share(found)
    if found is None or why is None:
        return list(seen), ()
    field = custom_target(found.heading, {one.field for one in seen})
    sentence = (
        f'"{found.heading}" {why}, so it is no share of the price; it is kept as {field}, '
        f"or set the column to {_DISCOUNT} in a mapping"
    )
    kept = replace(found, field=field)
    if found.tally["percent"]:  # as a number, 10% and 10 would be 0.1 and 10
        kept = replace(kept, mapping=replace(found.mapping, types={**found.mapping.types, str(kept.custom): "text"}))
    return [kept if one is found else one for one in seen], (sentence,)


def _no_share(column: SeenColumn) -> str | None:
    """Say why a discount can't be a share of the price, nothing where it can."""
    tally = column.tally
    if (tally["number"] + tally["missing"]) * 2 < tally["count"]:
        return "is written in words for the most part"
    if "%" in column.heading or "％" in column.heading:
        return None
    if tally["money"]:
        return "is in money"
    mark = column.mapping.decimal_mark or survey.decimal_mark(tally)[0]
    if tally["grouped_comma" if mark == "." else "grouped_point"]:
        return "goes beyond 1,000"
    if tally.greatest > _PERCENT_MAX:
        return f"goes up to {tally.greatest:.15g}"
    return "goes below 0" if tally["negative"] else None


def ending_doubts(seen: Sequence[SeenColumn], words: Sequence[StatusWord]) -> Iterator[str]:
    """Say where a file has ends of one side only, and which of its words may tell the other.

    Args:
        seen: the columns, of one kind.
        words: those that decide.
    """
    if not seen or seen[0].kind not in STATUSES or lacks_end(seen, words):
        return
    if not any(column.field in {_FLAG, "won_at"} for column in seen):
        status = next((column for column in seen if column.field == "status"), None)
        empty = _rows(seen) - status.tally["count"] if status else 0
        yield from _one_sided(STATUSES[seen[0].kind], words, empty)


def lacks_end(seen: Sequence[SeenColumn], words: Sequence[StatusWord]) -> bool:
    """Tell whether nothing in a file of a kind that ends says how; arguments as of `ending_doubts`."""
    return bool(seen) and seen[0].kind in STATUSES and not {column.field for column in seen} & ENDS and not words


def no_end(seen: Sequence[SeenColumn]) -> str:
    """Say that what a file newly stores is open, for want of an end, and which of its columns may tell one."""
    pairs = [one for one in seen if one.custom and 1 <= one.tally["distinct"] <= 2]
    likely = sorted(pairs, key=lambda one: (not vocabulary.hints_at_end(one.heading), -seen.index(one)))
    named = ", ".join(f'"{one.heading}"' for one in likely[:_NAMED_MAX])
    asked = f"if one does ({named}?)" if named else "if one does"
    return f"no column is known to say how these ended, so new ones are open; {asked}, set it to status in a mapping"


def _one_sided(statuses: Sequence[str], words: Sequence[StatusWord], empty: int) -> Iterator[str]:
    """Say that many ended one way and none the other, unless a guess would tell; `empty` rows have no status."""
    counts = {status: sum(word.count for word in words if word.status == status) for status in statuses}
    there = max(statuses[1:], key=lambda status: counts[status])
    missing = next(status for status in statuses[1:] if status != there)
    if counts[there] < _ONE_SIDED_MIN or counts[missing]:
        return
    found = f"{counts[there]} rows are {there} and none is {missing}"
    candidates = [word for word in words if word.status == "open"]
    if candidates:
        named = ", ".join(f"{word.word} ({word.count})" for word in candidates[: 3 * _NAMED_MAX])
        yield f"{found}; if one of these means {missing}, say so in [values.status] of a mapping: {named}"
    elif empty:
        yield f"{found}: {empty} without a status are open; if they are {missing}, write {missing} there"


def _rows(seen: Sequence[SeenColumn]) -> int:
    return max((column.tally["count"] for column in seen), default=0)
