"""forecast train, models, promote and rollback."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from forecast.cli.forecast_accuracy import REVENUE_MODEL
from forecast.cli.screen import AsOf, ModelName, Models, console, moment_of, now, opened, output
from forecast.cli.tiers import TIER_MODEL, train_customer_tiers
from forecast.errors import ConflictError, InputError
from forecast.settings import read_settings

if TYPE_CHECKING:
    from forecast.registry import Version
    from training.gates import Gate
    from training.pipeline import Run
    from training.release import Release

_DESCRIBED = ("basis", "until", "AUC", "log loss", "gates")
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
    if model == TIER_MODEL:
        tiers = train_customer_tiers(
            read_settings(), as_of=as_of, horizon=horizon, promote=promote_passed, models=models
        )
        print_verdict(tiers, tiers.run.gates)
        return
    if model == REVENUE_MODEL:
        from forecast.cli.revenue import train_revenue_forecast

        revenue = train_revenue_forecast(
            read_settings(), as_of=as_of, currency=currency, origins=trials, promote=promote_passed, models=models
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
        task = progress.add_task("reading records", total=budget.trials)
        release = train_and_register(
            engine,
            settings,
            experiment,
            models=models,
            until=moment_of(as_of, settings),
            now=now(),
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


def _print_release(release: "Release[Run]") -> None:
    run = release.run
    for warning in run.warnings:
        console.print(f"[yellow]warning:[/yellow] {escape(warning)}")
    for suspicion in run.suspicions:
        console.print(f"[yellow]left out:[/yellow] {escape(suspicion.feature)}: {escape(suspicion.reason)}")
    if run.metrics:
        table = Table("on rows not seen", *_MEASURED)
        for who in ("model", "logistic", "clock", "prior", "live"):
            if f"{who}_auc" in run.metrics:
                table.add_row(who, *(f"{run.metrics[f'{who}_{metric}']:.4f}" for metric in _MEASURED))
        output.print(table)
    print_verdict(release, run.gates)


def print_verdict(release: "Release[Any]", gates: "list[Gate]") -> None:
    """Print how a run of any model ended: its gates, the verdict and what is live."""
    _print_gates(gates)
    output.print(escape(release.run.verdict))
    output.print(f"live: {release.live or 'none'}; written to {release.folder}")


def _print_gates(gates: "list[Gate]") -> None:
    for gate in gates:
        mark = "[green]passed[/green]" if gate.passed else "[red]failed[/red]"
        console.print(f"gate {gate.number} {mark}: {escape(gate.name)}: {escape(gate.sentence)}")


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
    _print_gates(found.gates)
    if found.candidate is not None:
        output.print(
            f"level: log-odds raised by {found.level.shift:+.2f} (standard error {found.level.variance**0.5:.2f}); the newest "
            f"outcomes: {found.metrics['live_won_share']:.1%} won; log loss {found.metrics['recalibrated_log_loss']:.4f}, "
            f"{found.metrics['live_log_loss']:.4f} at the level before"
        )
    output.print(escape(found.verdict))
    output.print(f"live: {levelled.live}" + (f"; written to {levelled.folder}" if levelled.folder else ""))


def list_models() -> None:
    """List versions, newest first, and which one is live."""
    from forecast.registry import find_live, list_versions, read_version, version_folder

    settings = read_settings()
    for folder in sorted(settings.models_folder.glob("*")):
        live = find_live(settings.models_folder, folder.name)
        measured = (Column(name, no_wrap=True) for name in ("version", *_DESCRIBED, "live since"))
        table = Table(
            *measured, title=folder.name, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False
        )
        old = 0
        for identity in reversed(list_versions(settings.models_folder, folder.name)):
            since = live["since"][:10] if live and live["version"] == identity else ""
            try:
                version = read_version(version_folder(settings.models_folder, folder.name, identity))
            except ConflictError:
                old += 1
                table.add_row(identity, "old format", *("" for _ in _DESCRIBED[1:]), since)
                continue
            table.add_row(identity, *_described(version), since)
        output.print(table)
        if old:
            console.print(
                f"[yellow]old format:[/yellow] {old} of {folder.name}, written by another version of forecast; they can't be "
                f"served: `forecast train {folder.name}` makes one that can, and their folders may be deleted"
            )


def _described(version: "Version[Any]") -> tuple[str, ...]:
    metrics, gates = version.bundle.get("metrics", {}), version.bundle.get("gates", [])
    passed = sum(gate["passed"] for gate in gates)
    return (
        version.basis,
        version.bundle["until"][:10],
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
    console.print(f"{version} of {model} is live")


def rollback(model: ModelName = "win_probability") -> None:
    """Serve the version that was live before."""
    from training.release import roll_back_version

    version = roll_back_version(read_settings(), model, now=now())
    console.print(f"{version} of {model} is live again")
