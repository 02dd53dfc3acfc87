"""A record as it was known, as tables for a terminal."""

from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table

from forecast.insight.findings import phrase
from forecast.insight.known import KnownActivity, KnownField, KnownRecord, KnownScore, KnownStage
from forecast.wording import Language

ACTIVITIES_SHOWN = 20


def render_known(record: KnownRecord, language: Language) -> Table:
    """Lay a record's fields, stages, activities and scores out below one another; moments are UTC."""
    page = Table.grid(padding=(0, 0, 1, 0))
    page.add_row(_heading(record, language))
    page.add_row(_fields_table(record.fields, language))
    if record.stages:
        page.add_row(_stages_table(record.stages, language))
    if record.activities:
        page.add_row(_activities_table(record.activities, language))
    if record.scores:
        page.add_row(_scores_table(record.scores, language))
    return page


def _word(name: str, language: Language) -> str:
    return phrase("known", name, language)


def _table(title: str, language: Language, *headings: str) -> Table:
    return Table(*(_word(name, language) for name in headings), title=title, title_justify="left")


def _minute(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if moment else ""


def _heading(record: KnownRecord, language: Language) -> str:
    kind = phrase("kinds", record.kind, language) if language == "zh" else record.kind.replace("_", " ")
    as_of = f"{_minute(record.as_of)} UTC"
    created = "created" if record.created_at else "created_unknown"
    lines = [
        _word("heading", language).format(kind=kind, id=record.id, as_of=as_of),
        _word(created, language).format(moment=_minute(record.created_at)),
    ]
    if record.deleted_at:
        lines.append(_word("deleted", language).format(moment=_minute(record.deleted_at)))
    return escape("\n".join(lines))


def _fields_table(fields: tuple[KnownField, ...], language: Language) -> Table:
    """List the fields that hold or held something, or are hidden."""
    table = _table("", language, "field", "value", "since", "before")
    for known in fields:
        if known.value is not None or known.origin in {"change", "hidden"}:
            value = _word("hidden", language) if known.origin == "hidden" else _value(known.value, language)
            before = _value(known.before, language) if known.origin == "change" else ""
            table.add_row(escape(known.name), escape(value), _since(known, language), escape(before))
    return table


def _value(value: str | None, language: Language) -> str:
    return _word("empty", language) if value is None else value


def _since(known: KnownField, language: Language) -> str:
    if known.origin == "unknown":
        return f"[yellow]{_word('unknown', language)}[/yellow]"
    if known.origin == "creation":
        return _word("creation", language)
    return _minute(known.since)


def _stages_table(stages: tuple[KnownStage, ...], language: Language) -> Table:
    table = _table(_word("stages", language), language, "stage", "entered", "left")
    for known in stages:
        table.add_row(escape(_value(known.stage, language)), _minute(known.entered_at), _minute(known.left_at))
    return table


def _activities_table(activities: tuple[KnownActivity, ...], language: Language) -> Table:
    title = _word("activities", language).format(count=len(activities))
    table = _table(title, language, "entered_at", "occurred_at", "type", "direction", "person", "subject")
    for known in activities[:ACTIVITIES_SHOWN]:
        occurred = _minute(known.occurred_at)
        if known.planned:
            occurred = _word("planned", language).format(moment=occurred)
        texts = (known.type, known.direction, known.person_id, known.subject)
        table.add_row(_minute(known.known_at), occurred, *(escape(text or "") for text in texts))
    if len(activities) > ACTIVITIES_SHOWN:
        table.caption = _word("more", language).format(count=len(activities) - ACTIVITIES_SHOWN)
    return table


def _scores_table(scores: tuple[KnownScore, ...], language: Language) -> Table:
    headings = ("as_of", "model", "version", "probability", "grade")
    table = _table(_word("scores", language), language, *headings)
    for score in scores:
        said = f"{score.probability:.1%}"
        table.add_row(_minute(score.as_of), escape(score.model), escape(score.version), said, score.grade)
    return table
