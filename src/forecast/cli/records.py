"""forecast show and forecast check."""

import tomllib
from pathlib import Path
from typing import Annotated

import typer

from forecast.cli.levels import print_levels
from forecast.cli.screen import AsOf, Models, moment_of, now, output, transaction
from forecast.settings import read_settings


def show(
    kind: Annotated[str, typer.Argument(help="Kind of record, such as opportunity.")],
    record_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the record.")],
    as_of: AsOf = None,
) -> None:
    """Print a record as it was known at a moment, and where each value comes from."""
    from forecast.insight.known import record_as_known
    from forecast.insight.known_table import render_known

    settings = read_settings()
    with transaction(settings) as session:
        record = record_as_known(session, kind, record_id=record_id, as_of=moment_of(as_of, settings))
    output.print(render_known(record, settings.language))


def check(models: Models = Path("models")) -> None:
    """Check the stored records: what can't be true, what is missing, what looks like a leak, what can be trained."""
    from forecast.insight.health import check_health
    from forecast.insight.health_table import render_health

    settings = read_settings()
    experiments = {
        path.parent.name: tomllib.loads(path.read_text(encoding="utf-8")) for path in models.glob("*/config.toml")
    }
    with transaction(settings) as session:
        health = check_health(session, now=now(), experiments=experiments)
        print_levels(session, settings, now=now())
    output.print(render_health(health, settings.language))
