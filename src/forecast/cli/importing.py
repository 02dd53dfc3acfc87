"""forecast import."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from forecast.cli.phrases import say
from forecast.cli.screen import console, now, opened
from forecast.settings import read_settings
from forecast.wording import say_error

if TYPE_CHECKING:
    from forecast.intake import ImportReport, StatusWord

_DONE = (
    "{table} as {kind}: {read} rows read, {new} new, {changed} changed, {unchanged} unchanged, {rejected} rejected, "
    "{changes} changes of fields stored"
)
_DRY = (
    "{table} as {kind}: {read} rows read, {new} new, {changed} changed, {unchanged} unchanged, {rejected} rejected, "
    "{changes} changes of fields would be stored"
)
_NOT_SURE = "words with ? are not acted upon; accept the guesses with --yes, or write what they mean into [values.status] of a mapping"


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
        told = say("resumed: stored before the interruption were {tables}", tables=", ".join(imported.done))
        console.print(told, markup=False)
    for report in imported.reports:
        _print_import(report)
    for one in imported.left_out:
        console.print(f"[yellow]{say('not imported: ')}[/yellow]{escape(say_error(one.reason, settings.language))}")
    if imported.left_out:
        console.print(say("  or write how to read them into what --save-mapping gives, and import it with --mapping"))
    if save_mapping:
        intake.write_mapping(imported.mapping, save_mapping)


def _print_import(report: "ImportReport") -> None:
    table = f"{report.file} ({report.part})" if report.part else str(report.file)
    counts = {name: getattr(report, name) for name in ("read", "new", "changed", "unchanged", "rejected", "changes")}
    console.print(say(_DRY if report.dry_run else _DONE, table=table, kind=report.kind, **counts), markup=False)
    if report.custom_fields:
        fields = ", ".join(f"{name} ({kind})" for name, kind in report.custom_fields.items())
        console.print(say("  custom fields: {fields}", fields=fields), markup=False)
    if report.ignored_columns:
        console.print(say("  not read: {columns}", columns=", ".join(report.ignored_columns)), markup=False)
    if report.words:
        words = ", ".join(map(_word_text, report.words[:30]))
        console.print(say("  words that decide: {words}", words=words), markup=False)
    if report.uncertain:
        told = escape(say(_NOT_SURE))
        console.print(f"  [yellow]{say('not sure: ')}[/yellow]{told}")
    for warning in report.warnings:
        said = say_error(warning, read_settings().language)
        console.print(f"  [yellow]{say('warning: ')}[/yellow]{escape(said)}")
    if report.rejects:
        told = say("rejected rows are in {path}; correct them there and import that file", path=report.rejects)
        console.print(f"  [red]{escape(told)}[/red]")


def _word_text(word: "StatusWord") -> str:
    return f"{word.word} ({word.count}) {say(word.status)}{'' if word.is_certain else '?'}"


def _guesses(report: "ImportReport") -> dict[str, str]:
    return {word.word: word.status for word in report.uncertain}


def _asked(report: "ImportReport") -> dict[str, str]:
    """Ask on the terminal what uncertain words mean."""
    from forecast.intake import STATUSES

    statuses = STATUSES[report.kind]
    asked = say("{file}: what do these words say of a record? ({words})", file=report.file, words=", ".join(statuses))
    console.print(asked, markup=False)
    answers = {}
    for word in report.uncertain:
        question = say("  {heading}: {word} ({count} rows)", heading=word.heading, word=word.word, count=word.count)
        while (answer := typer.prompt(question, default=word.status, err=True)) not in statuses:
            console.print(say("  write one of {words}", words=", ".join(statuses)), markup=False)
        answers[word.word] = answer
    return answers
