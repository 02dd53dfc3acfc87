"""The health of the data as tables for a terminal."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Column, Table

from forecast.insight.findings import Coverage, Finding, Health, Readiness, Severity, phrase, say_finding
from forecast.wording import Language

_COLOURS: dict[Severity, str] = {"error": "red", "warning": "yellow", "note": "cyan"}


def render_health(health: Health, language: Language) -> Table:
    """Lay findings, coverage and what training needs out below one another."""
    page = Table.grid(padding=(0, 0, 1, 0))
    page.add_row(_findings_table(health.findings, language) if health.findings else _word("none", language))
    page.add_row(_coverage_table(health.coverage, language))
    for line in _sentences(health, language):
        page.add_row(line)
    return page


def _word(name: str, language: Language) -> str:
    return phrase("words", name, language)


def _findings_table(findings: Sequence[Finding], language: Language) -> Table:
    headings = [_word(name, language) for name in ("finding", "where", "extent_heading", "examples", "advice")]
    table = Table(*(Column(heading, overflow="fold") for heading in ("", *headings)), show_lines=True)
    for finding in findings:
        table.add_row(*_finding_cells(finding, language))
    return table


def _finding_cells(finding: Finding, language: Language) -> tuple[RenderableType, ...]:
    said = say_finding(finding, language)
    colour, severity = _COLOURS[finding.severity], phrase("severities", finding.severity, language)
    place = [phrase("kinds", finding.kind, language), *([finding.field] if finding.field else [])]
    return (
        f"{finding.code}\n[{colour}]{severity}[/{colour}]",
        escape(said.title),
        escape("\n".join(place)),
        escape(said.extent),
        escape("\n".join(finding.examples)),
        escape(f"{said.meaning}\n{said.remedy}"),
    )


def _coverage_table(coverage: Sequence[Coverage], language: Language) -> Table:
    """Give one row a kind, its fields from the emptiest to the fullest; those that all records fill are left out."""
    headings = (_word("kind", language), "", _word("coverage", language))
    table = Table(*(Column(heading, overflow="fold") for heading in headings))
    for kind, group in groupby(coverage, key=lambda row: row.kind):
        rows = sorted(group, key=lambda row: (row.share, row.field))
        shares = ", ".join(f"{row.field} {_percent(row)}" for row in rows if row.filled < row.total)
        table.add_row(phrase("kinds", kind, language), f"{rows[0].total:,}", escape(shares))
    return table


def _percent(row: Coverage) -> str:
    """Round, but to 0% and 100% only where none or all is filled."""
    return f"{min(max(round(row.share * 100), 1), 99)}%" if 0 < row.filled < row.total else f"{row.share:.0%}"


def _sentences(health: Health, language: Language) -> Iterator[str]:
    if health.staged_share is not None:
        yield _word("staged", language).format(share=health.staged_share)
    for row in health.readiness:
        yield _readiness_sentence(row, language)


def _readiness_sentence(row: Readiness, language: Language) -> str:
    template = _word("ready" if row.enough else "not_ready", language)
    needs = [phrase("needs", need.what, language).format(found=need.found, needed=need.needed) for need in row.needs]
    return template.format(model=row.model, needs=_word("comma", language).join(needs))
