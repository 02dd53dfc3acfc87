"""The command `forecast`; the one place that imports upward, and only inside the commands that need it."""

import signal
import sys
from typing import NoReturn

import typer
from rich.markup import escape

from forecast.cli.accuracy import accuracy, backtest
from forecast.cli.alerts import alerts
from forecast.cli.changes import changes
from forecast.cli.compare import compare
from forecast.cli.demo import demo
from forecast.cli.desk import keys, serve
from forecast.cli.duplicates import duplicates, merge, unmerge
from forecast.cli.exporting import export
from forecast.cli.help import is_chinese, run_in_chinese
from forecast.cli.importing import import_files
from forecast.cli.models import list_models, promote, recalibrate, rollback, train
from forecast.cli.outlook import outlook
from forecast.cli.phrases import say_refusal
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
RECORDS = "Records"
MODELS = "Models"
SCORES = "Scores and what follows from them"
COMPANY = "How the company works"
SERVICE = "Service"
_INTERRUPTED = 128 + signal.SIGINT
app.command("import", rich_help_panel=RECORDS)(import_files)
app.command(rich_help_panel=RECORDS)(export)
app.command(rich_help_panel=RECORDS)(check)
app.command(rich_help_panel=RECORDS)(show)
app.command(rich_help_panel=RECORDS)(duplicates)
app.command(rich_help_panel=RECORDS)(merge)
app.command(rich_help_panel=RECORDS)(unmerge)
app.command(rich_help_panel=MODELS)(train)
app.command(rich_help_panel=MODELS)(recalibrate)
app.command("models", rich_help_panel=MODELS)(list_models)
app.command(rich_help_panel=MODELS)(compare)
app.command(rich_help_panel=MODELS)(promote)
app.command(rich_help_panel=MODELS)(rollback)
app.command(rich_help_panel=MODELS)(accuracy)
app.command(rich_help_panel=MODELS)(backtest)
app.command(rich_help_panel=SCORES)(score)
app.command("what-if", rich_help_panel=SCORES)(what_if)
app.command(rich_help_panel=SCORES)(outlook)
app.command(rich_help_panel=SCORES)(targets)
app.command(rich_help_panel=SCORES)(changes)
app.command(rich_help_panel=SCORES)(alerts)
app.command(rich_help_panel=SCORES)(segments)
app.add_typer(pipelines, name="pipelines", rich_help_panel=COMPANY)
app.add_typer(policy, name="policy", rich_help_panel=COMPANY)
app.command(rich_help_panel=SERVICE)(serve)
app.add_typer(keys, name="keys", rich_help_panel=SERVICE)
app.command(rich_help_panel=SERVICE)(demo)


def main() -> None:
    """Run a command; errors raised on purpose, and those of the machine, end it with a sentence and status 1."""
    # An orderly exit, on which the embedded PostgreSQL stops too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        if is_chinese():
            run_in_chinese(app)
        app()
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            console.print(say_refusal("stopped; what was finished is kept"))
        raise
    except Exception as error:
        sentence = _sentence_of(error)
        if sentence is None:
            raise
        _fail(sentence)


def _sentence_of(error: Exception) -> str | None:
    """Say what ended a command; nothing of an error that nobody foresaw, which is shown whole."""
    if "No space left on device" in str(error):  # PostgreSQL and Polars have errors of their own for it
        return "the disk is full; free some space, then run the command again"
    if isinstance(error, ForecastError):
        return str(error)
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError | PermissionError):
        return f"{error}; give a file in a folder that is there and that you may use"
    from sqlalchemy.exc import OperationalError

    if isinstance(error, OperationalError):
        return f"the database broke off: {str(error.orig).strip()}; see that it runs, then run the command again"
    return None


def _fail(sentence: str) -> NoReturn:
    console.print(f"[red]{say_refusal('error: ')}[/red]{escape(say_refusal(sentence))}")
    sys.exit(1)
