"""The command `forecast`; the one place that imports upward, and only inside the commands that need it."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from forecast.errors import ForecastError, InputError
from forecast.settings import Settings, read_settings
from forecast.store import migrate, open_engine, unit_of_work

if TYPE_CHECKING:
    from forecast.intake import ImportReport
    from training.release import Release

DEMO_SEED = 20240229
DEMO_TRIALS = 15
DEMO_KEY_FILE = "demo-key.txt"

_MEASURED = ("auc", "log_loss", "brier", "calibration_error", "calibration_slope", "lift_10")

app = typer.Typer(
    help="Sales forecasting and lead scoring with honest probabilities.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
keys = typer.Typer(help="Keys of the API.", no_args_is_help=True)
app.add_typer(keys, name="keys")
console = Console(stderr=True, highlight=False)

ModelName = Annotated[str, typer.Argument(help="Name of the model, such as win_probability.")]
Models = Annotated[Path, typer.Option(help="Folder of the experiments: models/<name>/config.toml.")]
AsOf = Annotated[str | None, typer.Option(help="Moment (ISO); nothing known at or after it is used. Default: now.")]


def main() -> None:
    """Run a command; errors raised on purpose end it with a sentence and status 1."""
    # An orderly exit, on which the embedded PostgreSQL stops too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        app()
    except ForecastError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)


@contextmanager
def opened(settings: Settings) -> Iterator[sa.Engine]:
    """Open the migrated database, and close its connections afterwards."""
    engine = open_engine(settings)
    try:
        migrate(engine)
        yield engine
    finally:
        engine.dispose()


def _now() -> datetime:
    return datetime.now(UTC)


def _moment(text: str | None, settings: Settings) -> datetime:
    from forecast.moments import read_moment

    return _now() if text is None else read_moment(text, settings.timezone)


@app.command("import")
def import_command(
    files: Annotated[list[Path], typer.Argument(help="CSV files, or folders of them.")],
    kind: Annotated[str | None, typer.Option("--as", help="Kind of record, where it is not recognised.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="TOML that says what each column is.")] = None,
    source: Annotated[str | None, typer.Option(help="Name of the system the records come from.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, but store nothing.")] = False,
) -> None:
    """Import CRM exports; rows that can't be read are written to a file that says why."""
    from forecast.intake import import_files, read_mapping

    settings = read_settings()
    with opened(settings) as engine:
        reports = import_files(
            engine,
            files,
            kind=kind,
            mapping=read_mapping(mapping) if mapping else None,
            source_system=source,
            timezone=settings.timezone,
            imported_at=_now(),
            rejects_folder=settings.home / "rejects",
            dry_run=dry_run,
        )
    for report in reports:
        _print_import(report)


def _print_import(report: "ImportReport") -> None:
    done = "would be stored" if report.dry_run else "stored"
    console.print(
        f"{report.file} as {report.kind}: {report.read} rows read, {report.new} new, {report.changed} changed, "
        f"{report.unchanged} unchanged, {report.rejected} rejected, {report.changes} changes of fields {done}",
        soft_wrap=True,
        markup=False,
    )
    if report.custom_fields:
        fields = ", ".join(f"{name} ({kind})" for name, kind in report.custom_fields.items())
        console.print(f"  custom fields: {fields}", soft_wrap=True, markup=False)
    if report.ignored_columns:
        console.print(f"  not read: {', '.join(report.ignored_columns)}", soft_wrap=True, markup=False)
    for warning in report.warnings:
        console.print(f"  [yellow]warning:[/yellow] {escape(warning)}", soft_wrap=True)
    if report.rejects:
        console.print(
            f"  [red]rejected rows[/red] are in {report.rejects}; correct them there and import that file",
            soft_wrap=True,
        )


