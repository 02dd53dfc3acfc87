"""The health of the data as lines and a table for a terminal."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from forecast.insight.findings import Coverage, Finding, Health, Readiness, Severity, phrase, say_finding
from forecast.wording import Language

_COLOURS: dict[Severity, str] = {"error": "red", "warning": "yellow", "note": "cyan"}


def render_health(health: Health, language: Language) -> Table:
    """Lay findings, coverage and what training needs out below one another."""
    page = Table.grid(padding=(0, 0, 1, 0))
    for finding in _findings(health.findings, language):
        page.add_row(finding)
    if not health.findings:
        page.add_row(_word("none", language))
    page.add_row(_coverage_table(health.coverage, language))
    for line in _sentences(health, language):
        page.add_row(line)
    return page


def _word(name: str, language: Language) -> str:
    return phrase("words", name, language)


def _findings(findings: Sequence[Finding], language: Language) -> Iterator[RenderableType]:
    """Give each finding a line, and below it where it is found and what to do, as wide as the terminal is."""
    for finding in findings:
        said = say_finding(finding, language)
        colour, severity = _COLOURS[finding.severity], phrase("severities", finding.severity, language)
        place = ".".join([phrase("kinds", finding.kind, language), *([finding.field] if finding.field else [])])
        ids = f"{_word('examples', language)} {', '.join(finding.examples)}"
        extent = _word("comma", language).join([said.extent, *([ids] if finding.examples else [])])
        details = (
            f"{place}{_word('colon', language)}{extent}",
            f"{said.meaning}{_word('space', language)}{said.remedy}",
        )
        heading = f"{finding.code} [{colour}]{severity}[/{colour}] [bold]{escape(said.title)}[/bold]"
        yield Group(heading, *(Padding(Text(detail, overflow="fold"), (0, 0, 0, 2)) for detail in details))


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
    kind = "lead_" if row.kind == "lead" else ""
    needs = [
        phrase("needs", kind + need.what, language).format(found=need.found, needed=need.needed) for need in row.needs
    ]
    return template.format(model=row.model, needs=_word("comma", language).join(needs))
