"""forecast import."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from forecast.cli.screen import console, now, opened
from forecast.errors import InputError
from forecast.settings import read_settings

if TYPE_CHECKING:
    from forecast.intake import ImportReport


def import_files(
    files: Annotated[
        list[Path], typer.Argument(help="CSV, Excel or Parquet files, zipped or not, or folders of them.")
    ],
    kind: Annotated[str | None, typer.Option("--as", help="Kind of record, where it is not recognised.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="TOML that says what each column is.")] = None,
    source: Annotated[str | None, typer.Option(help="Name of the system the records come from.")] = None,
    save_mapping: Annotated[
        Path | None, typer.Option(help="Write what was recognised to this TOML, to be edited and used with --mapping.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, but store nothing.")] = False,
) -> None:
    """Import CRM exports; rows that can't be read are written to a file that says why."""
    from forecast import intake

    settings = read_settings()
    with opened(settings) as engine:
        reports = intake.import_files(
            engine,
            files,
            kind=kind,
            mapping=intake.read_mapping(mapping) if mapping else None,
            source_system=source,
            timezone=settings.timezone,
            imported_at=now(),
            rejects_folder=settings.home / "rejects",
            dry_run=dry_run,
        )
    for report in reports:
        _print_import(report)
    if save_mapping:
        if len(reports) != 1:
            raise InputError(f"--save-mapping is for one table, these files have {len(reports)}; import one at a time")
        intake.write_mapping(reports[0].mapping, save_mapping)


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
    for warning in report.warnings:
        console.print(f"  [yellow]warning:[/yellow] {escape(warning)}")
    if report.rejects:
        console.print(
            f"  [red]rejected rows[/red] are in {report.rejects}; correct them there and import that file",
        )