@app.command()
def score(
    model: ModelName = "win_probability",
    as_of: AsOf = None,
    at: Annotated[Path | None, typer.Option(help="CSV of opportunity_id, as_of: score each as it was then.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write a CSV instead of the score table.")] = None,
) -> None:
    """Score all open opportunities, or given ones as they were at given moments."""
    from forecast.history import read_history
    from forecast.policies import DEFAULT_THRESHOLDS, find_thresholds
    from forecast.registry import get_live_version
    from forecast.score_files import read_subjects, write_scores_file
    from forecast.score_table import write_scores
    from forecast.scoring import refused_subjects, score_opportunities
    from forecast.snapshot import known_opportunities

    if as_of and at:
        raise InputError("--as-of and --at exclude each other: the file of --at has the moments")
    settings = read_settings()
    version = get_live_version(settings.models_folder, model)
    moment = _moment(as_of, settings)
    with opened(settings) as engine, unit_of_work(engine) as session:
        history = read_history(session, until=None if at else moment)
        subjects = read_subjects(at, settings.timezone) if at else known_opportunities(history, moment)
        thresholds = find_thresholds(session) or DEFAULT_THRESHOLDS
        scores = score_opportunities(history, version, subjects, thresholds=thresholds)
        refused = refused_subjects(history, subjects)
        if out is None:
            write_scores(session, scores, model=model)
        else:
            write_scores_file(scores, out)
    where = "the score table" if out is None else str(out)
    console.print(f"{scores.height} scores by {version.version} (basis: {version.basis}) into {where}")
    for opportunity_id, asked, reason in refused.head(5).iter_rows():
        console.print(
            f"[yellow]not scored:[/yellow] {opportunity_id} at {asked}: {reason}", markup=True, soft_wrap=True
        )
    if refused.height:
        console.print(f"{refused.height} of {subjects.height} could not be scored")


@app.command()
def train(
    model: ModelName = "win_probability",
    as_of: AsOf = None,
    trials: Annotated[int | None, typer.Option(help="Trials of the search; default as in config.toml.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds of the search; default as in config.toml.")] = None,
    promote_passed: Annotated[
        bool, typer.Option("--promote/--no-promote", help="Serve the version at once when it passes its gates.")
    ] = True,
    models: Models = Path("models"),
) -> None:
    """Train a version on what was known at a moment, judge it, register it, and serve it if it passes its gates."""
    from training.config import read_experiment
    from training.pipeline import Listener
    from training.release import train_and_register
    from training.tune import Budget

    settings = read_settings()
    experiment = read_experiment(models, model)
    budget = Budget(
        trials=experiment.search.trials if trials is None else trials,
        timeout_seconds=experiment.search.timeout_seconds if timeout is None else timeout,
    )
    with opened(settings) as engine, _progress() as progress:
        task = progress.add_task("reading records", total=budget.trials)
        release = train_and_register(
            engine,
            settings,
            experiment,
            models=models,
            until=_moment(as_of, settings),
            now=_now(),
            budget=budget,
            promote=promote_passed,
            listener=Listener(
                step=lambda name: progress.update(task, description=name),
                trial=lambda number, loss: progress.update(
                    task, completed=number, description=f"searching (log loss {loss:.4f})"
                ),
            ),
        )
        progress.update(task, completed=budget.trials, description="trained")
    _print_release(release)


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _print_release(release: "Release") -> None:
    run = release.run
    for warning in run.warnings:
        console.print(f"[yellow]warning:[/yellow] {escape(warning)}", soft_wrap=True)
    for suspicion in run.suspicions:
        console.print(f"[yellow]left out:[/yellow] {escape(suspicion.feature)}: {suspicion.reason}", soft_wrap=True)
    if run.metrics:
        table = Table("on rows not seen", *_MEASURED)
        for who in ("model", "logistic", "clock", "prior", "live"):
            if f"{who}_auc" in run.metrics:
                table.add_row(who, *(f"{run.metrics[f'{who}_{metric}']:.4f}" for metric in _MEASURED))
        Console().print(table)
    for gate in run.gates:
        mark = "[green]passed[/green]" if gate.passed else "[red]failed[/red]"
        console.print(f"gate {gate.number} {mark}: {escape(gate.name)}: {escape(gate.sentence)}", soft_wrap=True)
    Console(soft_wrap=True).print(escape(run.verdict))
    Console(soft_wrap=True).print(f"live: {release.live or 'none'}; written to {release.folder}")


@app.command("models")
def list_models() -> None:
    """List versions, newest first, and which one is live."""
    from forecast.registry import find_live, list_versions, read_version, version_folder

    settings = read_settings()
    table = Table("model", "version", "basis", "known until", "AUC", "log loss", "gates", "live")
    for folder in sorted(settings.models_folder.glob("*")):
        live = find_live(settings.models_folder, folder.name)
        for identity in reversed(list_versions(settings.models_folder, folder.name)):
            version = read_version(version_folder(settings.models_folder, folder.name, identity))
            metrics, gates = version.bundle.get("metrics", {}), version.bundle.get("gates", [])
            passed = sum(gate["passed"] for gate in gates)
            table.add_row(
                folder.name,
                identity,
                version.basis,
                version.bundle["until"][:16],
                f"{metrics['model_auc']:.3f}" if metrics else "",
                f"{metrics['model_log_loss']:.4f}" if metrics else "",
                f"{passed} of {len(gates)}" if gates else "",
                f"since {live['since'][:16]}" if live and live["version"] == identity else "",
            )
    Console().print(table)


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="Id of the version, as `forecast models` lists it.")],
    model: Annotated[str, typer.Option(help="Name of the model.")] = "win_probability",
    despite_gates: Annotated[
        str | None, typer.Option(help="Serve it although a gate failed, for this reason, which is kept.")
    ] = None,
) -> None:
    """Serve a version from now on."""
    from training.release import promote_version

    promote_version(read_settings(), model, version, now=_now(), despite_gates=despite_gates)
    console.print(f"{version} of {model} is live")


