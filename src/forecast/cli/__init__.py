"""The command `forecast`; the one place that imports upward, and only inside the commands that need it."""

import signal
import sys

import typer
from rich.markup import escape

from forecast.cli.accuracy import accuracy, backtest
from forecast.cli.alerts import alerts
from forecast.cli.changes import changes
from forecast.cli.demo import demo
from forecast.cli.desk import keys, serve
from forecast.cli.duplicates import duplicates, merge, unmerge
from forecast.cli.exporting import export
from forecast.cli.importing import import_files
from forecast.cli.models import list_models, promote, rollback, train
from forecast.cli.outlook import outlook
from forecast.cli.pipelines import pipelines
from forecast.cli.policy import policy
from forecast.cli.records import check, show
from forecast.cli.scoring import score
from forecast.cli.screen import console
from forecast.cli.segments import segments
from forecast.cli.targets import targets
from forecast.cli.what_if import what_if
from forecast.errors import ForecastError

app = typer.Typer(
    help="Sales forecasting and lead scoring with honest probabilities.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("import")(import_files)
app.command()(export)
app.command()(check)
app.command()(show)
app.command()(duplicates)
app.command()(merge)
app.command()(unmerge)
app.add_typer(pipelines, name="pipelines")
app.command()(train)
app.command("models")(list_models)
app.command()(promote)
app.command()(rollback)
app.command()(score)
app.command()(outlook)
app.command()(targets)
app.command()(changes)
app.command()(alerts)
app.command()(segments)
app.command("what-if")(what_if)
app.add_typer(policy, name="policy")
app.command()(accuracy)
app.command()(backtest)
app.command()(serve)
app.add_typer(keys, name="keys")
app.command()(demo)


def main() -> None:
    """Run a command; errors raised on purpose end it with a sentence and status 1."""
    # An orderly exit, on which the embedded PostgreSQL stops too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        app()
    except ForecastError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}")
        sys.exit(1)
