"""forecast import."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from forecast.cli.screen import console, now, opened
from forecast.settings import read_settings

if TYPE_CHECKING:
    from forecast.intake import ImportReport, StatusWord


def import_files(
    files: Annotated[
        list[Path], typer.Argument(help="CSV, Excel or Parquet files or SQL dumps, zipped or not, or folders of them.")
    ],
    kind: Annotated[str | None, typer.Option("--as", help="Kind of record, where it is not recognised.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="TOML that says what each column is.")] = None,
    source: Annotated[str | None, typer.Option(help="Name of the system the records come from.")] = None,
    save_mapping: Annotated[
        Path | None, typer.Option(help="Write what was recognised to this TOML, to be edited and used with --mapping.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Take guessed meanings of stage and status words as they are.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, but store nothing.")] = False,
) -> None:
    """Import CRM exports; rows that can't be read are written to a file that says why."""
    from forecast import intake

    settings = read_settings()
    with opened(settings) as engine:
        imported = intake.import_files(
            engine,
            files,
            kind=kind,
            mapping=intake.read_mapping(mapping) if mapping else None,
            source_system=source,
            timezone=settings.timezone,
            imported_at=now(),
            rejects_folder=settings.home / "rejects",
            dry_run=dry_run,
            confirm=_guesses if yes else _asked if sys.stdin.isatty() and not dry_run else None,
        )
    if imported.done:
        console.print(f"resumed: stored before the interruption were {', '.join(imported.done)}", markup=False)
    for report in imported.reports:
        _print_import(report)
    for one in imported.left_out:
        console.print(f"[yellow]not imported:[/yellow] {escape(one.reason)}")
    if imported.left_out:
        console.print("  or write how to read them into what --save-mapping gives, and import it with --mapping")
    if save_mapping:
        intake.write_mapping(imported.mapping, save_mapping)


def _print_import(report: "ImportReport") -> None:
    done = "would be stored" if report.dry_run else "stored"
    console.print(
        f"{report.file}{f' ({report.part})' if report.part else ''} as {report.kind}: {report.read} rows read, {report.new} new, {report.changed} changed, "
        f"{report.unchanged} unchanged, {report.rejected} rejected, {report.changes} changes of fields {done}",
        markup=False,
    )
    if report.custom_fields:
        fields = ", ".join(f"{name} ({kind})" for name, kind in report.custom_fields.items())
        console.print(f"  custom fields: {fields}", markup=False)
    if report.ignored_columns:
        console.print(f"  not read: {', '.join(report.ignored_columns)}", markup=False)
    if report.words:
        console.print(f"  words that decide: {', '.join(map(_word_text, report.words[:30]))}", markup=False)
    if report.uncertain:
        console.print(
            "  [yellow]not sure:[/yellow] words with ? are not acted upon; "
            "accept the guesses with --yes, or write what they mean into \\[values.status] of a mapping"
        )
    for warning in report.warnings:
        console.print(f"  [yellow]warning:[/yellow] {escape(warning)}")
    if report.rejects:
        console.print(
            f"  [red]rejected rows[/red] are in {report.rejects}; correct them there and import that file",
        )


def _word_text(word: "StatusWord") -> str:
    return f"{word.word} ({word.count}) {word.status}{'' if word.is_certain else '?'}"


def _guesses(report: "ImportReport") -> dict[str, str]:
    return {word.word: word.status for word in report.uncertain}


def _asked(report: "ImportReport") -> dict[str, str]:
    """Ask on the terminal what uncertain words mean."""
    from forecast.intake import STATUSES

    statuses = STATUSES[report.kind]
    console.print(f"{report.file}: what do these words say of a record? ({', '.join(statuses)})", markup=False)
    answers = {}
    for word in report.uncertain:
        question = f"  {word.heading}: {word.word} ({word.count} rows)"
        while (answer := typer.prompt(question, default=word.status, err=True)) not in statuses:
            console.print(f"  write one of {', '.join(statuses)}")
        answers[word.word] = answer
    return answers