@app.command()
def rollback(model: ModelName = "win_probability") -> None:
    """Serve the version that was live before."""
    from training.release import roll_back_version

    version = roll_back_version(read_settings(), model, now=_now())
    console.print(f"{version} of {model} is live again")


@keys.command("create")
def create_api_key(name: Annotated[str, typer.Argument(help="Who uses it.")]) -> None:
    """Make a key and print it; it can't be read again."""
    from serving.auth import create_key

    with opened(read_settings()) as engine, unit_of_work(engine) as session:
        secret = create_key(session, name)
    Console(soft_wrap=True).print(secret, markup=False)


@keys.command("list")
def list_api_keys() -> None:
    """List keys, without their secrets."""
    from serving.auth import list_keys

    table = Table("name", "created", "revoked")
    with opened(read_settings()) as engine, unit_of_work(engine) as session:
        for key in list_keys(session):
            table.add_row(escape(key.name), str(key.created_at)[:16], str(key.revoked_at or "")[:16])
    Console().print(table)


@keys.command("revoke")
def revoke_api_key(name: Annotated[str, typer.Argument(help="Name of the key.")]) -> None:
    """Withdraw a key from now on."""
    from serving.auth import revoke_key

    with opened(read_settings()) as engine, unit_of_work(engine) as session:
        revoke_key(session, name, at=_now())
    console.print(f"{escape(name)} is revoked")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default FORECAST_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; default FORECAST_PORT.")] = None,
) -> None:
    """Serve the API and its docs."""
    import uvicorn

    from serving.app import create_app

    settings = read_settings()
    uvicorn.run(create_app(settings), host=host or settings.host, port=port or settings.port)


@app.command()
def demo(
    serve_after: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the API at the end.")] = True,
    models: Models = Path("models"),
) -> None:
    """Show everything on a simulated company: import, train, score, serve; run again, it continues."""
    from forecast.registry import find_live

    settings = read_settings()
    export = settings.home / "demo-export"
    if not export.exists():
        _say("simulating three years of a company", f"its CRM export goes to {export}")
        _write_demo_export(export)
    if not (settings.home / "demo-imported").exists():
        _say(f"forecast import {export}", "the export becomes records")
        import_command([export])
        (settings.home / "demo-imported").touch()
    if find_live(settings.models_folder, "win_probability") is None:
        _say(f"forecast train win_probability --trials {DEMO_TRIALS}", "learn what wins, judge it, serve it")
        train(trials=DEMO_TRIALS, models=models)
    _say("forecast score", "every open opportunity gets a probability, a grade and reasons")
    score()
    key = _demo_key(settings)
    _say("done", f"the key of the API is {key} (kept in {settings.home / DEMO_KEY_FILE})")
    address = f"http://{settings.host}:{settings.port}"
    console.print(
        f"  {address}/docs              try the API: Authorize with the key\n"
        f"  curl -H 'X-API-Key: {key}' '{address}/v1/opportunities?grade=high&limit=3'\n"
        f"  mlflow ui --backend-store-uri {settings.tracking_uri}   runs, figures, versions\n"
        "  forecast models                          which version is live, and its gates",
        soft_wrap=True,
        markup=False,
    )
    if serve_after:
        _say("forecast serve", f"{address}, until Ctrl+C")
        serve()


def _say(command: str, meaning: str) -> None:
    console.print(f"[bold]{escape(command)}[/bold]: {escape(meaning)}", soft_wrap=True)


def _write_demo_export(folder: Path) -> None:
    from forecast.demo import simulate_company, write_export

    today = _now().replace(hour=0, minute=0, second=0, microsecond=0)
    draft = folder.with_suffix(".draft")
    write_export(simulate_company(DEMO_SEED, today), draft)
    draft.rename(folder)


def _demo_key(settings: Settings) -> str:
    from serving.auth import create_key

    file = settings.home / DEMO_KEY_FILE
    if not file.exists():
        with opened(settings) as engine, unit_of_work(engine) as session:
            secret = create_key(session, "demo")
        file.touch(mode=0o600)
        file.write_text(secret, encoding="utf-8")
    return file.read_text(encoding="utf-8")
