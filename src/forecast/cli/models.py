"""forecast train, models, promote and rollback."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from forecast.cli.forecast_accuracy import REVENUE_MODEL
from forecast.cli.phrases import say, say_moment
from forecast.cli.screen import AsOf, ModelName, Models, console, moment_of, now, opened, output, past_moment_of
from forecast.cli.tiers import TIER_MODEL, train_customer_tiers
from forecast.cli.training import print_gates, print_verdict, print_warnings, say_verdict, told
from forecast.errors import ConflictError, InputError
from forecast.settings import read_settings

if TYPE_CHECKING:
    from forecast.registry import Version
    from training.pipeline import Run
    from training.release import Release

_JUDGED = ("model", "logistic", "clock", "prior", "live")
_MEASURED = ("auc", "log_loss", "brier", "calibration_error", "calibration_slope", "lift_10")


def train(
    model: ModelName = "win_probability",
    as_of: AsOf = None,
    trials: Annotated[
        int | None, typer.Option(help="Trials of the search, or earlier moments tried; default as in config.toml.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds of the search; default as in config.toml.")] = None,
    promote_passed: Annotated[
        bool, typer.Option("--promote/--no-promote", help="Serve the version at once when it passes its gates.")
    ] = True,
    horizon: Annotated[str | None, typer.Option(help="Of customer_tier: days ahead, such as 98d.")] = None,
    currency: Annotated[str | None, typer.Option(help="Of revenue_forecast: whose amounts count.")] = None,
    models: Models = Path("models"),
) -> None:
    """Train a version on what was known at a moment, judge it, register it, and serve it if it passes its gates."""
    until = past_moment_of(as_of, read_settings())
    if model == TIER_MODEL:
        tiers = train_customer_tiers(
            read_settings(), until=until, horizon=horizon, promote=promote_passed, models=models
        )
        print_verdict(tiers, tiers.run.gates)
        return
    if model == REVENUE_MODEL:
        from forecast.cli.revenue import train_revenue_forecast

        revenue = train_revenue_forecast(
            read_settings(), until=until, currency=currency, origins=trials, promote=promote_passed, models=models
        )
        print_verdict(revenue, revenue.run.gates)
        return
    if horizon is not None:
        raise InputError(f"--horizon is of customer_tier; the horizon of {model} is in its config.toml")

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
        task = progress.add_task(told("reading records"), total=budget.trials)
        release = train_and_register(
            engine,
            settings,
            experiment,
            models=models,
            until=until,
            now=now(),
            budget=budget,
            promote=promote_passed,
            listener=Listener(
                step=lambda name: progress.update(task, description=told(name)),
                trial=lambda number, loss: progress.update(
                    task, completed=number, description=say("searching (log loss {loss})", loss=f"{loss:.4f}")
                ),
            ),
        )
        progress.update(task, completed=budget.trials, description=say("trained"))
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


def _print_release(release: "Release[Run]") -> None:
    run = release.run
    print_warnings(run.warnings)
    for suspicion in run.suspicions:
        left_out = f"{escape(suspicion.feature)}{say(': ')}{escape(told(suspicion.reason))}"
        console.print(f"[yellow]{say('left out: ')}[/yellow]{left_out}")
    if run.metrics:
        output.print(_figures_table(run.metrics))
    print_verdict(release, run.gates)


def _figures_table(metrics: Mapping[str, float]) -> Table:
    """Give a row to this version and to each of its yardsticks."""
    headings = ("on rows not seen", "AUC", "log loss", "Brier", "ECE", "slope", "lift 10 %")
    names = ("this version", "logistic regression", "age and calendar", "share won so far", "live version")
    table = Table(*map(say, headings), box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for who, name in zip(_JUDGED, names, strict=True):
        if f"{who}_auc" in metrics:
            table.add_row(say(name), *(f"{metrics[f'{who}_{metric}']:.4f}" for metric in _MEASURED))
    return table


def recalibrate(
    model: ModelName = "win_probability",
    as_of: AsOf = None,
    promote_passed: Annotated[
        bool, typer.Option("--promote/--no-promote", help="Serve the new level at once when it passes its gates.")
    ] = True,
    models: Models = Path("models"),
) -> None:
    """Between trainings: set the level of the live version anew from the outcomes known since, where it is off."""
    if model in (TIER_MODEL, REVENUE_MODEL):
        raise InputError(
            f"{model} says no probabilities whose level could be set; train it again: forecast train {model}"
        )

    from training.release import recalibrate_and_register

    settings = read_settings()
    with opened(settings) as engine:
        levelled = recalibrate_and_register(
            engine,
            settings,
            model,
            models=models,
            until=moment_of(as_of, settings),
            now=now(),
            promote=promote_passed,
        )
    found = levelled.found
    print_gates(found.gates)
    if found.candidate is not None:
        level = say(
            "level: log-odds raised by {shift} (standard error {error}); the newest outcomes: {won} won; log loss {now}, "
            "{before} at the level before",
            shift=f"{found.level.shift:+.2f}",
            error=f"{found.level.variance**0.5:.2f}",
            won=f"{found.metrics['live_won_share']:.1%}",
            now=f"{found.metrics['recalibrated_log_loss']:.4f}",
            before=f"{found.metrics['live_log_loss']:.4f}",
        )
        output.print(level)
    made = found.candidate
    held = made if made is not None and found.promotable and levelled.live != made.version else None
    output.print(escape(say_verdict(found.verdict, held)))
    if levelled.folder:
        output.print(say("live: {live}; written to {folder}", live=levelled.live, folder=levelled.folder))
    else:
        output.print(say("live: {live}", live=levelled.live))


def list_models() -> None:
    """List versions, newest first, and which one is live."""
    from forecast.registry import find_live, list_versions, read_version, version_folder

    settings = read_settings()
    folders = sorted(settings.models_folder.glob("*"))
    if not folders:
        output.print(say("no version was trained yet; `forecast train` trains one"))
    for folder in folders:
        output.print(f"[italic]{folder.name}[/italic]")
        live = find_live(settings.models_folder, folder.name) or {"version": None}
        table = _versions_table()
        old = 0
        for identity in reversed(list_versions(settings.models_folder, folder.name)):
            since = say_moment(datetime.fromisoformat(live["since"]))[:10] if live["version"] == identity else ""
            try:
                version = read_version(version_folder(settings.models_folder, folder.name, identity))
            except ConflictError:
                old += 1
                table.add_row(identity, "", say("old format"), "", "", "", since)
            else:
                table.add_row(identity, *_described(version), since)
        output.print(table, "")
        if old:
            _print_old(folder.name, old)


def _versions_table() -> Table:
    """Give an empty table that holds the longest id whole in 80 columns."""
    headings = ("version", "basis", "until", "AUC", "log loss", "gates", "live since")
    columns = (Column(say(name), no_wrap=True, overflow="ignore") for name in headings)
    return Table(*columns, box=None, padding=(0, 1, 0, 0), pad_edge=False)


def _print_old(model: str, count: int) -> None:
    said = say(
        "{count} of {model}, written by another version of forecast; they can't be served: `forecast train {model}` makes one "
        "that can, and their folders may be deleted",
        count=count,
        model=model,
    )
    console.print(f"[yellow]{say('old format')}{say(': ')}[/yellow]{said}")


def _described(version: "Version[Any]") -> tuple[str, ...]:
    metrics, gates = version.bundle.get("metrics", {}), version.bundle.get("gates", [])
    passed = sum(gate["passed"] for gate in gates)
    return (
        say(version.basis),
        say_moment(datetime.fromisoformat(version.bundle["until"]))[:10],
        f"{metrics['model_auc']:.3f}" if "model_auc" in metrics else "",
        f"{metrics['model_log_loss']:.4f}" if "model_log_loss" in metrics else "",
        f"{passed}/{len(gates)}" if gates else "",
    )


def promote(
    version: Annotated[str, typer.Argument(help="Id of the version, as `forecast models` lists it.")],
    model: Annotated[str, typer.Option(help="Name of the model.")] = "win_probability",
    despite_gates: Annotated[
        str | None, typer.Option(help="Serve it although a gate failed, for this reason, which is kept.")
    ] = None,
) -> None:
    """Serve a version from now on."""
    from training.release import promote_version

    promote_version(read_settings(), model, version, now=now(), despite_gates=despite_gates)
    console.print(say("{version} of {model} is live", version=version, model=model))


def rollback(model: ModelName = "win_probability") -> None:
    """Serve the version that was live before."""
    from training.release import roll_back_version

    version = roll_back_version(read_settings(), model, now=now())
    console.print(say("{version} of {model} is live again", version=version, model=model))
