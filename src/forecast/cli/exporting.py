"""forecast export."""

from pathlib import Path
from typing import Annotated

import typer

from forecast.cli.phrases import say
from forecast.cli.screen import console, transaction, writable
from forecast.settings import read_settings


def export(
    kind: Annotated[str, typer.Argument(help="Kind of record, such as opportunity; or change, the history of fields.")],
    out: Annotated[Path, typer.Option(callback=writable, help="File to write, ending in .csv or .parquet.")],
    include_deleted: Annotated[
        bool, typer.Option("--include-deleted", help="Deleted records too, with the column deleted_at.")
    ] = False,
) -> None:
    """Write all records of a kind to a file; CSV opens in spreadsheets and imports again as it was."""
    from forecast.export import write_export

    with transaction(read_settings()) as session:
        count = write_export(session, kind, out, include_deleted=include_deleted)
    told = say("records of kind {kind} written to {path}: {count}", kind=kind, path=out, count=count)
    console.print(told, markup=False)
